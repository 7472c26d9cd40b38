//! `kill -9` in the middle of a thousand registrations a second: what was acknowledged is there afterwards.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, Message, PATIENCE, Resources, wait_for};

use super::DOMAIN;

const RATE: u32 = 1000;
const SECONDS: u32 = 3;
/// What was acknowledged longer ago than this must be there.
const GRACE: Duration = Duration::from_millis(200);

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
        let old = acknowledged.values().filter(|at| at.elapsed() > GRACE).count();
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
    let rate = f64::from(sent) / killed.duration_since(start).as_secs_f64();
    exchange.restart();

    let must: Vec<u32> =
        acknowledged.iter().filter(|(_, at)| killed.duration_since(**at) > GRACE).map(|(n, _)| *n).collect();
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
        "{} bindings acknowledged more than 200 ms before the kill, {} lost, {rate:.0} a second",
        must.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), must.len());
}
