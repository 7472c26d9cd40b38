//! Sessions per party.

use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;

use hashbrown::HashMap;
use parking_lot::Mutex;

const SHARDS: usize = 32;
const ROOM: usize = 100;

/// Names a party whose sessions are counted: a binding, an agent, a peer, a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey(NonZeroU64);

impl SessionKey {
    /// A binding of the location service, by its number.
    pub fn binding(id: u64) -> SessionKey {
        // The top bit keeps numbers and hashes apart.
        SessionKey(NonZeroU64::new(id & !(1 << 63)).unwrap_or(NonZeroU64::MIN))
    }

    /// A resource, by its ref, which no other resource has.
    pub fn reference(name: &[u8]) -> SessionKey {
        let mut hash = foldhash::quality::FixedState::with_seed(0x7472_756e_6b6c_696e).build_hasher();
        hash.write(name);
        SessionKey(NonZeroU64::new(hash.finish() | 1 << 63).unwrap_or(NonZeroU64::MAX))
    }

    /// A number for choosing among tables.
    pub(crate) fn spread(self) -> usize {
        let number = self.0.get();
        (number ^ number >> 40) as usize
    }
}

/// How many sessions each party has; a party without any takes no room.
pub(crate) struct Sessions {
    shards: Box<[Mutex<HashMap<SessionKey, u32, foldhash::fast::RandomState>>]>,
}

impl Sessions {
    pub fn new() -> Sessions {
        // Room for a usual number of parties, so that a call seldom makes a table grow.
        let table = |_| Mutex::new(HashMap::with_capacity_and_hasher(ROOM, Default::default()));
        Sessions { shards: (0..SHARDS).map(table).collect() }
    }

    fn shard(&self, key: SessionKey) -> &Mutex<HashMap<SessionKey, u32, foldhash::fast::RandomState>> {
        &self.shards[key.spread() % SHARDS]
    }

    /// One more, unless that is more than the limit.
    pub fn add(&self, key: SessionKey, limit: Option<u32>) -> bool {
        let mut shard = self.shard(key).lock();
        let count = shard.get(&key).copied().unwrap_or(0);
        if limit.is_some_and(|limit| count >= limit) {
            return false;
        }
        shard.insert(key, count + 1);
        true
    }

    pub fn remove(&self, key: SessionKey) {
        let mut shard = self.shard(key).lock();
        match shard.get_mut(&key) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => {
                shard.remove(&key);
            }
            None => {}
        }
    }

    pub fn count(&self, key: SessionKey) -> u32 {
        self.shard(key).lock().get(&key).copied().unwrap_or(0)
    }
}
