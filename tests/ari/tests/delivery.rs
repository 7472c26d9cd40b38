//! Delivery under failure: NATS killed, proxies and applications killed, Asterisk restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use trunkline_ari::Subjects;
use trunkline_ari_client::{Client, Delivered, EventType};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, log, soak, until};

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

async fn fake(node: &'static str) -> FakeAri {
    FakeAri::start(move |request| match request.path.as_str() {
        "/asterisk/info" => info(node),
        path if request.method == "GET" && path.starts_with("/channels/") => {
            HttpReply::json(200, json!({"id": path.trim_start_matches("/channels/")}).to_string())
        }
        _ => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await
}

fn numbered(n: u64, padding: usize) -> String {
    json!({"type": "ChannelVarset", "application": APP, "timestamp": "t", "variable": "N", "value": n.to_string(),
        "channel": {"id": "c"}, "padding": "x".repeat(padding)})
    .to_string()
}

fn number_of(raw: &[u8]) -> u64 {
    let event: Value = serde_json::from_slice(raw).expect("an event");
    event["value"].as_str().and_then(|v| v.parse().ok()).expect("its number")
}

/// A durable client, once the stream is there.
async fn durable(server: &NatsServer, lease: Duration) -> Client {
    let client =
        Client::builder().application(APP).url(server.url()).durable(true).lease(lease).timeout(20 * SECOND);
    let client = client.connect().await.expect("a client");
    until("the stream is made", || async {
        client.subscribe(&client.here(), &[EventType::ChannelHold]).await.is_ok()
    })
    .await;
    client
}

/// 500 events a second, NATS killed in the middle: everything arrives, once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_killed_and_nothing_missing() {
    log();
    let mut server = NatsServer::start(true).await;
    let fake = fake("n1").await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", "stream")]));
    fake.connected().await;
    let client = durable(&server, 5 * SECOND).await;
    let mut events = client.subscribe(&client.here(), &[]).await.unwrap();
    let emit = fake.emitter();
    let away = soak(10).max(SECOND).min(60 * SECOND);
    let total = 500 * (away.as_secs() + 4);
    let sending = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for n in 0..total {
            if n % 10 == 0 {
                tick.tick().await;
            }
            emit(numbered(n, 200));
        }
    });
    let reading = tokio::spawn(async move {
        let mut next = 0;
        while next < total {
            let got = tokio::time::timeout(PATIENCE, events.next()).await;
            match got
                .unwrap_or_else(|_| panic!("nothing after {next} of {total}"))
                .expect("the subscription lives")
            {
                Delivered::Event(event) => {
                    assert_eq!(number_of(&event.raw), next, "out of order or missing");
                    next += 1;
                }
                Delivered::Gap(gap) => panic!("{gap:?} after {next}"),
            }
        }
        next
    });
    tokio::time::sleep(2 * SECOND).await;
    server.kill();
    tokio::time::sleep(away).await;
    server.revive().await;
    sending.await.unwrap();
    let got = reading.await.unwrap();
    println!("NATS away for {away:?} at 500 events/s: {got} of {total} events in order, none missing");
    assert_eq!(proxy.metrics.events(), total);
    proxy.stop().await;
}

/// How NATS takes nothing: it is gone, or it stands still with its connections open.
enum Away {
    Killed,
    Stopped,
}

