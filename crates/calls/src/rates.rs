//! How often calls of a party begin.

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::sessions::SessionKey;

const SHARDS: usize = 16;
const MINUTE_MS: u64 = 60_000;

/// The calls of each party that has a limit per minute: as many may begin at once as the limit says, then one each time its share of
/// a minute has passed (the generic cell rate algorithm, ITU-T I.371). A party is one number, and takes no room once it has been
/// quiet for a minute and the table is swept.
pub(crate) struct Rates {
    shards: Box<[Mutex<HashMap<SessionKey, u64, foldhash::fast::RandomState>>]>,
}

/// What one call costs, in microseconds.
fn share(per_minute: u32) -> u64 {
    MINUTE_MS * 1000 / u64::from(per_minute.max(1))
}

impl Rates {
    pub fn new() -> Rates {
        Rates { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, key: SessionKey) -> &Mutex<HashMap<SessionKey, u64, foldhash::fast::RandomState>> {
        &self.shards[key.spread() % SHARDS]
    }

    /// One more call; else after how many seconds one may begin.
    pub fn take(&self, key: SessionKey, per_minute: u32, now: u64) -> Result<(), u32> {
        let mut shard = self.shard(key).lock();
        let paid_until = shard.get(&key).copied().unwrap_or(0);
        let paid = next(paid_until, per_minute, now)?;
        shard.insert(key, paid);
        Ok(())
    }

    /// Could one more call begin?
    pub fn has_room(&self, key: SessionKey, per_minute: u32, now: u64) -> Result<(), u32> {
        let paid_until = self.shard(key).lock().get(&key).copied().unwrap_or(0);
        next(paid_until, per_minute, now).map(|_| ())
    }

    /// A call that was taken did not begin after all.
    pub fn give_back(&self, key: SessionKey, per_minute: u32) {
        if let Some(paid_until) = self.shard(key).lock().get_mut(&key) {
            *paid_until = paid_until.saturating_sub(share(per_minute));
        }
    }

    /// Forgets who has been quiet.
    pub fn sweep(&self, now: u64) {
        for shard in &self.shards {
            shard.lock().retain(|_, paid_until| *paid_until > now.saturating_mul(1000));
        }
    }
}

/// Until when one more call is paid for, in microseconds; else after how many seconds it may begin.
fn next(paid_until: u64, per_minute: u32, now: u64) -> Result<u64, u32> {
    let now = now.saturating_mul(1000);
    let paid = paid_until.max(now) + share(per_minute);
    // As many as the limit says are paid for within the coming minute.
    let beyond = paid.saturating_sub(now + MINUTE_MS * 1000);
    if beyond == 0 { Ok(paid) } else { Err(beyond.div_ceil(1_000_000) as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_minute() {
        let (rates, key) = (Rates::new(), SessionKey::reference(b"a"));
        let now = 1_700_000_000_000;
        for _ in 0..3 {
            assert_eq!(rates.take(key, 3, now), Ok(()));
        }
        assert_eq!(rates.take(key, 3, now), Err(20));
        assert_eq!(rates.has_room(key, 3, now + 19_001), Err(1));
        assert_eq!(rates.take(key, 3, now + 20_000), Ok(()));
        assert_eq!(rates.take(key, 3, now + 20_000), Err(20));
        rates.give_back(key, 3);
        assert_eq!(rates.take(key, 3, now + 20_000), Ok(()));
        assert_eq!(rates.take(SessionKey::reference(b"b"), 1, now), Ok(()));
        rates.sweep(now + 20_000);
        assert_eq!(rates.take(key, 3, now + 20_000), Err(20), "it is not forgotten yet");
        rates.sweep(now + 200_000);
        let left: usize = rates.shards.iter().map(|shard| shard.lock().len()).sum();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_limit_that_divides_no_minute() {
        let (rates, key) = (Rates::new(), SessionKey::reference(b"a"));
        let taken = (0..700).filter(|_| rates.take(key, 700, 5).is_ok()).count();
        assert_eq!(taken, 700);
        assert!(rates.take(key, 700, 5).is_err());
    }
}
