//! Who is offered a new call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use trunkline_ari_client::{AriConfig, Client, ClientBuilder, Originate};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::until;

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

/// Who handled which call.
type Handled = Arc<Mutex<BTreeMap<String, Vec<usize>>>>;

async fn fake() -> FakeAri {
    FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        _ => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await
}

/// A call enters the application.
fn enters(fake: &FakeAri, id: &str) {
    let frame = json!({"type": "StasisStart", "application": APP, "timestamp": "t", "args": [],
        "asterisk_id": "n1", "channel": {"id": id}});
    fake.emit(frame.to_string());
}

/// An instance that listens.
async fn instance(me: usize, builder: ClientBuilder, handled: &Handled) -> Client {
    let client = builder.application(APP).timeout(20 * SECOND).connect().await.unwrap();
    let (listening, handled) = (client.clone(), Arc::clone(handled));
    tokio::spawn(async move {
        let handler = move |call: trunkline_ari_client::Incoming| {
            handled.lock().entry(call.channel.id().to_owned()).or_default().push(me);
            async {}
        };
        listening.listen(handler).await
    });
    client
}

/// Sends calls until each of `instances` has handled one of them: what came before has been dealt with.
async fn each_has_one(fake: &FakeAri, handled: &Handled, instances: usize) {
    let batch = trunkline_ari::ulid();
    let mut n = 0;
    until("every instance has a call", || {
        n += 1;
        enters(fake, &format!("in-{batch}-{n}"));
        let handled = Arc::clone(handled);
        let prefix = format!("in-{batch}-");
        async move {
            let handled = handled.lock();
            let of = handled.iter().filter(|(id, _)| id.starts_with(&prefix));
            of.flat_map(|(_, by)| by).collect::<BTreeSet<_>>().len() == instances
        }
    })
    .await;
}

/// Without the stream: one queue group shares the calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_to_one_listener_without_a_stream() {
    let server = NatsServer::start(false).await;
    let fake = fake().await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[]));
    fake.connected().await;
    let handled = Handled::default();
    let builder = || Client::builder().url(server.url());
    let _instances = [instance(0, builder(), &handled).await, instance(1, builder(), &handled).await];
    each_has_one(&fake, &handled, 2).await;
    assert!(handled.lock().values().all(|by| by.len() == 1), "a call went to both");
    proxy.stop().await;
}

/// Originates with ids made up and, when `given`, with ids of its own; then lets others come in.
async fn own_calls(fake: &FakeAri, instances: &[Client], handled: &Handled, given: bool) -> Vec<String> {
    each_has_one(fake, handled, instances.len()).await;
    let mut own = Vec::new();
    for n in 0..10 {
        for client in instances {
            let call = Originate {
                endpoint: "Local/600@phones".to_owned(),
                app: APP.to_owned(),
                channel_id: if given && n % 2 == 0 { format!("given-{n}") } else { String::new() },
                ..Originate::default()
            };
            let channel = client.channel().originate(&client.here(), call).await.unwrap();
            enters(fake, channel.id());
            own.push(channel.id().to_owned());
        }
    }
    each_has_one(fake, handled, instances.len()).await;
    own
}

/// What the application calls itself is offered to a listener, or to none, as it wishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_calls_are_left_out_when_asked() {
    for (delivery, skip) in [("core", false), ("core", true), ("stream", true)] {
        let server = NatsServer::start(true).await;
        let fake = fake().await;
        let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[("delivery", delivery)]));
        fake.connected().await;
        let handled = Handled::default();
        let builder =
            || Client::builder().url(server.url()).durable(delivery == "stream").skip_own_calls(skip);
        let instances = [instance(0, builder(), &handled).await, instance(1, builder(), &handled).await];
        let own = own_calls(&fake, &instances, &handled, false).await;
        let offered = own.iter().filter(|id| handled.lock().contains_key(*id)).count();
        assert_eq!(offered, if skip { 0 } else { own.len() }, "{delivery}, skip {skip}");
        proxy.stop().await;
    }
    let fake = fake().await;
    let handled = Handled::default();
    let asterisk = AriConfig::new(&fake.url(), "ari", "secret");
    let builder = Client::builder().direct(asterisk).skip_own_calls(true);
    let instances = [instance(0, builder, &handled).await];
    let own = own_calls(&fake, &instances, &handled, true).await;
    assert!(own.iter().all(|id| !handled.lock().contains_key(id)), "directly");
}
