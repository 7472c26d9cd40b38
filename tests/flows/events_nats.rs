//! `events.nats`: Routr's events, over a real nats-server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use trunkline_tests::{Authority, Exchange, PATIENCE, Scratch, free_port, wait_for};

use super::dialogs::connect;
use super::{agents, at, registered};

/// A nats-server.
struct Server {
    at: SocketAddr,
    process: Child,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
        let program = places.into_iter().find(|place| Path::new(place).exists()).unwrap_or("nats-server");
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &at.port().to_string()]).args(arguments);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("nats-server starts: cargo xtask install brings it");
        wait_for("nats-server to listen", || TcpStream::connect(at).ok());
        Server { at, process }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A subscriber of everything below a subject, in the protocol of NATS.
struct Subscriber(BufReader<TcpStream>);

impl Subscriber {
    fn new(server: &Server, login: &str, subject: &str) -> Subscriber {
        let stream = TcpStream::connect(server.at).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a live socket");
        let mut reader = BufReader::new(stream);
        let ask = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false{login}}}\r\nSUB {subject}.> 1\r\nPING\r\n"
        );
        reader.get_mut().write_all(ask.as_bytes()).expect("written");
        let mut line = String::new();
        while line != "PONG\r\n" {
            line.clear();
            assert!(reader.read_line(&mut line).expect("a line") > 0, "the server has closed");
            assert!(!line.starts_with("-ERR"), "{line}");
        }
        Subscriber(reader)
    }

    /// The next message: its subject and what it says.
    fn next(&mut self) -> (String, Value) {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a message in time") > 0);
            if line == "PING\r\n" {
                self.0.get_mut().write_all(b"PONG\r\n").expect("written");
            }
            let Some(rest) = line.strip_prefix("MSG ") else { continue };
            let parts: Vec<_> = rest.split_whitespace().collect();
            let length: usize = parts.last().and_then(|n| n.parse().ok()).expect("a length");
            let mut body = vec![0; length + 2];
            self.0.read_exact(&mut body).expect("the message");
            let json = serde_json::from_slice(&body[..length]).expect("JSON");
            return (parts[0].to_owned(), json);
        }
    }

    fn of(&mut self, subject: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let (got, json) = self.next();
            if got == subject {
                return json;
            }
        }
        panic!("no message for {subject}");
    }
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// `2026-11-30T09:41:48.123Z`
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T' && text.as_bytes()[19] == b'.'
}

#[test]
fn calls_and_registrations_are_published_as_routr_does() {
    let server = Server::start(&["--user", "pbx", "--pass", "sesame"]);
    let mut events = Subscriber::new(&server, ",\"user\":\"pbx\",\"pass\":\"sesame\"", "routr");
    let config = format!("events: {{nats: {{url: 'nats://{}', user: pbx, password: sesame}}}}\n", server.at);
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    wait_for("the connection", || exchange.log().contains("connected to NATS").then_some(()));
    let mut callee = registered(&exchange, "1002");
    let told = events.of("routr.endpoint.registered");
    assert_eq!(keys(&told), ["aor", "expires", "extraHeaders", "registeredAt"], "{told}");
    assert_eq!((&told["aor"], &told["expires"]), (&Value::from(at("1002")), &Value::from(600)), "{told}");
    assert!(is_time(&told["registeredAt"]), "{told}");

    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002")).with("X-Tenant", "blue");
    let invite = caller.call(&invite);
    let started = events.of("routr.call.started");
    assert_eq!(keys(&started), ["callId", "extraHeaders", "from", "startTime", "to"], "{started}");
    let call_id = invite.get("Call-ID").expect("a Call-ID");
    assert_eq!(started["callId"], call_id);
    assert_eq!((&started["from"], &started["to"]), (&at("1001").into(), &at("1002").into()), "{started}");
    assert_eq!(started["extraHeaders"]["X-Tenant"], "blue", "{started}");
    assert!(is_time(&started["startTime"]), "{started}");
    let arrived = callee.request_of("INVITE");
    let busy = callee.response(&arrived, 486, "Busy Here").with("X-Why", "lunch");
    callee.send(&busy);
    let busy = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &busy);
    let ended = events.of("routr.call.ended");
    assert_eq!(keys(&ended), ["callId", "endTime", "extraHeaders", "hangupCause"], "{ended}");
    assert_eq!((&ended["callId"], &ended["hangupCause"]), (&call_id.into(), &"USER_BUSY".into()), "{ended}");
    assert_eq!(ended["extraHeaders"]["X-Why"], "lunch", "{ended}");

    let (mut a, _) = connect(&mut caller, &mut callee);
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    let ended = events.of("routr.call.ended");
    assert_eq!(ended["hangupCause"], "NORMAL_CLEARING", "{ended}");
    assert!(is_time(&ended["endTime"]), "{ended}");
    assert!(!exchange.log().contains("sesame"));
}

