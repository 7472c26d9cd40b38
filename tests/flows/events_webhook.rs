//! `events.webhook`: signed batches that are repeated until they are taken, also after a crash.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use trunkline_tests::{Authority, Exchange, Rest, Stream, exchange_command, free_port, wait_for};

use super::{agents, at, registered};

const SECRET: &str = "webhook-s3cret";

/// What a receiver does with a batch.
#[derive(Clone, Debug, PartialEq)]
enum Manner {
    Take,
    Fail,
    Hang,
    Redirect(SocketAddr),
    /// Takes batches of so many events.
    TooLarge(usize),
}

/// A request that came.
#[derive(Clone, Debug)]
struct Posted {
    head: String,
    body: String,
    /// It was answered with 200.
    taken: bool,
}

impl Posted {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A web server that is posted to.
struct Receiver {
    at: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Receiver {
    fn start(manner: Manner) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let (manner, posted) = (Arc::new(Mutex::new(manner)), Arc::new(Mutex::new(Vec::new())));
        let (how, all) = (manner.clone(), posted.clone());
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for stream in listener.incoming().filter_map(Result::ok) {
                let kept = stream.try_clone();
                if serve(stream, &how, &all).is_none() {
                    // It answers nothing while the connection is open.
                    hung.extend(kept);
                }
            }
        });
        Receiver { at, manner, posted }
    }

    fn url(&self) -> String {
        format!("http://{}/hooks/secret-path", self.at)
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().expect("a lock") = manner;
    }

    fn all(&self) -> Vec<Posted> {
        self.posted.lock().expect("a lock").clone()
    }

    /// The events of all batches that were taken, with their numbers.
    fn taken(&self) -> Vec<(u64, Value)> {
        let mut all = Vec::new();
        for batch in self.all().iter().filter(|posted| posted.taken).map(Posted::json) {
            let first = batch["first"].as_u64().expect("a number");
            let events = batch["events"].as_array().expect("events");
            assert_eq!(batch["count"], events.len());
            all.extend((first..).zip(events.iter().cloned()));
        }
        all
    }
}

/// Reads one request and answers it; nothing where it hangs.
fn serve(stream: impl Read + Write, manner: &Mutex<Manner>, all: &Mutex<Vec<Posted>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return Some(());
        }
    }
    let mut posted = Posted { head, body: String::new(), taken: false };
    let length = posted.header("Content-Length").and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    reader.by_ref().take(length).read_to_string(&mut posted.body).ok()?;
    let manner = manner.lock().expect("a lock").clone();
    posted.taken = match manner {
        Manner::TooLarge(most) => posted.json()["events"].as_array().is_some_and(|all| all.len() <= most),
        _ => manner == Manner::Take,
    };
    let answer = match manner {
        Manner::Take => "200 OK\r\n".to_owned(),
        Manner::TooLarge(_) if posted.taken => "200 OK\r\n".to_owned(),
        Manner::TooLarge(_) => "413 Content Too Large\r\n".to_owned(),
        Manner::Fail => "500 Internal Server Error\r\n".to_owned(),
        Manner::Redirect(to) => format!("307 Temporary Redirect\r\nLocation: http://{to}/\r\n"),
        Manner::Hang => String::new(),
    };
    all.lock().expect("a lock").push(posted);
    if answer.is_empty() {
        return None;
    }
    let _ = reader.get_mut().write_all(format!("HTTP/1.1 {answer}Content-Length: 0\r\n\r\n").as_bytes());
    let _ = reader.get_mut().flush();
    Some(())
}

