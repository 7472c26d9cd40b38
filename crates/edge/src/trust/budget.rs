//! How much is sent to a source that has not shown that it is there.
//!
//! A datagram's source may be forged, and what answers it then hits somebody else. So an unproven source gets in each
//! second no more bytes than it sent, and [`ALLOWANCE`] beyond. A source is proven by a live binding, by being a trunk's
//! or a peer's configured address, by a digest whose nonce was sent to it, or by a response to a request that was. Connections
//! prove themselves. What a request makes go to an unproven Contact is bounded the same way: it pays for one sending.
//!
//! An answer that is no longer than its request needs nothing of the allowance and asks nobody. Of longer ones each
//! request pays its own part; the rest is the source's.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_transaction::timers::Now;

use crate::trust::proven::{WAYS, number_of};

/// Bytes beyond those received that an unproven source gets within any second.
const ALLOWANCE: u64 = 4096;
/// The second is looked at in parts. Any second lies within [`PARTS`] of them, so that the bound holds wherever it begins.
const PART_MS: u64 = 250;
const PARTS: u32 = 5;
/// Bytes are counted in eights, so that a part fits ten bits.
const UNIT: u64 = 8;
/// Of these, so many are kept for the 2xx of an INVITE. A sender that forges a caller's address makes short answers and refusals
/// go there as often as there is room for one; the answer to the caller's own call has to find room beside them.
const KEPT: u64 = 1536 / UNIT;
const OTHERS: u64 = ALLOWANCE / UNIT - KEPT;
const BITS: u32 = 10;
const SPENT_BITS: u32 = PARTS * BITS;
const SPENT: u64 = (1 << SPENT_BITS) - 1;
const NUMBERS: u64 = (1 << (64 - SPENT_BITS)) - 1;
/// By so many parts the clocks of shards may differ.
const AHEAD: u64 = 40;

/// What is sent out of the allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The 2xx of an INVITE: somebody took the call.
    TakenCall,
    /// Everything else.
    Others,
}

/// Sources in the table: as many sets of as many places.
const SETS: usize = 8_192;

/// What unproven sources got in the last second, for all shards: a flood may come to any of them. Of fixed size and without
/// locks.
pub(crate) struct Budget {
    kept: Purses,
    others: Purses,
    /// New requests of strangers while a shard has more to do than it can.
    requests: Purses,
}

/// So many of them within a second are nobody's who only calls or registers.
const REQUESTS: u64 = 40;

/// What the sources spent of one part of the allowance, or of something else that is counted by the second.
pub(super) struct Purses {
    units: u64,
    places: Box<[[Spending; WAYS]]>,
    hasher: foldhash::quality::RandomState,
}

/// A source, and what it got in the last parts of a second: the number of the newest part, then the units of each, newest
/// first.
#[derive(Default)]
struct Spending {
    source: AtomicU64,
    spent: AtomicU64,
}

/// The number of a part of time, as far as a place keeps it.
fn part_number(now: u64) -> u64 {
    (now / PART_MS) & NUMBERS
}

/// A place's memory in the part of this number: the number it goes on with, and what counts still.
fn aged(word: u64, number: u64) -> (u64, u64) {
    let (had, spent) = (word >> SPENT_BITS, word & SPENT);
    match number.wrapping_sub(had) & NUMBERS {
        past if past < u64::from(PARTS) => (number, spent << (past as u32 * BITS) & SPENT),
        // The clock of another shard is ahead.
        past if past > NUMBERS - AHEAD => (had, spent),
        _ => (number, 0),
    }
}

fn total(spent: u64) -> u64 {
    (0..PARTS).map(|part| spent >> (part * BITS) & ((1 << BITS) - 1)).sum()
}

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget { kept: Purses::new(KEPT), others: Purses::new(OTHERS), requests: Purses::new(REQUESTS) }
    }

    /// Takes so many bytes of the source's allowance; `false` when there are not so many left. While more sources than the
    /// table holds are active, those without a place get nothing of it.
    pub(crate) fn take(&self, address: IpAddr, bytes: usize, now: u64, what: For) -> bool {
        let kept = (KEPT * UNIT) as usize;
        let of_kept = |bytes| what == For::TakenCall && self.kept.take(address, bytes, now);
        if of_kept(bytes) || self.others.take(address, bytes, now) {
            return true;
        }
        // What is longer than either takes from both.
        if bytes <= kept || !of_kept(kept) {
            return false;
        }
        let taken = self.others.take(address, bytes - kept, now);
        if !taken {
            self.kept.give_back(address, kept, now);
        }
        taken
    }
}

impl Budget {
    /// So many more new requests of a stranger; `false` when it has sent more than anybody should within a second. Of sources that
    /// there is no place for in the table nothing is known.
    pub(crate) fn charge_request(&self, address: IpAddr, requests: u64, now: u64) -> bool {
        self.requests.charge(address, requests, now) != Some(false)
    }
}