/// Beyond the outbox's bound the gap is told, with its size: what the outbox gave up and nothing else. A server
/// that stands still must not be handed more either: the library would hold what the outbox may not.
async fn beyond_the_bound(away: &Away) {
    let mut server = NatsServer::start(true).await;
    let fake = fake("n1").await;
    // The bound that ships; events of 64 KiB fill it sooner.
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", "stream")]));
    fake.connected().await;
    let client = durable(&server, 5 * SECOND).await;
    let mut events = client.subscribe(&client.here(), &[]).await.unwrap();
    fake.emit(numbered(0, 0));
    let Some(Delivered::Event(first)) = events.next().await else { panic!("the first event") };
    assert_eq!(number_of(&first.raw), 0);
    let count = |name: &str| {
        let text = proxy.metrics.render(true, true);
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("trunkline_ari_{name} ")));
        line.and_then(|n| n.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {name}"))
    };
    until("the proxy knows that the stream has it", || async { count("stream_waiting_bytes") == 0 }).await;
    let pid = server.pid().to_string();
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &pid]).status().expect("kill");
        assert!(sent.success());
    };
    match away {
        Away::Killed => server.kill(),
        Away::Stopped => signal("-STOP"),
    }
    let total = 1500;
    for n in 1..=total {
        fake.emit(numbered(n, 64 << 10));
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(count("stream_waiting_bytes") <= 64 << 20);
        }
    }
    until("the proxy has them", || async { proxy.metrics.events() == total + 1 }).await;
    let (waiting, dropped) = (count("stream_waiting_bytes"), count("stream_dropped_total"));
    assert!(dropped > 0 && waiting <= 64 << 20 && waiting > 63 << 20, "{dropped} dropped, {waiting} waiting");
    assert!(count("events_waiting_bytes") <= 64 << 20);
    match away {
        Away::Killed => server.revive().await,
        Away::Stopped => signal("-CONT"),
    }
    let (mut missing, mut got, mut next) = (0, 0, 1);
    while got + missing < total {
        match tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("alive") {
            Delivered::Gap(gap) => {
                missing += gap.missing.expect("a count");
                next += gap.missing.expect("a count");
            }
            Delivered::Event(event) => {
                assert_eq!(number_of(&event.raw), next, "in order");
                (got, next) = (got + 1, next + 1);
            }
        }
    }
    println!(
        "64 MiB bound: {got} events of 64 KiB came in order, {missing} told as missing of {dropped} given up"
    );
    // Some that were given up were on their way already: 4 MiB at most, and what the sockets hold.
    assert!(missing <= dropped && missing + 128 >= dropped, "{missing} missing, {dropped} given up");
    assert_eq!(count("stream_dropped_total"), dropped);
    proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_the_gap_is_told() {
    log();
    beyond_the_bound(&Away::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_bound_with_a_server_that_stands_still() {
    log();
    beyond_the_bound(&Away::Stopped).await;
}

/// An event that the stream confirmed and then lost, as a server may that dies: it is sent again, and readers
/// have it in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_lost_is_sent_again() {
    log();
    let mut server = NatsServer::start(true).await;
    let fake = fake("n1").await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", "stream")]));
    fake.connected().await;
    let client = durable(&server, 5 * SECOND).await;
    for n in 0..5 {
        fake.emit(numbered(n, 0));
    }
    let admin = async_nats::connect(server.url()).await.unwrap();
    let stored = async || {
        let mut stream = jetstream::new(admin.clone()).get_stream("ari_events").await.ok()?;
        Some((stream.info().await.ok()?.state.messages, stream))
    };
    until("all are stored", || async { stored().await.is_some_and(|(n, _)| n == 5) }).await;
    let text = || proxy.metrics.render(true, true);
    until("and confirmed", || async { text().contains("stream_waiting_bytes 0\n") }).await;
    let (_, stream) = stored().await.unwrap();
    stream.delete_message(3).await.unwrap();
    // A server remembers for some time what it had; one that starts anew knows what it has.
    server.kill();
    server.revive().await;
    until("it is stored again", || async { stored().await.is_some_and(|(n, _)| n == 5) }).await;
    let mut again = client.replay(&client.here(), &[]).await.unwrap();
    for n in 0..5 {
        match tokio::time::timeout(PATIENCE, again.next()).await.expect("in time").expect("alive") {
            Delivered::Event(event) => assert_eq!(number_of(&event.raw), n, "in order"),
            Delivered::Gap(gap) => panic!("{gap:?}"),
        }
    }
    proxy.stop().await;
}

/// Asterisk gone and back: events of unknown number were lost, and this is told in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_asterisk_is_a_gap() {
    log();
    let server = NatsServer::start(true).await;
    let mut fake = fake("n1").await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", "stream")]));
    fake.connected().await;
    let client = durable(&server, 5 * SECOND).await;
    let mut events = client.subscribe(&client.here(), &[]).await.unwrap();
    fake.emit(numbered(0, 0));
    let first = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("alive");
    assert!(matches!(first, Delivered::Event(_)));
    fake.kill().await;
    fake.revive().await;
    fake.connected().await;
    fake.emit(numbered(1, 0));
    let told = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("alive");
    let Delivered::Gap(gap) = told else { panic!("{told:?}") };
    assert_eq!((gap.node.as_str(), gap.missing, gap.reason.as_str()), ("n1", None, "asterisk"));
    let next = tokio::time::timeout(PATIENCE, events.next()).await.expect("in time").expect("alive");
    assert!(matches!(&next, Delivered::Event(e) if number_of(&e.raw) == 1), "{next:?}");
    // What the stream has can be had again from its beginning.
    let mut again = client.replay(&client.here(), &[]).await.unwrap();
    for _ in 0..3 {
        assert!(tokio::time::timeout(PATIENCE, again.next()).await.expect("in time").is_some());
    }
    proxy.stop().await;
}

/// A process that listens: what it handles is noted, and it can be killed.
struct App {
    client: Client,
    task: tokio::task::JoinHandle<()>,
}

/// How long a call may be in hand: what takes longer is offered to another, and would be handled twice.
const LEASE: Duration = Duration::from_secs(5);

type Handled = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

