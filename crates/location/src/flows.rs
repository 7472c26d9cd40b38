//! The UDP addresses of registered phones, and who is registered at each.

use std::hash::BuildHasher as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;
use smallvec::SmallVec;
use trunkline_sip::canonical_ip;

use crate::binding::Timestamp;

const SHARDS: usize = 64;

type Key = (IpAddr, u16);
type Places = HashMap<Key, Place, foldhash::fast::RandomState>;

/// Who is registered at an address, and until when, by registrant: behind a proxy or a gateway may be many.
#[derive(Debug, Default)]
struct Place(SmallVec<[(u32, AtomicU64); 1]>);

impl Place {
    fn of(&self, registrant: u32) -> Option<&AtomicU64> {
        let at = self.0.binary_search_by_key(&registrant, |(known, _)| *known).ok()?;
        self.0.get(at).map(|(_, until)| until)
    }

    /// Adds one who is not there, and makes room from time to time.
    fn add(&mut self, registrant: u32, until: Timestamp, now: Timestamp) {
        if self.0.len() == self.0.capacity() {
            self.prune(now);
        }
        let place = self.0.partition_point(|(known, _)| *known < registrant);
        self.0.insert(place, (registrant, AtomicU64::new(until)));
    }

    fn prune(&mut self, now: Timestamp) {
        self.0.retain(|(_, until)| until.load(Ordering::Relaxed) > now);
    }

    /// Is anybody there later than that?
    fn is_held(&self, now: Timestamp) -> bool {
        self.0.iter().any(|(_, until)| until.load(Ordering::Relaxed) > now)
    }

    /// Is anybody there no more?
    fn is_left(&self, now: Timestamp) -> bool {
        self.0.iter().any(|(_, until)| until.load(Ordering::Relaxed) <= now)
    }
}

/// Until when each registrant is at which address: written by few, read by many.
pub(crate) struct Flows {
    shards: Box<[RwLock<Places>]>,
    hasher: foldhash::fast::RandomState,
    prune_cursor: AtomicUsize,
    /// The latest time that was given, so that readers need no clock.
    now: AtomicU64,
}

fn key(at: SocketAddr) -> Key {
    (canonical_ip(at.ip()), at.port())
}

impl Flows {
    pub fn new() -> Flows {
        Flows {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
            prune_cursor: AtomicUsize::new(0),
            now: AtomicU64::new(0),
        }
    }

    fn shard(&self, key: Key) -> &RwLock<Places> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    /// Notes that this registrant is there until then at least. Of a known one this takes a read lock only.
    pub fn note(&self, at: SocketAddr, registrant: u32, until: Timestamp) {
        let key = key(at);
        let shard = self.shard(key);
        if let Some(had) = shard.read().get(&key).and_then(|place| place.of(registrant)) {
            had.fetch_max(until, Ordering::Relaxed);
            return;
        }
        let now = self.now.load(Ordering::Relaxed);
        let mut places = shard.write();
        let place = places.entry(key).or_default();
        if let Some(had) = place.of(registrant) {
            had.fetch_max(until, Ordering::Relaxed);
            return;
        }
        place.add(registrant, until, now);
    }

    /// This registrant has no binding there any more; others stay. What somebody who has shown nothing says takes no address from
    /// who has.
    pub fn leave(&self, at: SocketAddr, registrant: u32) {
        let key = key(at);
        if let Some(until) = self.shard(key).read().get(&key).and_then(|place| place.of(registrant)) {
            until.store(0, Ordering::Relaxed);
        }
    }

    /// Is somebody registered at this very address and port, and this registrant (0: nobody's) not?
    pub fn are_anothers(&self, at: SocketAddr, registrant: u32) -> bool {
        let (key, now) = (key(at), self.now.load(Ordering::Relaxed));
        let places = self.shard(key).read();
        let Some(place) = places.get(&key) else { return false };
        let own = place.of(registrant).filter(|_| registrant != 0);
        own.is_none_or(|until| until.load(Ordering::Relaxed) <= now) && place.is_held(now)
    }

    /// Takes the time, and frees what has run out in the next shard.
    pub fn prune(&self, now: Timestamp) {
        self.now.fetch_max(now, Ordering::Relaxed);
        let shard = self.prune_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
        if self.shards[shard].read().values().any(|place| place.is_left(now)) {
            self.shards[shard].write().retain(|_, place| {
                place.prune(now);
                !place.0.is_empty()
            });
        }
    }

    /// Frees all that has run out, and gives how many addresses are left.
    #[cfg(test)]
    pub fn left(&self, now: Timestamp) -> usize {
        (0..SHARDS).for_each(|_| self.prune(now));
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_its_registrants_until_their_last_binding_ends() {
        let flows = Flows::new();
        flows.note(at("[::ffff:198.51.100.7]:5060"), 1, 2000);
        flows.note(at("198.51.100.7:5060"), 2, 1000);
        let anothers = |registrant| flows.are_anothers(at("198.51.100.7:5060"), registrant);
        assert_eq!([0, 1, 2, 3].map(anothers), [true, false, false, true], "two accounts of one phone");
        assert!(!flows.are_anothers(at("198.51.100.7:5062"), 3), "another port of a NAT");
        flows.prune(1000);
        assert_eq!([1, 2, 3].map(anothers), [false, true, true]);
        flows.prune(2000);
        assert_eq!([1, 2, 3].map(anothers), [false, false, false]);
        assert_eq!(flows.left(2000), 0);
    }

    #[test]
    fn only_its_registrant_leaves_an_address() {
        let (flows, phone) = (Flows::new(), at("198.51.100.7:5060"));
        flows.note(phone, 1, 2000);
        for registrant in [2, 0] {
            flows.leave(phone, registrant);
            assert!(flows.are_anothers(phone, 2), "{registrant}");
        }
        flows.leave(phone, 1);
        assert!(!flows.are_anothers(phone, 2));
        // Of two accounts the other one stays.
        flows.note(phone, 1, 2000);
        flows.note(phone, 3, 2000);
        flows.leave(phone, 1);
        assert!(
            flows.are_anothers(phone, 2) && flows.are_anothers(phone, 1) && !flows.are_anothers(phone, 3)
        );
        flows.leave(phone, 3);
        assert!(!flows.are_anothers(phone, 2));
        assert_eq!(flows.left(1000), 0);
    }

    #[test]
    fn an_address_with_many_phones_is_nobody_elses() {
        let (flows, proxy) = (Flows::new(), at("198.51.100.7:5060"));
        for registrant in (1..=1000).rev() {
            flows.note(proxy, registrant, 2000);
        }
        assert!((1..=1000).all(|registrant| !flows.are_anothers(proxy, registrant)), "it is each one's");
        (1..=16).for_each(|registrant| flows.leave(proxy, registrant));
        assert!(flows.are_anothers(proxy, 1) && !flows.are_anothers(proxy, 17));
        assert!(flows.are_anothers(proxy, 2000));
        assert_eq!((flows.left(1999), flows.left(2000)), (1, 0));
    }
}
