//! Without transactions: which INVITEs were let through. A CANCEL and the ACK to a failure carry no digest, and follow such an
//! INVITE or go nowhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// INVITEs remembered: so many sets of so many places.
const SETS: usize = 65_536;
const WAYS: usize = 4;
/// A call rings three minutes at most where nothing else is set (timer C), and then is cancelled or fails.
const MEMORY_MS: u64 = 240_000;

/// The INVITEs of all shards, of fixed size and without locks: the oldest of a set gives way. What is told from it is only
/// whether a companion goes on, so that no harm is done where two shards write at the same time.
pub(crate) struct Admitted {
    /// What an INVITE and its companions have in common, and until when it is remembered.
    places: Box<[(AtomicU64, AtomicU64)]>,
}

impl Admitted {
    /// Without places where there are transactions.
    pub(crate) fn new(stateless: bool) -> Admitted {
        let places = if stateless { SETS * WAYS } else { 0 };
        Admitted { places: (0..places).map(|_| Default::default()).collect() }
    }

    fn set(&self, mark: u64) -> &[(AtomicU64, AtomicU64)] {
        let at = (mark as usize % SETS) * WAYS;
        self.places.get(at..at + WAYS).unwrap_or_default()
    }

    pub(super) fn note(&self, mark: u64, now: u64) {
        let set = self.set(mark);
        let own = set.iter().find(|place| place.0.load(Ordering::Relaxed) == mark);
        let oldest = || set.iter().min_by_key(|place| place.1.load(Ordering::Relaxed));
        if let Some(place) = own.or_else(oldest) {
            place.1.store(now + MEMORY_MS, Ordering::Relaxed);
            place.0.store(mark, Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, mark: u64, now: u64) -> bool {
        let is_it = |place: &(AtomicU64, AtomicU64)| {
            place.0.load(Ordering::Relaxed) == mark && place.1.load(Ordering::Relaxed) > now
        };
        self.set(mark).iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_through_is_remembered_for_a_while() {
        let admitted = Admitted::new(true);
        assert!(!admitted.has(7, 1_000));
        admitted.note(7, 1_000);
        assert!(admitted.has(7, 1_000 + MEMORY_MS - 1) && !admitted.has(7, 1_000 + MEMORY_MS));
        // The oldest of a set gives way.
        let of_one_set = |n: usize| (7 + n * SETS) as u64;
        (1..=WAYS).for_each(|n| admitted.note(of_one_set(n), 2_000 + n as u64));
        assert!(!admitted.has(7, 3_000) && (1..=WAYS).all(|n| admitted.has(of_one_set(n), 3_000)));
        let with_transactions = Admitted::new(false);
        with_transactions.note(7, 1_000);
        assert!(!with_transactions.has(7, 1_000));
    }
}