#[test]
fn a_server_that_is_away_keeps_nobody_and_is_found_again() {
    let mut server = Server::start(&[]);
    let config = format!("events: {{nats: {{url: 'nats://{}', subject: pbx.one}}}}\n", server.at);
    let http = format!("127.0.0.1:{}", free_port());
    let mut exchange = Exchange::start_with(&agents(), &config, &[("TRUNKLINE_HTTP_ADDR", &http)]);
    wait_for("the connection", || exchange.log().contains("connected to NATS").then_some(()));
    let _ = server.process.kill();
    let _ = server.process.wait();
    wait_for("the loss", || exchange.log().contains("connection to NATS").then_some(()));
    registered(&exchange, "1001");
    let refused = cause(&exchange);
    assert!(refused.contains("refused"), "{refused}");
    is_away(&http, "refused");
    let port = server.at.port().to_string();
    let again = Command::new("/usr/sbin/nats-server")
        .args(["-a", "127.0.0.1", "-p", &port])
        .stderr(Stdio::null())
        .spawn();
    let again = again.or_else(|_| {
        Command::new("nats-server").args(["-a", "127.0.0.1", "-p", &port]).stderr(Stdio::null()).spawn()
    });
    server.process = again.expect("nats-server starts");
    wait_for("nats-server to listen", || TcpStream::connect(server.at).ok());
    let mut events = Subscriber::new(&server, "", "pbx.one");
    let mut phone = registered(&exchange, "1002");
    wait_for("an event of the second phone", || {
        assert_eq!(phone.register(600).status(), 200);
        events.0.get_ref().set_read_timeout(Some(Duration::from_millis(300))).expect("a live socket");
        events.0.fill_buf().ok()?;
        events.0.get_ref().set_read_timeout(Some(PATIENCE)).expect("a live socket");
        let told = events.of("pbx.one.endpoint.registered");
        // What came while the server was away may come late, or never.
        (told["aor"] == at("1002").as_str()).then_some(())
    });
    let part = "trunkline_part_up{part=\"events.nats\"} 1";
    wait_for("the part to work", || super::operator::get(&http, "/metrics").1.contains(part).then_some(()));
    let log = exchange.log();
    let told = log.lines().filter(|line| line.contains("cannot connect to NATS")).count();
    assert_eq!((told, log.contains("again=true")), (1, true), "one line for one cause: {log}");
    assert!(!log.contains("async_nats"), "{log}");
    assert_eq!(exchange.stop(), Some(0));
}

/// A server that shows a certificate of this authority, and its monitor; `more` of its configuration.
fn with_tls(authority: &Authority, folder: &Scratch, more: &str) -> (Server, String) {
    let monitor = format!("127.0.0.1:{}", free_port());
    let (chain, key) = authority.sign(&["127.0.0.1"]);
    let config = format!(
        "http: \"{monitor}\"\ntls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", timeout: 10\n{more}\n",
        chain.display(),
        key.display(),
        authority.file().display()
    );
    let file = folder.write("nats.conf", config).display().to_string();
    (Server::start(&["-c", &file]), monitor)
}

/// The connections of the exchange, as the server's monitor shows them.
fn connections(monitor: &str) -> Vec<Value> {
    let (_, body) = super::operator::get(monitor, "/connz");
    let all: Value = serde_json::from_str(&body).expect("JSON");
    let all = all["connections"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|one| one["name"] == "trunkline").collect()
}

#[test]
fn events_go_over_tls_to_a_server_that_is_trusted() {
    let (authority, folder) = (Authority::new(), Scratch::new("nats"));
    // The subscriber of the test speaks no TLS.
    let (server, monitor) = with_tls(&authority, &folder, "}\nallow_non_tls: true");
    let mut events = Subscriber::new(&server, "", "routr");
    let nats = format!("url: 'tls://{}', trustedCa: {}", server.at, authority.file().display());
    let exchange = Exchange::start_with(&agents(), &format!("events: {{nats: {{{nats}}}}}\n"), &[]);
    wait_for("the connection", || exchange.log().contains("connected to NATS").then_some(()));
    registered(&exchange, "1001");
    assert_eq!(events.of("routr.endpoint.registered")["aor"], at("1001"));
    let connections = connections(&monitor);
    assert_eq!(connections.len(), 1, "{connections:#?}");
    assert!(
        connections[0]["tls_version"].as_str().is_some_and(|version| version >= "1.2"),
        "{connections:#?}"
    );
}

/// The line of the log that tells why there is no connection.
fn cause(exchange: &Exchange) -> String {
    wait_for("the failure", || {
        let log = exchange.log();
        log.lines().find(|line| line.contains("cannot connect to NATS (events.nats)")).map(str::to_owned)
    })
}

