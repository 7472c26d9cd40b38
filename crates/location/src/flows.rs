//! The UDP addresses that registered phones send from, and who is registered from each.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_sip::{Flow, Transport, canonical_ip};

use crate::binding::Timestamp;
use crate::record::{self, Entry};
use crate::until::Until;

/// Stands for all registrants of an address.
const ANYBODY: u32 = 0;

type Key = (IpAddr, u16, u32);

/// Until when the last binding of each address lasts, and of each registrant there.
pub(crate) struct Flows {
    until: Until<Key>,
    /// The latest time that was given, so that readers need no clock.
    now: AtomicU64,
}

fn key(at: SocketAddr, registrant: u32) -> Key {
    (canonical_ip(at.ip()), at.port(), registrant)
}

impl Flows {
    pub fn new() -> Flows {
        Flows { until: Until::new(), now: AtomicU64::new(0) }
    }

    /// Notes that this registrant is reached by this flow until then.
    pub fn note(&self, flow: &Flow, registrant: u32, until: Timestamp) {
        if flow.transport == Transport::Udp {
            self.until.raise(key(flow.remote, ANYBODY), until);
            self.until.raise(key(flow.remote, registrant), until);
        }
    }

    /// A record was replaced: an address from which none of its registrant's bindings is left is free. Another account of the same
    /// phone is known there again once it registers.
    pub fn replaced(&self, before: &[u8], after: &[u8], now: Timestamp) {
        for had in record::entries(before).filter(|e| e.live(now) && e.transport() == Transport::Udp) {
            let same = |e: &Entry<'_>| (e.remote(), e.registrant()) == (had.remote(), had.registrant());
            if !record::entries(after).any(|e| e.live(now) && same(&e)) {
                self.leave(had.remote(), had.registrant());
            }
        }
    }

    /// What somebody who has shown nothing says takes no address from who has.
    fn leave(&self, at: SocketAddr, registrant: u32) {
        let own = key(at, registrant);
        if registrant != ANYBODY && self.holds(own) {
            self.until.end(own);
            self.until.end(key(at, ANYBODY));
        }
    }

    fn holds(&self, key: Key) -> bool {
        self.until.holds(key, self.now.load(Ordering::Relaxed))
    }

    /// Is somebody registered from this very address and port, and this registrant not?
    pub fn are_anothers(&self, at: SocketAddr, registrant: u32) -> bool {
        self.holds(key(at, ANYBODY)) && (registrant == ANYBODY || !self.holds(key(at, registrant)))
    }

    /// Takes the time, and frees some of what has run out.
    pub fn prune(&self, now: Timestamp) {
        self.now.fetch_max(now, Ordering::Relaxed);
        self.until.prune(now);
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

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_its_registrants_until_their_last_binding_ends() {
        let flows = Flows::new();
        flows.note(&flow("[::ffff:198.51.100.7]:5060", Transport::Udp), 1, 2000);
        flows.note(&flow("198.51.100.7:5060", Transport::Udp), 2, 1000);
        flows.note(&flow("198.51.100.8:5060", Transport::Tcp), 1, 2000);
        let anothers = |registrant| flows.are_anothers(at("198.51.100.7:5060"), registrant);
        assert_eq!([0, 1, 2, 3].map(anothers), [true, false, false, true], "two accounts of one phone");
        assert!(!flows.are_anothers(at("198.51.100.7:5062"), 3), "another port of a NAT");
        assert!(!flows.are_anothers(at("198.51.100.8:5060"), 3), "connections have their own rule");
        flows.prune(1000);
        assert_eq!([1, 2, 3].map(anothers), [false, true, true]);
        flows.prune(2000);
        assert_eq!([1, 2, 3].map(anothers), [false, false, false]);
        assert_eq!(flows.until.left(2000), 0);
    }

    #[test]
    fn only_its_registrant_leaves_an_address() {
        let (flows, phone) = (Flows::new(), flow("198.51.100.7:5060", Transport::Udp));
        flows.note(&phone, 1, 2000);
        for registrant in [2, 0] {
            flows.leave(phone.remote, registrant);
            assert!(flows.are_anothers(phone.remote, 2), "{registrant}");
        }
        flows.leave(phone.remote, 1);
        assert!(!flows.are_anothers(phone.remote, 2));
    }
}
