//! Requests that come back to us over the wire, as whoever forwards everything sends them. No look at one of them tells how
//! many there are: what was forwarded for them is counted together, however they came by.

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use std::hash::BuildHasher as _;
use trunkline_calls::Payer;

/// Targets of all that comes back of one request, at most: as many as `Max-Breadth` lets it have at once (RFC 5393 §5.3.3).
const BUDGET: u32 = 60;
/// Nothing comes back after so many milliseconds: by then its transactions are over.
const LONGEST: u64 = 300_000;
/// Requests that are remembered: as many sets of as many.
const SETS: usize = 2_048;
const WAYS: usize = 16;
/// Requests of one party in a set: a quarter, so that none fills the table.
const SHARE: usize = WAYS / 4;

/// What was spent for the requests that came back. Of fixed size: where all of a set are remembered still, a further one
/// does not go on, as others that came back would begin anew if it did.
#[derive(Debug)]
pub(crate) struct Spirals {
    sets: Mutex<Box<[[Spent; WAYS]]>>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    request: u64,
    /// Whose request it is, as a hash.
    payer: u64,
    targets: u32,
    since: u64,
}

impl Spent {
    fn is_over(&self, now: u64) -> bool {
        self.targets == 0 || now.saturating_sub(self.since) >= LONGEST
    }
}

impl Default for Spirals {
    fn default() -> Self {
        Spirals { sets: Mutex::new(vec![Default::default(); SETS].into()), hasher: RandomState::default() }
    }
}

impl Spirals {
    /// May what comes back of this request (by the hash of its Call-ID and From tag) have so many targets more?
    pub(crate) fn admit(&self, request: u64, payer: Payer, targets: usize, now: u64) -> bool {
        let payer = self.hasher.hash_one(payer);
        let mut sets = self.sets.lock();
        let Some(set) = sets.get_mut(self.hasher.hash_one(request) as usize % SETS) else { return false };
        let own = set.iter().position(|s| s.request == request && !s.is_over(now));
        // The oldest of those that are over gives way.
        let free = || {
            let over = set.iter().enumerate().filter(|(_, s)| s.is_over(now));
            over.min_by_key(|(_, s)| s.since).map(|(place, _)| place)
        };
        let others = || set.iter().filter(|s| s.payer == payer && !s.is_over(now)).count();
        if own.is_none() && others() >= SHARE {
            return false;
        }
        let Some(place) = own.or_else(free) else { return false };
        let Some(spent) = set.get_mut(place) else { return false };
        if own.is_none() {
            *spent = Spent { request, payer, targets: 0, since: now };
        }
        spent.targets = spent.targets.saturating_add(targets.max(1) as u32);
        spent.targets <= BUDGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(n: u64) -> Payer {
        Payer::Source(std::net::Ipv4Addr::from_bits(n as u32).into())
    }

    #[test]
    fn all_laps_share_one_budget() {
        let spirals = Spirals::default();
        let admit = |request, targets, now| spirals.admit(request, payer(1), targets, now);
        assert!((0..6).all(|_| admit(1, 10, 0)));
        assert!(!admit(1, 1, 1_000) && !admit(1, 1, LONGEST - 1));
        assert!(admit(2, 60, 0) && admit(1, 1, LONGEST));
    }

    #[test]
    fn many_others_give_nobody_a_new_budget() {
        let spirals = Spirals::default();
        let admit = |request, targets, now| spirals.admit(request, payer(request), targets, now);
        let spent: Vec<u64> = (0..1_000).collect();
        assert!(spent.iter().all(|n| admit(*n, 60, 0)));
        let most = (SETS * WAYS * 2) as u64;
        let admitted = (1_000..most).filter(|n| admit(*n, 1, 1_000)).count();
        assert!(admitted > SETS * WAYS / 2 && admitted <= SETS * WAYS - spent.len(), "{admitted}");
        assert!(spent.iter().all(|n| !admit(*n, 1, 2_000)), "spent is spent");
        assert!((most..most + 1_000).all(|n| admit(n, 1, LONGEST + 1_000)), "later there is room again");
    }

    #[test]
    fn no_party_takes_the_room_of_others() {
        let spirals = Spirals::default();
        let mine = (0..100_000).filter(|n| spirals.admit(*n, payer(1), 1, 0)).count();
        assert_eq!(mine, SETS * SHARE);
        assert!((0..1_000).all(|n| spirals.admit(1_000_000 + n, payer(2 + n), 1, 0)));
    }
}
