//! One source, two shards: every call is in one place while handing over begins, goes on and ends.

mod common;

use common::{Phones, Shards};
use trunkline_edge::HandoverConfig;

const CALM: u64 = 5_000;

/// Two shards, of which one hands over whoever sends more than a few requests a second.
fn shards() -> (Shards, Phones) {
    let shards = Shards::start(2, HandoverConfig { busy: 0, calm: CALM }, || 0);
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
