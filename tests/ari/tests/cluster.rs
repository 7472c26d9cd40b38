//! Three NATS servers of which the one in use dies: creates and events go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_ari_client::{BridgeType, Client, Delivered, EventType, NatsConfig};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsCluster;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{log, until};

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

async fn client(cluster: &NatsCluster, name: &str, durable: bool) -> Client {
    let nats = NatsConfig { servers: vec![cluster.url()], name: name.to_owned(), ..NatsConfig::default() };
    let builder = Client::builder().application(APP).nats(nats).durable(durable).timeout(2 * SECOND);
    builder.connect().await.expect("a client")
}

/// Counts the answered creates until told to stop.
fn creating(
    client: Client,
    answered: &Arc<AtomicU64>,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<()> {
    let (answered, stop) = (Arc::clone(answered), Arc::clone(stop));
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            if client.bridge().create(&client.here(), &[BridgeType::Mixing], "").await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_in_use_dies_and_creates_and_events_go_on() {
    log();
    let mut cluster = NatsCluster::start().await;
    let fake = FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        _ => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await;
    let more = [("delivery", "stream"), ("delivery.replicas", "3"), ("nats.name", "the-proxy")];
    let proxy = TestProxy::start(config(&cluster.url(), &fake.url(), APP, &more));
    fake.connected().await;
    let durable = client(&cluster, "the-reader", true).await;
    until("the stream is made", || async {
        durable.subscribe(&durable.here(), &[EventType::ChannelHold]).await.is_ok()
    })
    .await;
    let core = client(&cluster, "the-caller", false).await;
    let mut from_stream = durable.subscribe(&durable.here(), &[EventType::ChannelVarset]).await.unwrap();
    let mut from_core = core.subscribe(&core.here(), &[EventType::ChannelVarset]).await.unwrap();

    let stop = Arc::<AtomicBool>::default();
    let [emitted, in_order, missing, heard, answered] = std::array::from_fn(|_| Arc::<AtomicU64>::default());
    let emitting = tokio::spawn({
        let (emit, emitted, stop) = (fake.emitter(), Arc::clone(&emitted), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                let n = emitted.fetch_add(1, Ordering::Relaxed);
                let event = json!({"type": "ChannelVarset", "application": APP, "timestamp": "t", "variable": "N",
                    "value": n.to_string(), "channel": {"id": "c"}});
                emit(event.to_string());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let reading = tokio::spawn({
        let (in_order, missing) = (Arc::clone(&in_order), Arc::clone(&missing));
        async move {
            while let Some(delivered) = futures_util::StreamExt::next(&mut from_stream).await {
                match delivered {
                    Delivered::Event(event) => {
                        let event: Value = serde_json::from_slice(&event.raw).unwrap();
                        let next = in_order.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(event["value"], next.to_string(), "in order, and what is missing is told");
                    }
                    Delivered::Gap(gap) => {
                        let n = gap.missing.expect("a count");
                        missing.fetch_add(n, Ordering::Relaxed);
                        in_order.fetch_add(n, Ordering::Relaxed);
                    }
                }
            }
        }
    });
    let hearing = tokio::spawn({
        let heard = Arc::clone(&heard);
        async move {
            while from_core.event().await.is_some() {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let creating = creating(core.clone(), &answered, &stop);

    // The proxy has two connections; the name of the one is the beginning of the other's.
    for name in ["the-proxy-requests", "the-proxy\"", "the-caller", "the-reader"] {
        let used = AtomicUsize::new(usize::MAX);
        until("the connection is listed", || async {
            cluster.holder(name).await.is_some_and(|n| used.swap(n, Ordering::Relaxed) == n)
        })
        .await;
        let used = used.into_inner();
        cluster.server(used).kill();
        let before = [&in_order, &heard, &answered].map(|n| n.load(Ordering::Relaxed));
        until("creates and events go on", || async {
            [&in_order, &heard, &answered]
                .iter()
                .zip(before)
                .all(|(n, b)| n.load(Ordering::Relaxed) >= b + 100)
        })
        .await;
        cluster.server(used).revive().await;
        println!(
            "server {used} of {name} died; after it {} events in order",
            in_order.load(Ordering::Relaxed)
        );
        all_current(&cluster).await;
    }

    stop.store(true, Ordering::Relaxed);
    emitting.await.unwrap();
    creating.await.unwrap();
    let total = emitted.load(Ordering::Relaxed);
    // A leader that is killed may take an event with it that it had confirmed (2.9.10 was seen to): the proxy
    // sends it again, and the reader has it in its place.
    until("every event arrived", || async {
        assert!(!reading.is_finished(), "the reader ended");
        in_order.load(Ordering::Relaxed) == total
    })
    .await;
    let lost = missing.load(Ordering::Relaxed);
    println!(
        "{total} events in order from the stream, {lost} told as missing; {} heard without it; {} creates answered",
        heard.load(Ordering::Relaxed),
        answered.load(Ordering::Relaxed)
    );
    assert_eq!(lost, 0, "of {total} missing after four kills");
    reading.abort();
    hearing.abort();
    proxy.stop().await;
}

/// Until every copy of the stream is whole again, so that the next server may die.
async fn all_current(cluster: &NatsCluster) {
    let nats = async_nats::connect(cluster.url().split(',').collect::<Vec<_>>()).await.unwrap();
    let jetstream = async_nats::jetstream::new(nats);
    until("the copies are whole", || async {
        let Ok(mut stream) = jetstream.get_stream("ari_events").await else { return false };
        let Ok(info) = stream.info().await else { return false };
        info.cluster
            .as_ref()
            .is_some_and(|c| c.replicas.len() == 2 && c.replicas.iter().all(|r| r.current && !r.offline))
    })
    .await;
}
