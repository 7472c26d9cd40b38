//! Until when something holds, by key: written by few, read by many.

use std::hash::{BuildHasher as _, Hash};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::binding::Timestamp;

const SHARDS: usize = 64;

type Times<K> = HashMap<K, AtomicU64, foldhash::fast::RandomState>;

/// A time for each key. A key whose time is over is freed by [`Until::prune`].
pub(crate) struct Until<K> {
    shards: Box<[RwLock<Times<K>>]>,
    hasher: foldhash::fast::RandomState,
    prune_cursor: AtomicUsize,
}

impl<K: Copy + Eq + Hash> Until<K> {
    pub fn new() -> Until<K> {
        Until {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            prune_cursor: AtomicUsize::new(0),
        }
    }

    fn shard(&self, key: K) -> &RwLock<Times<K>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// The key holds until then at least. Of a known one this takes a read lock only.
    pub fn raise(&self, key: K, until: Timestamp) {
        let shard = self.shard(key);
        if let Some(had) = shard.read().get(&key) {
            had.fetch_max(until, Ordering::Relaxed);
            return;
        }
        shard.write().entry(key).or_default().fetch_max(until, Ordering::Relaxed);
    }

    pub fn holds(&self, key: K, now: Timestamp) -> bool {
        self.shard(key).read().get(&key).is_some_and(|until| until.load(Ordering::Relaxed) > now)
    }

    /// Frees what has run out in the next shard.
    pub fn prune(&self, now: Timestamp) {
        let shard = self.prune_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let over = |until: &AtomicU64| until.load(Ordering::Relaxed) <= now;
        if self.shards[shard].read().values().any(over) {
            self.shards[shard].write().retain(|_, until| !over(until));
        }
    }

    /// Frees all that has run out, and gives how many keys are left.
    #[cfg(test)]
    pub fn left(&self, now: Timestamp) -> usize {
        (0..SHARDS).for_each(|_| self.prune(now));
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}
