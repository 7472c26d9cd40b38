//! `kill -9` in the middle of a thousand registrations a second: what was acknowledged is there afterwards.

use std::collections::HashMap;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, Message, PATIENCE, Resources, wait_for};

use super::DOMAIN;

const RATE: u32 = 1000;
const SECONDS: u32 = 3;
/// What was acknowledged longer ago than this must be there, and than this machine kept a write to the disk waiting.
const GRACE: Duration = Duration::from_millis(200);

/// Writes a little to the disk again and again until told to stop; notes how long the slowest took, in milliseconds. What
/// others on this machine cost us costs the exchange as much.
fn watch_the_disk(file: &Path, slowest: &AtomicU64, stop: &AtomicBool) {
    let mut file = std::fs::File::create(file).expect("a file");
    let pause = Duration::from_millis(20);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        file.write_all(b"x").and_then(|()| file.sync_data()).expect("written");
        std::thread::park_timeout(pause);
        slowest.fetch_max(begun.elapsed().saturating_sub(pause).as_millis() as u64, Ordering::Relaxed);
    }
}

fn user(n: u32) -> String {
    format!("user{n}")
}

fn register(n: u32, contact: &str) -> String {
    let user = user(n);
    format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKdur{n}x{};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag=d{n}\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: dur-{n}\r\nCSeq: {} REGISTER\r\n{contact}Content-Length: 0\r\n\r\n",
        contact.len(),
        if contact.is_empty() { 2 } else { 1 },
    )
}

/// Takes what has arrived: number of the user and the response.
fn take(socket: &UdpSocket) -> Option<(u32, Message)> {
    let mut buffer = [0; 4096];
    let n = socket.recv(&mut buffer).ok()?;
    let message = Message::parse(&buffer[..n])?;
    let number = message.call_id().strip_prefix("dur-")?.parse().ok()?;
    (message.status() >= 200).then_some((number, message))
}

#[test]
fn every_acknowledged_binding_survives_a_kill() {
    let count = RATE * SECONDS;
    let resources =
        (0..count).fold(Resources::new().domain(DOMAIN, "never"), |all, n| all.agent(DOMAIN, &user(n), "x"));
    let mut exchange = Exchange::start(&resources);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(exchange.udp()).expect("loopback");
    socket.set_nonblocking(true).expect("a live socket");

    let (slowest, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let watching = std::thread::spawn({
        let (file, slowest, stop) = (exchange.folder().join("beside"), slowest.clone(), stop.clone());
        move || watch_the_disk(&file, &slowest, &stop)
    });
    let grace = || GRACE + Duration::from_millis(slowest.load(Ordering::Relaxed));

    let mut acknowledged: HashMap<u32, Instant> = HashMap::new();
    let start = Instant::now();
    let send = |n: u32| {
        let contact = format!("Contact: <sip:{}@127.0.0.1:{}>\r\nExpires: 600\r\n", user(n), 10_000 + n);
        let _ = socket.send(register(n, &contact).as_bytes());
    };
    let (mut sent, mut again) = (0, start);
    // The kill comes while registrations still arrive: the last tenth is not acknowledged by then. A busy machine
    // loses datagrams, and phones send again what has no answer (RFC 3261 §17.1.2.2).
    let enough = |acknowledged: &HashMap<u32, Instant>| {
        let old = acknowledged.values().filter(|at| at.elapsed() > grace()).count();
        old as u32 > count / 2
    };
    while sent < count * 9 / 10 || !enough(&acknowledged) {
        assert!(start.elapsed() < 2 * PATIENCE, "only {} of {sent} acknowledged", acknowledged.len());
        let due = (start.elapsed().as_secs_f64() * f64::from(RATE)) as u32;
        while sent < due.min(count) {
            send(sent);
            sent += 1;
        }
        if again.elapsed() > Duration::from_millis(500) {
            again = Instant::now();
            // No more at once than a socket's buffer holds.
            (0..sent).filter(|n| !acknowledged.contains_key(n)).take(100).for_each(send);
        }
        while let Some((n, message)) = take(&socket) {
            assert_eq!(message.status(), 200, "{}", message.start);
            acknowledged.entry(n).or_insert_with(Instant::now);
        }
        std::thread::yield_now();
    }
    let killed = Instant::now();
    exchange.kill();
    stop.store(true, Ordering::Relaxed);
    watching.join().expect("the disk takes writes");
    let grace = grace();
    let rate = f64::from(sent) / killed.duration_since(start).as_secs_f64();
    exchange.restart();

    let must: Vec<u32> =
        acknowledged.iter().filter(|(_, at)| killed.duration_since(**at) > grace).map(|(n, _)| *n).collect();
    let mut found: HashMap<u32, bool> = HashMap::new();
    for chunk in must.chunks(50) {
        wait_for("the bindings to be listed", || {
            for n in chunk.iter().filter(|n| !found.contains_key(n)) {
                let _ = socket.send(register(*n, "").as_bytes());
            }
            let end = Instant::now() + Duration::from_millis(100);
            while Instant::now() < end && chunk.iter().any(|n| !found.contains_key(n)) {
                while let Some((n, message)) = take(&socket) {
                    let contact = format!("@127.0.0.1:{}", 10_000 + n);
                    found.insert(n, message.list("Contact").iter().any(|c| c.contains(&contact)));
                }
            }
            chunk.iter().all(|n| found.contains_key(n)).then_some(())
        });
    }
    let lost: Vec<u32> = must.iter().copied().filter(|n| found.get(n) != Some(&true)).collect();
    println!(
        "{} bindings acknowledged more than {grace:?} before the kill, {} lost, {rate:.0} a second",
        must.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), must.len());
}
