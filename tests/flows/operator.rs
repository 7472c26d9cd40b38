//! The operator's hands on a running exchange: the command line through its socket, health over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use trunkline_tests::{Exchange, Ua, exchange_command, free_port, wait_for};

/// Runs the binary's command in the exchange's folder.
fn run(exchange: &Exchange, words: &[&str]) -> Output {
    exchange_command(exchange).args(words).output().expect("the command runs")
}

fn out(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// Runs it and gives what it printed; panics when it fails.
pub fn ok(exchange: &Exchange, words: &[&str]) -> String {
    let output = run(exchange, words);
    assert!(output.status.success(), "{words:?}: {}", out(&output));
    out(&output)
}

#[test]
fn the_start_warns_of_what_is_open() {
    let resources = super::trunks::with_trunk(&[("127.0.0.1:9", 1, "udp")]);
    let exchange = Exchange::start_with(&resources, "digestUri: off\n", &[]);
    let log = exchange.log();
    for said in ["`digestUri: off`", "anyone may call its numbers by trunk.test; give it --acl"] {
        assert!(log.contains(said), "no {said} in {log}");
        assert!(ok(&exchange, &["check"]).contains(said));
    }
    assert!(!log.contains("pw-1001"), "{log}");
}

#[test]
fn an_agent_is_made_registers_is_kicked_and_removed() {
    let exchange = Exchange::first_start();
    let printed = ok(&exchange, &["agents", "create", "1003", "--generate-password", "--json"]);
    assert!(ok(&exchange, &["agents", "list"]).contains("1003"));
    let words = printed.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| w.len() >= 8);
    // The password is one of the words printed.
    let mut found = None;
    for word in words {
        let mut ua = Ua::udp(exchange.udp(), "1003", "sip.local", word);
        if ua.register(600).status() == 200 {
            found = Some(ua);
            break;
        }
    }
    let mut ua = found.unwrap_or_else(|| panic!("no word of this registers 1003:\n{printed}"));
    assert!(ok(&exchange, &["registrations"]).contains("1003"));
    assert!(ok(&exchange, &["status"]).contains("registrations  1"));
    ok(&exchange, &["registrations", "kick", "1003@sip.local"]);
    let query = ua.register_request(600).without("Contact");
    assert_eq!(ua.ask(&query).0.list("Contact").len(), 0);
    ok(&exchange, &["agents", "delete", "1003", "--with-credentials"]);
    assert_ne!(ua.register(600).status(), 200);
}

