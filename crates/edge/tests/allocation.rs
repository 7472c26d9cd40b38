//! Once its pools are steady, a shard forwards without allocating: calls with digest off, their 100, 180, 200,
//! ACK and BYE, and messages, over real sockets.
#![allow(unsafe_code)]

mod common;
#[path = "../../routing/tests/counting/mod.rs"]
mod counting;

use common::{Phones, Shards};
use trunkline_edge::RebalancingConfig;

/// Lets all transactions of the past end.
const PAST: u64 = 70_000;

fn counted(shards: &Shards) -> u64 {
    shards.advance(PAST).into_iter().sum()
}

fn round(phones: &mut Phones) {
    for _ in 0..300 {
        phones.refresh();
        phones.call();
        phones.message();
    }
}

/// What the shards' threads allocate in 300 registrations, calls and messages, once pools and tables have grown to what a
/// busy machine needs, which has more under way at once now and then: the least of some rounds, or the first that is no
/// more than `most`. What each message allocates it allocates in every round.
fn allocations(shards: &Shards, most: u64) -> u64 {
    let mut phones = Phones::new(shards.address);
    for _ in 0..3 {
        round(&mut phones);
        counted(shards);
    }
    let mut least = u64::MAX;
    for _ in 0..6 {
        let before = counted(shards);
        round(&mut phones);
        least = least.min(counted(shards) - before);
        if least <= most {
            break;
        }
    }
    least
}

#[test]
fn a_steady_shard_forwards_without_allocating() {
    let shards = Shards::start(1, RebalancingConfig::default(), counting::allocations);
    let n = allocations(&shards, 0);
    println!("allocations in 300 registrations, calls and messages: {n}");
    assert_eq!(n, 0, "the path of a packet allocates");
}

/// Between shards messages travel in buffers that are used again; only the mailbox takes new memory, for 31 pieces of
/// mail at once.
#[test]
fn handing_over_allocates_for_the_mailbox_alone() {
    let always = RebalancingConfig { busy: 0, calm: 3_600_000 };
    let shards = Shards::start(2, always, counting::allocations);
    // 12 messages of a round come in, each of which another shard may have to take.
    let most = 300 * 12 / 31 + 10;
    let n = allocations(&shards, most);
    let handed_over: u64 = shards.counter("handed_over").into_iter().sum();
    println!(
        "allocations in 300 registrations, calls and messages: {n}; requests handed over: {handed_over}"
    );
    assert!(handed_over > 1_000, "{handed_over}");
    assert!(n <= most, "{n}");
}
