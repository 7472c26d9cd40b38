//! Who takes part in calls that were answered, for the BYE of clients that know no Route.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_sip::{ConnectionId, Flow, Message};

/// Sides of calls that are remembered; a later one may take the place of an earlier.
const PLACES: usize = 16_384;

/// The sides of the calls that were answered last, in all shards, of fixed size and without locks.
pub(crate) struct Talking {
    places: Box<[AtomicU64]>,
    hasher: foldhash::quality::RandomState,
}

impl Talking {
    pub(crate) fn new() -> Talking {
        Talking {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            hasher: foldhash::quality::RandomState::default(),
        }
    }

    /// A side of a call: its Call-ID, the own and the other tag, and the flow by which it sends.
    pub(crate) fn side(&self, m: &Message<'_>, (own, other): (&[u8], &[u8]), flow: &Flow) -> u64 {
        let connection = if flow.transport.is_reliable() { flow.connection } else { ConnectionId::NONE };
        let remote = (flow.remote.ip().to_canonical(), flow.remote.port());
        self.hasher.hash_one((m.call_id(), own, other, flow.transport, remote, connection)).max(1)
    }

    fn place(&self, side: u64) -> Option<&AtomicU64> {
        self.places.get(side as usize % PLACES)
    }

    /// Remembers it.
    pub(crate) fn note(&self, side: u64) {
        if let Some(place) = self.place(side) {
            place.store(side, Ordering::Relaxed);
        }
    }

    /// Is it remembered?
    pub(crate) fn has(&self, side: u64) -> bool {
        self.place(side).is_some_and(|place| place.load(Ordering::Relaxed) == side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known() {
        let talking = Talking::new();
        assert!(!talking.has(7));
        talking.note(7);
        assert!(talking.has(7) && !talking.has(8));
        talking.note(7 + PLACES as u64);
        assert!(!talking.has(7), "a later one took its place");
    }
}