/// HMAC-SHA256 (RFC 2104), in hexadecimal digits.
fn hmac(key: &[u8], text: &[u8]) -> String {
    assert!(key.len() <= 64);
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(url: &str, more: &str) -> String {
    format!(
        "events: {{types: [registration, call], webhook: {{url: '{url}', secretFile: hook.secret{more}}}}}\n"
    )
}

/// An exchange with a file that has the secret.
fn start(url: &str, more: &str, env: &[(&str, &str)]) -> Exchange {
    let text = config(url, more);
    let files = agents();
    let files: Vec<_> =
        files.files().map(|(name, text)| (format!("resources/{name}"), text.as_bytes().to_vec())).collect();
    let mut all: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
    let secret = format!("{SECRET}\n");
    all.extend([("trunkline.yaml", text.as_bytes()), ("hook.secret", secret.as_bytes())]);
    Exchange::start_on(&all, env)
}

fn waits(http: SocketAddr, line: &str) {
    wait_for(line, || Rest::http(http, "").get("/metrics").body.contains(line).then_some(()));
}

#[test]
fn batches_are_signed_and_repeated_until_they_are_taken() {
    let (receiver, other) = (Receiver::start(Manner::Fail), Receiver::start(Manner::Take));
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let exchange = start(&receiver.url(), ", timeoutMs: 500", &[("TRUNKLINE_HTTP_ADDR", &http.to_string())]);
    registered(&exchange, "1001");
    for manner in [Manner::Hang, Manner::Redirect(other.at), Manner::Take] {
        let before = receiver.all().len();
        wait_for("another attempt", || (receiver.all().len() > before).then_some(()));
        receiver.set(manner);
    }
    let taken = wait_for("the events", || Some(receiver.taken()).filter(|taken| !taken.is_empty()));
    assert_eq!(taken[0].0, 1);
    assert_eq!(taken[0].1["type"], "registration.added", "{taken:#?}");
    assert!(receiver.all().len() >= 4, "failed, hung, redirected, took");
    assert!(other.all().is_empty(), "a redirection is not followed");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    for posted in receiver.all() {
        let signature = posted.header("Trunkline-Signature").expect("a signature");
        let (time, tag) = signature.split_once(",v1=").expect("two parts");
        let time = time.strip_prefix("t=").expect("a time");
        assert!(time.parse::<u64>().is_ok_and(|time| time <= now && now - time < 300), "{signature}");
        assert_eq!(tag, hmac(SECRET.as_bytes(), format!("{time}.{}", posted.body).as_bytes()));
        assert_eq!(posted.header("Content-Type"), Some("application/json"));
        assert!(posted.head.starts_with("POST /hooks/secret-path HTTP/1.1\r\n"), "{}", posted.head);
        assert_eq!(posted.json()["lost"], 0);
    }
    waits(http, "trunkline_events_waiting{receiver=\"webhook\"} 0");
    waits(http, "trunkline_events_total{receiver=\"webhook\",outcome=\"published\"} 1");
    let log = exchange.log();
    assert!(log.contains("the webhook takes no events") && !log.contains(SECRET), "{log}");
    assert!(!log.contains("secret-path"), "paths of webhooks are often secrets: {log}");
    let printed = exchange_command(&exchange)
        .args(["serve", "--print-config"])
        .env("TRUNKLINE_EVENTS_WEBHOOK_SECRET_FILE", "off")
        .env("TRUNKLINE_EVENTS_WEBHOOK_SECRET", SECRET)
        .output()
        .expect("the command runs");
    let printed = String::from_utf8_lossy(&printed.stdout);
    assert!(printed.contains("secret:") && !printed.contains(SECRET), "{printed}");
}

#[test]
fn what_is_in_the_spool_survives_a_crash() {
    let receiver = Receiver::start(Manner::Take);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut exchange = start(&receiver.url(), "", &[("TRUNKLINE_HTTP_ADDR", &http.to_string())]);
    registered(&exchange, "1001");
    wait_for("the first event", || (!receiver.taken().is_empty()).then_some(()));
    receiver.set(Manner::Fail);
    let mut phone = registered(&exchange, "1002");
    for _ in 0..20 {
        assert_eq!(phone.register(600).status(), 200);
    }
    waits(http, "trunkline_events_waiting{receiver=\"webhook\"} 21");
    exchange.kill();
    exchange.restart();
    let attempts = receiver.all().len();
    wait_for("an attempt of the new process", || (receiver.all().len() > attempts).then_some(()));
    assert_eq!(phone.register(600).status(), 200);
    waits(http, "trunkline_events_waiting{receiver=\"webhook\"} 22");
    receiver.set(Manner::Take);
    let taken = wait_for("all events", || Some(receiver.taken()).filter(|taken| taken.len() >= 23));
    let numbers: Vec<_> = taken.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..24).collect::<Vec<u64>>(), "each once, in order");
    let of_second = taken.iter().filter(|(_, event)| event["aor"] == at("1002").as_str()).count();
    assert_eq!(of_second, 22, "{taken:#?}");
}

