//! A `create` that meets a dying Asterisk: another node gets it, or the caller is told at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{PATIENCE, log, until};

const APP: &str = "app";
const BRIDGE: &str = r#"{"kind":"BridgeCreate","key":{},"bridge_create":{"type":"mixing"}}"#;

/// A node that cuts the connection on each create, and counts them; or one that answers.
async fn node(name: &'static str, cuts: Option<Arc<AtomicU64>>) -> FakeAri {
    FakeAri::start(move |request| match (request.path.as_str(), &cuts) {
        ("/asterisk/info", _) => info(name),
        (_, Some(cut)) => {
            cut.fetch_add(1, Ordering::Relaxed);
            HttpReply::json(0, "")
        }
        (_, None) => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await
}

async fn create(nats: &async_nats::Client) -> Value {
    let asked = nats.request(format!("ari.create.{APP}"), BRIDGE.into());
    let answer = tokio::time::timeout(PATIENCE, asked).await.expect("in time").expect("an answer");
    serde_json::from_slice(&answer.payload).expect("JSON")
}

/// Until the proxy of this node is in the queue groups.
async fn takes_creates(nats: &async_nats::Client, node: &str) {
    until("the proxy takes creates", || async {
        nats.request(format!("ari.create.{APP}.{node}"), "{}".into()).await.is_ok()
    })
    .await;
}

/// Asterisk dies with a create in hand: the proxy leaves the group and hands the create on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_in_hand_goes_to_the_node_that_lives() {
    log();
    let server = NatsServer::start(false).await;
    let cut = Arc::<AtomicU64>::default();
    let (mut dying, living) = (node("n1", Some(Arc::clone(&cut))).await, node("n2", None).await);
    let proxies = [&dying, &living].map(|f| TestProxy::start(config(&server.url(), &f.url(), APP, &[])));
    let nats = async_nats::connect(server.url()).await.unwrap();
    for node in ["n1", "n2"] {
        takes_creates(&nats, node).await;
    }
    // Asked until the dying one has one in hand.
    let asking = tokio::spawn({
        let (nats, cut) = (nats.clone(), Arc::clone(&cut));
        async move {
            let mut answers = Vec::new();
            while cut.load(Ordering::Relaxed) == 0 {
                answers.push(create(&nats).await);
            }
            answers
        }
    });
    until("a create is in hand", || async { cut.load(Ordering::Relaxed) > 0 }).await;
    dying.kill().await;
    for answer in asking.await.unwrap() {
        assert_eq!((&answer["error"], &answer["key"]["node"]), (&"".into(), &"n2".into()), "{answer}");
    }
    assert_eq!(cut.load(Ordering::Relaxed), 1, "nothing more goes to the dead one");
    assert!(proxies[0].metrics.render(false, true).contains("requests_handed_over_total 1\n"));
    for proxy in proxies {
        proxy.stop().await;
    }
}

/// With nobody to take over, the caller hears what went wrong and need not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_other_node_the_caller_is_told() {
    log();
    let server = NatsServer::start(false).await;
    let cut = Arc::<AtomicU64>::default();
    let mut dying = node("n1", Some(Arc::clone(&cut))).await;
    let proxy = TestProxy::start(config(&server.url(), &dying.url(), APP, &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    takes_creates(&nats, "n1").await;
    let asking = tokio::spawn({
        let nats = nats.clone();
        async move { create(&nats).await }
    });
    until("a create is in hand", || async { cut.load(Ordering::Relaxed) > 0 }).await;
    dying.kill().await;
    let answer = asking.await.unwrap();
    assert!(answer["error"].as_str().unwrap().starts_with("failed to make request: "), "{answer}");
    proxy.stop().await;
}
