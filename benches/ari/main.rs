//! The ARI proxy measured: requests, events, memory, against a bare relay in the same run.
//!
//! `cargo run --release -p trunkline-tests-ari --bin ari-bench [SECONDS [NODES [WHAT…]]]` starts a nats-server,
//! stand-ins that answer at once and, as processes of their own, proxies and relays: on 1, 4 and 16 nodes, and
//! each of [`WHAT`], unless named.

mod relay;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::Semaphore;
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::{NatsServer, round_trip};
use trunkline_tests_ari::proxy::{TestProxy, config};
use trunkline_tests_ari::wait::until;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APP: &str = "bench";

const CHANNEL: &str = r#"{"id":"1795228565.0","name":"PJSIP/1001-00000000","state":"Up","protocol_id":"5b1c9e1e-9f43-4a6b-8d6e-0a7e2f1c3b4d","caller":{"name":"Alice","number":"1001"},"connected":{"name":"Bob","number":"1002"},"accountcode":"","dialplan":{"context":"phones","exten":"700","priority":1,"app_name":"Stasis","app_data":"bench,phones"},"creationtime":"2026-01-02T03:04:05.678+0000","language":"en"}"#;

/// What is measured.
const WHAT: [&str; 5] = ["relay", "proxy", "relay-own", "relay-threads", "proxy-threads"];

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number: ari-bench [SECONDS [NODES [WHAT…]]]"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let one = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let many = || tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match words.as_slice() {
        ["proxy", nats, ari] => one().block_on(proxy(nats, ari)),
        ["proxy-threads", nats, ari] => many().block_on(proxy(nats, ari)),
        ["relay", nats, ari, node] => one().block_on(relay::of_libraries(nats, ari, node)),
        ["relay-threads", nats, ari, node] => many().block_on(relay::of_libraries(nats, ari, node)),
        ["relay-own", nats, ari, node] => one().block_on(relay::of_ours(nats, ari, node)),
        [] => many().block_on(measure(5, &[1, 4, 16], &WHAT)),
        [seconds] => many().block_on(measure(number(seconds), &[1, 4, 16], &WHAT)),
        [seconds, nodes] => many().block_on(measure(number(seconds), &[number(nodes)], &WHAT)),
        [seconds, nodes, what @ ..] => many().block_on(measure(number(seconds), &[number(nodes)], what)),
    }
}

async fn proxy(nats: &str, ari: &str) {
    let proxy = TestProxy::start(config(nats, ari, APP, &[]));
    std::future::pending::<()>().await;
    proxy.stop().await;
}

/// Processes under measurement; killed when dropped.
struct Subjects(Vec<Child>);

impl Subjects {
    fn start(what: &str, nats: &str, fakes: &[FakeAri]) -> Self {
        let me = std::env::current_exe().expect("this program");
        let start = |(n, fake): (usize, &FakeAri)| {
            let mut command = Command::new(&me);
            command.args([what, nats, &fake.url()]).stdin(Stdio::null()).stdout(Stdio::null());
            if what.starts_with("relay") {
                command.arg(node(n));
            }
            command.spawn().expect("a process")
        };
        Subjects(fakes.iter().enumerate().map(start).collect())
    }

    /// CPU time so far, of all.
    fn cpu(&self) -> Duration {
        self.0.iter().map(|c| cpu_of(c.id())).sum()
    }

    /// Resident memory of the largest, in MiB.
    fn memory(&self) -> f64 {
        self.0.iter().map(|c| resident_of(c.id())).fold(0.0, f64::max)
    }
}

