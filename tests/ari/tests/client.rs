//! One suite for the client over NATS and for the client on one Asterisk, both against a real
//! Asterisk; and what a client sees when Asterisk dies in mid-call.

use std::time::Duration;

use trunkline_ari_client::{
    AriConfig, BridgeType, Client, Control, CreateChannel, Direction, Dtmf, Error, Event, EventType, Key,
    Originate, Play, Record, Snoop, kinds,
};
use trunkline_ari_proxy::cli::{AriArgs, AriCommand};
use trunkline_tests_ari::asterisk::{NODE_A, NODE_B, Pair};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, log, until};

const SECOND: Duration = Duration::from_secs(1);

/// The next event of a type.
async fn next(events: &mut trunkline_ari_client::Subscription, wanted: EventType) -> Event {
    let found = async {
        loop {
            let received = events.event().await.expect("the subscription lives");
            assert!(!received.raw.is_empty());
            if received.event.event_type() == Some(wanted) {
                return received.event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {wanted:?}"))
}

/// What an application does, whatever carries it.
async fn suite(client: &Client, app: &str) {
    let at = client.here().with_dialog(client.dialog());
    let node = Key::default().at(app, NODE_A);

    // A call, subscribed to before it is made.
    let call = Originate {
        endpoint: "Local/600@phones".to_owned(),
        app: app.to_owned(),
        caller_id: "\"Suite\" <4711>".to_owned(),
        ..Originate::default()
    };
    let staged = client.channel().stage_originate(&at, call).await.unwrap();
    let mut events = staged.handle.subscribe(&[]).await.unwrap();
    let channel = staged.exec().await.unwrap();
    assert_eq!(channel.key().node, NODE_A);
    let Event::StasisStart(start) = next(&mut events, EventType::StasisStart).await else {
        panic!("not typed")
    };
    assert_eq!(start.channel.id, channel.id());
    assert_eq!(start.dialog.as_deref(), Some(at.dialog.as_str()), "a copy for the dialog");

    let data = channel.data().await.unwrap();
    assert_eq!((data.caller.number.as_str(), data.dialplan.context.as_str()), ("4711", "phones"));
    let listing = client.channel().list(&node).await.unwrap();
    assert!(listing.keys.iter().any(|k| k.id == channel.id()) && listing.error.is_none());
    client.channel().get(channel.key().clone()).await.unwrap();
    channel.answer().await.unwrap();
    channel.set_variable("FOO", "a b").await.unwrap();
    assert_eq!(channel.variable("FOO").await.unwrap(), "a b");
    assert!(channel.variable("UNSET").await.unwrap_err().is_not_found());
    channel.send_dtmf("5", Dtmf { duration: Duration::from_millis(100), ..Dtmf::default() }).await.unwrap();
    let Event::ChannelDtmfReceived(dtmf) = next(&mut events, EventType::ChannelDtmfReceived).await else {
        panic!("not typed")
    };
    assert_eq!(dtmf.digit, "5");
    channel.mute(Direction::In).await.unwrap();
    channel.unmute(Direction::In).await.unwrap();
    channel.hold().await.unwrap();
    channel.stop_hold().await.unwrap();
    channel.moh("default").await.unwrap();
    channel.stop_moh().await.unwrap();
    channel.silence().await.unwrap();
    channel.stop_silence().await.unwrap();
    channel.user_event("mine", serde_json::json!({"a": 1})).await.unwrap();
    next(&mut events, EventType::ChannelUserevent).await;

    // A playback, staged, controlled.
    let staged = channel.stage_play(Play::media("tone:ring")).await.unwrap();
    let playback = staged.exec().await.unwrap();
    next(&mut events, EventType::PlaybackStarted).await;
    // Asterisk tells that it has begun before it allows to control it.
    until("the playback takes commands", || async { playback.control(Control::Restart).await.is_ok() }).await;
    playback.control(Control::Pause).await.unwrap();
    playback.control(Control::Unpause).await.unwrap();
    assert_eq!(playback.data().await.unwrap().id, playback.id());
    playback.stop().await.unwrap();
    next(&mut events, EventType::PlaybackFinished).await;

    // A recording, its file whole.
    let name = format!("suite-{}", trunkline_ari::ulid());
    let recording = channel.record(&name, Record::default()).await.unwrap();
    next(&mut events, EventType::RecordingStarted).await;
    recording.pause().await.unwrap();
    recording.resume().await.unwrap();
    recording.stop().await.unwrap();
    next(&mut events, EventType::RecordingFinished).await;
    let file = recording.stored().file().await.unwrap();
    assert!(file.content.starts_with(b"RIFF"), "{}", file.content_type);
    let copy = recording.stored().copy(&format!("{name}-copy")).await.unwrap();
    copy.delete().await.unwrap();
    assert!(recording.stored().copy(&name).await.is_err(), "a copy that fails is an error");
    recording.stored().delete().await.unwrap();

    // A bridge with the channel and another that is created and dialled.
    let bridge = client.bridge().create(&at, &[BridgeType::Mixing], "suite").await.unwrap();
    bridge.add_channel(channel.id()).await.unwrap();
    next(&mut events, EventType::ChannelEnteredBridge).await;
    assert_eq!(bridge.data().await.unwrap().channels, [channel.id()]);
    let other = CreateChannel {
        endpoint: "Local/600@phones".to_owned(),
        app: app.to_owned(),
        ..CreateChannel::default()
    };
    let mut others = client.subscribe(&client.here(), &[EventType::StasisStart]).await.unwrap();
    let other = client.channel().create(&node, other).await.unwrap();
    // It can be dialled once it has entered the application.
    loop {
        let Event::StasisStart(start) = next(&mut others, EventType::StasisStart).await else {
            panic!("not typed")
        };
        if start.channel.id == other.id() {
            break;
        }
    }
    other.dial("", 5 * SECOND).await.unwrap();
    bridge.moh("default").await.unwrap();
    bridge.stop_moh().await.unwrap();
    let snoop = Snoop { app: app.to_owned(), spy: Some(Direction::Both), ..Snoop::default() };
    let snooping = channel.snoop("", snoop).await.unwrap();
    assert!(!snooping.id().is_empty());
    snooping.hangup("").await.unwrap();
    bridge.remove_channel(channel.id()).await.unwrap();
    bridge.delete().await.unwrap();
    other.hangup("normal").await.unwrap();

    // Asterisk itself.
    let asterisk = client.asterisk(node.clone());
    assert_eq!(asterisk.info().await.unwrap().system.unwrap().entity_id, NODE_A);
    assert_eq!(asterisk.ping().await.unwrap().ping, "pong");
    asterisk.set_variable("SUITE", "1").await.unwrap();
    assert_eq!(asterisk.variable("SUITE").await.unwrap(), "1");
    assert!(asterisk.logging().list().await.unwrap().keys.len() == 1);
    let module = client
        .asterisk(node.clone())
        .modules()
        .get(node.sibling(kinds::MODULE, "app_stasis.so"))
        .await
        .unwrap();
    assert_eq!(module.data().await.unwrap().status, "Running");
    let contact = asterisk.config("res_pjsip", "contact", "suite");
    contact.update(&[("uri", "sip:suite@127.0.0.9:5060")]).await.unwrap();
    assert!(contact.data().await.unwrap().fields.iter().any(|f| f.value == "sip:suite@127.0.0.9:5060"));
    contact.delete().await.unwrap();
    let device = client.device_state().handle(node.sibling(kinds::DEVICE_STATE, "Stasis:suite"));
    device.update("INUSE").await.unwrap();
    assert_eq!(device.data().await.unwrap().state, "INUSE");
    device.delete().await.unwrap();
    let endpoints = client.endpoint().list_by_tech(&node, "PJSIP").await.unwrap();
    assert!(endpoints.keys.iter().any(|k| k.id == "PJSIP/1001"));
    let sounds = client.sound().list(&node, "en", "gsm").await.unwrap();
    assert!(sounds.keys.iter().any(|k| k.id == "digits/1"));
    let application = client.application().get(node.sibling(kinds::APPLICATION, app)).await.unwrap();
    application.subscribe_to("endpoint:PJSIP/1001").await.unwrap();
    application.unsubscribe_from("endpoint:PJSIP/1001").await.unwrap();

    // The end, as the dialog sees it.
    channel.hangup("normal").await.unwrap();
    next(&mut events, EventType::StasisEnd).await;
    let gone = client.channel().get(node.sibling(kinds::CHANNEL, "nope")).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone}");

    // A derived client has subscriptions of its own; closing it leaves the connection.
    let derived = client.derive();
    let mut own = derived.subscribe(&client.here(), &[]).await.unwrap();
    derived.close().await;
    assert!(tokio::time::timeout(PATIENCE, own.event()).await.unwrap().is_none(), "closed");
    client.asterisk(node).ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_suite_over_nats_and_directly() {
    log();
    let pair = Pair::start("suite");
    let direct =
        Client::builder().application("alone").direct(AriConfig::new(&pair.url_a(), "ari", "secret"));
    let direct = direct.connect().await.unwrap();
    suite(&direct, "alone").await;
    direct.close().await;

    let server = NatsServer::start(false).await;
    let proxies = [
        TestProxy::start(config(&server.url(), &pair.url_a(), "suite", &[])),
        TestProxy::start(config(&server.url(), &pair.url_b(), "suite", &[("listen", "127.0.0.1:0")])),
    ];
    let client = Client::builder()
        .application("suite")
        .url(server.url())
        .timeout(20 * SECOND)
        .connect()
        .await
        .unwrap();
    until("both nodes are there", || async {
        client.ping().await.unwrap();
        client.cluster().len() == 2
    })
    .await;
    assert!(client.connected());
    // Creates without a node go to either; the suite wants one.
    let info = client.asterisk(Key::default().at("suite", NODE_B)).info().await.unwrap();
    assert_eq!(info.config.unwrap().name, "B");
    let here = client.derive();
    proxies_suite(&here, proxies, &pair, &server).await;
    client.close().await;
}

/// The suite over NATS on node A alone, then Asterisk killed in mid-call, then the commands.
async fn proxies_suite(client: &Client, proxies: [TestProxy; 2], pair: &Pair, server: &NatsServer) {
    let [a, b] = proxies;
    b.stop().await;
    until("the other node said goodbye", || async { client.cluster().len() == 1 }).await;
    suite(client, "suite").await;

    let mut events = client.subscribe(&client.here(), &[EventType::StasisStart]).await.unwrap();
    let call = Originate {
        endpoint: "Local/600@phones".to_owned(),
        app: "suite".to_owned(),
        ..Originate::default()
    };
    let channel = client.channel().originate(&client.here(), call.clone()).await.unwrap();
    next(&mut events, EventType::StasisStart).await;
    pair.kill("A");
    until("a question for the lost call is answered with the reason", || async {
        matches!(channel.data().await, Err(Error::Refused(why)) if why.text == "ARI connection is down")
    })
    .await;
    until("no proxy takes a create", || async {
        matches!(client.channel().originate(&client.here(), call.clone()).await, Err(Error::NoData))
    })
    .await;
    until("it left the cluster", || async { client.cluster().is_empty() }).await;
    pair.revive("A");
    until("it is back by itself", || async { client.cluster().len() == 1 }).await;
    assert!(channel.data().await.unwrap_err().is_not_found(), "the call is gone");
    let again = client.channel().originate(&client.here(), call).await.unwrap();
    let Event::StasisStart(start) = next(&mut events, EventType::StasisStart).await else {
        panic!("not typed")
    };
    assert_eq!(start.channel.id, again.id(), "the subscription lived on");

    let run = async |command: AriCommand| {
        let arguments = AriArgs {
            nats: Some(server.url()),
            prefix: "ari.".to_owned(),
            app: Some("suite".to_owned()),
            node: None,
            timeout: 2000,
            command,
        };
        let mut out = Vec::new();
        arguments.run_to(false, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    };
    let nodes = run(AriCommand::Nodes).await;
    assert!(nodes.contains(NODE_A) && nodes.contains("22."), "{nodes}");
    let channels = run(AriCommand::Channels).await;
    assert!(channels.contains(again.id()), "{channels}");
    let endpoint = "Local/600@phones".to_owned();
    let called = run(AriCommand::Call {
        endpoint,
        into: None,
        extension: None,
        context: String::new(),
        caller_id: None,
        ring: 5,
    });
    let (called, seen) =
        tokio::join!(called, run(AriCommand::Events { follow: false, types: vec![], dialog: None }));
    assert!(called.contains(NODE_A), "{called}");
    assert!(seen.lines().all(|l| l.starts_with('{')), "{seen}");
    let id = again.id().to_owned();
    let option = Some(r#"{"reason":"normal"}"#.to_owned());
    run(AriCommand::Request { kind: "ChannelHangup".to_owned(), id, option }).await;
    a.stop().await;
}
