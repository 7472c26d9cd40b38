//! The database does not answer: what is in memory goes on, what needs the database says so, nothing is lost.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

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
        input.write_all(b".timeout 60000\nBEGIN IMMEDIATE;\n.print locked\n").expect("sent");
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

const SECRET: &str = "a-long-secret";

/// An exchange on SQLite with agents 1003 and 1004; its HTTP address.
fn on_sqlite(config: &str) -> (Exchange, String) {
    let http = format!("127.0.0.1:{}", free_port());
    let env = [("TRUNKLINE_HTTP_ADDR", http.as_str()), ("TRUNKLINE_DATA", "sqlite:trunkline.db")];
    let exchange = Exchange::start_with(&trunkline_tests::Resources::new(), config, &env);
    for user in ["1003", "1004"] {
        let output = create(&exchange, user, SECRET);
        assert!(output.status.success(), "{output:?}");
    }
    (exchange, http)
}

fn phone(exchange: &Exchange, user: &str) -> Ua {
    Ua::udp(exchange.udp(), user, "sip.local", SECRET)
}

/// Waits until `/readyz` says that the database is locked.
fn degraded(http: &str) -> String {
    wait_for("readiness says what fails", || {
        let body = get(http, "/readyz").1;
        body.contains("locked").then_some(body)
    })
}

#[test]
fn a_database_that_is_locked_stops_no_call_and_loses_no_binding() {
    let (mut exchange, http) = on_sqlite("registrar: {storePatienceMs: 500}\n");
    let (mut caller, mut callee) = (phone(&exchange, "1003"), phone(&exchange, "1004"));
    for ua in [&mut caller, &mut callee] {
        assert_eq!(ua.register(600).status(), 200);
    }
    let lock = Lock::take(&exchange);
    assert_eq!(caller.register(600).status(), 200, "a known phone is refreshed");
    let body = degraded(&http);
    assert!(body.contains("location"), "{body}");
    assert!(get(&http, "/healthz").0.contains("200"), "it lives all the same");

    // A further phone cannot be promised to be known after a restart: 503, never 403 or 404.
    let mut late = phone(&exchange, "1004");
    let refused = late.register(600);
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_eq!(refused.get("Retry-After"), Some("10"));
    assert!(get(&http, "/metrics").1.contains("trunkline_edge_unstorable_total 1\n"), "it is counted");
    for ua in [&mut caller, &mut callee] {
        assert_eq!(ua.register(600).status(), 200, "known ones are refreshed");
    }
    connect(&mut caller, &mut callee);
    // Who exists not is still unknown, who exists is still known.
    let nobody = caller.invite("sip:1099@sip.local");
    let (failure, _) = caller.ask(&nobody);
    assert_eq!(failure.status(), 404, "{}", failure.start);

    let refused = create(&exchange, "1005", SECRET);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("locked"), "an operator hears why: {text}");
    assert!(exchange.alive());

    drop(lock);
    wait_for("all is well again", || (!get(&http, "/readyz").1.contains("locked")).then_some(()));
    assert!(create(&exchange, "1005", SECRET).status.success());
    assert_eq!(late.register(600).status(), 200, "and the phone that was refused is taken");
    exchange.kill();
    exchange.restart();
    let query = callee.register_request(600).without("Contact");
    let known = callee.ask(&query).0.list("Contact").len();
    assert!(known >= 1, "what was refreshed meanwhile is there");
}

#[test]
fn an_operator_may_have_phones_registered_whatever_the_database_does() {
    let (mut exchange, http) = on_sqlite("registrar: {storePatienceMs: 0}\n");
    let lock = Lock::take(&exchange);
    let mut first = phone(&exchange, "1003");
    assert_eq!(first.register(600).status(), 200);
    degraded(&http);
    let mut late = phone(&exchange, "1004");
    assert_eq!(late.register(600).status(), 200);
    connect(&mut first, &mut late);
    drop(lock);
    wait_for("both bindings are written", || {
        get(&http, "/metrics").1.contains("trunkline_location_writes_total 2\n").then_some(())
    });
    exchange.kill();
    exchange.restart();
    let query = late.register_request(600).without("Contact");
    assert_eq!(late.ask(&query).0.list("Contact").len(), 1, "the binding made meanwhile is there");
}
