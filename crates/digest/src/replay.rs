//! The nonce counts that were used.

use parking_lot::Mutex;

use crate::NonceId;

const SHARDS: usize = 64;

/// How long a request is repeated at most: 64 times T1, RFC 3261 §17.1.1.2 and §17.1.2.2.
const REPEATED_MS: u64 = 32_000;

/// The outcome of using a nonce count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Not used before.
    First,
    /// The very request that used it last, sent again within [`REPEATED_MS`]: answer as before.
    Again,
    /// Used before, too far behind, or the nonce has been forgotten: challenge with `stale=true`.
    Replayed,
}

/// A bounded table of the (nonce, nc) pairs that were used; 32 bytes a nonce.
///
/// A ring in the order of issue: a nonce's place is its sequence number modulo the capacity, and it is
/// entered when it is first used *with a right response*. So a flood of requests for challenges evicts
/// nothing. A later nonce of the same place evicts the earlier one, and an evicted nonce counts as used.
pub struct Replays {
    shards: Box<[Mutex<Box<[Slot]>>]>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Sequence number of the nonce, plus one; 0 is an empty slot.
    nonce: u64,
    /// Bit n: the count `highest - n` was used.
    window: u64,
    /// Of the request that used `highest`.
    fingerprint: u64,
    highest: u32,
    /// When it did, in seconds, which may wrap around.
    used_at: u32,
}

impl Replays {
    /// Room for `capacity` nonces, rounded up to a multiple of 64.
    pub fn new(capacity: usize) -> Replays {
        let each = capacity.div_ceil(SHARDS).max(1);
        Replays { shards: (0..SHARDS).map(|_| Mutex::new(vec![Slot::default(); each].into())).collect() }
    }

    /// Uses count `nc` of a fresh nonce. Call it only after the response was found right.
    ///
    /// Counts may arrive out of order within 64 of the highest. `fingerprint` tells a retransmission from
    /// a replay: [`crate::Authenticator::fingerprint`].
    pub fn enter(&self, nonce: NonceId, nc: u32, fingerprint: u64, now: u64) -> Use {
        let Some(shard) = self.shards.get((nonce.0 % SHARDS as u64) as usize) else { return Use::Replayed };
        let mut slots = shard.lock();
        let at = (nonce.0 / SHARDS as u64) % slots.len() as u64;
        let Some(slot) = slots.get_mut(at as usize) else { return Use::Replayed };
        let key = nonce.0 + 1;
        let used_at = (now / 1000) as u32;
        if slot.nonce > key {
            return Use::Replayed;
        }
        if slot.nonce < key {
            *slot = Slot { nonce: key, window: 1, fingerprint, highest: nc, used_at };
            return Use::First;
        }
        if nc > slot.highest {
            let ahead = nc - slot.highest;
            slot.window = if ahead < 64 { slot.window << ahead | 1 } else { 1 };
            slot.highest = nc;
            slot.fingerprint = fingerprint;
            slot.used_at = used_at;
            return Use::First;
        }
        let behind = slot.highest - nc;
        if behind == 0 && slot.fingerprint == fingerprint {
            let age = used_at.wrapping_sub(slot.used_at);
            return if u64::from(age) * 1000 <= REPEATED_MS { Use::Again } else { Use::Replayed };
        }
        if behind >= 64 || slot.window >> behind & 1 == 1 {
            return Use::Replayed;
        }
        slot.window |= 1 << behind;
        Use::First
    }
}

impl Default for Replays {
    /// 65,536 nonces in 2 MiB.
    fn default() -> Self {
        Replays::new(65_536)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn counts_once_within_a_window_of_64() {
        let table = Replays::new(1024);
        let enter = |nc, fingerprint| table.enter(NonceId(5), nc, fingerprint, NOW);
        assert_eq!(enter(1, 100), Use::First);
        assert_eq!(enter(1, 100), Use::Again);
        assert_eq!(enter(1, 101), Use::Replayed);
        assert_eq!(enter(3, 103), Use::First);
        assert_eq!(enter(2, 102), Use::First);
        assert_eq!(enter(2, 102), Use::Replayed);
        assert_eq!(enter(70, 170), Use::First);
        assert_eq!(enter(6, 106), Use::Replayed);
        assert_eq!(enter(7, 107), Use::First);
        assert_eq!(enter(u32::MAX, 1), Use::First);
    }

    #[test]
    fn a_request_is_not_repeated_for_ever() {
        let table = Replays::new(1024);
        assert_eq!(table.enter(NonceId(5), 1, 100, NOW), Use::First);
        assert_eq!(table.enter(NonceId(5), 1, 100, NOW + 32_000), Use::Again);
        assert_eq!(table.enter(NonceId(5), 1, 100, NOW + 33_000), Use::Replayed);
    }

    #[test]
    fn an_evicted_nonce_counts_as_used() {
        let table = Replays::new(64);
        assert_eq!(table.enter(NonceId(0), 1, 1, NOW), Use::First);
        assert_eq!(table.enter(NonceId(64), 1, 2, NOW), Use::First);
        assert_eq!(table.enter(NonceId(0), 2, 3, NOW), Use::Replayed);
        assert_eq!(table.enter(NonceId(1), 1, 4, NOW), Use::First);
    }
}
