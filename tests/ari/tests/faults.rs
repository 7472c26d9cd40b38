//! Faults that real partners showed: messages longer than NATS carries, twins, bindings of things that are no
//! more, several copies of one event, requests that lack what their kind needs.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use trunkline_ari_client::{Client, Delivered, Error, EventType, Key, Kind, OwnedRequest};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::{NatsServer, round_trip};
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, Scratch, until};

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

/// An Asterisk with a long list of bridges, an application with many channels and a long recording.
async fn large() -> FakeAri {
    let bridges: Vec<_> = (0..4000).map(|n| json!({"id": format!("bridge-number-{n}")})).collect();
    let bridges = Value::Array(bridges).to_string();
    let channels: Vec<_> = (0..8000).map(|n| format!("channel-number-{n}")).collect();
    let application = json!({"name": "long", "channel_ids": channels}).to_string();
    FakeAri::start(move |request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        "/bridges" => HttpReply::json(200, bridges.clone()),
        "/applications/long" => HttpReply::json(200, application.clone()),
        "/recordings/stored/r/file" => {
            HttpReply { content_type: "audio/x-wav", ..HttpReply::json(200, vec![5; 500_000]) }
        }
        _ => HttpReply::json(200, r#"{"id":"c"}"#),
    })
    .await
}

/// Until the proxy takes requests for its node.
async fn serves(nats: &async_nats::Client, app: &str, node: &str) {
    until("the proxy answers", || async {
        nats.request(format!("ari.create.{app}.{node}"), "{}".into()).await.is_ok()
    })
    .await;
}

async fn client(server: &NatsServer) -> Client {
    Client::builder()
        .application(APP)
        .url(server.url())
        .timeout(20 * SECOND)
        .connect()
        .await
        .expect("a client")
}

fn count(proxy: &TestProxy, name: &str) -> u64 {
    let text = proxy.metrics.render(true, true);
    let line = text.lines().find_map(|l| l.strip_prefix(&format!("trunkline_ari_{name} ")));
    line.and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nats_does_not_carry_comes_in_parts_or_is_an_error() {
    let folder = Scratch::new("payload");
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, "max_payload: 65536\n").unwrap();
    let server = NatsServer::start_with(true, &["-c", &file.to_string_lossy()]).await;
    let fake = large().await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", "stream")]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, APP, "n1").await;

    // Whoever does not know of parts gets an error at once.
    let list = json!({"kind": "BridgeList", "key": {}}).to_string();
    let answer = nats.request(format!("ari.get.{APP}.n1"), list.into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    let error = answer["error"].as_str().unwrap();
    assert!(error.starts_with("the answer has ") && error.ends_with(" bytes; NATS carries 65536"), "{error}");
    assert_eq!(count(&proxy, "answers_too_long_total"), 1);

    // Our client gets it whole: a list from all, a list and data of one node, a file.
    let client = client(&server).await;
    for key in [Key::default(), client.here(), client.here().at(APP, "n1")] {
        let listing = client.bridge().list(&key).await.unwrap();
        assert!(listing.keys.len() == 4000 && listing.is_complete(), "{key:?}");
    }
    let long = client.application().handle(Key::new("application", "long").at(APP, "n1"));
    assert_eq!(long.data().await.unwrap().channel_ids.len(), 8000);
    let recording = client.stored_recording().handle(Key::new("storedrecording", "r").at(APP, "n1"));
    assert!(recording.file().await.unwrap().content == vec![5; 500_000]);

    // A request that is too long is not sent; the connection lives on.
    let variable = client.channel().handle(Key::new("channel", "c").at(APP, "n1"));
    let error = variable.set_variable("A", "x".repeat(70_000).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::TooLong(_, 65536)), "{error}");

    // Of an event that is too long the next ones come; the stream tells the gap.
    let durable = Client::builder().application(APP).url(server.url()).durable(true).connect().await.unwrap();
    let mut events = client.subscribe(&client.here(), &[]).await.unwrap();
    let mut stream = durable.replay(&durable.here(), &[]).await.unwrap();
    client.asterisk(client.here()).ping().await.unwrap();
    let event = |value: String| {
        json!({"type": "ChannelVarset", "application": APP, "timestamp": "t", "variable": "V", "value": value,
            "channel": {"id": "c"}})
        .to_string()
    };
    fake.emit(event("x".repeat(70_000)));
    fake.emit(event("after".to_owned()));
    let next = tokio::time::timeout(PATIENCE, events.event()).await.expect("in time").expect("an event");
    assert!(next.raw.ends_with(b"\"after\"}") || String::from_utf8_lossy(&next.raw).contains("\"after\""));
    let mut told = Vec::new();
    while told.len() < 2 {
        match tokio::time::timeout(PATIENCE, stream.next()).await.expect("in time").expect("something") {
            Delivered::Event(event) => told.push(event.raw.len().to_string()),
            Delivered::Gap(gap) => told.push(gap.reason),
        }
    }
    assert_eq!(told, ["too long", event("after".to_owned()).len().to_string().as_str()]);
    assert_eq!(count(&proxy, "events_too_long_total"), 1);
    proxy.stop().await;
}

