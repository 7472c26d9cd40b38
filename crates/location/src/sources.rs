//! The source addresses of registered users.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;
use trunkline_sip::source_of;

use crate::binding::Timestamp;

const SHARDS: usize = 64;

type Until = HashMap<IpAddr, AtomicU64, foldhash::fast::RandomState>;

/// Until when the last binding of each source lasts. A binding that is removed earlier is not looked for: its source
/// was trusted with it a moment ago.
pub(crate) struct Sources {
    shards: Box<[RwLock<Until>]>,
    hasher: foldhash::fast::RandomState,
    prune_cursor: AtomicUsize,
}

impl Sources {
    pub fn new() -> Sources {
        Sources {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            prune_cursor: AtomicUsize::new(0),
        }
    }

    fn shard(&self, source: IpAddr) -> &RwLock<Until> {
        use std::hash::BuildHasher as _;
        &self.shards[self.hasher.hash_one(source) as usize % SHARDS]
    }

    /// Notes that a user is registered from this address until then. A refresh takes a read lock only.
    pub fn note(&self, address: IpAddr, until: Timestamp) {
        let source = source_of(address);
        let shard = self.shard(source);
        if let Some(had) = shard.read().get(&source) {
            had.fetch_max(until, Ordering::Relaxed);
            return;
        }
        shard.write().entry(source).or_default().fetch_max(until, Ordering::Relaxed);
    }

    pub fn has(&self, address: IpAddr, now: Timestamp) -> bool {
        let source = source_of(address);
        self.shard(source).read().get(&source).is_some_and(|until| until.load(Ordering::Relaxed) > now)
    }

    /// Frees what has run out in the next shard.
    pub fn prune(&self, now: Timestamp) {
        let shard = self.prune_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let over = |until: &AtomicU64| until.load(Ordering::Relaxed) <= now;
        if self.shards[shard].read().values().any(over) {
            self.shards[shard].write().retain(|_, until| !over(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_until_its_last_binding_ends() {
        let sources = Sources::new();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        sources.note(at("192.0.2.1"), 2000);
        sources.note(at("192.0.2.1"), 1000);
        sources.note(at("2001:db8::1"), 1000);
        assert!(sources.has(at("192.0.2.1"), 1999) && !sources.has(at("192.0.2.1"), 2000));
        assert!(sources.has(at("2001:db8::2"), 999), "the /64");
        assert!(!sources.has(at("192.0.2.2"), 0));
        (0..SHARDS).for_each(|_| sources.prune(1000));
        let left = sources.shards.iter().map(|s| s.read().len()).sum::<usize>();
        assert_eq!((left, sources.has(at("192.0.2.1"), 1999)), (1, true));
    }
}
