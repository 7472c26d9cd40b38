//! Every kind against a real Asterisk 22 pair and a real nats-server: once with success, once with
//! a failure of Asterisk's own (or of the request), once with Asterisk down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use trunkline_ari::{Class, Kind, OPERATIONS, Subjects};
use trunkline_ari_client::{AriConfig, Client, EventType};
use trunkline_tests_ari::asterisk::{NODE_A, NODE_B, Pair};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{Scratch, log, until};

const APP: &str = "trunkline";
const SECOND: Duration = Duration::from_secs(1);

/// What was shown of each kind.
#[derive(Default, Clone)]
struct Shown {
    ok: bool,
    failed: Option<String>,
    down: bool,
}

struct Bus {
    nats: async_nats::Client,
    events: async_nats::Subscriber,
    shown: BTreeMap<&'static str, Shown>,
    node: &'static str,
}

/// Whether `got` has everything that `want` has.
fn contains(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            want.iter().all(|(n, w)| got.get(n).is_some_and(|g| contains(g, w)))
        }
        (Value::Array(got), Value::Array(want)) => want.iter().all(|w| got.iter().any(|g| contains(g, w))),
        _ => got == want,
    }
}

impl Bus {
    async fn ask(&self, kind: Kind, key: &Value, option: &Value) -> Value {
        let mut request = json!({"kind": kind.name(), "key": key});
        if !option.is_null() {
            request[kind.option()] = option.clone();
        }
        let subject = Subjects::default().request(kind.class(), APP, self.node);
        let asked = self.nats.request(subject, request.to_string().into());
        let reply =
            tokio::time::timeout(15 * SECOND, asked).await.expect("an answer in time").expect("an answer");
        serde_json::from_slice(&reply.payload).expect("the answer is JSON")
    }

    fn key(&self, id: &str) -> Value {
        json!({"id": id, "node": self.node, "app": APP})
    }

    /// A success whose reply has at least `want`.
    async fn ok(&mut self, kind: Kind, id: &str, option: Value, want: Value) -> Value {
        let reply = self.ask(kind, &self.key(id), &option).await;
        assert_eq!(reply["error"], "", "{} {id} {option}: {reply}", kind.name());
        assert!(contains(&reply, &want), "{}: {reply} lacks {want}", kind.name());
        self.shown.entry(kind.name()).or_default().ok = true;
        reply
    }

    /// A success whose reply names a thing of this kind and id on our node.
    async fn made(&mut self, kind: Kind, id: &str, option: Value, of: &str, made: &str) {
        let want = json!({"key": {"kind": of, "id": made, "node": self.node, "app": APP}});
        self.ok(kind, id, option, want).await;
    }

    /// A success that says nothing more.
    async fn done(&mut self, kind: Kind, id: &str, option: Value) {
        let reply = self.ok(kind, id, option, json!({})).await;
        assert_eq!(reply, json!({"error": ""}), "{}", kind.name());
    }

    /// A failure with exactly this text.
    async fn fails(&mut self, kind: Kind, key: Value, option: Value, text: &str) {
        let reply = self.ask(kind, &key, &option).await;
        assert_eq!(reply, json!({"error": text}), "{} {key} {option}", kind.name());
        self.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }

    /// A failure of Asterisk's own, whichever.
    async fn refused(&mut self, kind: Kind, id: &str, option: Value) {
        let reply = self.ask(kind, &self.key(id), &option).await;
        let text = reply["error"].as_str().unwrap_or_default();
        assert!(text.starts_with("Non-2XX response: 4"), "{}: {reply}", kind.name());
        self.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }

    /// The next event of this type for this channel, bridge, playback or recording.
    async fn event(&mut self, event_type: &str, id: &str) -> Value {
        self.event_with(event_type, id, json!({})).await
    }

    /// The next such event that has at least `want`. Events before it are passed over, so steps wait
    /// for events in the order in which Asterisk sends them.
    async fn event_with(&mut self, event_type: &str, id: &str, want: Value) -> Value {
        let wanted = async {
            loop {
                let message = self.events.next().await.expect("events");
                let event: Value = serde_json::from_slice(&message.payload).expect("an event");
                let is = |member: &str, name: &str| event[member][name] == id;
                if event["type"] == event_type
                    && (id.is_empty()
                        || is("channel", "id")
                        || is("bridge", "id")
                        || is("playback", "id")
                        || is("recording", "name"))
                    && contains(&event, &want)
                {
                    return event;
                }
            }
        };
        let found = tokio::time::timeout(20 * SECOND, wanted).await;
        found.unwrap_or_else(|_| panic!("no {event_type} of {id} with {want}"))
    }

    /// Waits until Asterisk says that the channel is answered, which is when it takes commands.
    async fn answered(&mut self, channel: &str) {
        self.event_with("ChannelStateChange", channel, json!({"channel": {"state": "Up"}})).await;
    }
}

/// A SIPp leg that dials 700 and stays.
struct Leg(Child, Scratch);