#[test]
fn calls_that_are_up_are_found_by_who_talks() {
    let exchange = Exchange::start(&super::agents());
    let (_caller, _a, _callee, _) = super::dialogs::talking(&exchange, "1001", "1002");
    let calls = |words: &[&str]| -> Vec<serde_json::Value> {
        let text = ok(&exchange, &[&["calls", "--json"], words].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let all = calls(&[]);
    assert_eq!((all.len(), all[0]["state"].as_str()), (1, Some("up")), "{all:?}");
    assert_eq!(calls(&["--filter", "1002@SIP.TEST"]), all);
    assert!(calls(&["--filter", "1003"]).is_empty());
    assert!(calls(&["list", "--limit", "0"]).is_empty());
}

#[test]
fn what_others_refer_to_is_not_removed() {
    let exchange = Exchange::first_start();
    let refused = run(&exchange, &["domains", "delete", "sip.local"]);
    assert!(!refused.status.success());
    let text = out(&refused);
    assert!(text.contains("1001") && text.contains("1002"), "it names who refers: {text}");
    assert!(ok(&exchange, &["domains", "list"]).contains("sip.local"));
}

#[test]
fn what_is_exported_can_be_imported() {
    let exchange = Exchange::first_start();
    let text = ok(&exchange, &["export"]);
    assert!(text.contains("1001") && text.contains("sip.local"));
    std::fs::write(exchange.folder().join("all.yaml"), &text).expect("a file");
    ok(&exchange, &["import", "all.yaml"]);
}

#[test]
fn a_mistake_in_the_configuration_is_shown_with_its_place_and_exits_64() {
    let exchange = Exchange::start(&super::agents());
    std::fs::write(exchange.folder().join("bad.yaml"), "registrar:\n  maxExpire: 10\n").expect("a file");
    let output = run(&exchange, &["check", "--config", "bad.yaml"]);
    assert_eq!(output.status.code(), Some(64));
    let text = out(&output);
    assert!(text.contains("bad.yaml:2:3") && text.contains("maxExpires"), "{text}");
}

/// A figure of the metrics.
pub fn figure(http: &str, name: &str) -> u64 {
    let (_, text) = get(http, "/metrics");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// One HTTP request; status line and body.
pub fn get(at: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).expect("the HTTP listener");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.lines().next().unwrap_or("").to_owned(), body.to_owned())
}

#[test]
fn health_and_metrics() {
    let at = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&super::agents(), "", &[("TRUNKLINE_HTTP_ADDR", &at)]);
    assert!(get(&at, "/healthz").0.contains("200"));
    assert!(get(&at, "/readyz").0.contains("200"));
    super::registered(&exchange, "1001");
    let (status, body) = get(&at, "/metrics");
    assert!(status.contains("200") && body.contains("trunkline_"), "{status}\n{body}");
    for line in body.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = line.split_once(' ').unwrap_or((line, ""));
        assert!(help.split(' ').count() > 1 || help.ends_with("s."), "{name} says what it counts: {help:?}");
    }
    assert!(get(&at, "/nothing").0.contains("404"));
}

#[test]
fn whoever_does_not_get_past_the_tls_handshake_is_counted() {
    let [http, tls] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let env = [("TRUNKLINE_HTTP_ADDR", http.as_str()), ("TRUNKLINE_LISTEN_TLS", tls.as_str())];
    let _exchange = Exchange::start_with(&super::agents(), "", &env);
    let count = || {
        let (_, body) = get(&http, "/metrics");
        let line = body.lines().find_map(|l| l.strip_prefix("trunkline_connections_unfinished_total "));
        line.map(str::to_owned)
    };
    assert_eq!(count().as_deref(), Some("0"));
    TcpStream::connect(&tls).and_then(|mut s| s.write_all(b"GET / HTTP/1.1\r\n\r\n")).expect("sent");
    wait_for("the door's counter", || (count().as_deref() == Some("1")).then_some(()));
}

#[test]
fn a_busy_port_is_an_error_that_names_its_key() {
    let exchange = Exchange::start(&super::agents());
    let folder = trunkline_tests::Scratch::new("busy");
    let log = std::fs::File::create(folder.path().join("log")).expect("a file");
    let mut child = Command::new(trunkline_tests::binary())
        .arg("serve")
        .current_dir(folder.path())
        .envs(
            [("UDP", exchange.udp().to_string()), ("TCP", exchange.tcp().to_string())]
                .map(|(k, v)| (format!("TRUNKLINE_LISTEN_{k}"), v)),
        )
        .envs(["TLS", "WS", "WSS"].map(|k| (format!("TRUNKLINE_LISTEN_{k}"), "")))
        .env("TRUNKLINE_HTTP_ADDR", "off")
        .env("TRUNKLINE_GRPC_ADDR", "off")
        .env("TRUNKLINE_GRPC_EXTERNAL_ADDR", "off")
        .stdout(log.try_clone().expect("a file"))
        .stderr(log)
        .spawn()
        .expect("the command runs");
    let text = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let ended = wait_for("the second exchange to end or to listen", || {
        let ended = child.try_wait().ok().flatten();
        (ended.is_some() || text().contains("listening")).then_some(ended)
    });
    let _ = child.kill();
    let _ = child.wait();
    assert!(ended.is_some_and(|status| !status.success()), "it listens where another does:\n{}", text());
    assert!(text().contains("listen."), "{}", text());
}
