//! What comes over NATS and from Asterisk: requests, answers, events, announcements; and configuration files.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use trunkline_ari::{
    Announcement, Cluster, Event, Exchange, Outcome, Request, Response, RestCall, RestReply, Sighting, Site,
    Step, with_dialog,
};
use trunkline_ari_proxy::{Config, File};

/// Where the exchanges of the targets take place.
static SITE: LazyLock<Site> = LazyLock::new(|| Site { app: "app".into(), node: "02:00:00:00:00:0a".into() });

/// The recorded cases.
static CASES: LazyLock<Value> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/ari-proxy.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
});

fn recorded<'a>(pick: impl Fn(&'a Value) -> Vec<&'a Value>) -> Vec<Vec<u8>> {
    let cases = CASES["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<Vec<u8>> =
        cases.iter().flat_map(pick).map(|value| value.to_string().into_bytes()).collect();
    all.sort();
    all.dedup();
    assert!(!all.is_empty(), "nothing recorded");
    all
}

fn items(value: &Value) -> Vec<&Value> {
    value.as_array().map(|all| all.iter().collect()).unwrap_or_default()
}

/// The recorded requests.
pub fn requests() -> Vec<Vec<u8>> {
    recorded(|case| vec![&case["request"]])
}

/// What Asterisk answered in the recorded cases.
pub fn replies() -> Vec<Vec<u8>> {
    recorded(|case| items(&case["rest"]).into_iter().map(|call| &call["response"]).collect())
}

/// The recorded events, announcements among them.
pub fn events() -> Vec<Vec<u8>> {
    let mut all = recorded(|case| items(&case["events"]).into_iter().map(|event| &event["body"]).collect());
    all.extend(recorded(|case| items(&case["raw"])));
    all.push(br#"{"node":"02:00:00:00:00:0a","asterisk":"02:00:00:00:00:0a","application":"app"}"#.to_vec());
    all
}

/// Configuration files of the three formats.
pub fn files() -> Vec<Vec<u8>> {
    let texts = [
        "verbose: true\nmessagebus:\n  url: nats://a:1,tls://u:p@[::1]:2\nari:\n  username: u\n  password: p\n  timeout: 5s\n",
        r#"{"ari": {"username": "u", "password": "p", "http_url": "https://h:1/ari"}, "delivery": {"mode": "stream", "outbox": "64MiB", "max_age": "2h"}, "listen": "127.0.0.1:9"}"#,
        "verbose = true # aloud\n[nats]\nurl = \"nats://a:1\"\n[ari]\nusername = 'u'\npassword = \"p\"\nconnections = 5\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A request: read, carried out to its end whatever Asterisk says, answered with a reply that can be read.
pub fn request(bytes: &[u8]) {
    let Ok(request) = Request::parse(bytes) else { return };
    let (lanes, again) = (request.lanes(), request.lanes());
    assert_eq!(lanes, again, "its place in the order");
    for body in [&b"{}"[..], b"[]", b"", br#"{"id":"x","name":"y"}"#, bytes] {
        for status in [200, 404] {
            carry_out(&request, &RestReply { status, reason: "", content_type: "", body });
        }
    }
}

/// What Asterisk answers: whatever it is, the caller gets a reply that can be read.
pub fn reply(bytes: &[u8]) {
    static REQUESTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(requests);
    for body in REQUESTS.iter().skip(bytes.len() % 16).step_by(16) {
        if let Ok(request) = Request::parse(body) {
            carry_out(&request, &RestReply { status: 200, reason: "OK", content_type: "", body: bytes });
        }
    }
    let _ = Response::parse(bytes);
}

fn carry_out(request: &Request<'_>, reply: &RestReply<'_>) {
    let (mut exchange, mut step) = Exchange::start(request, &SITE);
    for _ in 0..8 {
        step = match step {
            Step::Call(call) => {
                check_call(&call);
                check_outcome(exchange.on_failure("no connection"));
                exchange.on_reply(reply)
            }
            Step::Done(outcome) => return check_outcome(outcome),
        };
    }
    panic!("no end");
}

/// A path that cannot leave its place, a body that is JSON.
fn check_call(call: &RestCall) {
    let path = &call.path;
    assert!(path.starts_with('/'), "{path}");
    assert!(path.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#'), "{path}");
    let (place, _) = path.split_once('?').unwrap_or((path, ""));
    assert!(place.split('/').all(|segment| segment != ".." && segment != "."), "{path}");
    if let Some(body) = &call.body {
        assert!(serde_json::from_slice::<Value>(body).is_ok(), "{}", body.escape_ascii());
    }
}

fn check_outcome(outcome: Outcome) {
    let ok = outcome.ok;
    let message = &outcome.message;
    let answer: Value =
        serde_json::from_slice(message).unwrap_or_else(|error| panic!("{error}: {}", message.escape_ascii()));
    assert_eq!(answer["error"].as_str().map(str::is_empty), Some(ok), "{answer}");
}

/// A frame from Asterisk: what it concerns; the copy for a dialog says the same and names the dialog.
pub fn event(bytes: &[u8]) {
    let frame = Bytes::copy_from_slice(bytes);
    let typed = Event::read(&frame);
    let Ok(sighting) = Sighting::read(bytes) else { return };
    if let Some(ended) = sighting.ended() {
        assert!(sighting.things.contains(ended));
    }
    if let Ok(event) = typed
        && let Some(kind) = event.event_type()
    {
        assert_eq!(kind.name(), sighting.event_type);
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(bytes) {
        let copy = with_dialog(bytes, "a \"dialog\"");
        let copy: Value =
            serde_json::from_slice(&copy).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()));
        if value.get("dialog").is_none() {
            value["dialog"] = "a \"dialog\"".into();
        }
        assert_eq!(copy, value);
    }
}

/// An announcement: it is listed under the node it names.
pub fn announcement(bytes: &[u8]) {
    let Ok(announcement) = serde_json::from_slice::<Announcement>(bytes) else { return };
    let (mut cluster, now) = (Cluster::default(), Instant::now());
    cluster.heard(&announcement, now);
    let members = cluster.matching(&trunkline_ari::Key::default(), Cluster::MAX_AGE, now);
    assert!(members.iter().all(|member| member.node == announcement.node()));
    cluster.left(&announcement);
    assert!(cluster.matching(&trunkline_ari::Key::default(), Cluster::MAX_AGE, now).is_empty());
}

/// A configuration file: read or refused with words.
pub fn file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for path in ["a.yaml", "a.toml", "a.json"] {
        let file = File { path: Path::new(path), text };
        if let Err(error) = Config::from_sources(|_| None, Some(file), &[]) {
            assert!(!error.to_string().is_empty());
        }
    }
}
