//! A hash table that is cheap to copy and change.

use std::sync::Arc;

use hashbrown::HashTable;

/// How many parts a table has. A change copies one part: 1/256 of the entries.
const SHARDS: usize = 256;

/// A table of shared values, each with the hash of its key; what the key is, the caller's closures know.
///
/// Copying takes a count per part, changing a copy rewrites the one part the key falls into.
#[derive(Debug)]
pub(crate) struct Sharded<V> {
    shards: Box<[Shard<V>]>,
    len: usize,
}

type Shard<V> = Arc<HashTable<(u64, Arc<V>)>>;

impl<V> Default for Sharded<V> {
    fn default() -> Self {
        let empty: Shard<V> = Arc::new(HashTable::new());
        Sharded { shards: vec![empty; SHARDS].into(), len: 0 }
    }
}

impl<V> Clone for Sharded<V> {
    fn clone(&self) -> Self {
        Sharded { shards: self.shards.clone(), len: self.len }
    }
}

/// hashbrown takes the lowest and the top seven bits of a hash, so the shard takes some from between.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<V> Sharded<V> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, hash: u64, is: impl Fn(&V) -> bool) -> Option<&Arc<V>> {
        self.shards[shard_of(hash)].find(hash, |(h, v)| *h == hash && is(v)).map(|(_, v)| v)
    }

    /// Puts a value in place of the one with its key, which is given back.
    pub(crate) fn put(&mut self, hash: u64, is: impl Fn(&V) -> bool, value: Arc<V>) -> Option<Arc<V>> {
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        if let Some((_, old)) = shard.find_mut(hash, |(h, v)| *h == hash && is(v)) {
            return Some(std::mem::replace(old, value));
        }
        shard.insert_unique(hash, (hash, value), |(h, _)| *h);
        self.len += 1;
        None
    }

    pub(crate) fn remove(&mut self, hash: u64, is: impl Fn(&V) -> bool) -> Option<Arc<V>> {
        self.get(hash, &is)?;
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        let entry = shard.find_entry(hash, |(h, v)| *h == hash && is(v)).ok()?;
        self.len -= 1;
        Some(entry.remove().0.1)
    }

    /// Shows the values that this table and another one, made from it or before it, do not share.
    pub(crate) fn differences<'t>(&'t self, other: &'t Self, mut see: impl FnMut(&'t Arc<V>)) {
        for (ours, theirs) in self.shards.iter().zip(&other.shards) {
            if Arc::ptr_eq(ours, theirs) {
                continue;
            }
            let shares = |shard: &Shard<V>, hash: u64, value: &Arc<V>| {
                shard.find(hash, |(h, v)| *h == hash && Arc::ptr_eq(v, value)).is_some()
            };
            for (_, value) in ours.iter().filter(|(hash, value)| !shares(theirs, *hash, value)) {
                see(value);
            }
            for (_, value) in theirs.iter().filter(|(hash, value)| !shares(ours, *hash, value)) {
                see(value);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<V>> {
        self.shards.iter().flat_map(|shard| shard.iter().map(|(_, v)| v))
    }
}