impl Purses {
    /// So many units are each source's in a second, below 1024.
    pub(super) fn new(units: u64) -> Purses {
        Purses {
            units,
            places: (0..SETS).map(|_| Default::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn set(&self, source: u64) -> &[Spending] {
        use std::hash::BuildHasher as _;
        self.places.get(self.hasher.hash_one(source) as usize % SETS).map_or(&[], |set| &set[..])
    }

    /// Takes one unit of the source's; `false` when none is left.
    pub(super) fn take_one(&self, address: IpAddr, now: u64) -> bool {
        self.take(address, UNIT as usize, now)
    }

    fn take(&self, address: IpAddr, bytes: usize, now: u64) -> bool {
        self.charge(address, (bytes as u64).div_ceil(UNIT), now) == Some(true)
    }

    /// Takes so many units, if there are so many left; `None` where the source has no place.
    fn charge(&self, address: IpAddr, units: u64, now: u64) -> Option<bool> {
        let (source, number) = (number_of(address), part_number(now));
        let set = self.set(source);
        let own = set.iter().find(|place| place.source.load(Ordering::Relaxed) == source);
        let place = own.or_else(|| set.iter().find(|place| place.claim(source, number)));
        let charge = |word: u64| {
            let (number, spent) = aged(word, number);
            (total(spent) + units <= self.units).then(|| number << SPENT_BITS | (spent + units))
        };
        place.map(|p| p.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge).is_ok())
    }

    /// Gives back what was just taken and not sent.
    fn give_back(&self, address: IpAddr, bytes: usize, now: u64) {
        let (source, number) = (number_of(address), part_number(now));
        let units = (bytes as u64).div_ceil(UNIT);
        let refund = |word: u64| {
            let (number, spent) = aged(word, number);
            let newest = spent & ((1 << BITS) - 1);
            Some(number << SPENT_BITS | (spent - newest.min(units)))
        };
        if let Some(place) = self.set(source).iter().find(|p| p.source.load(Ordering::Relaxed) == source) {
            let _ = place.spent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, refund);
        }
    }
}

impl Spending {
    /// Takes the place of a source that got nothing lately.
    fn claim(&self, source: u64, number: u64) -> bool {
        let before = self.source.load(Ordering::Relaxed);
        let idle = aged(self.spent.load(Ordering::Relaxed), number).1 == 0;
        idle && self.source.compare_exchange(before, source, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What a request pays for its own responses, while it is fresh: what is sent later is sent in another second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    bytes: u32,
    until: Now,
}

/// How long a request pays, in milliseconds.
const FRESH_MS: Now = 500;

impl Credit {
    pub(crate) fn new(bytes: usize, now: Now) -> Credit {
        Credit { bytes: bytes as u32, until: now + FRESH_MS }
    }

    /// The request came again.
    pub(crate) fn add(&mut self, bytes: usize, now: Now) {
        *self = Credit::new(self.left(now) + bytes, now);
    }

    pub(super) fn left(&self, now: Now) -> usize {
        if now < self.until { self.bytes as usize } else { 0 }
    }

    pub(super) fn pay(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn any_second_holds_no_more_than_the_allowance() {
        let budget = Budget::new();
        let source = at("192.0.2.1");
        // Whenever somebody asks for whatever, over two minutes.
        let mut sent: Vec<(u64, u64)> = Vec::new();
        let (mut now, mut random) = (1_700_000_000_000u64, 1u64);
        while now < 1_700_000_120_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bytes = random >> 33 & 1023;
            now += random >> 60;
            if budget.take(source, bytes as usize, now, For::TakenCall) {
                sent.push((now, bytes));
            }
        }
        let mut total = 0;
        for (i, (end, bytes)) in sent.iter().enumerate() {
            let second = sent[..=i].iter().rev().take_while(|(t, _)| end - t < 1_000);
            let in_it: u64 = second.map(|(_, bytes)| bytes).sum();
            assert!(in_it <= ALLOWANCE, "{in_it} at {end}");
            total += bytes;
        }
        assert!(total > 120 * ALLOWANCE / 2, "what there is may be used: {total}");
    }

    #[test]
    fn sources_have_an_allowance_each_and_a_network_of_ipv6_has_one() {
        let (budget, now) = (Budget::new(), 1_000_000);
        let answered = (0..).take_while(|_| budget.take(at("192.0.2.9"), 100, now, For::Others)).count();
        assert_eq!(answered, 24, "short answers to forged requests leave room");
        assert!(budget.take(at("192.0.2.9"), 1_500, now, For::TakenCall));
        assert!(budget.take(at("192.0.2.1"), 4096, now, For::TakenCall));
        assert!(
            !budget.take(at("192.0.2.1"), 1, now, For::TakenCall)
                && !budget.take(at("::ffff:192.0.2.1"), 1, now + 1, For::TakenCall)
        );
        assert!(budget.take(at("192.0.2.2"), 4096, now, For::TakenCall));
        assert!(
            budget.take(at("2001:db8::1"), 4000, now, For::TakenCall)
                && !budget.take(at("2001:db8::ffff"), 100, now, For::TakenCall)
        );
        assert!(budget.take(at("2001:db8:0:1::1"), 100, now, For::TakenCall));
        assert!(!budget.take(at("192.0.2.3"), 4097, now, For::TakenCall));
        // What was not sent is not charged.
        assert!(budget.take(at("192.0.2.4"), 600, now, For::Others));
        assert!(!budget.take(at("192.0.2.4"), 3_600, now, For::TakenCall));
        assert!(budget.take(at("192.0.2.4"), 1_500, now, For::TakenCall));
        // The clock of another shard is behind.
        assert!(!budget.take(at("192.0.2.1"), 1, now - 300, For::TakenCall));
        assert!(!budget.take(at("192.0.2.1"), 1, now + 999, For::TakenCall));
        assert!(budget.take(at("192.0.2.1"), 4096, now + 1250, For::TakenCall));
        assert!(budget.take(at("192.0.2.1"), 4096, now + 3_600_000, For::TakenCall));
    }

    #[test]
    fn more_sources_than_there_is_room_for_get_nothing_of_it() {
        let budget = Budget::new();
        let source = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let many = (SETS * WAYS * 2) as u32;
        let served = (0..many).filter(|n| budget.take(source(*n), 100, 5_000, For::Others)).count();
        assert!(served <= SETS * WAYS && served > SETS * WAYS / 2, "{served}");
        // Later there is room again.
        assert!((0..100).filter(|n| budget.take(source(many + n), 100, 7_000, For::Others)).count() > 90);
    }
}