/// Health and metrics tell that NATS gets nothing, and why; calls are taken all the same.
fn is_away(http: &str, why: &str) {
    let (head, body) = super::operator::get(http, "/readyz");
    let ready: Value = serde_json::from_str(&body).expect("JSON");
    assert!(head.contains("200") && ready["status"] == "degraded", "{head} {ready}");
    let parts = ready["parts"].as_array().expect("parts");
    let part = parts.iter().find(|part| part["name"] == "events.nats").expect("a part");
    assert!(part["ok"] == false && part["reason"].as_str().is_some_and(|r| r.contains(why)), "{part}");
    let (_, metrics) = super::operator::get(http, "/metrics");
    let failures = "trunkline_events_failures_total{receiver=\"nats\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(failures)).expect("a metric");
    assert!(count.parse::<u64>().is_ok_and(|count| count > 0), "{count}");
    assert!(metrics.contains("trunkline_part_up{part=\"events.nats\"} 0"), "{metrics}");
}

/// A server that asks for a certificate and a login, and takes nothing without TLS.
#[test]
fn events_go_to_a_server_that_asks_for_a_certificate_and_a_login() {
    let (authority, folder) = (Authority::new(), Scratch::new("nats"));
    let more = "verify: true }\nauthorization { user: pbx, password: sesame }";
    let (server, monitor) = with_tls(&authority, &folder, more);
    let (chain, key) = authority.sign(&["pbx.example"]);
    let config = |login: &str, certificate: &str| {
        let ca = authority.file().display().to_string();
        format!("events: {{nats: {{url: 'nats://{}', {login}, trustedCa: {ca}{certificate}}}}}\n", server.at)
    };
    let certificate = format!(", cert: {}, key: {}", chain.display(), key.display());
    let failed = |config: String, why: &str| {
        let http = format!("127.0.0.1:{}", free_port());
        let exchange = Exchange::start_with(&agents(), &config, &[("TRUNKLINE_HTTP_ADDR", &http)]);
        let told = cause(&exchange);
        assert!(told.contains(why) && told.contains(&format!("nats://{}", server.at)), "{told}");
        registered(&exchange, "1001");
        assert!(!exchange.log().contains("connected to NATS") && !exchange.log().contains("sesame"));
        is_away(&http, why);
    };
    failed(config("user: pbx, password: sesame", ""), "received fatal alert");
    failed(config("user: pbx, password: wrong-sesame", &certificate), "authorization violation");
    let config = config("user: pbx, password: sesame", &certificate);
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    wait_for("the connection", || exchange.log().contains("connected to NATS").then_some(()));
    registered(&exchange, "1001");
    let sent = || connections(&monitor).first().is_some_and(|one| one["in_msgs"].as_u64() >= Some(1));
    wait_for("an event at the server", || sent().then_some(()));
    assert!(!exchange.log().contains("sesame"), "{}", exchange.log());
}

#[test]
fn nothing_goes_to_a_nats_server_that_is_not_trusted_or_has_no_tls() {
    let (authority, other, folder) = (Authority::new(), Authority::new(), Scratch::new("nats"));
    let (secure, monitor) = with_tls(&authority, &folder, "}");
    let plain = Server::start(&[]);
    let mut none = Subscriber::new(&plain, "", "routr");
    none.0.get_ref().set_read_timeout(Some(Duration::from_millis(100))).expect("a live socket");
    let trusted = |authority: &Authority| format!("trustedCa: {}", authority.file().display());
    for (url, trusted, why) in [
        (format!("tls://{}", secure.at), trusted(&other), "invalid peer certificate"),
        // It stands for another name than that of its certificate.
        (format!("tls://localhost:{}", secure.at.port()), trusted(&authority), "not valid for name"),
        (format!("tls://{}", plain.at), trusted(&authority), "corrupt message"),
        // Whoever names an authority wants TLS.
        (format!("nats://{}", plain.at), trusted(&authority), "corrupt message"),
    ] {
        let nats = format!("events: {{nats: {{url: '{url}', {trusted}}}}}\n");
        let exchange = Exchange::start_with(&agents(), &nats, &[]);
        let told = cause(&exchange);
        assert!(told.contains(why) && told.contains(&url), "{told}");
        registered(&exchange, "1001");
        assert!(!exchange.log().contains("connected to NATS"), "{url}: {}", exchange.log());
    }
    assert!(connections(&monitor).is_empty());
    // The server may have asked whether its subscriber is there (PING).
    let mut line = String::new();
    while none.0.read_line(&mut line).is_ok_and(|length| length > 0) {
        assert!(!line.starts_with("MSG"), "the server got an event: {line}");
        line.clear();
    }
}
