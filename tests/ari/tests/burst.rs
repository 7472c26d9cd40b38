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
    until("the proxy serves its node", || async {
        nats.request(format!("ari.create.{APP}.{NODE_A}"), "{}".into()).await.is_ok()
    })
    .await;
    let burst_of = async |n: usize| {
        let mut times = join_all((0..n).map(|_| ask(&nats))).await;
        times.sort();
        (times[n / 2], times[n - 1])
    };
    for burst in [20, 50, 100, 200, 500] {
        // The rest is what is tested: connections are not kept for longer.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        let (half, most) = burst_of(burst).await;
        // The same at once again, over what connections there are now: how busy the machine is.
        let (_, usual) = burst_of(burst).await;
        println!("a burst of {burst}: half within {half:?}, all within {most:?}, then {usual:?}");
        // A connection that does not come about at once is tried again after a second.
        assert!(
            most < Duration::from_millis(300).max(4 * usual),
            "a burst of {burst}: {most:?}, then {usual:?}"
        );
    }
    proxy.stop().await;
}
