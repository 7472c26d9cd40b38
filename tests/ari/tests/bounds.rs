//! What is bounded: how many requests at once, how long each, how long Asterisk may be silent; and that
//! giving up a wait loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use trunkline_ari_client::{AriConfig, Client};
use trunkline_ari_rest::{Ari, AriError};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, until};

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

async fn ask(nats: &async_nats::Client, id: &str) -> Value {
    let request = json!({"kind": "ChannelData", "key": {"id": id}}).to_string();
    let asked = nats.request(format!("ari.data.{APP}.n1"), request.into());
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("in time").expect("an answer");
    serde_json::from_slice(&answer.payload).expect("JSON")
}

/// Until the proxy serves this node.
async fn serves(nats: &async_nats::Client, node: &str) {
    until("the proxy answers", || async {
        nats.request(format!("ari.create.{APP}.{node}"), "{}".into()).await.is_ok()
    })
    .await;
}

/// Sixty requests for sixty channels, at most four at once, over connections that are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 10)]
async fn requests_at_once_are_bounded_and_connections_are_kept() {
    let server = NatsServer::start(false).await;
    let [now, most] = std::array::from_fn(|_| Arc::<AtomicU64>::default());
    let (inside, peak, begun) = (Arc::clone(&now), Arc::clone(&most), Instant::now());
    let fake = FakeAri::start(move |request| {
        if request.path == "/asterisk/info" {
            return info("n1");
        }
        peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // The first ones wait for each other, however slowly they come.
        while peak.load(Ordering::SeqCst) < 4 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(5));
        inside.fetch_sub(1, Ordering::SeqCst);
        HttpReply::json(200, r#"{"id":"c"}"#)
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("concurrency", "4")]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, "n1").await;
    let ids: Vec<String> = (0..60).map(|n| format!("c{n}")).collect();
    let answers = join_all(ids.iter().map(|id| ask(&nats, id))).await;
    assert!(answers.iter().all(|a| a["error"] == ""), "{answers:?}");
    assert_eq!(most.load(Ordering::SeqCst), 4);
    // One WebSocket, and as many connections as requests at once; the question who it is may be one more.
    assert!(fake.accepted() <= 6, "{} connections", fake.accepted());
    proxy.stop().await;
}

/// A request that Asterisk does not answer in time is answered by the proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_request_has_a_time_limit() {
    let server = NatsServer::start(false).await;
    let fake = FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        "/channels/slow" => HttpReply::json(1, ""),
        _ => HttpReply::json(200, r#"{"id":"c"}"#),
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("request_timeout", "1s")]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, "n1").await;
    assert_eq!(ask(&nats, "slow").await, json!({"error": "request timed out after 1s"}));
    assert_eq!(ask(&nats, "c").await["error"], "", "the next is not behind it");
    proxy.stop().await;
}

/// An Asterisk that accepts the WebSocket and then says nothing, not even to pings, is dead.
#[tokio::test]
async fn a_silent_websocket_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ari", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let key = head
            .lines()
            .find_map(|l| l.to_ascii_lowercase().starts_with("sec-websocket-key").then(|| l[18..].trim()));
        let accept = derive_accept_key(key.expect("a key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        // What comes, a ping among it, is read and not answered.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(|_| rest)
    });
    let asterisk = AriConfig { keep_alive: SECOND / 10, ..AriConfig::new(&url, "ari", "secret") };
    let ari = Ari::new(asterisk).unwrap();
    let mut events = ari.events(APP, false).await.unwrap();
    let dead = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").unwrap_err();
    assert!(matches!(dead, AriError::Timeout(_, after) if after == SECOND / 5), "{dead}");
    drop(events);
    assert!(!silent.await.unwrap().unwrap().is_empty(), "it was pinged");
}

/// The node id can be set by hand, where Asterisk has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_id_by_hand() {
    let server = NatsServer::start(false).await;
    let fake = FakeAri::start(|_| info("")).await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("ari.node", "by-hand")]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, "by-hand").await;
    proxy.stop().await;
}

/// For supervisors: a changed entity id ends the proxy with an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_entity_id_can_end_the_proxy() {
    let server = NatsServer::start(false).await;
    let generation = Arc::new(AtomicU64::new(1));
    let of = Arc::clone(&generation);
    let mut fake = FakeAri::start(move |_| info(&format!("n{}", of.load(Ordering::Relaxed)))).await;
    let more = [("exit_on_entity_change", "true")];
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &more));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, "n1").await;
    fake.kill().await;
    generation.store(2, Ordering::Relaxed);
    fake.revive().await;
    until("the proxy ends", || async { !proxy.runs() }).await;
}

/// Waits for events that are given up again and again lose none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_given_up_loses_nothing() {
    for delivery in ["core", "stream"] {
        let server = NatsServer::start(true).await;
        let fake = FakeAri::start(|_| info("n1")).await;
        let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", delivery)]));
        let nats = async_nats::connect(server.url()).await.unwrap();
        serves(&nats, "n1").await;
        let builder = Client::builder().application(APP).url(server.url()).durable(delivery == "stream");
        let client = builder.connect().await.unwrap();
        until("the stream is made", || async { client.subscribe(&client.here(), &[]).await.is_ok() }).await;
        let mut events = client.subscribe(&client.here(), &[]).await.unwrap();
        // The subscription is made on another connection: an answer on it shows that the server has it.
        client.asterisk(client.here()).info().await.unwrap();
        let (emit, given_up) = (fake.emitter(), Arc::<AtomicU64>::default());
        let seen = Arc::clone(&given_up);
        let emitting = tokio::spawn(async move {
            for n in 0..300 {
                // However the two are scheduled, there are waits that are given up between the events.
                while seen.load(Ordering::Relaxed) <= n / 10 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                emit(
                    json!({"type": "ChannelVarset", "application": APP, "timestamp": "t", "variable": "N",
                    "value": n.to_string(), "channel": {"id": "c"}})
                    .to_string(),
                );
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let (mut next, end) = (0, Instant::now() + PATIENCE);
        while next < 300 {
            assert!(Instant::now() < end, "{delivery}: {next} of 300");
            match tokio::time::timeout(Duration::from_micros(700), events.event()).await {
                Ok(received) => {
                    let event: Value = serde_json::from_slice(&received.expect("it lives").raw).unwrap();
                    assert_eq!(event["value"], next.to_string(), "{delivery}");
                    next += 1;
                }
                Err(_) => drop(given_up.fetch_add(1, Ordering::Relaxed)),
            }
        }
        emitting.await.unwrap();
        client.close().await;
        proxy.stop().await;
    }
}
