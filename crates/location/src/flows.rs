//! The UDP addresses that registered phones send from, and who is registered from each.

use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::RwLock;
use trunkline_sip::{Flow, Transport, canonical_ip};

use crate::binding::Timestamp;

const SHARDS: usize = 64;

/// Stands for all registrants of an address.
const ANYBODY: u32 = 0;

type Until = HashMap<u64, AtomicU64, foldhash::fast::RandomState>;

/// Until when the last binding of each address lasts, and of each registrant there. The keys are hashes with a secret of
/// this process, which makes an entry 16 bytes. As in `Sources`, a binding that is removed earlier is not looked for.
pub(crate) struct Flows {
    shards: Box<[RwLock<Until>]>,
    hasher: foldhash::quality::RandomState,
    /// The latest time that was given, so that readers need no clock.
    now: AtomicU64,
    prune_cursor: AtomicUsize,
}

impl Flows {
    pub fn new() -> Flows {
        Flows {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: foldhash::quality::RandomState::default(),
            now: AtomicU64::new(0),
            prune_cursor: AtomicUsize::new(0),
        }
    }

    fn key(&self, at: SocketAddr, registrant: u32) -> u64 {
        self.hasher.hash_one((canonical_ip(at.ip()), at.port(), registrant))
    }

    fn shard(&self, key: u64) -> &RwLock<Until> {
        // The map uses other bits of another hash.
        &self.shards[(key >> 32) as usize % SHARDS]
    }

    /// Notes that this registrant is reached by this flow until then. A refresh takes read locks only.
    pub fn note(&self, flow: &Flow, registrant: u32, until: Timestamp) {
        if flow.transport != Transport::Udp {
            return;
        }
        self.raise(self.key(flow.remote, ANYBODY), until);
        if registrant != ANYBODY {
            self.raise(self.key(flow.remote, registrant), until);
        }
    }

    /// Who registers by this flow has so many bindings left: without any its address is free.
    pub fn left(&self, bindings: usize, flow: &Flow, registrant: u32) {
        if bindings > 0 {
            return;
        }
        for key in [self.key(flow.remote, ANYBODY), self.key(flow.remote, registrant)] {
            if let Some(until) = self.shard(key).read().get(&key) {
                until.store(0, Ordering::Relaxed);
            }
        }
    }

    fn raise(&self, key: u64, until: Timestamp) {
        let shard = self.shard(key);
        if let Some(had) = shard.read().get(&key) {
            had.fetch_max(until, Ordering::Relaxed);
            return;
        }
        shard.write().entry(key).or_default().fetch_max(until, Ordering::Relaxed);
    }

    fn lasts(&self, key: u64) -> bool {
        let now = self.now.load(Ordering::Relaxed);
        self.shard(key).read().get(&key).is_some_and(|until| until.load(Ordering::Relaxed) > now)
    }

    /// Is somebody registered from this very address and port, and this registrant not?
    pub fn are_anothers(&self, at: SocketAddr, registrant: u32) -> bool {
        self.lasts(self.key(at, ANYBODY)) && (registrant == ANYBODY || !self.lasts(self.key(at, registrant)))
    }

    /// Takes the time, and frees what has run out in the next shard.
    pub fn prune(&self, now: Timestamp) {
        self.now.fetch_max(now, Ordering::Relaxed);
        let shard = self.prune_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
        let over = |until: &AtomicU64| until.load(Ordering::Relaxed) <= now;
        if self.shards[shard].read().values().any(over) {
            self.shards[shard].write().retain(|_, until| !over(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sip::ConnectionId;

    use super::*;

    fn flow(remote: &str, transport: Transport) -> Flow {
        let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), remote.parse().unwrap());
        Flow { transport, local, remote, connection: ConnectionId::NONE }
    }

    #[test]
    fn an_address_is_its_registrants_until_their_last_binding_ends() {
        let flows = Flows::new();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        flows.note(&flow("[::ffff:198.51.100.7]:5060", Transport::Udp), 1, 2000);
        flows.note(&flow("198.51.100.7:5060", Transport::Udp), 2, 1000);
        flows.note(&flow("198.51.100.8:5060", Transport::Tcp), 1, 2000);
        let anothers = |registrant| flows.are_anothers(at("198.51.100.7:5060"), registrant);
        assert_eq!([0, 1, 2, 3].map(anothers), [true, false, false, true], "two accounts of one phone");
        assert!(!flows.are_anothers(at("198.51.100.7:5062"), 3), "another port of a NAT");
        assert!(!flows.are_anothers(at("198.51.100.8:5060"), 3), "connections have their own rule");
        (0..SHARDS).for_each(|_| flows.prune(1000));
        assert_eq!([1, 2, 3].map(anothers), [false, true, true]);
        (0..SHARDS).for_each(|_| flows.prune(2000));
        assert_eq!([1, 2, 3].map(anothers), [false, false, false]);
        assert!(flows.shards.iter().all(|s| s.read().is_empty()));
    }
}
