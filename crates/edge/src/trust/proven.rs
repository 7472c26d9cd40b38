//! Which sources have shown that they are there.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_sip::source_of;

/// Places of a set, here and in the budget: a source is in one of them.
pub(super) const WAYS: usize = 4;

/// The source of an address as one number: an IPv6 /64, or an IPv4 address where no /64 is in use.
pub(super) fn number_of(address: IpAddr) -> u64 {
    match source_of(address) {
        IpAddr::V4(v4) => 0xffff_0000_0000 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => ((v6.to_bits() >> 64) as u64).max(1),
    }
}

/// Which sources are proven and which are not, as this shard found lately: who is known costs no lock.
pub(crate) struct ProvenSources {
    places: Box<[[Noted; WAYS]]>,
    hasher: foldhash::quality::RandomState,
}

/// A source, and until when it is what the last bit says: proven or not.
#[derive(Default)]
struct Noted {
    source: AtomicU64,
    until: AtomicU64,
}

impl Noted {
    /// Until when it is proven; 0 where it is not.
    fn proof(&self) -> u64 {
        let until = self.until.load(Ordering::Relaxed);
        if until & 1 != 0 { until >> 1 } else { 0 }
    }
}

/// A source that was looked up counts as what it was for so long, in milliseconds.
pub(super) const LOOKED_UP_MS: u64 = 5_000;
pub(super) const UNPROVEN_MS: u64 = 500;
/// A digest whose nonce was sent to the source proves it for as long as a nonce lives.
const DIGEST_MS: u64 = 300_000;

impl ProvenSources {
    pub(crate) fn new() -> ProvenSources {
        ProvenSources {
            places: (0..512).map(|_| Default::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn set(&self, source: u64) -> &[Noted] {
        use std::hash::BuildHasher as _;
        let place = self.hasher.hash_one(source) as usize % self.places.len().max(1);
        self.places.get(place).map_or(&[], |set| &set[..])
    }

    fn own(set: &[Noted], source: u64) -> Option<&Noted> {
        set.iter().find(|place| place.source.load(Ordering::Relaxed) == source)
    }

    /// Is it proven? `None`: that is not known any more.
    pub(super) fn get(&self, address: IpAddr, now: u64) -> Option<bool> {
        let number = number_of(address);
        let until = Self::own(self.set(number), number)?.until.load(Ordering::Relaxed);
        (until >> 1 > now).then_some(until & 1 != 0)
    }

    /// A proof that holds gives way to nothing but a longer one, and to that only where all of its set hold.
    pub(super) fn note(&self, address: IpAddr, proven: bool, until: u64, now: u64) {
        let number = number_of(address);
        let set = self.set(number);
        let place = Self::own(set, number).or_else(|| set.iter().min_by_key(|place| place.proof()));
        let keeps = |place: &Noted| place.proof() > now && (!proven || place.proof() >= until);
        if let Some(place) = place.filter(|place| !keeps(place)) {
            place.source.store(number, Ordering::Relaxed);
            place.until.store(until << 1 | u64::from(proven), Ordering::Relaxed);
        }
    }

    /// A digest came from there with a nonce that was sent there.
    pub(crate) fn prove(&self, address: IpAddr, now: u64) {
        self.note(address, true, now + DIGEST_MS, now);
    }

    /// Was the source proven lately?
    pub(crate) fn is_proven(&self, address: IpAddr, now: u64) -> bool {
        self.get(address, now) == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_proof_ends() {
        let proven = ProvenSources::new();
        proven.prove(at("192.0.2.1"), 1_000);
        assert!(proven.is_proven(at("192.0.2.1"), 1_000 + DIGEST_MS - 1));
        assert!(!proven.is_proven(at("192.0.2.1"), 1_000 + DIGEST_MS));
        assert!(!proven.is_proven(at("192.0.2.2"), 1_000));
        proven.note(at("192.0.2.2"), false, 2_000, 1_000);
        assert_eq!(proven.get(at("192.0.2.2"), 1_999), Some(false));
        assert_eq!(proven.get(at("192.0.2.2"), 2_000), None);
    }

    #[test]
    fn forged_sources_end_no_proof() {
        let proven = ProvenSources::new();
        let source = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        (0..200).for_each(|n| proven.prove(source(n), 1_000));
        // Where more than a set holds were proven, some found no room.
        let shown: Vec<IpAddr> = (0..200).map(source).filter(|at| proven.is_proven(*at, 1_500)).collect();
        assert!(shown.len() > 150, "{}", shown.len());
        shown.iter().for_each(|source| proven.note(*source, false, 9_000, 2_000));
        (1_000..50_000).for_each(|n| proven.note(source(n), false, 9_000, 2_000));
        assert!(shown.iter().all(|source| proven.is_proven(*source, 3_000)));
        assert!(
            (1_000..50_000).any(|n| proven.get(source(n), 3_000) == Some(false)),
            "others are noted still"
        );
        // What is proven for longer finds room.
        let later = source(60_000);
        proven.prove(later, 4_000);
        assert!(proven.is_proven(later, 5_000));
    }
}