impl Drop for Subjects {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn node(n: usize) -> String {
    format!("node{n}")
}

/// Time on the CPU by the scheduler's own count, in nanoseconds, of all threads.
fn cpu_of(pid: u32) -> Duration {
    let mut total = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        total += text.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

fn resident_of(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

struct Load {
    requests: u64,
    rate: f64,
    cpu_each: f64,
    p50: f64,
    p99: f64,
    failed: u64,
}

/// Asks ChannelData of the nodes in turn: `rate` a second, or with 64 under way when it is zero.
async fn load(
    nats: &async_nats::Client,
    subjects: &Subjects,
    nodes: usize,
    rate: u64,
    time: Duration,
) -> Load {
    let room = Arc::new(Semaphore::new(if rate == 0 { 64 } else { 4096 }));
    let (sender, mut results) = tokio::sync::mpsc::unbounded_channel();
    let (cpu, started) = (subjects.cpu(), Instant::now());
    let mut sent = 0u64;
    while started.elapsed() < time {
        if let Some(nanoseconds) = (sent * 1_000_000_000).checked_div(rate) {
            let due = started + Duration::from_nanos(nanoseconds);
            if let Some(wait) =
                due.checked_duration_since(Instant::now()).filter(|w| *w > Duration::from_micros(200))
            {
                tokio::time::sleep(wait).await;
            }
        }
        let permit = Arc::clone(&room).acquire_owned().await.expect("room");
        let (nats, sender, n) = (nats.clone(), sender.clone(), sent as usize % nodes);
        let body = format!(
            r#"{{"kind":"ChannelData","key":{{"kind":"channel","id":"c{}","node":"{}","app":"{APP}"}}}}"#,
            sent % 1000,
            node(n)
        );
        sent += 1;
        tokio::spawn(async move {
            let asked = Instant::now();
            let reply = nats.request(format!("ari.data.{APP}.{}", node(n)), body.into()).await;
            let good = reply.is_ok_and(|r| r.payload.len() > 100);
            let _ = sender.send((asked.elapsed(), good));
            drop(permit);
        });
    }
    drop(sender);
    let (mut times, mut failed) = (Vec::with_capacity(sent as usize), 0);
    while let Some((took, good)) = results.recv().await {
        times.push(took);
        failed += u64::from(!good);
    }
    let took = started.elapsed();
    let cpu = subjects.cpu().saturating_sub(cpu);
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    Load {
        requests: sent,
        rate: sent as f64 / took.as_secs_f64(),
        cpu_each: cpu.as_secs_f64() * 1e6 / sent as f64,
        p50: at(0.5),
        p99: at(0.99),
        failed,
    }
}

async fn measure(seconds: u64, nodes: &[usize], what: &[&str]) {
    let time = Duration::from_secs(seconds);
    let server = NatsServer::start(false).await;
    println!("{seconds} s each; times in ms, CPU in µs per request, memory in MiB of the largest process\n");
    println!("| nodes | what | load | requests | req/s | CPU | p50 | p99 | failed | MiB |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for &nodes in nodes {
        let mut fakes = Vec::new();
        for n in 0..nodes {
            let who = node(n);
            fakes.push(
                FakeAri::start(move |request| match request.path.as_str() {
                    "/asterisk/info" => info(&who),
                    _ => HttpReply::json(200, Bytes::from_static(CHANNEL.as_bytes())),
                })
                .await,
            );
        }
        let nats = async_nats::connect(server.url()).await.expect("nats");
        for &what in what {
            let subjects = Subjects::start(what, &server.url(), &fakes);
            for n in 0..nodes {
                let subject = format!("ari.data.{APP}.{}", node(n));
                until("it answers", || async {
                    let request = format!(
                        r#"{{"kind":"ChannelData","key":{{"id":"c","node":"{}","app":"{APP}"}}}}"#,
                        node(n)
                    );
                    let asked = tokio::time::timeout(
                        Duration::from_secs(1),
                        nats.request(subject.clone(), request.into()),
                    );
                    asked.await.is_ok_and(|a| a.is_ok())
                })
                .await;
            }
            // Pools fill and code warms up before anything counts.
            load(&nats, &subjects, nodes, 2000, Duration::from_secs(1)).await;
            for rate in [2000, 0] {
                let l = load(&nats, &subjects, nodes, rate, time).await;
                let kind = if rate == 0 { "64 under way".to_owned() } else { format!("{rate}/s") };
                println!(
                    "| {nodes} | {what} | {kind} | {} | {:.0} | {:.1} | {:.2} | {:.2} | {} | {:.1} |",
                    l.requests,
                    l.rate,
                    l.cpu_each,
                    l.p50,
                    l.p99,
                    l.failed,
                    subjects.memory()
                );
            }
            if what == "proxy" {
                events(&nats, &subjects, &fakes, time).await;
            }
        }
    }
}

/// Events through the proxies at 20,000 a second, and how many arrive.
async fn events(nats: &async_nats::Client, subjects: &Subjects, fakes: &[FakeAri], time: Duration) {
    let (per_second, tick) = (20_000u64, Duration::from_millis(5));
    let mut arriving = nats.subscribe(format!("ari.event.{APP}.>")).await.expect("a subscription");
    round_trip(nats).await;
    let arrived = Arc::new(AtomicU64::new(0));
    let counting = tokio::spawn({
        let arrived = Arc::clone(&arrived);
        async move {
            while arriving.next().await.is_some() {
                arrived.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let channel: serde_json::Value = serde_json::from_str(CHANNEL).expect("JSON");
    let frame = json!({"type": "ChannelVarset", "timestamp": "2026-01-02T03:04:05.678+0000", "variable": "A",
        "value": "b", "channel": channel, "asterisk_id": "node", "application": APP});
    let frame = tokio_tungstenite::tungstenite::Utf8Bytes::from(frame.to_string());
    let (cpu, started) = (subjects.cpu(), Instant::now());
    let mut interval = tokio::time::interval(tick);
    let (mut sent, each) = (0u64, fakes.len() as u64);
    while started.elapsed() < time {
        interval.tick().await;
        let due = (started.elapsed().as_secs_f64() * per_second as f64) as u64;
        while sent < due {
            let n = (sent % each) as usize;
            fakes[n].emit(frame.clone());
            sent += 1;
        }
    }
    let rate = sent as f64 / started.elapsed().as_secs_f64();
    until("every event arrives", || async { arrived.load(Ordering::Relaxed) >= sent }).await;
    let cpu = subjects.cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / sent as f64;
    println!(
        "| {} | proxy | events | {sent} | {rate:.0} | {cpu:.1} | | | {} lost | {:.1} |",
        fakes.len(),
        sent - arrived.load(Ordering::Relaxed).min(sent),
        subjects.memory()
    );
    counting.abort();
}
