//! Without transactions: which INVITEs were let through. A CANCEL and the ACK to a failure carry no digest, and follow such an
//! INVITE or go nowhere.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_sip::Message;
use trunkline_transaction::TransactionKey;

use crate::shared::Shared;

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

    fn note(&self, mark: u64, now: u64) {
        let set = self.set(mark);
        let own = set.iter().find(|place| place.0.load(Ordering::Relaxed) == mark);
        let oldest = || set.iter().min_by_key(|place| place.1.load(Ordering::Relaxed));
        if let Some(place) = own.or_else(oldest) {
            place.1.store(now + MEMORY_MS, Ordering::Relaxed);
            place.0.store(mark, Ordering::Relaxed);
        }
    }

    fn has(&self, mark: u64, now: u64) -> bool {
        let is_it = |place: &(AtomicU64, AtomicU64)| {
            place.0.load(Ordering::Relaxed) == mark && place.1.load(Ordering::Relaxed) > now
        };
        self.set(mark).iter().any(is_it)
    }
}

impl Shared {
    /// What an INVITE has in common with its companions (RFC 3261 §9.1, §17.1.1.3): the transaction, the Request-URI, the
    /// caller's tag and where it comes from: the very port, as a neighbour that is rung knows all the rest.
    fn companion_mark(&self, m: &Message<'_>, key: TransactionKey, from: SocketAddr) -> u64 {
        let mut rest = [0; 26];
        let (transaction, source) = rest.split_at_mut(8);
        let (address, port) = source.split_at_mut(16);
        transaction.copy_from_slice(&key.short().to_be_bytes());
        port.copy_from_slice(&from.port().to_be_bytes());
        match from.ip() {
            IpAddr::V4(v4) => address.copy_from_slice(&v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => address.copy_from_slice(&v6.octets()),
        }
        self.secret.tag(m.uri_text(), &rest, m.from_tag())
    }

    /// An INVITE was let through.
    pub(crate) fn admit(&self, m: &Message<'_>, key: TransactionKey, from: SocketAddr, now: u64) {
        self.admitted.note(self.companion_mark(m, key, from), now);
    }

    /// Was the INVITE of this CANCEL or ACK let through?
    pub(crate) fn is_admitted(
        &self,
        m: &Message<'_>,
        key: TransactionKey,
        from: SocketAddr,
        now: u64,
    ) -> bool {
        self.admitted.has(self.companion_mark(m, key, from), now)
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
