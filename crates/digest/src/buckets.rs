//! Leaky buckets under hashed keys, as many as fit a fixed table.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::throttle::ThrottleLimits;

const SHARDS: usize = 16;
const WAYS: usize = 4;
const SETS: usize = 512;
/// The bit of [`Bucket::drained`] that says that the ban was reported.
const TOLD: u64 = 1 << 63;

/// 32,768 buckets of 16 bytes. Where a set is full its emptiest bucket gives way.
pub(crate) struct Buckets {
    /// Until when any bucket holds something, in milliseconds; after that nothing needs to be looked up.
    quiet_from: AtomicU64,
    shards: Box<[Mutex<Box<[Bucket]>>]>,
}

/// A leaky bucket as one time (the "generic cell rate" form): it is empty at `drained`.
#[derive(Clone, Copy, Default)]
struct Bucket {
    key: u64,
    drained: u64,
}

impl Bucket {
    fn drained(self) -> u64 {
        self.drained & !TOLD
    }
}

impl Buckets {
    pub(crate) fn new() -> Buckets {
        Buckets {
            quiet_from: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| Mutex::new(vec![Bucket::default(); SETS * WAYS].into())).collect(),
        }
    }

    /// Is every bucket empty? One load.
    pub(crate) fn are_empty(&self, now: u64) -> bool {
        now >= self.quiet_from.load(Ordering::Relaxed)
    }

    /// Milliseconds until the bucket has room for one more; 0 when it has.
    pub(crate) fn wait(&self, key: u64, limits: ThrottleLimits, now: u64) -> u64 {
        let room = limits.interval_ms * u64::from(limits.burst.saturating_sub(1));
        self.with_set(key, |set| {
            set.iter().find(|b| b.key == key).map_or(0, |b| b.drained().saturating_sub(now + room))
        })
        .unwrap_or(0)
    }

    /// Puts one more in.
    pub(crate) fn pour(&self, key: u64, limits: ThrottleLimits, now: u64) {
        self.with_set(key, |set| {
            let at = set
                .iter()
                .position(|b| b.key == key)
                .or_else(|| set.iter().enumerate().min_by_key(|(_, b)| b.drained()).map(|(n, _)| n));
            let Some(bucket) = at.and_then(|n| set.get_mut(n)) else { return };
            // One that ran empty in the meantime begins anew.
            let kept = if bucket.key == key && bucket.drained() > now { bucket.drained } else { now };
            // A bucket never fills beyond one over its burst: waiting an interval always helps.
            let full = now + limits.interval_ms * u64::from(limits.burst);
            let drained = ((kept & !TOLD) + limits.interval_ms).min(full);
            *bucket = Bucket { key, drained: drained | (kept & TOLD) };
            self.quiet_from.fetch_max(drained, Ordering::Relaxed);
        });
    }

    /// Empties the bucket.
    pub(crate) fn empty(&self, key: u64) {
        self.with_set(key, |set| {
            if let Some(bucket) = set.iter_mut().find(|b| b.key == key) {
                *bucket = Bucket::default();
            }
        });
    }

    /// Marks a bucket that holds something; `Some(true)` when it was not marked since it began to fill, `None` when
    /// there is no such bucket.
    pub(crate) fn mark(&self, key: u64, now: u64) -> Option<bool> {
        self.with_set(key, |set| {
            let bucket = set.iter_mut().find(|b| b.key == key && b.drained() > now)?;
            let first = bucket.drained & TOLD == 0;
            bucket.drained |= TOLD;
            Some(first)
        })
        .flatten()
    }

    fn with_set<T>(&self, key: u64, f: impl FnOnce(&mut [Bucket]) -> T) -> Option<T> {
        let mut shard = self.shards.get(key as usize >> 1 & (SHARDS - 1))?.lock();
        let first = (key >> 8) as usize % SETS * WAYS;
        shard.get_mut(first..first + WAYS).map(f)
    }
}