/// Two proxies that serve one application under one node id.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_are_reported() {
    let server = NatsServer::start(false).await;
    let (one, two) = (large().await, large().await);
    let first = TestProxy::start(config(&server.url(), &one.url(), APP, &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, APP, "n1").await;
    let client = client(&server).await;
    let members = client.ready(PATIENCE).await.unwrap();
    // Whoever does not answer in a moment is asked again; nobody answers who is not there.
    let counted = async || client.proxies_of(&members[0], SECOND / 5).await.unwrap();
    until("the first one answers", || async { counted().await > 0 }).await;
    assert!(counted().await <= 1);
    assert_eq!(count(&first, "twins"), 0);
    let second = TestProxy::start(config(&server.url(), &two.url(), APP, &[]));
    until("the second reports it", || async { count(&second, "twins") == 1 }).await;
    until("both answer", || async { counted().await == 2 }).await;
    // The first one looks again when its Asterisk was away, else each minute.
    let mut one = one;
    one.kill().await;
    one.revive().await;
    until("the first reports it", || async { count(&first, "twins") == 1 }).await;
    second.stop().await;
    one.kill().await;
    one.revive().await;
    until("it is alone again", || async { count(&first, "twins") == 0 }).await;
    first.stop().await;
}

/// Of a bridge that a request ended no event may ever come: its events are for applications that follow it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bindings_end_with_the_request_that_ends_their_thing() {
    let server = NatsServer::start(false).await;
    let fake = FakeAri::start(|request| match (request.method.as_str(), request.path.as_str()) {
        (_, "/asterisk/info") => info("n1"),
        ("DELETE", "/bridges/gone") => HttpReply::json(404, r#"{"message":"Bridge not found"}"#),
        ("DELETE", "/bridges/kept") => HttpReply::json(500, r#"{"message":"Not now"}"#),
        _ => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    serves(&nats, APP, "n1").await;
    let client = client(&server).await;
    let mut copies = nats.subscribe("ari.dialogevent.d").await.unwrap();
    round_trip(&nats).await;
    let key = |kind: &str, id: &str| Key::new(kind, id).at(APP, "n1").with_dialog("d");
    let bind = async |kind: Kind, key: Key| client.send(OwnedRequest::new(kind, key)).await.map(drop);
    for bridge in ["deleted", "gone", "kept"] {
        bind(Kind::BridgeSubscribe, key("bridge", bridge)).await.unwrap();
    }
    bind(Kind::PlaybackSubscribe, key("playback", "p")).await.unwrap();
    bind(Kind::RecordingLiveSubscribe, key("liverecording", "r")).await.unwrap();
    bind(Kind::BridgeDelete, key("bridge", "deleted")).await.unwrap();
    let error = bind(Kind::BridgeDelete, key("bridge", "gone")).await.unwrap_err();
    let Error::Refused(refusal) = &error else { panic!("{error}") };
    assert_eq!((refusal.status, refusal.message.as_str()), (Some(404), "Bridge not found"));
    assert_eq!(refusal.text, "Non-2XX response: 404 Not Found");
    assert!(error.is_not_found());
    bind(Kind::BridgeDelete, key("bridge", "kept")).await.unwrap_err();
    bind(Kind::PlaybackStop, key("playback", "p")).await.unwrap();
    bind(Kind::RecordingLiveScrap, key("liverecording", "r")).await.unwrap();
    // Stragglers still come.
    fake.emit(
        json!({"type": "BridgeDestroyed", "application": APP, "bridge": {"id": "deleted"}}).to_string(),
    );
    let straggler = tokio::time::timeout(PATIENCE, copies.next()).await.expect("in time");
    assert!(straggler.is_some());
    until("only what lives is bound", || async {
        // Each event is also the moment at which what ended is forgotten.
        fake.emit(
            json!({"type": "PlaybackFinished", "application": APP, "playback": {"id": "p"}}).to_string(),
        );
        count(&proxy, "dialog_things") == 1
    })
    .await;
    proxy.stop().await;
}

/// Copies of one event from several applications' proxies, and from original proxies that copy as often as
/// things are bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_for_a_dialog_are_told_once() {
    let server = NatsServer::start(false).await;
    let nats = async_nats::connect(server.url()).await.unwrap();
    let client = client(&server).await;
    let key = Key::default().with_dialog("d");
    let mut events = client.subscribe(&key, &[EventType::ChannelDtmfReceived]).await.unwrap();
    // The subscription is made on another connection: an answer on it shows that the server has it.
    client.asterisk(Key::default().at(APP, "n")).info().await.unwrap_err();
    let digit = |app: &str, digit: &str, ours: bool| {
        let (first, later) = if ours { (r#""dialog":"d","#, "") } else { ("", r#""dialog":"d","#) };
        format!(
            r#"{{{first}"application":"{app}",{later}"type":"ChannelDtmfReceived","timestamp":"t","digit":"{digit}","duration_ms":1,"channel":{{"id":"c"}}}}"#
        )
    };
    let sent = [
        digit("a", "1", true),
        digit("b", "1", true),
        digit("b", "2", true),
        digit("a", "2", true),
        // The same digit twice within a millisecond, each in the name of both.
        digit("a", "2", true),
        digit("b", "2", true),
        digit("g", "3", false),
        digit("g", "3", false),
        digit("g", "3", false),
        digit("a", "end", true),
    ];
    let mut told = String::new();
    for frame in sent {
        nats.publish("ari.dialogevent.d", Bytes::from(frame)).await.unwrap();
    }
    while !told.ends_with("end") {
        let received =
            tokio::time::timeout(PATIENCE, events.event()).await.expect("in time").expect("an event");
        let event: Value = serde_json::from_slice(&received.raw).unwrap();
        told.push_str(event["digit"].as_str().unwrap());
    }
    assert_eq!(told, "1223end");
}

/// A broadcast hang-up without options would end every original proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lacks_its_options_is_not_sent() {
    let server = NatsServer::start(false).await;
    let nats = async_nats::connect(server.url()).await.unwrap();
    let client = client(&server).await;
    let mut heard = nats.subscribe("ari.>").await.unwrap();
    round_trip(&nats).await;
    let mut refused = 0;
    for kind in Kind::ALL {
        let bare = OwnedRequest::new(*kind, Key::new("", "PJSIP/x"));
        if bare.check().is_err() {
            let error = client.send(bare).await.unwrap_err();
            assert!(matches!(error, Error::Incomplete(of, _) if of == *kind), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 30, "{refused}");
    assert!(client.send(OwnedRequest::new(Kind::ChannelAnswer, Key::default())).await.is_err());
    client.ping().await.unwrap();
    let first = tokio::time::timeout(PATIENCE, heard.next()).await.expect("in time").expect("a message");
    assert_eq!(first.subject.as_str(), "ari.ping", "nothing else was sent");
}