/// The files of the spool that hold events, and their sizes.
fn spooled(exchange: &Exchange) -> Vec<(std::ffi::OsString, u64)> {
    let folder = exchange.folder().join("trunkline.webhook");
    let entries = std::fs::read_dir(folder).expect("the spool").filter_map(Result::ok);
    let all = entries.map(|entry| (entry.file_name(), entry.metadata().map_or(0, |about| about.len())));
    let mut all: Vec<_> = all.filter(|(name, _)| name.to_string_lossy().ends_with(".events")).collect();
    all.sort();
    all
}

#[test]
fn crashes_at_any_moment_leave_no_gap_and_no_torn_event() {
    let receiver = Receiver::start(Manner::Take);
    let mut exchange = start(&receiver.url(), ", batch: 7", &[]);
    let mut phone = registered(&exchange, "1001");
    for round in 0..6 {
        receiver.set(if round % 3 == 1 { Manner::Fail } else { Manner::Take });
        let before = spooled(&exchange);
        wait_for("another event in the spool", || {
            assert_eq!(phone.register(600).status(), 200);
            (spooled(&exchange) != before).then_some(())
        });
        // Each round ends at another moment.
        for _ in 0..7 * round {
            assert_eq!(phone.register(600).status(), 200);
        }
        exchange.kill();
        exchange.restart();
    }
    receiver.set(Manner::Take);
    let mut last = registered(&exchange, "1002");
    assert_eq!(last.register(600).status(), 200);
    let taken = wait_for("the last event", || {
        let is_last = |(_, event): &(u64, Value)| {
            event["type"] == "registration.refreshed" && event["aor"] == at("1002").as_str()
        };
        Some(receiver.taken()).filter(|taken| taken.iter().any(is_last))
    });
    let mut all = std::collections::BTreeMap::new();
    for (number, event) in taken {
        // A batch may come again after a crash, but never as another one.
        let before = all.insert(number, event.clone());
        assert!(before.is_none_or(|before| before == event), "{number}");
    }
    let numbers: Vec<_> = all.keys().copied().collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(receiver.all().iter().all(|posted| posted.json()["lost"] == 0));
    assert!(numbers.len() > 6, "one of each round at least: {}", numbers.len());
}

#[test]
fn beyond_the_bound_the_oldest_go_and_their_number_is_told() {
    let receiver = Receiver::start(Manner::Fail);
    let http = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let exchange =
        start(&receiver.url(), ", spoolBytes: 65536", &[("TRUNKLINE_HTTP_ADDR", &http.to_string())]);
    let mut phone = registered(&exchange, "1001");
    let lost = wait_for("a full spool", || {
        assert_eq!(phone.register(600).status(), 200);
        let metrics = Rest::http(http, "").get("/metrics").body;
        let lost = "trunkline_events_total{receiver=\"webhook\",outcome=\"lost\"} ";
        let lost = metrics.lines().find_map(|line| line.strip_prefix(lost)?.parse::<u64>().ok());
        lost.filter(|lost| *lost > 0)
    });
    let folder = exchange.folder().join("trunkline.webhook");
    let sizes =
        std::fs::read_dir(&folder).expect("the spool").filter_map(|entry| entry.ok()?.metadata().ok());
    assert!(sizes.map(|about| about.len()).sum::<u64>() <= 66_000);
    receiver.set(Manner::Take);
    let taken = wait_for("the rest", || Some(receiver.taken()).filter(|taken| !taken.is_empty()));
    let first = receiver.all().iter().find(|posted| posted.taken).map(Posted::json).expect("a batch");
    assert!(first["lost"].as_u64() >= Some(lost), "{lost}");
    assert_eq!(first["lost"].as_u64().map(|lost| lost + 1), Some(taken[0].0), "{first:#}");
    let second = wait_for("another batch", || receiver.all().into_iter().filter(|p| p.taken).nth(1));
    assert_eq!(second.json()["lost"], 0);
}

