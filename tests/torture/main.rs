//! The points of RFC 4475, sent to a running exchange: our own messages on UDP and TCP, and on a stream byte by
//! byte. `expect.json` says for each what must happen.

mod callee;
mod originals;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use callee::Callee;
use serde_json::Value;
use trunkline_tests::{Exchange, Message, PATIENCE, Resources, Stream, Ua, WebSocket, Wire};

/// What came of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It reached the callee: these bytes.
    Forward(Vec<u8>),
    /// A final answer came back.
    Answer(Vec<u8>),
    /// The stream was closed without one.
    Close,
    /// Nothing happened.
    Drop,
}

impl Outcome {
    /// As `expect.json` writes it.
    fn name(&self) -> String {
        match self {
            Outcome::Forward(_) => "forward".to_owned(),
            Outcome::Answer(bytes) => status(bytes).to_string(),
            Outcome::Close => "close".to_owned(),
            Outcome::Drop => "drop".to_owned(),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Outcome::Forward(bytes) | Outcome::Answer(bytes) => bytes,
            Outcome::Close | Outcome::Drop => b"",
        }
    }
}

fn status(bytes: &[u8]) -> u16 {
    Message::parse(bytes).map_or(0, |message| message.status())
}

/// How the bytes reach the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
    /// Every byte in a write of its own: the stream is cut everywhere.
    TcpBytes,
    /// One message a frame.
    Ws(SocketAddr),
}

fn resources() -> Resources {
    Resources::new()
        .domain("torture.test", "never")
        .domain("sealed.test", "all")
        .agent("torture.test", "anna", "a-secret")
        .agent("torture.test", "bert", "b-secret")
        .agent("sealed.test", "carl", "c-secret")
}

/// Nothing at all within this time counts as dropped, where that is among what may happen.
const QUIET: Duration = Duration::from_millis(700);

/// Sends one message and watches both ends. Nothing at all within the bound counts as dropped.
fn send(exchange: &Exchange, callee: &Callee, way: Way, message: &[u8], bound: Duration) -> Outcome {
    let seen = callee.count();
    let call_id = Message::parse(message).map_or_else(String::new, |m| m.call_id().to_owned());
    let mut wire = match way {
        Way::Udp => Wire::udp(exchange.udp()),
        Way::Tcp | Way::TcpBytes => Wire::tcp(exchange.tcp()),
        // No web page: nobody is asked for a digest here.
        Way::Ws(at) => Wire::Ws(WebSocket::connect_with(Stream::tcp(at), "")),
    };
    let message = match way {
        Way::Udp => message.to_vec(),
        Way::Tcp | Way::TcpBytes => renamed(message, b"TCP"),
        Way::Ws(_) => renamed(message, b"WS"),
    };
    let mut closed = match way {
        Way::Udp | Way::Tcp | Way::Ws(_) => !wire.send(&message),
        Way::TcpBytes => !message.chunks(1).all(|byte| wire.send(byte)),
    };
    let end = Instant::now() + bound;
    while Instant::now() < end {
        if let Some(bytes) = callee.after(seen, &call_id) {
            return Outcome::Forward(bytes);
        }
        match wire.recv(Duration::from_millis(10)) {
            Ok(Some(bytes)) if status(&bytes) >= 200 => {
                // An answer of the callee's own follows what the callee saw.
                return callee.after(seen, &call_id).map_or(Outcome::Answer(bytes), Outcome::Forward);
            }
            Ok(_) => {}
            Err(_) => closed = true,
        }
        if closed {
            return Outcome::Close;
        }
    }
    Outcome::Drop
}

/// The files name UDP in the topmost Via.
fn renamed(message: &[u8], transport: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    if let Some(at) = out.windows(3).position(|w| w == b"UDP") {
        out.splice(at..at + 3, transport.iter().copied());
    }
    out
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("torture")
}

/// Whether the exchange still answers.
fn answers(to: SocketAddr) -> bool {
    let mut ua = Ua::udp(to, "ready", "torture.test", "");
    let ask = ua.request("OPTIONS", "sip:torture.test");
    ua.send(&ask);
    ua.wait(PATIENCE, |m| m.status() == 200).is_some()
}

/// All messages one way against one exchange; every difference from the table is listed.
fn run(mut exchange: Exchange, way: Way) {
    let callee = Callee::start(&exchange, "bert", "torture.test");
    let table: Value =
        serde_json::from_str(&std::fs::read_to_string(folder().join("expect.json")).expect("the table"))
            .expect("JSON");
    let mut wrong = Vec::new();
    for row in table.as_array().expect("rows") {
        let file = row["file"].as_str().expect("a file name");
        let message = std::fs::read(folder().join(file)).expect("a message");
        let key = match way {
            Way::Tcp | Way::TcpBytes if !row["tcp"].is_null() => "tcp",
            Way::Ws(_) if !row["ws"].is_null() => "ws",
            Way::Udp | Way::Tcp | Way::TcpBytes | Way::Ws(_) => "udp",
        };
        let wanted: Vec<&str> =
            row[key].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let bound = if wanted.contains(&"drop") { QUIET } else { PATIENCE };
        let outcome = send(&exchange, &callee, way, &message, bound);
        let texts = |key: &str| {
            row[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let has = |text: &str| outcome.bytes().windows(text.len()).any(|w| w == text.as_bytes());
        // A stream may be closed where a datagram may be dropped.
        let closed = outcome == Outcome::Close && way != Way::Udp && wanted.contains(&"drop");
        if !closed && !wanted.contains(&outcome.name().as_str()) {
            wrong.push(format!("{file}: {}, wanted {}", describe(&outcome), wanted.join(" or ")));
        } else if outcome != Outcome::Drop && outcome != Outcome::Close && outcome.name() != "400" {
            wrong.extend(
                texts("contains")
                    .iter()
                    .filter(|t| !has(t))
                    .map(|t| format!("{file}: lacks `{t}`: {}", describe(&outcome))),
            );
            wrong.extend(
                texts("absent")
                    .iter()
                    .filter(|t| has(t))
                    .map(|t| format!("{file}: has `{t}`: {}", describe(&outcome))),
            );
            if row["same_body"] == true && body(outcome.bytes()) != body(&message) {
                wrong.push(format!("{file}: the body changed"));
            }
        }
        if !exchange.alive() || !answers(exchange.udp()) {
            wrong.push(format!("{file}: the exchange answers no more"));
            break;
        }
    }
    assert!(wrong.is_empty(), "{way:?}:\n{}", wrong.join("\n"));
}

fn describe(outcome: &Outcome) -> String {
    let head = String::from_utf8_lossy(outcome.bytes()).lines().next().unwrap_or("").to_owned();
    format!("{} ({head})", outcome.name())
}

fn body(message: &[u8]) -> &[u8] {
    message.windows(4).position(|w| w == b"\r\n\r\n").map_or(b"", |at| &message[at + 4..])
}

#[test]
fn each_point_over_udp() {
    run(Exchange::start(&resources()), Way::Udp);
}

#[test]
fn each_point_over_tcp() {
    run(Exchange::start(&resources()), Way::Tcp);
}

#[test]
fn each_point_over_tcp_cut_at_every_byte() {
    run(Exchange::start(&resources()), Way::TcpBytes);
}

#[test]
fn each_point_over_a_websocket() {
    let (exchange, at) = Exchange::start_ws(&resources());
    run(exchange, Way::Ws(at));
}
