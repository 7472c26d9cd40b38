//! One source, two shards: every call is in one place while handing over begins, goes on and ends.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Phones, Shards};
use trunkline_edge::RebalancingConfig;

const CALM: u64 = 5_000;

/// Two shards, of which one hands over whoever sends more than a few requests a second.
fn shards() -> (Shards, Phones) {
    let shards = Shards::start(2, RebalancingConfig { busy: 0, calm: CALM }, || 0);
    let mut phones = Phones::new(shards.address);
    phones.refresh();
    (shards, phones)
}

fn spread(shards: &Shards, phones: &mut Phones) {
    (0..60).for_each(|_| phones.message());
    shards.advance_until(1, "the source is handed over", |s| s.sources_handed_over() == 1);
}

/// Which shard the caller's packets come to: the one that has begun the last call.
fn home(shards: &Shards, phones: &mut Phones) -> usize {
    let before = shards.counter("calls");
    phones.call();
    (0..2).find(|i| shards.counter("calls")[*i] > before[*i]).unwrap()
}

fn sum(of: Vec<u64>) -> u64 {
    of.into_iter().sum()
}

#[test]
fn calls_stay_where_they_are_while_their_source_comes_and_goes() {
    let (shards, mut phones) = shards();
    let here = home(&shards, &mut phones);
    let before: Vec<_> = (0..16).map(|_| phones.ring()).collect();
    assert_eq!(sum(shards.counter("handed_over")), 0);

    spread(&shards, &mut phones);
    // Begun here: found here.
    repeat(&phones, &before);
    let (early, late) = before.split_at(8);
    early.iter().for_each(|(invite, arrived)| phones.cancel(invite, arrived));
    let begun = shards.counter("calls");
    (0..100).for_each(|_| phones.call());
    let served: Vec<u64> = shards.counter("calls").iter().zip(begun).map(|(n, b)| n - b).collect();
    assert!(served[here] >= 25 && served[1 - here] >= 40, "{served:?}");
    let ringing: Vec<_> = (0..16).map(|_| phones.ring()).collect();
    let absorbed = sum(shards.counter("retransmissions"));
    repeat(&phones, &ringing);
    assert_eq!(sum(shards.counter("retransmissions")), absorbed + 16);

    // It is calm: what was begun by the other shard stays there, what is new does not go there.
    let begun = shards.counter("calls")[1 - here];
    for _ in 0..12 {
        shards.advance(1_000);
    }
    (0..20).for_each(|_| phones.call());
    assert_eq!(shards.counter("calls")[1 - here], begun, "new calls are served here again");
    repeat(&phones, &ringing);
    let (now, later) = ringing.split_at(8);
    now.iter().for_each(|(invite, arrived)| phones.cancel(invite, arrived));

    // As long as a call rings at the other shard, its source is not forgotten.
    for _ in 0..60 {
        shards.advance(1_000);
    }
    assert_eq!(shards.shared.sources_handed_over(), 1);
    later.iter().for_each(|(invite, arrived)| phones.cancel(invite, arrived));
    late.iter().for_each(|(invite, arrived)| phones.cancel(invite, arrived));
    shards.advance_until(90, "nothing remains", |s| s.sources_handed_over() == 0);
    let handed_over = sum(shards.counter("handed_over"));
    (0..10).for_each(|_| phones.call());
    assert_eq!(sum(shards.counter("handed_over")), handed_over);
    assert_eq!(shards.counter("calls")[1 - here], begun);
    assert_eq!(sum(shards.counter("handover_dropped")), 0);
    assert_eq!(sum(shards.counter("stray_acks")), 0);
}

