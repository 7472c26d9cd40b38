//! File descriptors run out: health and operators are answered, calls go on, and new connections are refused.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use trunkline_tests::{Exchange, PATIENCE, Rest, exchange_command, free_port, wait_for};

use super::{agents, at, registered};

/// Few enough that a test uses them up.
const LIMIT: u32 = 320;

/// An exchange with these limits, its health, and its listener of WebSockets.
fn start(limits: (u32, u32)) -> (Exchange, Rest, SocketAddr) {
    let [http, ws] = [free_port(), free_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let (at, ws_at) = (http.to_string(), ws.to_string());
    // Unfinished handshakes stay for as long as the test needs them.
    let env = [
        ("TRUNKLINE_HTTP_ADDR", at.as_str()),
        ("TRUNKLINE_LISTEN_WS", ws_at.as_str()),
        ("TRUNKLINE_LIMITS_PARTIAL_SECONDS", "600"),
    ];
    (Exchange::start_with_descriptors(limits, &agents(), &env), Rest::http(http, ""), ws)
}

/// Was this connection closed by the exchange?
fn is_refused(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a live socket");
    match (&mut &*stream).read(&mut [0; 8]) {
        Ok(n) => n == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

fn part<'v>(ready: &'v Value, name: &str) -> &'v Value {
    let parts = ready["parts"].as_array().into_iter().flatten();
    parts.into_iter().find(|part| part["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn the_soft_limit_becomes_the_hard_one() {
    let (exchange, ..) = start((200, 900));
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", exchange.pid())).expect("of our child");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    assert_eq!(line.split_whitespace().nth(3), Some("900"), "{line}");
    let log = exchange.log();
    assert!(log.contains("the limit of file descriptors was raised from=200 to=900"), "{log}");
    assert!(log.contains("file descriptors set the limit of connections limit=900"), "{log}");
    assert!(log.contains("limits.connectionsPerAddress is lowered to 836"), "1000 do not fit: {log}");
}

#[test]
fn health_and_operators_are_answered_while_tcp_phones_use_up_descriptors() {
    let (exchange, http, _) = start((LIMIT, LIMIT));
    run_out(&exchange, &http, exchange.tcp());
}

#[test]
fn the_same_with_websockets_that_do_not_finish_their_handshake() {
    let (exchange, http, ws) = start((LIMIT, LIMIT));
    run_out(&exchange, &http, ws);
}

/// Uses up the descriptors by connections to this listener.
fn run_out(exchange: &Exchange, http: &Rest, listener: SocketAddr) {
    let ready = http.get("/readyz");
    assert_eq!(
        (ready.status, &part(&ready.json, "descriptors")["ok"]),
        (200, &Value::Bool(true)),
        "{}",
        ready.body
    );

    let connect = || TcpStream::connect_timeout(&listener, PATIENCE).expect("the kernel accepts it");
    let mut phones: Vec<TcpStream> = (0..LIMIT).map(|_| connect()).collect();
    wait_for("a connection to be refused", || phones.iter().any(is_refused).then_some(()));
    wait_for("/readyz to say so", || {
        let ready = http.get("/readyz");
        let part = part(&ready.json, "descriptors");
        let reason = part["reason"].as_str().unwrap_or_default();
        (part["ok"] == false && ready.json["status"] == "degraded" && reason.contains("LimitNOFILE"))
            .then_some(())
    });
    let metrics = http.get("/metrics");
    assert!(metrics.body.contains(&format!("process_max_fds {LIMIT}")), "{}", metrics.body);
    let status = exchange_command(exchange).args(["status", "--json"]).output().expect("the command runs");
    let status: Value = serde_json::from_slice(&status.stdout).expect("an answer of the control socket");
    assert_eq!(status["descriptors"]["limit"], LIMIT, "{status}");
    assert!(status["degraded"].to_string().contains("descriptors"), "{status}");
    // Phones over UDP and connections that were there before do not notice.
    let (mut caller, mut callee) = (registered(exchange, "1001"), registered(exchange, "1002"));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    caller.status_for(&invite, 200);

    let refused = phones.iter().filter(|phone| is_refused(phone)).count();
    assert!(refused > 0 && refused < phones.len(), "{refused} of {} are refused", phones.len());
    phones.clear();
    wait_for("/readyz to be content again", || {
        let ready = http.get("/readyz");
        (part(&ready.json, "descriptors")["ok"] == true).then_some(())
    });
    let phone = connect();
    wait_for("a new connection to stay", || (!is_refused(&phone)).then_some(()));
    assert!(exchange.log().contains("connections are refused for want of file descriptors"));
}
