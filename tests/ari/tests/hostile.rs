//! What comes from the bus or from Asterisk and is made to do harm: ids that lead elsewhere in a path, text
//! that leads elsewhere on the bus, answers and events without end, requests that name very many things.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use trunkline_tests::cpu_time;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::{NatsServer, round_trip};
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, Scratch, until};

const SECOND: Duration = Duration::from_secs(1);

/// A NATS server, a stand-in for Asterisk that notes the paths asked for, and a proxy between them.
struct Stage {
    nats: async_nats::Client,
    fake: FakeAri,
    proxy: TestProxy,
    paths: Arc<Mutex<Vec<String>>>,
    _server: NatsServer,
}

impl Stage {
    async fn set(more: &[(&str, &str)], answer: impl Fn(&str) -> HttpReply + Send + Sync + 'static) -> Self {
        let folder = Scratch::new("hostile");
        let file = folder.path().join("nats.conf");
        std::fs::write(&file, "max_payload: 4194304\n").expect("a configuration");
        let server = NatsServer::start_with(false, &["-c", &file.to_string_lossy()]).await;
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&paths);
        let fake = FakeAri::start(move |request| {
            if request.path == "/asterisk/info" {
                return info("n1");
            }
            seen.lock().push(request.path.clone());
            answer(&request.path)
        })
        .await;
        let proxy = TestProxy::start(config(&server.url(), &fake.url(), "app", more));
        let nats = async_nats::connect(server.url()).await.unwrap();
        until("the proxy answers", || async { nats.request("ari.create.app.n1", "{}".into()).await.is_ok() })
            .await;
        Stage { nats, fake, proxy, paths, _server: server }
    }

    /// The answer to a request.
    async fn ask(&self, request: &Value) -> Value {
        let asked = self.nats.request("ari.command.app.n1", request.to_string().into());
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("in time").expect("an answer");
        serde_json::from_slice(&answer.payload).expect("JSON")
    }

    async fn error(&self, request: &Value) -> String {
        let answer = self.ask(request).await;
        answer["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Requests whose path holds text from the bus, with `X` in its place.
fn with_paths() -> Vec<Value> {
    let of = |kind: &str, option: Value| {
        let mut request = json!({"kind": kind, "key": {"kind": "", "id": "X"}});
        for (name, value) in option.as_object().expect("an object") {
            request[name.as_str()] = value.clone();
        }
        request
    };
    let mut all: Vec<Value> = [
        "ApplicationData",
        "AsteriskModuleLoad",
        "AsteriskModuleUnload",
        "AsteriskLoggingDelete",
        "AsteriskLoggingRotate",
        "BridgeDelete",
        "BridgeStopMOH",
        "ChannelAnswer",
        "ChannelData",
        "ChannelStopRing",
        "DeviceStateDelete",
        "EndpointGet",
        "MailboxDelete",
        "PlaybackStop",
        "RecordingLiveScrap",
        "RecordingLiveStop",
        "RecordingStoredDelete",
        "RecordingStoredFile",
        "SoundData",
    ]
    .into_iter()
    .map(|kind| of(kind, json!({})))
    .collect();
    all.extend([
        of("ChannelHangup", json!({"channel_hangup": {"reason": "normal"}})),
        of("ApplicationSubscribe", json!({"application_subscribe": {"event_source": "channel:c"}})),
        of("BridgeCreate", json!({"bridge_create": {"type": "mixing"}})),
        of("BridgeVideoSource", json!({"bridge_video_source": {"channel": "c"}})),
        of("ChannelSnoop", json!({"channel_snoop": {"snoop_id": "s", "options": {"app": "a"}}})),
        of("RecordingStoredCopy", json!({"recording_stored_copy": {"destination": "d"}})),
        json!({"kind": "BridgeVideoSource", "key": {"id": "b"}, "bridge_video_source": {"channel": "X"}}),
        json!({"kind": "BridgePlay", "key": {"id": "b"}, "bridge_play": {"playback_id": "X", "media_uri": "sound:a"}}),
        json!({"kind": "ChannelSnoop", "key": {"id": "c"}, "channel_snoop": {"snoop_id": "X"}}),
        json!({"kind": "ChannelUserEvent", "key": {"id": "c"}, "channel_user_event": {"UserEvent": {"eventname": "X"}}}),
        json!({"kind": "ApplicationUserEvent", "key": {"id": "a"}, "application_user_event": {"eventname": "X"}}),
        json!({"kind": "EndpointListByTech", "key": {}, "endpoint_list_by_tech": {"tech": "X"}}),
        json!({"kind": "EndpointGet", "key": {"id": "X/1001"}}),
        json!({"kind": "EndpointGet", "key": {"id": "PJSIP/X"}}),
        json!({"kind": "EndpointSendMessageTo", "key": {"id": "PJSIP/X"}, "endpoint_message": {"from": "f"}}),
        json!({"kind": "AsteriskConfigDelete", "key": {"id": "X/t/i"}}),
        json!({"kind": "AsteriskConfigDelete", "key": {"id": "c/X/i"}}),
        json!({"kind": "AsteriskConfigDelete", "key": {"id": "c/t/X"}}),
    ]);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_id_leads_to_another_path() {
    let stage = Stage::set(&[], |_| HttpReply::json(200, r#"{"id":"c"}"#)).await;
    let hostile = [".", "..", "../channels", "a/..", "a/../b", "./a", "a\u{0}b", "a\r\nX-Evil: 1", "\u{7f}"];
    for request in with_paths() {
        for id in hostile {
            let id = serde_json::to_string(id).unwrap();
            let request = request.to_string().replace('X', id.trim_matches('"'));
            let error = stage.error(&serde_json::from_str(&request).unwrap()).await;
            assert!(error.contains("cannot be part of a path"), "{request}: {error:?}");
        }
    }
    // Nothing of a request went out that only the check of a second path refused.
    let allowed = |path: &String| path == "/channels/c" || path == "/bridges/b";
    assert!(stage.paths.lock().iter().all(allowed), "{:?}", stage.paths.lock());
    stage.paths.lock().clear();
    // What only looks like it goes through, encoded.
    for (id, path) in
        [("...", "..."), ("a..b", "a..b"), ("%2e%2e", "%252e%252e"), ("a/b", "a%2Fb"), ("a?b#c", "a%3Fb%23c")]
    {
        stage.ask(&json!({"kind": "ChannelAnswer", "key": {"id": id}})).await;
        assert_eq!(stage.paths.lock().pop().unwrap(), format!("/channels/{path}/answer"));
    }
    for kind in ["EndpointGet", "EndpointData"] {
        assert!(stage.error(&json!({"kind": kind, "key": {"id": "PJSIP/"}})).await.contains("an empty id"));
    }
    let long = stage.error(&json!({"kind": "ChannelAnswer", "key": {"id": "c".repeat(5000)}})).await;
    assert_eq!(long, "failed to make request: the request's path has 5021 bytes; Asterisk accepts 4000");
    assert!(stage.paths.lock().is_empty());
    stage.proxy.stop().await;
}

/// The dialog of a request becomes part of a subject: a line end there would be a command to the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_dialog_leads_to_another_subject() {
    let stage = Stage::set(&[], |_| HttpReply::json(200, r#"{"id":"c"}"#)).await;
    let mut stolen = stage.nats.subscribe("stolen").await.unwrap();
    let evil = "d 2\r\n{}\r\nPUB stolen 2\r\n{}\r\nPUB x";
    for dialog in [evil, "a b", "*", "a.>", "a..b", ".", "a\u{0}"] {
        for kind in ["ChannelSubscribe", "ChannelAnswer"] {
            let error = stage.error(&json!({"kind": kind, "key": {"id": "c", "dialog": dialog}})).await;
            assert!(error.ends_with("cannot be a dialog: it is no NATS subject"), "{dialog:?}: {error}");
        }
    }
    stage
        .fake
        .emit(json!({"type": "ChannelVarset", "application": "app", "channel": {"id": "c"}}).to_string());
    // The answer comes after what the event may have led to.
    stage.ask(&json!({"kind": "ChannelData", "key": {"id": "c"}})).await;
    assert!(tokio::time::timeout(SECOND / 5, stolen.next()).await.is_err());
    assert!(stage.paths.lock().iter().all(|p| p == "/channels/c"), "{:?}", stage.paths.lock());
    stage.proxy.stop().await;
}

/// Of an answer that never ends as much is read as its setting allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_without_end_are_given_up() {
    let more = [("ari.max_answer", "64KiB"), ("ari.max_file", "128KiB")];
    let stage = Stage::set(&more, |path| match path {
        "/channels/c" | "/bridges" | "/recordings/stored/r/file" => {
            HttpReply { status: 2, ..HttpReply::json(200, "x".repeat(1000)) }
        }
        "/recordings/stored/large/file" => HttpReply::json(200, "x".repeat(100 << 10)),
        _ => HttpReply::json(200, "x".repeat(100 << 10)),
    })
    .await;
    for (request, limit, setting) in [
        (json!({"kind": "ChannelData", "key": {"id": "c"}}), 64 << 10, "ari.max_answer"),
        (json!({"kind": "BridgeList", "key": {}}), 64 << 10, "ari.max_answer"),
        (json!({"kind": "BridgeData", "key": {"id": "said"}}), 64 << 10, "ari.max_answer"),
        (json!({"kind": "ChannelAnswer", "key": {"id": "said"}}), 64 << 10, "ari.max_answer"),
        (json!({"kind": "RecordingStoredFile", "key": {"id": "r"}}), 128 << 10, "ari.max_file"),
    ] {
        let started = Instant::now();
        let error = stage.error(&request).await;
        let want = format!("the answer is longer than the {limit} bytes that {setting} allows");
        assert!(error.ends_with(&want), "{request}: {error}");
        assert!(started.elapsed() < 20 * SECOND, "{request}: {:?}", started.elapsed());
    }
    // Beyond the limit there is only what the kernel holds for two sockets.
    assert!(stage.fake.endless() < 24 << 20, "{}", stage.fake.endless());
    let file = stage.ask(&json!({"kind": "RecordingStoredFile", "key": {"id": "large"}})).await;
    assert_eq!(file["data"]["file"]["total"], 100 << 10, "{file}");
    stage.proxy.stop().await;
}

/// An event longer than the limit ends the WebSocket, and the next one is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_without_end_is_given_up() {
    let stage = Stage::set(&[("ari.max_answer", "64KiB")], |_| HttpReply::json(200, "{}")).await;
    let mut events = stage.nats.subscribe("ari.event.>").await.unwrap();
    round_trip(&stage.nats).await;
    let long =
        json!({"type": "ChannelVarset", "application": "app", "value": "x".repeat(1 << 20)}).to_string();
    let first = stage.fake.newest();
    stage.fake.emit(long);
    until("the next WebSocket is open", || async {
        stage.fake.newest().is_some_and(|newest| Some(newest) > first)
    })
    .await;
    let next = json!({"type": "ChannelVarset", "application": "app", "value": "next"}).to_string();
    stage.fake.emit(next.clone());
    let event = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("an event");
    assert_eq!(event.payload, next);
    stage.proxy.stop().await;
}

/// Requests with very many channels, things with very many dialogs: the work grows as they do, so that
/// others are answered meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_lists_take_their_time_and_no_more() {
    let list = |n: usize| {
        let ids: Vec<String> = (0..n).map(|n| format!(r#"{{"id":"{n}"}}"#)).collect();
        format!("[{}]", ids.join(","))
    };
    let (bridges, logs) = (list(30_000), list(200_000).replace("\"id\"", "\"channel\""));
    let stage = Stage::set(&[], move |path| match path {
        "/bridges" => HttpReply::json(200, bridges.clone()),
        "/asterisk/logging" => HttpReply::json(200, logs.clone()),
        _ => HttpReply::json(204, ""),
    })
    .await;
    let many: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let joined = many.join(",");
    // All of it is done in this process. What grows with the square would take minutes.
    let work = || cpu_time(std::process::id());
    let within = |what: &'static str, before: Duration| {
        let took = work() - before;
        println!("{what}: {took:?}");
        assert!(took < 20 * SECOND, "{what}: {took:?}");
    };
    for channels in [json!(joined), json!(many)] {
        for kind in ["BridgeAddChannel", "BridgeRemoveChannel"] {
            let before = work();
            let option =
                if kind == "BridgeAddChannel" { "bridge_add_channel" } else { "bridge_remove_channel" };
            let request =
                json!({"kind": kind, "key": {"id": "b", "dialog": "d"}, option: {"channel": channels}});
            assert_eq!(stage.error(&request).await, "", "{kind}");
            within(kind, before);
        }
    }
    // An event of a bridge with all of them, each in the dialog, is copied once.
    let mut copies = stage.nats.subscribe("ari.dialogevent.>").await.unwrap();
    round_trip(&stage.nats).await;
    let before = work();
    let event =
        json!({"type": "BridgeCreated", "application": "app", "bridge": {"id": "b", "channels": many}});
    stage.fake.emit(event.to_string());
    let copy = tokio::time::timeout(PATIENCE, copies.next()).await;
    assert_eq!(copy.expect("in time").expect("a copy").subject.as_str(), "ari.dialogevent.d");
    within("an event", before);
    let before = work();
    for n in 0..20_000 {
        let request = json!({"kind": "ChannelSubscribe", "key": {"id": "c", "dialog": format!("d{n}")}});
        stage.nats.publish("ari.command.app.n1", request.to_string().into()).await.unwrap();
        if n % 5_000 == 4_999 {
            // The proxy refuses beyond the requests that may wait.
            stage.ask(&json!({"kind": "ChannelSubscribe", "key": {"id": "c"}})).await;
        }
    }
    within("dialogs", before);
    let before = work();
    stage
        .fake
        .emit(json!({"type": "ChannelVarset", "application": "app", "channel": {"id": "c"}}).to_string());
    for _ in 0..20_000 {
        let copy = tokio::time::timeout(PATIENCE, copies.next()).await;
        copy.expect("in time").expect("a copy");
    }
    within("copies", before);
    for (kind, id, keys) in [("BridgeList", "", 30_000), ("AsteriskLoggingGet", "199999", 0)] {
        let before = work();
        let answer = stage.ask(&json!({"kind": kind, "key": {"id": id}})).await;
        assert_eq!(answer["error"], "");
        assert_eq!(answer["keys"].as_array().map_or(0, Vec::len), keys);
        within(kind, before);
    }
    stage.proxy.stop().await;
}