#[test]
fn a_stop_sends_what_is_left() {
    let receiver = Receiver::start(Manner::Take);
    let mut exchange = start(&receiver.url(), "", &[]);
    registered(&exchange, "1001");
    let _call = super::dialogs::talking(&exchange, "1002", "1003");
    assert_eq!(exchange.stop(), Some(0));
    let taken = receiver.taken();
    let last = taken.last().expect("events");
    assert_eq!((&last.1["type"], &last.1["cause"]), (&"call.ended".into(), &"SHUTDOWN".into()), "{taken:#?}");
}

#[test]
fn a_receiver_that_hangs_keeps_no_stop_and_a_batch_may_be_too_large() {
    let receiver = Receiver::start(Manner::Hang);
    let mut exchange = start(&receiver.url(), ", timeoutMs: 60000", &[]);
    let mut phone = registered(&exchange, "1001");
    wait_for("an attempt", || (!receiver.all().is_empty()).then_some(()));
    (0..3).for_each(|_| assert_eq!(phone.register(600).status(), 200));
    // Well below the time for an answer.
    assert_eq!(exchange.stop(), Some(0));
    receiver.set(Manner::TooLarge(1));
    exchange.restart();
    let taken = wait_for("all events", || Some(receiver.taken()).filter(|taken| taken.len() >= 4));
    assert_eq!(taken.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn certificates_are_checked() {
    let (ours, others) = (Authority::new(), Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}/", listener.local_addr().expect("bound").port());
    let file = others.file();
    let mut exchange = start(&url, &format!(", trustedCa: '{}'", file.display()), &[]);
    registered(&exchange, "1001");
    let refused = ours.accept(&listener, &["localhost"]);
    assert!(refused.is_err(), "nobody vouches for it");
    wait_for("the complaint", || exchange.log().contains("takes no events").then_some(()));
    exchange.kill();
    let trusted = ours.file();
    let text = config(&url, &format!(", trustedCa: '{}'", trusted.display()));
    std::fs::write(exchange.folder().join("trunkline.yaml"), text).expect("written");
    exchange.restart();
    let (manner, posted) = (Mutex::new(Manner::Take), Mutex::new(Vec::new()));
    let stream: Stream = ours.accept(&listener, &["localhost"]).expect("a connection");
    serve(stream, &manner, &posted);
    let posted = posted.lock().expect("a lock").clone();
    assert_eq!(posted[0].json()["events"][0]["type"], "registration.added", "{posted:#?}");
}

#[test]
fn a_wrong_url_is_a_mistake_in_the_configuration() {
    for (more, wrong) in [
        ("url: 'https://u:pw@hook.example/', secret: s", "events.webhook.url"),
        ("url: 'ftp://hook.example/', secret: s", "events.webhook.url"),
        ("url: 'https://hook.example/'", "events.webhook.secret"),
        ("types: [calls]", "calls"),
    ] {
        let scratch = trunkline_tests::Scratch::new("webhook");
        let file = scratch.write("trunkline.yaml", format!("events: {{webhook: {{{more}}}}}\n"));
        let out = std::process::Command::new(trunkline_tests::binary())
            .args(["serve", "--config"])
            .arg(file)
            .current_dir(scratch.path())
            .output()
            .expect("the command runs");
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(64), "{text}");
        assert!(text.contains(wrong), "{text}");
    }
    // A connection to nowhere keeps nobody: the exchange runs.
    let nowhere =
        TcpStream::connect_timeout(&([127, 0, 0, 1], free_port()).into(), Duration::from_millis(200));
    assert!(nowhere.is_err());
}
