//! Memory over very many calls, in a process of its own: other tests would be measured too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::NatsServer;
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::{log, soak, until};

const APP: &str = "app";
const SECOND: Duration = Duration::from_secs(1);

/// The bindings of very many calls leave no memory behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_over_many_calls() {
    log();
    let server = NatsServer::start(false).await;
    let fake = FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        _ => HttpReply::json(200, r#"{"id":"x"}"#),
    })
    .await;
    let proxy = TestProxy::start(config(&server.url(), &fake.url(), APP, &[]));
    fake.connected().await;
    let nats = async_nats::connect(server.url()).await.unwrap();
    let copies = Arc::new(AtomicU64::new(0));
    let mut dialogs = nats.subscribe("ari.dialogevent.>").await.unwrap();
    let counting = tokio::spawn({
        let copies = Arc::clone(&copies);
        async move {
            while dialogs.next().await.is_some() {
                copies.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    until("the proxy answers", || async {
        let asked = nats.request(format!("ari.command.{APP}.n1"), "{}".into());
        tokio::time::timeout(SECOND, asked).await.is_ok_and(|a| a.is_ok())
    })
    .await;
    let (calls, batch) = (100_000 * (1 + soak(0).as_secs() / 60), 200u64);
    let (mut done, mut marks, started) = (0, Vec::new(), Instant::now());
    while done < calls {
        let ask = |n: u64| {
            let request = json!({"kind": "ChannelSubscribe", "key": {"id": format!("call-{n}"), "dialog": format!("d-{n}")}});
            nats.request(format!("ari.command.{APP}.n1"), request.to_string().into())
        };
        let answers = futures_util::future::join_all((done..done + batch).map(ask)).await;
        assert!(answers.iter().all(Result::is_ok));
        for n in done..done + batch {
            let frame = json!({"type": "ChannelDestroyed", "application": APP, "timestamp": "t", "cause": 16,
                "cause_txt": "", "channel": {"id": format!("call-{n}")}});
            fake.emit(frame.to_string());
        }
        done += batch;
        until("the copies arrive", || async { copies.load(Ordering::Relaxed) == done }).await;
        if done % 20_000 == 0 {
            marks.push(resident_kib());
        }
    }
    // Ended bindings go with the next end after the time for stragglers.
    let empty = || async {
        fake.emit(json!({"type": "ChannelDestroyed", "channel": {"id": "none"}}).to_string());
        fake.emit(json!({"type": "ChannelHold", "channel": {"id": "none"}}).to_string());
        proxy.metrics.render(true, true).contains("dialog_things 0\n")
    };
    until("no binding is left", empty).await;
    println!("{calls} calls in {:?}, each bound and ended: resident KiB {marks:?}", started.elapsed());
    let (first, last) = (marks[0], marks[marks.len() - 1]);
    assert!(last < first + 8 * 1024, "memory grows: {marks:?} KiB");
    counting.abort();
    proxy.stop().await;
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