impl App {
    async fn start(server: &NatsServer, me: usize, handled: &Handled, slow: bool) -> Self {
        let client = durable(server, LEASE).await;
        let (listening, handled) = (client.clone(), Arc::clone(handled));
        let task = tokio::spawn(async move {
            let handler = move |mut call: trunkline_ari_client::Incoming| {
                let handled = Arc::clone(&handled);
                async move {
                    if slow {
                        // Dies with the call in hand, before it answers.
                        return std::future::pending().await;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    if call.accept().await.is_ok() {
                        handled.lock().entry(call.channel.id().to_owned()).or_default().push(me);
                    }
                }
            };
            let _ = listening.listen(handler).await;
        });
        App { client, task }
    }

    /// As a crash: no goodbye, no more signs of life.
    async fn die(self) {
        self.task.abort();
        drop(self.client);
    }
}

/// Do so many applications wait for calls?
async fn waiting(jetstream: &jetstream::Context, count: usize) -> bool {
    let Ok(stream) = jetstream.get_stream(Subjects::default().stream_name()).await else { return false };
    let consumer = stream.get_consumer::<jetstream::consumer::pull::Config>(&format!("listen_{APP}")).await;
    consumer.is_ok_and(|consumer| consumer.cached_info().num_waiting >= count)
}

/// Two proxies and four applications; one application dies with calls in hand, one proxy's Asterisk
/// dies: every call is handled once, every create is answered by a node that lives.
#[test]
fn two_proxies_four_applications_one_killed() {
    log();
    // The dying application has a runtime of its own: dropping it ends everything it does at once.
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(NatsServer::start(true));
    let handled = Handled::default();
    let (mut fakes, proxies) = runtime.block_on(async {
        let fakes = [fake("n1").await, fake("n2").await];
        let proxies = fakes
            .each_ref()
            .map(|f| TestProxy::start(config(&server.url(), &f.url(), APP, &[("delivery", "stream")])));
        for fake in &fakes {
            fake.connected().await;
        }
        (fakes, proxies)
    });
    let apps: Vec<_> = (0..3).map(|me| runtime.block_on(App::start(&server, me, &handled, false))).collect();
    let dying = doomed.block_on(App::start(&server, 3, &handled, true));
    let calls = 400;
    runtime.block_on(async {
        let nats = async_nats::connect(server.url()).await.unwrap();
        let jetstream = async_nats::jetstream::new(nats.clone());
        until("the four wait for calls", || waiting(&jetstream, 4)).await;
        let creates = Arc::new(AtomicU64::new(0));
        let lost = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let creating = tokio::spawn({
            let (creates, lost, stop, nats) = (Arc::clone(&creates), Arc::clone(&lost), Arc::clone(&stop), nats.clone());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let request = r#"{"kind":"BridgeCreate","key":{},"bridge_create":{"type":"mixing"}}"#;
                    let asked = nats.request(format!("ari.create.{APP}"), request.into());
                    let answered = tokio::time::timeout(PATIENCE, asked).await;
                    let good = matches!(&answered, Ok(Ok(m)) if m.payload.starts_with(br#"{"error":"""#));
                    if !good {
                        println!("a create was not answered: {answered:?}");
                        lost.fetch_add(1, Ordering::Relaxed);
                    }
                    creates.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        });
        for n in 0..calls {
            let (fake, node) = if n % 2 == 0 { (&fakes[0], "n1") } else { (&fakes[1], "n2") };
            let frame = json!({"type": "StasisStart", "application": APP, "timestamp": "t", "asterisk_id": node, "args": [],
                "channel": {"id": format!("call-{n}")}});
            fake.emit(frame.to_string());
            tokio::time::sleep(Duration::from_millis(5)).await;
            if n == calls / 2 {
                dying.die().await;
                doomed.shutdown_background();
                break;
            }
        }
        // A dead Asterisk takes no create with it: its proxy leaves the queue group.
        fakes[1].kill().await;
        for n in calls / 2 + 1..calls {
            let frame = json!({"type": "StasisStart", "application": APP, "timestamp": "t", "asterisk_id": "n1", "args": [],
                "channel": {"id": format!("call-{n}")}});
            fakes[0].emit(frame.to_string());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        until("every call is handled", || async { handled.lock().len() == calls }).await;
        stop.store(true, Ordering::Relaxed);
        creating.await.unwrap();
        // A second handling would come with the next lease.
        tokio::time::sleep(LEASE + SECOND).await;
        let handled = handled.lock();
        let twice: Vec<_> = handled.iter().filter(|(_, by)| by.len() > 1).collect();
        let by: BTreeSet<_> = handled.values().flatten().collect();
        println!(
            "{} calls handled once each by applications {by:?} after one of four died; {} creates, {} lost",
            handled.len(),
            creates.load(Ordering::Relaxed),
            lost.load(Ordering::Relaxed)
        );
        assert!(twice.is_empty(), "handled twice: {twice:?}");
        assert_eq!(lost.load(Ordering::Relaxed), 0);
    });
    runtime.block_on(async {
        for app in apps {
            app.die().await;
        }
        for proxy in proxies {
            proxy.stop().await;
        }
    });
}