impl Leg {
    fn start(ip: &str) -> Self {
        let folder = Scratch::new("sipp");
        let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/sipp/uac.xml");
        let child = Command::new("sipp")
            .args([
                "-sf",
                scenario,
                "-s",
                "700",
                "-m",
                "1",
                "-i",
                "127.0.0.1",
                "-nostdin",
                "-timeout",
                "120s",
            ])
            .arg(format!("{ip}:5060"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp; run tests/ari/install.sh");
        Leg(child, folder)
    }

    /// Waits until SIPp ended, which it does after the other side hung up.
    async fn ended(&mut self) {
        let deadline = std::time::Instant::now() + 20 * SECOND;
        loop {
            if let Some(status) = self.0.try_wait().expect("sipp") {
                assert!(status.success(), "sipp: {status} in {}", self.1.path().display());
                return;
            }
            assert!(std::time::Instant::now() < deadline, "sipp did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind() {
    log();
    let pair = Pair::start(APP);
    let server = NatsServer::start(false).await;
    let proxies = [
        TestProxy::start(config(&server.url(), &pair.url_a(), APP, &[])),
        TestProxy::start(config(&server.url(), &pair.url_b(), APP, &[])),
    ];
    let nats = async_nats::connect(server.url()).await.unwrap();
    let events = nats.subscribe(format!("ari.event.{APP}.{NODE_A}")).await.unwrap();
    let mut bus = Bus { nats: nats.clone(), events, shown: BTreeMap::new(), node: NODE_A };
    let cluster = Client::builder().application(APP).connection(nats.clone()).connect().await.unwrap();
    until("both nodes announce themselves", 20 * SECOND, || async {
        cluster.ping().await.unwrap();
        let nodes: Vec<_> = cluster.cluster().into_iter().map(|m| m.node).collect();
        nodes == [NODE_A, NODE_B]
    })
    .await;

    asterisk_itself(&mut bus).await;
    states_and_endpoints(&mut bus).await;
    bridges_and_legs(&mut bus, &pair).await;
    channels(&mut bus, &pair).await;
    recordings(&mut bus).await;
    beyond(&mut bus, &pair).await;
    mailboxes(&mut bus).await;
    malformed(&mut bus).await;

    // Node B is there all the time, and has none of A's channels.
    let listing = cluster.channel().list(&cluster.here().at(APP, NODE_B)).await.unwrap();
    assert!(listing.keys.is_empty() && listing.error.is_none());

    pair.kill("A");
    let gone = || async {
        bus.ask(Kind::ChannelList, &json!({}), &Value::Null).await["error"] == "ARI connection is down"
    };
    until("the proxy knows", 20 * SECOND, gone).await;
    for kind in Kind::ALL {
        // The node's create subject is left while Asterisk is down; the others answer.
        let class = if kind.class() == Class::Create { Class::Command } else { kind.class() };
        let subject = Subjects::default().request(class, APP, NODE_A);
        let request = json!({"kind": kind.name(), "key": bus.key("x")}).to_string();
        let reply = nats.request(subject, request.into()).await.unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&reply.payload).unwrap(),
            json!({"error": "ARI connection is down"})
        );
        bus.shown.entry(kind.name()).or_default().down = true;
    }
    let create = Subjects::default().request(Class::Create, APP, NODE_A);
    let nobody = nats.request(create, "{}".into()).await.unwrap_err();
    assert_eq!(nobody.kind(), async_nats::RequestErrorKind::NoResponders);
    // A create for any node goes to the one that lives.
    let option = json!({"type": "mixing", "name": "n"});
    let alive = json!({"kind": "BridgeCreate", "key": {}, "bridge_create": option}).to_string();
    let reply = nats.request(format!("ari.create.{APP}"), alive.into()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(reply["key"]["node"], NODE_B, "{reply}");

    pair.revive("A");
    until("node A is back", 30 * SECOND, || async {
        bus.ask(Kind::ChannelList, &json!({}), &Value::Null).await["error"] == ""
    })
    .await;

    let upstream = Kind::ALL.iter().filter(|k| k.is_upstream());
    let lacking: Vec<_> = upstream
        .filter(|k| !bus.shown.get(k.name()).is_some_and(|s| s.ok && s.failed.is_some() && s.down))
        .map(|k| k.name())
        .collect();
    write_table(&bus.shown, &version(&pair));
    let shown = |f: fn(&Shown) -> bool| bus.shown.values().filter(|s| f(s)).count();
    println!(
        "kinds shown: {} with success, {} with a failure, {} with Asterisk down, of {}",
        shown(|s| s.ok),
        shown(|s| s.failed.is_some()),
        shown(|s| s.down),
        Kind::ALL.len()
    );
    assert!(lacking.is_empty(), "not shown both ways: {lacking:?}");
    for proxy in proxies {
        proxy.stop().await;
    }
}

fn version(pair: &Pair) -> String {
    let text = pair.cli("B", "core show version");
    let word = text.split_whitespace().nth(1).unwrap_or("22");
    word.split('+').next().unwrap_or(word).to_owned()
}

/// The table of the documentation: operation, kinds, Asterisk version and what this run showed.
fn write_table(shown: &BTreeMap<&'static str, Shown>, version: &str) {
    let mut out = String::from("# REST operations and kinds\n\n");
    let _ = writeln!(
        out,
        "Written by `cargo test -p trunkline-tests-ari --test asterisk`, which ran against Asterisk {version}.\n\
         *ok*: the run saw the kind succeed; *failure*: it saw the kind fail as Asterisk or the proxy says;\n\
         *down*: it saw the answer while Asterisk was killed.\n"
    );
    out.push_str("| operation | since | kind | of ari-proxy 5.3 | shown |\n|---|---|---|---|---|\n");
    for operation in OPERATIONS {
        let since = if operation.since.is_empty() { "22.0" } else { operation.since };
        if operation.kinds.is_empty() {
            let _ = writeln!(
                out,
                "| {} {} | {since} | (the event subjects) | | ok |",
                operation.method, operation.path
            );
        }
        for kind in operation.kinds {
            let state = shown.get(kind.name()).cloned().unwrap_or_default();
            let parts = [(state.ok, "ok"), (state.failed.is_some(), "failure"), (state.down, "down")];
            let parts: Vec<_> = parts.iter().filter(|(is, _)| *is).map(|(_, n)| *n).collect();
            let own = if kind.is_upstream() { "yes" } else { "no" };
            let _ = writeln!(
                out,
                "| {} {} | {since} | {} | {own} | {} |",
                operation.method,
                operation.path,
                kind.name(),
                parts.join(", ")
            );
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ari-operations.md");
    std::fs::write(path, out).expect("docs/ari-operations.md");
}

const NONE: Value = Value::Null;
/// Plays until it is stopped, so that a slow machine still finds it.
const ENDLESS: &str = "tone:ring";
const NOT_FOUND: &str = "Non-2XX response: 404 Not Found";

fn not_had(label: &str, id: &str) -> String {
    format!("failed to get data: Error getting data for {label} '{id}': {NOT_FOUND}")
}

async fn asterisk_itself(bus: &mut Bus) {
    bus.ok(Kind::AsteriskInfo, "", NONE, json!({"data": {"asterisk": {"system": {"entity_id": NODE_A}}}}))
        .await;
    bus.ok(Kind::AsteriskPing, "", NONE, json!({"data": {"ping": {"ping": "pong", "asterisk_id": NODE_A}}}))
        .await;
    bus.done(Kind::AsteriskVariableSet, "TEST", json!({"value": "a b"})).await;
    bus.ok(Kind::AsteriskVariableGet, "TEST", NONE, json!({"data": {"variable": "a b"}})).await;
    let key = bus.key("");
    let text = "Error setting asterisk variable '' to 'x': Non-2XX response: 400 Bad Request";
    bus.fails(Kind::AsteriskVariableSet, key.clone(), json!({"value": "x"}), text).await;
    let text = "Error getting asterisk variable '': Non-2XX response: 400 Bad Request";
    bus.fails(Kind::AsteriskVariableGet, key, NONE, text).await;

    let contact = "res_pjsip/contact/testc";
    let tuples = json!({"tuples": [{"attribute": "uri", "value": "sip:test@127.0.0.9:5060"}]});
    bus.done(Kind::AsteriskConfigUpdate, contact, tuples.clone()).await;
    let want = json!({"data": {"config": {"Class": "res_pjsip", "Type": "contact", "Name": "testc",
        "Fields": [{"attribute": "uri", "value": "sip:test@127.0.0.9:5060"}]}}});
    bus.ok(Kind::AsteriskConfigData, contact, NONE, want).await;
    bus.done(Kind::AsteriskConfigDelete, contact, NONE).await;
    let key = bus.key("res_pjsip/nope/x");
    bus.fails(Kind::AsteriskConfigUpdate, key.clone(), tuples, NOT_FOUND).await;
    bus.fails(Kind::AsteriskConfigDelete, key.clone(), NONE, NOT_FOUND).await;
    bus.fails(
        Kind::AsteriskConfigData,
        bus.key("toofew"),
        NONE,
        "failed to parse configuration key: invalid input ID",
    )
    .await;

    bus.made(
        Kind::AsteriskLoggingCreate,
        "testlog",
        json!({"config": "notice,warning"}),
        "logging",
        "testlog",
    )
    .await;
    let list = bus
        .ok(Kind::AsteriskLoggingList, "", NONE, json!({"keys": [{"kind": "logging", "node": NODE_A}]}))
        .await;
    let mut ids = list["keys"].as_array().unwrap().iter().map(|k| k["id"].as_str().unwrap().to_owned());
    let listed = ids.find(|id| id.ends_with("/testlog")).expect("the log channel is listed");
    bus.ok(
        Kind::AsteriskLoggingData,
        &listed,
        NONE,
        json!({"data": {"log": {"levels": "NOTICE WARNING ", "types": "File"}}}),
    )
    .await;
    bus.made(Kind::AsteriskLoggingGet, &listed, NONE, "logging", &listed).await;
    bus.done(Kind::AsteriskLoggingDelete, "testlog", NONE).await;
    // Rotating a channel that was made at run time ends it, so that comes last.
    let again = json!({"config": "notice"});
    bus.made(Kind::AsteriskLoggingCreate, "testlog", again, "logging", "testlog").await;
    bus.done(Kind::AsteriskLoggingRotate, "testlog", NONE).await;
    let key = bus.key("nope");
    bus.fails(
        Kind::AsteriskLoggingCreate,
        bus.key("badlog"),
        json!({"config": ""}),
        "Non-2XX response: 400 Bad Request",
    )
    .await;
    bus.fails(Kind::AsteriskLoggingData, key.clone(), NONE, "not found").await;
    bus.fails(Kind::AsteriskLoggingGet, key.clone(), NONE, "not found").await;
    bus.fails(Kind::AsteriskLoggingRotate, key.clone(), NONE, NOT_FOUND).await;
    bus.fails(Kind::AsteriskLoggingDelete, key, NONE, NOT_FOUND).await;

    let module = "app_morsecode.so";
    bus.ok(
        Kind::AsteriskModuleList,
        "",
        NONE,
        json!({"keys": [{"kind": "module", "id": module, "node": NODE_A}]}),
    )
    .await;
    bus.ok(
        Kind::AsteriskModuleData,
        module,
        NONE,
        json!({"data": {"module": {"name": module, "status": "Running"}}}),
    )
    .await;
    bus.made(Kind::AsteriskModuleGet, module, NONE, "module", module).await;
    bus.done(Kind::AsteriskModuleUnload, module, NONE).await;
    bus.done(Kind::AsteriskModuleLoad, module, NONE).await;
    bus.done(Kind::AsteriskModuleReload, "res_musiconhold.so", NONE).await;
    let key = bus.key("nope.so");
    for kind in [Kind::AsteriskModuleData, Kind::AsteriskModuleGet] {
        bus.fails(kind, key.clone(), NONE, &not_had("module", "nope.so")).await;
    }
    for kind in [Kind::AsteriskModuleUnload, Kind::AsteriskModuleReload] {
        bus.fails(kind, key.clone(), NONE, NOT_FOUND).await;
    }
    bus.fails(Kind::AsteriskModuleLoad, bus.key(module), NONE, "Non-2XX response: 409 Conflict").await;

    bus.ok(Kind::ApplicationList, "", NONE, json!({"keys": [{"kind": "application", "id": APP}]})).await;
    bus.ok(
        Kind::ApplicationData,
        APP,
        NONE,
        json!({"data": {"application": {"name": APP, "channel_ids": []}}}),
    )
    .await;
    bus.made(Kind::ApplicationGet, APP, NONE, "application", APP).await;
    let source = json!({"event_source": "endpoint:PJSIP/1001"});
    bus.done(Kind::ApplicationSubscribe, APP, source.clone()).await;
    bus.done(Kind::ApplicationUnsubscribe, APP, source).await;
    let nowhere = json!({"event_source": "channel:nope"});
    let says = |what: &str| {
        format!(
            "Error {what} application '{APP}' for event source 'channel:nope': Non-2XX response: 422 Unprocessable Entity"
        )
    };
    bus.fails(Kind::ApplicationSubscribe, bus.key(APP), nowhere.clone(), &says("subscribing")).await;
    bus.fails(Kind::ApplicationUnsubscribe, bus.key(APP), nowhere, &says("unsubscribing")).await;
    for kind in [Kind::ApplicationData, Kind::ApplicationGet] {
        bus.fails(kind, bus.key("nope"), NONE, &not_had("application", "nope")).await;
    }
}

async fn states_and_endpoints(bus: &mut Bus) {
    let device = "Stasis:test";
    bus.done(Kind::DeviceStateUpdate, device, json!({"state": "INUSE"})).await;
    bus.ok(Kind::DeviceStateList, "", NONE, json!({"keys": [{"kind": "devicestate", "id": device}]})).await;
    bus.ok(
        Kind::DeviceStateData,
        device,
        NONE,
        json!({"data": {"device_state": {"name": device, "state": "INUSE"}}}),
    )
    .await;
    bus.made(Kind::DeviceStateGet, device, NONE, "devicestate", device).await;
    bus.done(Kind::DeviceStateDelete, device, NONE).await;
    // Escaped, such a name reaches Asterisk, which does not let it be set.
    let conflict = "Non-2XX response: 409 Conflict";
    bus.fails(Kind::DeviceStateUpdate, bus.key("PJSIP/1001"), json!({"state": "INUSE"}), conflict).await;
    bus.fails(Kind::DeviceStateDelete, bus.key("PJSIP/1001"), NONE, conflict).await;
    for kind in [Kind::DeviceStateData, Kind::DeviceStateGet] {
        bus.fails(kind, bus.key(""), NONE, "device key not supplied").await;
    }

    let endpoint = "PJSIP/1001";
    bus.ok(Kind::EndpointList, "", NONE, json!({"keys": [{"kind": "endpoint", "id": endpoint}]})).await;
    bus.ok(Kind::EndpointListByTech, "", json!({"tech": "PJSIP"}), json!({"keys": [{"id": endpoint}]})).await;
    bus.ok(
        Kind::EndpointData,
        endpoint,
        NONE,
        json!({"data": {"endpoint": {"technology": "PJSIP", "resource": "1001"}}}),
    )
    .await;
    bus.made(Kind::EndpointGet, endpoint, NONE, "endpoint", endpoint).await;
    bus.fails(Kind::EndpointListByTech, bus.key(""), json!({"tech": "NOPE"}), NOT_FOUND).await;
    for kind in [Kind::EndpointData, Kind::EndpointGet] {
        bus.fails(kind, bus.key("PJSIP/nope"), NONE, &not_had("endpoint", "PJSIP/nope")).await;
    }

    bus.ok(
        Kind::SoundList,
        "",
        json!({"filters": {"lang": "en", "format": "gsm"}}),
        json!({"keys": [{"kind": "sound", "id": "hello-world"}]}),
    )
    .await;
    // Escaped, a name with a slash is found.
    bus.ok(Kind::SoundData, "digits/1", NONE, json!({"data": {"sound": {"id": "digits/1"}}})).await;
    bus.fails(Kind::SoundList, bus.key(""), json!({"filters": {"lang": "xx"}}), NOT_FOUND).await;
    bus.fails(Kind::SoundData, bus.key("nope"), NONE, &not_had("sound", "nope")).await;
}

async fn bridges_and_legs(bus: &mut Bus, pair: &Pair) {
    let mut leg = Leg::start(pair.ip_a());
    let start = bus.event("StasisStart", "").await;
    let channel = start["channel"]["id"].as_str().unwrap().to_owned();
    assert!(start["channel"]["name"].as_str().unwrap().starts_with("PJSIP/1001-"), "{start}");
    assert_eq!(start["channel"]["language"], "en", "nothing of the event is lost: {start}");

    bus.done(Kind::ChannelRing, &channel, NONE).await;
    bus.done(Kind::ChannelStopRing, &channel, NONE).await;
    bus.done(Kind::ChannelProgress, &channel, NONE).await;
    bus.done(Kind::ChannelAnswer, &channel, NONE).await;
    bus.answered(&channel).await;

    let bridge = "test-br";
    bus.made(Kind::BridgeStageCreate, bridge, json!({"type": "mixing", "name": "b"}), "bridge", bridge).await;
    bus.made(Kind::BridgeCreate, bridge, json!({"type": "mixing", "name": "b"}), "bridge", bridge).await;
    bus.ok(Kind::BridgeList, "", NONE, json!({"keys": [{"kind": "bridge", "id": bridge}]})).await;
    bus.made(Kind::BridgeGet, bridge, NONE, "bridge", bridge).await;
    bus.done(Kind::BridgeSubscribe, bridge, NONE).await;
    bus.done(Kind::BridgeUnsubscribe, bridge, NONE).await;
    let joined = json!({"channel": channel, "absorbDTMF": true, "mute": true, "role": "participant"});
    bus.done(Kind::BridgeAddChannel, bridge, joined.clone()).await;
    bus.event("ChannelEnteredBridge", &channel).await;
    bus.ok(
        Kind::BridgeData,
        bridge,
        NONE,
        json!({"data": {"bridge": {"id": bridge, "channels": [channel]}}}),
    )
    .await;
    bus.done(Kind::BridgeVideoSource, bridge, json!({"channel": channel})).await;
    bus.done(Kind::BridgeVideoSourceDelete, bridge, NONE).await;
    bus.done(Kind::BridgeMOH, bridge, json!({"class": "default"})).await;
    bus.done(Kind::BridgeStopMOH, bridge, NONE).await;
    let play = json!({"playback_id": "test-bp", "media_uri": ENDLESS});
    bus.made(Kind::BridgeStagePlay, bridge, play.clone(), "playback", "test-bp").await;
    bus.made(Kind::BridgePlay, bridge, play.clone(), "playback", "test-bp").await;
    bus.event("PlaybackStarted", "test-bp").await;
    bus.done(Kind::PlaybackStop, "test-bp", NONE).await;
    bus.event("PlaybackFinished", "test-bp").await;
    let record = json!({"name": "test-rb", "options": {"Format": "wav", "MaxDuration": 60_000_000_000u64, "MaxSilence": 0, "Exists": "overwrite", "Beep": false, "Terminate": "none"}});
    bus.made(Kind::BridgeStageRecord, bridge, record.clone(), "liverecording", "test-rb").await;
    bus.made(Kind::BridgeRecord, bridge, record.clone(), "liverecording", "test-rb").await;
    bus.event("RecordingStarted", "test-rb").await;
    bus.done(Kind::RecordingLiveScrap, "test-rb", NONE).await;
    bus.done(Kind::BridgeRemoveChannel, bridge, json!({"channel": channel})).await;
    bus.event("ChannelLeftBridge", &channel).await;

    let nope = bus.key("nope");
    bus.fails(
        Kind::BridgeCreate,
        bus.key(bridge),
        json!({"type": "mixing"}),
        "Non-2XX response: 409 Conflict",
    )
    .await;
    for (kind, option) in [
        (Kind::BridgeData, NONE),
        (Kind::BridgeGet, NONE),
        (Kind::BridgeStagePlay, play.clone()),
        (Kind::BridgeStageRecord, record.clone()),
        (Kind::BridgeRecord, record),
    ] {
        bus.fails(kind, nope.clone(), option, &not_had("bridge", "nope")).await;
    }
    for (kind, option) in [
        (Kind::BridgeDelete, NONE),
        (Kind::BridgeAddChannel, joined),
        (Kind::BridgeRemoveChannel, json!({"channel": channel})),
        (Kind::BridgeVideoSource, json!({"channel": channel})),
        (Kind::BridgeVideoSourceDelete, NONE),
        (Kind::BridgeMOH, json!({"class": "default"})),
        (Kind::BridgeStopMOH, NONE),
        (Kind::BridgePlay, play),
    ] {
        bus.fails(kind, nope.clone(), option, NOT_FOUND).await;
    }
    // Of these no failure but a missing key is possible.
    for kind in [Kind::BridgeStageCreate, Kind::BridgeSubscribe] {
        bus.fails(kind, NONE, json!({}), "bridge key not supplied").await;
    }
    bus.done(Kind::BridgeDelete, bridge, NONE).await;

    let statistics =
        bus.ok(Kind::ChannelRTPStatistics, &channel, NONE, json!({"data": {"rtp_statistics": {}}})).await;
    assert!(statistics["data"]["rtp_statistics"]["txcount"].is_number(), "{statistics}");
    bus.done(Kind::ChannelHangup, &channel, json!({"reason": ""})).await;
    bus.event("StasisEnd", &channel).await;
    leg.ended().await;
}

async fn channels(bus: &mut Bus, pair: &Pair) {
    let call = |id: &str| json!({"originate_request": {"endpoint": "Local/600@phones", "app": APP, "channelId": id, "otherChannelId": format!("{id}-2")}});
    bus.made(Kind::ChannelStageOriginate, "", call("c1"), "channel", "c1").await;
    bus.made(Kind::ChannelOriginate, "", call("c1"), "channel", "c1").await;
    bus.event("StasisStart", "c1").await;
    bus.ok(Kind::ChannelList, "", NONE, json!({"keys": [{"kind": "channel", "id": "c1"}, {"id": "c1-2"}]}))
        .await;
    let dialplan = json!({"context": "phones", "exten": "600", "priority": 1});
    bus.ok(Kind::ChannelData, "c1", NONE, json!({"data": {"channel": {"id": "c1", "dialplan": dialplan}}}))
        .await;
    bus.made(Kind::ChannelGet, "c1", NONE, "channel", "c1").await;
    bus.done(Kind::ChannelSubscribe, "c1", NONE).await;
    bus.done(Kind::ChannelVariableSet, "c1", json!({"name": "FOO", "value": "a b"})).await;
    bus.ok(Kind::ChannelVariableGet, "c1", json!({"name": "FOO"}), json!({"data": {"variable": "a b"}}))
        .await;
    bus.done(Kind::ChannelVariablesSet, "c1", json!({"variables": {"ONE": "1", "TWO": "2"}})).await;
    let want = json!({"data": {"variables": {"variables": {"ONE": "1", "TWO": "2"}}}});
    bus.ok(Kind::ChannelVariablesGet, "c1", json!({"variables": ["ONE", "TWO"]}), want).await;
    let times = json!({"Before": 0, "Between": 50_000_000, "Duration": 100_000_000, "After": 0});
    bus.done(Kind::ChannelSendDTMF, "c1", json!({"dtmf": "1", "options": times})).await;
    assert_eq!(bus.event("ChannelDtmfReceived", "c1").await["digit"], "1");
    for direction in ["in", "out", "both", ""] {
        bus.done(Kind::ChannelMute, "c1", json!({"direction": direction})).await;
        bus.done(Kind::ChannelUnmute, "c1", json!({"direction": direction})).await;
    }
    for kind in [Kind::ChannelHold, Kind::ChannelStopHold, Kind::ChannelSilence, Kind::ChannelStopSilence] {
        bus.done(kind, "c1", NONE).await;
    }
    bus.done(Kind::ChannelMOH, "c1", json!({"music": "default"})).await;
    bus.done(Kind::ChannelStopMOH, "c1", NONE).await;
    bus.done(
        Kind::ChannelUserEvent,
        "c1",
        json!({"UserEvent": {"eventname": "mine", "userevent": {"a": 1}}}),
    )
    .await;
    assert_eq!(bus.event("ChannelUserevent", "").await["userevent"]["a"], 1);
    let play = json!({"playback_id": "p1", "media_uri": ENDLESS});
    bus.made(Kind::ChannelStagePlay, "c1", play.clone(), "playback", "p1").await;
    bus.made(Kind::ChannelPlay, "c1", play.clone(), "playback", "p1").await;
    bus.event("PlaybackStarted", "p1").await;
    bus.ok(
        Kind::PlaybackData,
        "p1",
        NONE,
        json!({"data": {"playback": {"id": "p1", "target_uri": "channel:c1"}}}),
    )
    .await;
    bus.made(Kind::PlaybackGet, "p1", NONE, "playback", "p1").await;
    bus.done(Kind::PlaybackSubscribe, "p1", NONE).await;
    for command in ["pause", "unpause", "restart"] {
        bus.done(Kind::PlaybackControl, "p1", json!({"command": command})).await;
    }
    bus.done(Kind::PlaybackStop, "p1", NONE).await;
    bus.event("PlaybackFinished", "p1").await;
    let snoop = |id: &str| json!({"snoop_id": id, "options": {"app": APP, "spy": "both", "appArgs": "s"}});
    bus.made(Kind::ChannelStageSnoop, "c1", snoop("s1"), "channel", "s1").await;
    bus.made(Kind::ChannelSnoop, "c1", snoop("s1"), "channel", "s1").await;
    let media = json!({"options": {"channelId": "em1", "app": "", "external_host": format!("{}:40000", pair.ip_a()), "format": "ulaw"}});
    bus.made(Kind::ChannelStageExternalMedia, "", media.clone(), "channel", "em1").await;
    bus.made(Kind::ChannelExternalMedia, "", media, "channel", "em1").await;
    for id in ["s1", "em1"] {
        bus.done(Kind::ChannelHangup, id, json!({"reason": "normal"})).await;
    }
    let create = |id: &str| json!({"channel_create_request": {"endpoint": "Local/600@phones", "app": APP, "channelId": id}});
    bus.made(Kind::ChannelCreate, "", create("d1"), "channel", "d1").await;
    bus.event("StasisStart", "d1").await;
    bus.done(Kind::ChannelDial, "d1", json!({"caller": "", "timeout": 5_000_000_000u64})).await;
    bus.answered("d1").await;
    bus.done(Kind::ChannelContinue, "d1", json!({"context": "phones", "extension": "600", "priority": 1}))
        .await;
    for (kind, id) in [(Kind::ChannelBusy, "c2"), (Kind::ChannelCongestion, "c3")] {
        bus.made(Kind::ChannelOriginate, "", call(id), "channel", id).await;
        bus.event("StasisStart", id).await;
        bus.done(kind, id, NONE).await;
        bus.event("StasisEnd", id).await;
    }

    let nope = bus.key("nope");
    for (kind, option) in [
        (Kind::ChannelData, NONE),
        (Kind::ChannelGet, NONE),
        (Kind::ChannelPlay, play.clone()),
        (Kind::ChannelStagePlay, play),
        (Kind::ChannelStageSnoop, snoop("x")),
        (Kind::ChannelStageRecord, json!({"name": "x"})),
    ] {
        bus.fails(kind, nope.clone(), option, &not_had("channel", "nope")).await;
    }
    for (kind, option) in [
        (Kind::ChannelAnswer, NONE),
        (Kind::ChannelBusy, NONE),
        (Kind::ChannelCongestion, NONE),
        (Kind::ChannelHangup, json!({"reason": ""})),
        (Kind::ChannelRing, NONE),
        (Kind::ChannelStopRing, NONE),
        (Kind::ChannelHold, NONE),
        (Kind::ChannelStopHold, NONE),
        (Kind::ChannelSilence, NONE),
        (Kind::ChannelStopSilence, NONE),
        (Kind::ChannelMOH, json!({"music": ""})),
        (Kind::ChannelStopMOH, NONE),
        (Kind::ChannelMute, json!({"direction": "in"})),
        (Kind::ChannelUnmute, json!({"direction": "in"})),
        (Kind::ChannelSendDTMF, json!({"dtmf": "1"})),
        (Kind::ChannelContinue, json!({"context": "x", "extension": "s", "priority": 1})),
        (Kind::ChannelDial, json!({"timeout": 1_000_000_000})),
        (Kind::ChannelVariableGet, json!({"name": "FOO"})),
        (Kind::ChannelVariableSet, json!({"name": "FOO", "value": "1"})),
        (Kind::ChannelSnoop, snoop("x")),
        (Kind::ChannelRecord, json!({"name": "x", "options": {"Format": "wav"}})),
        (Kind::ChannelProgress, NONE),
        (Kind::ChannelMove, json!({"app": "other"})),
        (Kind::ChannelRTPStatistics, NONE),
        (Kind::ChannelVariablesGet, json!({"variables": "A"})),
        (Kind::ChannelVariablesSet, json!({"variables": {"A": "1"}})),
    ] {
        bus.fails(kind, nope.clone(), option, NOT_FOUND).await;
    }
    for kind in [Kind::PlaybackData, Kind::PlaybackGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("playback", "nope")).await;
    }
    bus.fails(Kind::PlaybackStop, nope.clone(), NONE, NOT_FOUND).await;
    bus.fails(Kind::PlaybackControl, nope.clone(), json!({"command": "pause"}), NOT_FOUND).await;
    let event = json!({"UserEvent": {"eventname": "mine"}});
    bus.fails(Kind::ChannelUserEvent, nope, event, "Non-2XX response: 422 Unprocessable Entity").await;
    bus.fails(Kind::ChannelOriginate, json!({}), call("c1"), "Non-2XX response: 409 Conflict").await;
    let bad = json!({"channel_create_request": {"endpoint": "", "app": APP}});
    bus.fails(Kind::ChannelCreate, json!({}), bad, "Non-2XX response: 400 Bad Request").await;
    for kind in [Kind::ChannelExternalMedia, Kind::ChannelStageExternalMedia] {
        let hostless = json!({"options": {"format": "ulaw"}});
        bus.fails(kind, json!({}), hostless, "ExternalHost is mandatory").await;
    }
    bus.fails(Kind::ChannelStageOriginate, json!({}), NONE, "OriginateRequest is mandatory").await;
    for (kind, label) in [(Kind::ChannelSubscribe, "channel"), (Kind::PlaybackSubscribe, "playback")] {
        bus.fails(kind, NONE, NONE, &format!("{label} key not supplied")).await;
    }
}

async fn recordings(bus: &mut Bus) {
    let record = |name: &str| json!({"name": name, "options": {"Format": "wav", "MaxDuration": 60_000_000_000u64, "MaxSilence": 0, "Exists": "fail", "Beep": false, "Terminate": "none"}});
    bus.made(Kind::ChannelStageRecord, "c1", record("r1"), "liverecording", "r1").await;
    bus.made(Kind::ChannelRecord, "c1", record("r1"), "liverecording", "r1").await;
    bus.event("RecordingStarted", "r1").await;
    bus.ok(
        Kind::RecordingLiveData,
        "r1",
        NONE,
        json!({"data": {"live_recording": {"name": "r1", "format": "wav"}}}),
    )
    .await;
    bus.made(Kind::RecordingLiveGet, "r1", NONE, "liverecording", "r1").await;
    bus.done(Kind::RecordingLiveSubscribe, "r1", NONE).await;
    for kind in [
        Kind::RecordingLivePause,
        Kind::RecordingLiveResume,
        Kind::RecordingLiveMute,
        Kind::RecordingLiveUnmute,
    ] {
        bus.done(kind, "r1", NONE).await;
    }
    bus.done(Kind::RecordingLiveStop, "r1", NONE).await;
    bus.event("RecordingFinished", "r1").await;
    bus.made(Kind::ChannelRecord, "c1", record("r2"), "liverecording", "r2").await;
    bus.event("RecordingStarted", "r2").await;
    bus.done(Kind::RecordingLiveScrap, "r2", NONE).await;
    bus.ok(Kind::RecordingStoredList, "", NONE, json!({"keys": [{"kind": "storedrecording", "id": "r1"}]}))
        .await;
    bus.ok(
        Kind::RecordingStoredData,
        "r1",
        NONE,
        json!({"data": {"stored_recording": {"name": "r1", "format": "wav"}}}),
    )
    .await;
    bus.made(Kind::RecordingStoredGet, "r1", NONE, "storedrecording", "r1").await;
    bus.made(
        Kind::RecordingStoredCopy,
        "r1",
        json!({"destination": "r1-copy"}),
        "storedrecording",
        "r1-copy",
    )
    .await;
    let part = bus
        .ok(Kind::RecordingStoredFile, "r1", NONE, json!({"data": {"file": {"name": "r1", "offset": 0}}}))
        .await;
    let content = trunkline_ari::base64::decode(part["data"]["file"]["content"].as_str().unwrap()).unwrap();
    assert!(content.starts_with(b"RIFF"), "a WAV file");
    bus.done(Kind::RecordingStoredDelete, "r1-copy", NONE).await;

    let nope = bus.key("nope");
    for kind in [Kind::RecordingLiveData, Kind::RecordingLiveGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("liveRecording", "nope")).await;
    }
    for kind in [Kind::RecordingStoredData, Kind::RecordingStoredGet] {
        bus.fails(kind, nope.clone(), NONE, &not_had("storedRecording", "nope")).await;
    }
    for kind in [
        Kind::RecordingLivePause,
        Kind::RecordingLiveResume,
        Kind::RecordingLiveMute,
        Kind::RecordingLiveUnmute,
        Kind::RecordingLiveStop,
        Kind::RecordingLiveScrap,
        Kind::RecordingStoredDelete,
        Kind::RecordingStoredFile,
    ] {
        bus.fails(kind, nope.clone(), NONE, NOT_FOUND).await;
    }
    bus.fails(Kind::RecordingStoredCopy, nope, json!({"destination": "x"}), NOT_FOUND).await;
    bus.fails(Kind::RecordingLiveSubscribe, NONE, NONE, "liveRecording key not supplied").await;
}

/// What ari-proxy has no kind for.
async fn beyond(bus: &mut Bus, pair: &Pair) {
    let bridge = "var-br";
    bus.made(
        Kind::BridgeCreate,
        bridge,
        json!({"type": "mixing", "variables": {"START": "0"}}),
        "bridge",
        bridge,
    )
    .await;
    bus.done(Kind::BridgeVariableSet, bridge, json!({"name": "FOO", "value": "1"})).await;
    bus.ok(Kind::BridgeVariableGet, bridge, json!({"name": "FOO"}), json!({"data": {"variable": "1"}})).await;
    bus.done(Kind::BridgeVariablesSet, bridge, json!({"variables": {"A": "x"}})).await;
    let want = json!({"data": {"variables": {"variables": {"A": "x", "FOO": "1"}}}});
    bus.ok(Kind::BridgeVariablesGet, bridge, json!({"variables": ["A", "FOO"]}), want).await;
    for (kind, option) in [
        (Kind::BridgeVariableGet, json!({"name": "FOO"})),
        (Kind::BridgeVariableSet, json!({"name": "FOO", "value": "1"})),
        (Kind::BridgeVariablesGet, json!({"variables": "FOO"})),
        (Kind::BridgeVariablesSet, json!({"variables": {"A": "x"}})),
    ] {
        bus.fails(kind, bus.key("nope"), option, NOT_FOUND).await;
    }
    bus.done(Kind::BridgeDelete, bridge, NONE).await;

    bus.done(Kind::ApplicationFilter, APP, json!({"disallowed": [{"type": "ChannelDialplan"}]})).await;
    bus.done(Kind::ApplicationFilter, APP, json!({"disallowed": []})).await;
    bus.fails(Kind::ApplicationFilter, bus.key("nope"), json!({}), NOT_FOUND).await;
    let event = json!({"eventname": "wide", "userevent": {"a": "b"}});
    bus.done(Kind::ApplicationUserEvent, APP, event.clone()).await;
    assert_eq!(bus.event("ChannelUserevent", "").await["eventname"], "wide");
    bus.fails(Kind::ApplicationUserEvent, bus.key("nope"), event, NOT_FOUND).await;
    let message = json!({"from": "sip:me@example.org", "body": "hello"});
    bus.fails(Kind::EndpointSendMessageTo, bus.key("NOPE/1001"), message, NOT_FOUND).await;
    let refer = json!({"to": "nope", "from": "sip:me@example.org", "refer_to": "sip:600@example.org"});
    for (kind, id, option) in [
        (Kind::EndpointSendMessage, "", json!({"to": "nope", "from": "x"})),
        (Kind::EndpointRefer, "", refer.clone()),
        (Kind::EndpointReferTo, "NOPE/1001", refer),
        (Kind::ChannelClaim, "c1", json!({})),
        (Kind::ChannelRedirect, "nope", json!({"endpoint": "Local/600@phones"})),
    ] {
        bus.refused(kind, id, option).await;
    }

    // Another application of the same Asterisk, without NATS, takes the channel over.
    let other = Client::builder().application("other").direct(AriConfig::new(&pair.url_a(), "ari", "secret"));
    let other = other.connect().await.unwrap();
    let mut arrivals = other.subscribe(&other.here(), &[EventType::StasisStart]).await.unwrap();
    bus.done(Kind::ChannelMove, "c1", json!({"app": "other", "appArgs": "moved"})).await;
    let arrived = tokio::time::timeout(10 * SECOND, arrivals.event()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&arrived.raw).contains("\"c1\""));
    other.channel().handle(trunkline_ari::Key::new("channel", "c1")).hangup("normal").await.unwrap();
    other.close().await;
}

/// Debian's Asterisk has no mailboxes: a stand-in has.
async fn mailboxes(bus: &mut Bus) {
    let missing = bus.ask(Kind::MailboxList, &json!({}), &NONE).await;
    assert_eq!(missing["error"], NOT_FOUND, "this Asterisk has mailboxes: test them there");
    let mailbox = r#"{"name":"1@default","old_messages":2,"new_messages":1}"#;
    let fake = FakeAri::start(move |request| match (request.method.as_str(), request.path.as_str()) {
        (_, "/asterisk/info") => info("mailboxes"),
        ("GET", "/mailboxes") => HttpReply::json(200, format!("[{mailbox}]")),
        ("GET", "/mailboxes/1@default") => HttpReply::json(200, mailbox),
        ("PUT", "/mailboxes/1@default") => {
            assert_eq!(request.body.as_ref(), br#"{"newMessages":"1","oldMessages":"2"}"#);
            HttpReply::json(204, "")
        }
        ("DELETE", "/mailboxes/1@default") => HttpReply::json(204, ""),
        (
            "PUT" | "POST",
            "/endpoints/sendMessage"
            | "/endpoints/refer"
            | "/endpoints/PJSIP/1001/sendMessage"
            | "/endpoints/PJSIP/1001/refer"
            | "/events/claim"
            | "/channels/c/redirect"
            | "/channels/c/transfer_progress",
        ) => HttpReply::json(204, ""),
        _ => HttpReply::json(404, r#"{"message":"Mailbox not found"}"#),
    })
    .await;
    let url = format!(
        "nats://{}",
        bus.nats.server_info().host.clone() + ":" + &bus.nats.server_info().port.to_string()
    );
    let proxy = TestProxy::start(config(&url, &fake.url(), APP, &[]));
    fake.connected().await;
    let nats = bus.nats.clone();
    until("the stand-in's proxy answers", 10 * SECOND, || async {
        let asked =
            nats.request(format!("ari.get.{APP}.mailboxes"), r#"{"kind":"MailboxList","key":{}}"#.into());
        asked.await.is_ok_and(|r| r.payload.windows(9).any(|w| w == b"1@default"))
    })
    .await;
    let node = std::mem::replace(&mut bus.node, "mailboxes");
    bus.ok(Kind::MailboxList, "", NONE, json!({"keys": [{"kind": "mailbox", "id": "1@default"}]})).await;
    bus.ok(
        Kind::MailboxData,
        "1@default",
        NONE,
        json!({"data": {"mailbox": {"new_messages": 1, "old_messages": 2}}}),
    )
    .await;
    bus.made(Kind::MailboxGet, "1@default", NONE, "mailbox", "1@default").await;
    bus.done(Kind::MailboxUpdate, "1@default", json!({"new": 1, "old": 2})).await;
    bus.done(Kind::MailboxDelete, "1@default", NONE).await;
    for kind in [Kind::MailboxData, Kind::MailboxGet] {
        bus.fails(kind, bus.key("nope"), NONE, &not_had("mailbox", "nope")).await;
    }
    bus.fails(Kind::MailboxUpdate, bus.key("nope"), json!({"new": 0, "old": 0}), NOT_FOUND).await;
    bus.fails(Kind::MailboxDelete, bus.key("nope"), NONE, NOT_FOUND).await;
    // These need a registered phone, a transfer or a broadcast call.
    let message = json!({"from": "sip:me@example.org", "body": "hello"});
    bus.done(Kind::EndpointSendMessageTo, "PJSIP/1001", message).await;
    let message = json!({"to": "pjsip:1001", "from": "sip:me@example.org", "body": "hello"});
    bus.done(Kind::EndpointSendMessage, "", message).await;
    let refer = json!({"to": "pjsip:1001", "from": "sip:me@example.org", "refer_to": "sip:600@example.org"});
    bus.done(Kind::EndpointReferTo, "PJSIP/1001", refer.clone()).await;
    bus.done(Kind::EndpointRefer, "", refer).await;
    bus.done(Kind::ChannelClaim, "c", json!({"application": APP})).await;
    bus.done(Kind::ChannelRedirect, "c", json!({"endpoint": "PJSIP/1002"})).await;
    bus.done(Kind::ChannelTransferProgress, "c", json!({"states": "channel_answered"})).await;
    bus.fails(Kind::ChannelTransferProgress, bus.key("nope"), json!({"states": ""}), NOT_FOUND).await;
    bus.node = node;
    // The real one's failure.
    bus.fails(Kind::MailboxList, json!({}), NONE, NOT_FOUND).await;
    proxy.stop().await;
}

/// Kinds that Asterisk never refuses fail when the request is no request.
async fn malformed(bus: &mut Bus) {
    for kind in [
        Kind::AsteriskInfo,
        Kind::AsteriskLoggingList,
        Kind::AsteriskModuleList,
        Kind::ApplicationList,
        Kind::DeviceStateList,
        Kind::EndpointList,
        Kind::BridgeList,
        Kind::BridgeUnsubscribe,
        Kind::ChannelList,
        Kind::RecordingStoredList,
        Kind::AsteriskPing,
    ] {
        let subject = Subjects::default().request(kind.class(), APP, NODE_A);
        let request = format!(r#"{{"kind":"{}","key":{{"id":5}}}}"#, kind.name());
        let reply = bus.nats.request(subject, request.into()).await.unwrap();
        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
        let text = "the request cannot be read: id must be a string";
        assert_eq!(reply, json!({"error": text}), "{}", kind.name());
        bus.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }
}
