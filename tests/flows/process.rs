//! The process among others: signals, and readers of what it prints who leave.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use trunkline_tests::{Exchange, Scratch, binary, exchange_command, free_port, wait_for};

/// `serve` as a newcomer starts it, on this port alone.
fn serve(folder: &Scratch, port: u16) -> Command {
    let at = format!("127.0.0.1:{port}");
    let mut command = Command::new(binary());
    command
        .arg("serve")
        .current_dir(folder.path())
        .envs(["UDP", "TCP"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), at.clone())))
        .envs(["TLS", "WS", "WSS"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), "off")))
        .envs(
            ["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|name| (format!("TRUNKLINE_{name}"), "off")),
        )
        .stdin(Stdio::null());
    command
}

/// Ends the process with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ends {
    fn answers(&mut self, folder: &Scratch) {
        wait_for("the exchange to answer", || {
            assert!(self.0.try_wait().expect("a child").is_none(), "it ended");
            let status =
                Command::new(binary()).arg("status").current_dir(folder.path()).output().expect("runs");
            String::from_utf8_lossy(&status.stdout).contains("running, version").then_some(())
        });
    }
}

#[test]
fn readers_who_leave_end_no_exchange() {
    let folder = Scratch::new("unread");
    // Nobody reads its standard output from the beginning, and its log after the first bytes.
    let mut child =
        serve(&folder, free_port()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let mut log = child.stderr.take().expect("a pipe");
    log.read_exact(&mut [0; 10]).expect("a log");
    drop(log);
    let mut exchange = Ends(child);
    exchange.answers(&folder);
    // Its secrets were not shown; others can be made.
    let made = Command::new(binary())
        .args(["agents", "update", "1001", "--generate-password"])
        .current_dir(folder.path())
        .output()
        .expect("runs");
    assert!(made.status.success(), "{made:?}");
    exchange.answers(&folder);
}

#[test]
fn a_hangup_ends_no_calls() {
    let mut exchange = Exchange::start(&super::agents());
    super::registered(&exchange, "1001");
    exchange.signal("HUP");
    wait_for("a word about it", || exchange.log().contains("SIGHUP").then_some(()));
    assert!(exchange.alive());
    super::registered(&exchange, "1002");
    assert_eq!(exchange.stop(), Some(0), "{}", exchange.log());
    assert!(!exchange.folder().join("trunkline.sock").exists(), "it cleans up");
}

#[test]
fn a_first_start_that_finds_a_port_taken_makes_nothing() {
    let folder = Scratch::new("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("bound").to_string();
    let port = free_port();
    let output = serve(&folder, port).env("TRUNKLINE_HTTP_ADDR", &at).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.is_empty(), "secrets that are good for nothing yet: {output:?}");
    assert!(text.contains("key http.addr"), "{text}");
    assert_eq!(text.matches("os error").count(), 1, "the cause is told once: {text}");
    let mut exchange =
        Ends(serve(&folder, port).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts"));
    exchange.answers(&folder);
    exchange.0.kill().expect("killed");
    let mut shown = String::new();
    exchange.0.stdout.take().expect("a pipe").read_to_string(&mut shown).expect("text");
    assert!(shown.contains("user 1001   password "), "{shown}");
}

#[test]
fn what_cannot_be_opened_is_named_with_the_way_out() {
    let folder = Scratch::new("broken");
    for (text, about) in
        [("no database, but as long as the head of one ..................", "move it away"), ("", "")]
    {
        folder.write("trunkline.db", text);
        let mut child =
            serve(&folder, free_port()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
        if about.is_empty() {
            // An empty file is a new database.
            Ends(child).answers(&folder);
            continue;
        }
        assert_eq!(child.wait().expect("ends").code(), Some(1));
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        assert!(said.contains("trunkline.db: file is not a database") && said.contains(about), "{said}");
        assert_eq!(said.matches("not a database").count(), 1, "{said}");
    }
    let output =
        serve(&folder, free_port()).env("TRUNKLINE_DATA", "sqlite:nowhere/t.db").output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nowhere/t.db") && said.contains("key data: its folder must be there"), "{said}");
}

#[test]
fn a_table_obeys_no_user_agent() {
    let exchange = Exchange::start(&super::agents());
    let mut ua = super::phone(&exchange, "1001");
    let request = ua.register_request(600).set("User-Agent", "Phone \x1b]0;pwned\x07\u{202e}");
    let answer = ua.ask(&request).0;
    assert_eq!(answer.status(), 200, "{}", answer.start);
    let output = exchange_command(&exchange).arg("registrations").output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Phone") && !text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
    let socket = std::fs::metadata(exchange.folder().join("trunkline.sock")).expect("a socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o600, "for its owner alone");
}
