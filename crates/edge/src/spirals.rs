//! Requests that come back to us over the wire, as whoever forwards everything sends them. No look at one of them tells how
//! many there are: what was forwarded for them is counted together, however they came by.

use hashbrown::HashMap;
use parking_lot::Mutex;

/// Targets of all that comes back of one request, at most: as many as `Max-Breadth` lets it have at once (RFC 5393 §5.3.3).
const BUDGET: u32 = 60;
/// Nothing comes back after so many milliseconds: by then its transactions are over.
const LONGEST: u64 = 300_000;
/// Requests that are remembered, at most.
const MOST: usize = 10_000;

/// What was spent for the requests that came back.
#[derive(Debug, Default)]
pub(crate) struct Spirals(Mutex<HashMap<u64, Spent>>);

#[derive(Clone, Copy, Debug)]
struct Spent {
    targets: u32,
    since: u64,
}

impl Spirals {
    /// May what comes back of this request (by the hash of its Call-ID and From tag) have so many targets more?
    pub(crate) fn admit(&self, request: u64, targets: usize, now: u64) -> bool {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.retain(|_, spent| now.saturating_sub(spent.since) < LONGEST);
            if all.len() >= MOST {
                all.clear();
            }
        }
        let spent = all.entry(request).or_insert(Spent { targets: 0, since: now });
        if now.saturating_sub(spent.since) >= LONGEST {
            *spent = Spent { targets: 0, since: now };
        }
        spent.targets = spent.targets.saturating_add(targets as u32);
        spent.targets <= BUDGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_laps_share_one_budget() {
        let spirals = Spirals::default();
        assert!((0..6).all(|_| spirals.admit(1, 10, 0)));
        assert!(!spirals.admit(1, 1, 1_000) && !spirals.admit(1, 1, LONGEST - 1));
        assert!(spirals.admit(2, 60, 0) && spirals.admit(1, 1, LONGEST));
        for n in 0..MOST as u64 * 2 {
            spirals.admit(n, 1, 0);
        }
        assert!(spirals.0.lock().len() <= MOST);
    }
}