/// Every INVITE once more: the caller hears again that it rings, the callee hears nothing.
fn repeat(phones: &Phones, ringing: &[(String, String)]) {
    for (invite, _) in ringing {
        phones.send(invite);
        let answer = Phones::receive_of(&phones.caller, &Phones::header(invite, "Call-ID"), "SIP/2.0");
        assert!(answer.starts_with("SIP/2.0 180"), "{answer}");
    }
    phones.callee.set_nonblocking(true).unwrap();
    assert!(phones.callee.recv(&mut [0; 16]).is_err(), "the callee hears of a repetition");
    phones.callee.set_nonblocking(false).unwrap();
}

#[test]
fn a_source_that_is_busy_again_while_it_returns() {
    let (shards, mut phones) = shards();
    spread(&shards, &mut phones);
    for turn in 0..3 {
        let ringing: Vec<_> = (0..8).map(|_| phones.ring()).collect();
        for _ in 0..12 {
            shards.advance(1_000);
        }
        // Returning: not forgotten, since calls ring.
        assert_eq!(shards.shared.sources_handed_over(), 1);
        let handed_over = sum(shards.counter("handed_over"));
        (0..60).for_each(|_| phones.message());
        shards.advance_until(3, "it is spread again", |_| sum(shards.counter("handed_over")) > handed_over);
        (0..30).for_each(|_| phones.call());
        repeat(&phones, &ringing);
        ringing.iter().for_each(|(invite, arrived)| phones.cancel(invite, arrived));
        assert_eq!(sum(shards.counter("stray_acks")), 0, "turn {turn}");
    }
}

/// A call that came to the other shard by itself is no reason to remember that the address was shared.
#[test]
fn what_the_other_shard_has_of_its_own_does_not_count() {
    let (shards, mut phones) = shards();
    let here = home(&shards, &mut phones);
    let mut neighbour = (0..64)
        .map(|_| phones.beside(shards.address))
        .find_map(|mut p| (home(&shards, &mut p) != here).then_some(p))
        .expect("of 64 sockets one comes to the other shard");
    let (invite, arrived) = neighbour.ring();
    spread(&shards, &mut phones);
    (0..20).for_each(|_| phones.call());
    shards.advance_until(80, "nothing remains", |s| s.sources_handed_over() == 0);
    neighbour.cancel(&invite, &arrived);
}

/// Another port, another shard: a CANCEL and the ACK to a failure find their INVITE all the same (RFC 3261 §9.2 says
/// nothing of where they come from).
#[test]
fn a_cancel_from_another_port_finds_its_call() {
    let shards = Shards::start(2, RebalancingConfig { busy: 100, calm: CALM }, || 0);
    // At the caller's address nobody else is rung, who might take the call back in its name.
    let mut phones = Phones::with_callee_at(shards.address, "127.0.0.2");
    phones.register_caller();
    phones.refresh();
    let here = home(&shards, &mut phones);
    let mut neighbour = (0..64)
        .map(|_| phones.beside(shards.address))
        .find_map(|mut p| (home(&shards, &mut p) != here).then_some(p))
        .expect("of 64 sockets one comes to the other shard");
    let (invite, arrived) = phones.ring();
    let call = Phones::header(&invite, "Call-ID");
    let again = |method: &str| {
        let head = invite.replacen("INVITE sip:", &format!("{method} sip:"), 1);
        head.replacen("CSeq: 1 INVITE", &format!("CSeq: 1 {method}"), 1)
    };
    neighbour.send(&again("CANCEL"));
    let answer = Phones::receive_of(&neighbour.caller, &call, "SIP/2.0");
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    let cancelled = Phones::receive_of(&phones.callee, &call, "CANCEL");
    phones.callee.send(Phones::response(&cancelled, "200 OK", "sip:x@y").as_bytes()).unwrap();
    phones.callee.send(Phones::response(&arrived, "487 Request Terminated", "sip:x@y").as_bytes()).unwrap();
    let ended = Phones::receive_of(&phones.caller, &call, "SIP/2.0 487");
    neighbour.acknowledge(&invite, &ended);
    Phones::receive_of(&phones.callee, &call, "ACK");
    // One that nobody knows is told so by whoever is asked last, and goes round no more.
    neighbour.message();
    let nothing = again("CANCEL").replace("branch=z9hG4bK", "branch=z9hG4bKnot");
    neighbour.send(&nothing);
    let answer = Phones::receive_of(&neighbour.caller, &call, "SIP/2.0");
    assert!(answer.starts_with("SIP/2.0 481"), "{answer}");
    // Were its ACK lost, the 487 would be said again.
    let repeated = shards.counter("requests");
    shards.advance(600);
    phones.caller.set_nonblocking(true).unwrap();
    assert!(phones.caller.recv(&mut [0; 16]).is_err(), "the ACK was not found to belong to it");
    assert_eq!(shards.counter("requests"), repeated);
}

