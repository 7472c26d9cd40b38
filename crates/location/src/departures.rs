//! Ways that phones have left: who registers again by another way is not heard of by the old one any more, even where that
//! connection still looks alive, or the old port of its NAT might be somebody else's.

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

    fn place(&self, way: &Way) -> (u64, Option<&AtomicU64>) {
        let hash = self.hasher.hash_one(way).max(1);
        (hash, self.places.get(hash as usize % PLACES))
    }

    /// A phone has left this way.
    pub fn note(&self, way: &Way) {
        if let (hash, Some(place)) = self.place(way) {
            place.store(hash, Ordering::Relaxed);
        }
    }

    /// A phone has registered by this way.
    pub fn forget(&self, way: &Way) {
        if let (hash, Some(place)) = self.place(way) {
            let _ = place.compare_exchange(hash, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Was it left?
    pub fn has(&self, way: &Way) -> bool {
        let (hash, place) = self.place(way);
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
        departures.note(&way(5060, 7));
        assert!(
            departures.has(&way(5060, 7)) && !departures.has(&way(5060, 8)) && !departures.has(&way(5061, 7))
        );
        departures.forget(&way(5060, 8));
        assert!(departures.has(&way(5060, 7)));
        departures.forget(&way(5060, 7));
        assert!(!departures.has(&way(5060, 7)));
    }
}
