//! Bursts after a rest, on a real Asterisk: every kept connection is gone by then, and as many as the burst
//! wants must not be made at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use trunkline_tests_ari::asterisk::{NODE_A, Pair};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::until;

const APP: &str = "burst";
const SECOND: Duration = Duration::from_secs(1);

/// Asks Asterisk through the proxy and says how long that took.
async fn ask(nats: &async_nats::Client) -> Duration {
    let started = Instant::now();
    let request = json!({"kind": "AsteriskPing", "key": {}}).to_string();
    let answer = nats.request(format!("ari.data.{APP}.{NODE_A}"), request.into()).await.expect("an answer");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!(answer["error"], "");
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_after_a_rest_does_not_stall() {
    let pair = Pair::start(APP);
    let server = NatsServer::start(false).await;
    let proxy = TestProxy::start(config(&server.url(), &pair.url_a(), APP, &[]));
    let nats = async_nats::connect(server.url()).await.unwrap();
    until("the proxy serves its node", 20 * SECOND, || async {
        nats.request(format!("ari.create.{APP}.{NODE_A}"), "{}".into()).await.is_ok()
    })
    .await;
    for burst in [20, 50, 100, 200, 500] {
        // The rest is what is tested: connections are not kept for longer.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        let mut times = join_all((0..burst).map(|_| ask(&nats))).await;
        times.sort();
        let (half, most) = (times[burst / 2], times[burst - 1]);
        println!("a burst of {burst}: half within {half:?}, all within {most:?}");
        assert!(most < Duration::from_millis(300), "a burst of {burst}: {most:?}");
    }
    proxy.stop().await;
}
