//! The memory of selection: the binding of each call or session, and the next one in turn.

use std::hash::BuildHasher;

use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::binding::Timestamp;

const SHARDS: usize = 16;
const WAYS: usize = 4;
const SETS: usize = 1024;
/// Beyond this many backends a shard starts its turns anew.
const MOST_TURNS: usize = 4096;

/// Bounded: 65,536 pins of 24 bytes, taken at the first use; of a full set the one that ends first gives
/// way.
pub(crate) struct Pins {
    hasher: foldhash::quality::RandomState,
    shards: Box<[Mutex<PinShard>]>,
}

#[derive(Default)]
struct PinShard {
    pins: Vec<Pin>,
    turns: HashMap<u64, u32, foldhash::fast::RandomState>,
}

#[derive(Clone, Copy, Default)]
struct Pin {
    key: u64,
    binding: u64,
    until: Timestamp,
}

/// The purpose of a pin; each has its own keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PinKind {
    Call,
    Affinity,
    Turn,
}

impl Pins {
    pub fn new() -> Pins {
        Pins {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Scoped to the AOR, so that equal Call-IDs or references of two AORs have nothing in common.
    pub fn key(&self, kind: PinKind, aor: &[u8], name: &[u8]) -> u64 {
        self.hasher.hash_one((kind, aor, name)) | 1
    }

    fn shard(&self, key: u64) -> &Mutex<PinShard> {
        &self.shards[(key >> 60) as usize % SHARDS]
    }

    fn first(key: u64) -> usize {
        (key >> 8) as usize % SETS * WAYS
    }

    pub fn get(&self, key: u64, now: Timestamp) -> Option<u64> {
        let shard = self.shard(key).lock();
        let set = shard.pins.get(Pins::first(key)..)?;
        set.iter().take(WAYS).find(|p| p.key == key && p.until > now).map(|p| p.binding)
    }

    pub fn set(&self, key: u64, binding: u64, until: Timestamp) {
        let mut shard = self.shard(key).lock();
        if shard.pins.is_empty() {
            shard.pins = vec![Pin::default(); SETS * WAYS];
        }
        let first = Pins::first(key);
        let Some(set) = shard.pins.get_mut(first..first + WAYS) else { return };
        let at = set.iter().position(|p| p.key == key);
        let at = at.or_else(|| set.iter().enumerate().min_by_key(|(_, p)| p.until).map(|(n, _)| n));
        if let Some(pin) = at.and_then(|n| set.get_mut(n)) {
            *pin = Pin { key, binding, until };
        }
    }

    /// The next index among so many.
    pub fn turn(&self, key: u64, among: usize) -> usize {
        let mut shard = self.shard(key).lock();
        if shard.turns.len() >= MOST_TURNS && !shard.turns.contains_key(&key) {
            shard.turns.clear();
        }
        let turn = shard.turns.entry(key).or_insert(0);
        let this = *turn as usize % among.max(1);
        *turn = turn.wrapping_add(1);
        this
    }
}