/// A shard that does not keep up is given no more than it can hold: datagrams beyond are dropped, as by a full buffer
/// of the kernel's, and who sends over a stream is told.
#[test]
fn what_waits_for_a_shard_is_bounded() {
    let shards = Shards::start_awake(1, 2, RebalancingConfig { busy: 0, calm: CALM }, || 0);
    let mut phones = (0..64)
        .map(|_| Phones::new(shards.address))
        .find_map(|mut phones| {
            let me = phones.caller.local_addr().unwrap();
            let ask = phones.options("UDP", me);
            phones.send(&ask);
            phones.caller.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            phones.caller.recv(&mut [0; 2048]).is_ok().then_some(phones)
        })
        .expect("of 64 sockets one comes to the shard that is awake");
    let me = phones.caller.local_addr().unwrap();
    let mut ask = |shards: &Shards| {
        let text = phones.options("UDP", me);
        let requests = shards.counter("requests")[0] + handled(shards);
        phones.send(&text);
        until("the request is taken", || shards.counter("requests")[0] + handled(shards) > requests);
    };
    (0..60).for_each(|_| ask(&shards));
    shards.advance_until(2, "the source is handed over", |s| s.sources_handed_over() == 1);
    let dropped = (0..30_000).any(|_| {
        ask(&shards);
        sum(shards.counter("handover_dropped")) > 0
    });
    assert!(dropped, "nothing is ever dropped");
    let waiting = sum(shards.counter("handed_over"));
    assert!((8_000..10_000).contains(&waiting), "{waiting} wait for the other shard");

    let mut stream = (0..64)
        .find_map(|_| {
            let mut stream = TcpStream::connect(shards.tcp).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let text = phones.options("TCP", stream.local_addr().unwrap());
            stream.write_all(text.as_bytes()).unwrap();
            stream.read(&mut [0; 2048]).is_ok_and(|n| n > 0).then_some(stream)
        })
        .expect("of 64 connections one comes to the shard that is awake");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = || {
        let text = phones.options("TCP", stream.local_addr().unwrap());
        stream.write_all(text.as_bytes()).unwrap();
        let mut buffer = [0; 2048];
        let n = stream.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    // In a second of its own, in which it is the heaviest.
    shards.advance(1_000);
    assert!((0..100).all(|_| answer().starts_with("SIP/2.0 200")));
    shards.advance_until(2, "the connection is handed over", |s| s.sources_handed_over() == 2);
    let answers: Vec<String> = (0..40).map(|_| answer()).collect();
    let refused = answers.iter().filter(|a| a.starts_with("SIP/2.0 503") && a.contains("Retry-After: 5\r\n"));
    let served = answers.iter().filter(|a| a.starts_with("SIP/2.0 200"));
    let (refused, served) = (refused.count(), served.count());
    assert!(refused > 0 && served > 0 && refused + served == 40, "{refused} refused, {served} served");
}

fn handled(shards: &Shards) -> u64 {
    sum(shards.counter("handed_over")) + sum(shards.counter("handover_dropped"))
}

/// Waits for a condition, with a bound.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(std::time::Instant::now() < end, "in vain: {what}");
        std::thread::yield_now();
    }
}
