//! The database does not answer: what is in memory goes on, what needs the database says so, nothing is lost.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use trunkline_tests::{Exchange, Ua, exchange_command, free_port, wait_for};

use super::dialogs::connect;
use super::operator::get;

/// Another program that holds the database's lock until it is dropped.
struct Lock(Child);

impl Lock {
    fn take(exchange: &Exchange) -> Lock {
        let mut child = Command::new("sqlite3")
            .arg(exchange.folder().join("trunkline.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sqlite3 starts: cargo xtask install");
        let input = child.stdin.as_mut().expect("a pipe");
        input.write_all(b".timeout 5000\nBEGIN IMMEDIATE;\n.print locked\n").expect("sent");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("a pipe");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("an answer");
        assert_eq!(line, "locked\n");
        Lock(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn create(exchange: &Exchange, user: &str, password: &str) -> Output {
    let mut child = exchange_command(exchange)
        .args(["agents", "create", user, "--password-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "{password}").expect("sent");
    drop(input);
    child.wait_with_output().expect("the command ends")
}

#[test]
fn a_database_that_is_locked_stops_no_call_and_loses_no_binding() {
    let at = format!("127.0.0.1:{}", free_port());
    let env = [("TRUNKLINE_HTTP_ADDR", at.as_str()), ("TRUNKLINE_DATA", "sqlite:trunkline.db")];
    let mut exchange = Exchange::start_with(&trunkline_tests::Resources::new(), "", &env);
    for user in ["1003", "1004"] {
        let output = create(&exchange, user, "a-long-secret");
        assert!(output.status.success(), "{output:?}");
    }
    let lock = Lock::take(&exchange);
    let phone = |user: &str| Ua::udp(exchange.udp(), user, "sip.local", "a-long-secret");
    let (mut caller, mut callee) = (phone("1003"), phone("1004"));
    for ua in [&mut caller, &mut callee] {
        // In memory from now on, in the database when it answers again: never 403, 404 or a phone turned away.
        assert_eq!(ua.register(600).status(), 200);
    }
    connect(&mut caller, &mut callee);
    // Who exists not is still unknown, who exists is still known.
    let nobody = caller.invite("sip:1099@sip.local");
    let (failure, _) = caller.ask(&nobody);
    assert_eq!(failure.status(), 404, "{}", failure.start);

    let refused = create(&exchange, "1005", "a-long-secret");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("locked"), "an operator hears why: {text}");

    let degraded = wait_for("health says what fails", Duration::from_secs(15), || {
        let body = get(&at, "/readyz").1;
        body.contains("locked").then_some(body)
    });
    assert!(degraded.contains("location"), "{degraded}");
    assert!(get(&at, "/healthz").0.contains("200"), "it lives all the same");
    assert!(exchange.alive());

    drop(lock);
    wait_for("all is well again", Duration::from_secs(15), || {
        (!get(&at, "/readyz").1.contains("locked")).then_some(())
    });
    assert!(create(&exchange, "1005", "a-long-secret").status.success());
    exchange.kill();
    exchange.restart();
    let query = callee.register_request(600).without("Contact");
    assert_eq!(callee.ask(&query).0.list("Contact").len(), 1, "the binding made meanwhile is there");
}
