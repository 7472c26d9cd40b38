//! The proxy's manners: waiting for what is not there, order, drain, identity, health, bad input.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trunkline_ari_client::Client;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::{NatsServer, round_trip};
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, free_port, soak, until};

async fn simple() -> FakeAri {
    FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        _ => HttpReply::json(200, r#"{"id":"c"}"#),
    })
    .await
}

/// What comes back for `request` on `subject`; empty when nothing does.
async fn ask(nats: &async_nats::Client, subject: &str, request: &str) -> String {
    let asked =
        tokio::time::timeout(PATIENCE, nats.request(subject.to_owned(), request.to_owned().into())).await;
    asked
        .ok()
        .and_then(Result::ok)
        .map(|m| String::from_utf8_lossy(&m.payload).into_owned())
        .unwrap_or_default()
}

async fn answers(nats: &async_nats::Client, subject: &str) {
    until("the proxy answers", || async { ask(nats, subject, "{}").await.contains("Not implemented") }).await;
}

/// A GET over plain TCP: status line and body.
async fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("read");
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, b)| b.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_both_sides_and_tells_its_health() {
    let mut server = NatsServer::start(false).await;
    let mut fake = simple().await;
    fake.kill().await;
    server.kill();
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let more = [("listen", listen.as_str()), ("ari.prefix", "pre.")];
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "app", &more));
    until("health listens", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
        .await;
    let (status, body) = get(port, "/health").await;
    assert_eq!(status, 200, "degraded is alive");
    assert!(body.contains(r#""status":"degraded""#), "{body}");
    assert_eq!(get(port, "/ready").await.0, 503);
    // NATS first: Asterisk's absence is told there.
    server.revive().await;
    let nats = async_nats::connect(server.url()).await.unwrap();
    until("it says what is missing", || async {
        ask(&nats, "pre.get.app", r#"{"kind":"ChannelList"}"#).await
            == r#"{"error":"ARI connection is down"}"#
    })
    .await;
    let mut announced = nats.subscribe("pre.announce").await.unwrap();
    round_trip(&nats).await;
    fake.revive().await;
    let body = tokio::time::timeout(PATIENCE, announced.next()).await.unwrap().unwrap().payload;
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({"node": "n1", "asterisk": "n1", "application": "app"})
    );
    until("it is ready", || async { get(port, "/ready").await.0 == 200 }).await;
    ask(&nats, "pre.data.app.n1", r#"{"kind":"ChannelData","key":{"id":"c"}}"#).await;
    let (_, metrics) = get(port, "/metrics").await;
    assert!(
        metrics.contains(r#"trunkline_ari_requests_total{kind="ChannelData",outcome="ok"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("trunkline_ari_asterisk_up 1"));
    // NATS restarted: everything is there again by itself.
    server.kill();
    server.revive().await;
    answers(&nats, "pre.command.app.n1").await;
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_a_channel_are_in_order_and_a_stop_drains() {
    let server = NatsServer::start(false).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let fake = FakeAri::start(move |request| {
        if request.path.contains("/variable") {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            noted.lock().push((request.path.clone(), body["value"].as_str().unwrap_or_default().to_owned()));
            // Slow enough that the next would overtake.
            std::thread::sleep(Duration::from_millis(1));
        }
        if request.path == "/asterisk/info" { info("n1") } else { HttpReply::json(204, "") }
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "app", &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    answers(&nats, "ari.command.app.n1").await;
    let mut bye = nats.subscribe("ari.bye").await.unwrap();
    for n in 0..300 {
        let request = json!({"kind": "ChannelVariableSet", "key": {"id": format!("c{}", n % 3)},
            "channel_variable": {"name": "N", "value": format!("{n:03}")}});
        // Without a reply subject: carried out all the same.
        nats.publish("ari.command.app.n1", request.to_string().into()).await.unwrap();
    }
    round_trip(&nats).await;
    // What was delivered is finished before the end.
    until("the first are under way", || async { !seen.lock().is_empty() }).await;
    proxy.stop().await;
    let seen = seen.lock().clone();
    assert_eq!(seen.len(), 300, "a stop drains");
    for channel in ["c0", "c1", "c2"] {
        let of: Vec<_> = seen.iter().filter(|(p, _)| p.contains(channel)).map(|(_, v)| v.clone()).collect();
        assert!(of.is_sorted(), "{channel}: {of:?}");
    }
    assert!(tokio::time::timeout(PATIENCE, bye.next()).await.is_ok(), "a goodbye");
    assert_eq!(ask(&nats, "ari.get.app", "{}").await, "", "nobody takes requests any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_entity_id_is_a_new_node() {
    let server = NatsServer::start(false).await;
    let generation = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&generation);
    let mut fake = FakeAri::start(move |_| info(&format!("n{}", now.load(Ordering::Relaxed)))).await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "app", &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    answers(&nats, "ari.get.app.n1").await;
    fake.kill().await;
    generation.store(2, Ordering::Relaxed);
    fake.revive().await;
    answers(&nats, "ari.get.app.n2").await;
    until("the old node is gone", || async { ask(&nats, "ari.get.app.n1", "{}").await.is_empty() }).await;
    let asked = nats.request("ari.create.app.n2", "{}".into()).await.unwrap();
    assert!(asked.payload.starts_with(br#"{"error":"Not implemented"#));
    assert!(proxy.runs());
    proxy.stop().await;
}

/// Whatever is sent, each request gets one answer and the proxy lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_never_ends_it() {
    let server = NatsServer::start(false).await;
    let fake = simple().await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "app", &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    answers(&nats, "ari.get.app.n1").await;
    let frames = [
        "",
        "{",
        "[]",
        "null",
        r#"{"type":5}"#,
        r#"{"type":"X","channel":5}"#,
        r#"{"type":"X","bridge":{"id":{}}}"#,
    ];
    let values = [
        json!(null),
        json!(5),
        json!("x"),
        json!([]),
        json!({}),
        json!({"id": 5}),
        json!({"id": "\u{0}/../?#"}),
    ];
    let (end, mut asked) = (std::time::Instant::now() + soak(3), 0u64);
    'time: loop {
        for kind in trunkline_ari::Kind::ALL {
            for key in &values {
                for option in &values {
                    let mut request = json!({"kind": kind.name(), "key": key});
                    if !kind.option().is_empty() {
                        request[kind.option()] = option.clone();
                    }
                    let mut text = request.to_string();
                    // And cut off somewhere.
                    if asked % 3 == 0 {
                        text.truncate(text.len() * (asked as usize % 7 + 1) / 8);
                    }
                    let reply =
                        nats.request("ari.command.app.n1", text.clone().into()).await.expect("an answer");
                    let reply: Value = serde_json::from_slice(&reply.payload).expect("JSON");
                    assert!(reply["error"].is_string(), "{text}: {reply}");
                    asked += 1;
                    if asked % 100 == 0 {
                        fake.emit(frames[asked as usize / 100 % frames.len()]);
                        if std::time::Instant::now() > end {
                            break 'time;
                        }
                    }
                }
            }
        }
    }
    println!("{asked} bad requests were answered");
    assert!(proxy.runs());
    proxy.stop().await;
}

/// Several applications in one process: each has its WebSocket, its subjects and its keys; they share one
/// connection to NATS and the connections to Asterisk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_applications() {
    let server = NatsServer::start(false).await;
    let fake = simple().await;
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), "one,two", &[("listen", &listen)]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    for app in ["one", "two"] {
        answers(&nats, &format!("ari.create.{app}.n1")).await;
        let data =
            ask(&nats, &format!("ari.data.{app}.n1"), r#"{"kind":"ChannelData","key":{"id":"c"}}"#).await;
        let data: Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(data["data"]["channel"]["key"]["app"], app);
    }
    let mut applications = fake.applications();
    applications.sort();
    assert_eq!(applications, ["one", "two"]);
    let (status, body) = get(port, "/ready").await;
    assert!(status == 200 && body.contains(r#""application":"one,two""#), "{body}");
    let client = Client::builder().application("two").url(server.url()).connect().await.unwrap();
    let members = client.survey().await.unwrap();
    assert_eq!(members.iter().map(|m| m.app.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert!(client.channel().list(&client.here()).await.is_err(), "the stand-in has no list");
    let mut events = nats.subscribe("ari.event.>").await.unwrap();
    round_trip(&nats).await;
    fake.emit(r#"{"type":"ChannelVarset","application":"x"}"#);
    let mut subjects = Vec::new();
    for _ in 0..2 {
        let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("an event");
        subjects.push(event.subject.to_string());
    }
    subjects.sort();
    assert_eq!(subjects, ["ari.event.one.n1", "ari.event.two.n1"]);
    client.close().await;
    proxy.stop().await;
    until("both applications end at Asterisk", || async { fake.applications().is_empty() }).await;
}
