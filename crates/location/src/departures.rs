//! Ways that phones have left: who registers again by another way is not heard of by the old one any more, even where that
//! connection still looks alive. A NAT may have given the old port to another account's phone, which has not left it.

use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_sip::{Flow, Transport};

/// Ways that are remembered; a later one may take the place of an earlier.
const PLACES: usize = 16_384;

/// A way without the address that the exchange has on it.
pub(crate) type Way = (Transport, SocketAddr, u64);

/// The ways that were left last, of fixed size and without locks.
pub(crate) struct Departures {
    places: Box<[AtomicU64]>,
    hasher: foldhash::quality::RandomState,
}

/// The way of a flow.
pub(crate) fn way(flow: &Flow) -> Way {
    (flow.transport, flow.remote, if flow.transport.is_reliable() { flow.connection.0 } else { 0 })
}

impl Departures {
    pub fn new() -> Departures {
        Departures {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    fn place(&self, registrant: u32, way: &Way) -> (u64, Option<&AtomicU64>) {
        let hash = self.hasher.hash_one((registrant, way)).max(1);
        (hash, self.places.get(hash as usize % PLACES))
    }

    /// A phone of this registrant has left this way.
    pub fn note(&self, registrant: u32, way: &Way) {
        if let (hash, Some(place)) = self.place(registrant, way) {
            place.store(hash, Ordering::Relaxed);
        }
    }

    /// One has registered by this way.
    pub fn forget(&self, registrant: u32, way: &Way) {
        if let (hash, Some(place)) = self.place(registrant, way) {
            let _ = place.compare_exchange(hash, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Was it left by a phone of this registrant?
    pub fn has(&self, registrant: u32, way: &Way) -> bool {
        let (hash, place) = self.place(registrant, way);
        place.is_some_and(|place| place.load(Ordering::Relaxed) == hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_left_until_somebody_comes_by_it() {
        let departures = Departures::new();
        let way =
            |port: u16, connection| (Transport::Tcp, SocketAddr::from(([192, 0, 2, 1], port)), connection);
        departures.note(1, &way(5060, 7));
        assert!(departures.has(1, &way(5060, 7)));
        assert!(!departures.has(1, &way(5060, 8)) && !departures.has(1, &way(5061, 7)));
        assert!(!departures.has(2, &way(5060, 7)), "another account's phone has not left it");
        departures.forget(1, &way(5060, 8));
        departures.forget(2, &way(5060, 7));
        assert!(departures.has(1, &way(5060, 7)));
        departures.forget(1, &way(5060, 7));
        assert!(!departures.has(1, &way(5060, 7)));
    }
}
