//! Where registered phones send from and listen: what that proves, and whose each address is.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::{Transport, Uri, canonical_ip};

use crate::binding::Timestamp;
use crate::departures::{Departures, Way};
use crate::flows::Flows;
use crate::record::{self, BEHIND_NAT, Entry, PROVEN};
use crate::sources::Sources;

/// Where SIP is listened to if a URI names no port.
const PORT: u16 = 5060;

/// The sources of registrations.
pub(crate) struct Origins {
    /// Of those who have shown who they are.
    pub proven: Sources,
    /// Of those who have not.
    pub claimed: Sources,
    /// The UDP addresses and ports that the first send from.
    pub flows: Flows,
    /// The ways that the first have left.
    pub departures: Departures,
    /// Other ports at which they listen on the same hosts, as their Contacts say; all those on connections have.
    pub contacts: Flows,
}

/// Where a binding's phone is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    registrant: u32,
    /// How it is reached.
    way: Way,
    /// Over UDP.
    flow: Option<SocketAddr>,
    contact: Option<SocketAddr>,
}

impl Places {
    pub fn of(entry: &Entry<'_>) -> Places {
        let (remote, texts) = (entry.remote(), entry.texts());
        let flow = (entry.transport() == Transport::Udp).then_some(remote);
        // A Contact behind a NAT, or behind a proxy, is nobody's.
        let is_used = entry.flags() & BEHIND_NAT == 0 && texts.path.is_empty();
        let contact = if is_used { Uri::parse(texts.uri).ok() } else { None };
        let contact = contact
            .and_then(|uri| Some(SocketAddr::new(uri.ip()?, uri.port.unwrap_or(PORT))))
            .filter(|at| canonical_ip(at.ip()) == canonical_ip(remote.ip()))
            .filter(|at| flow.is_none_or(|flow| flow.port() != at.port()));
        Places { registrant: entry.registrant(), way: entry.way(), flow, contact }
    }
}

impl Origins {
    pub fn new() -> Origins {
        Origins {
            proven: Sources::new(),
            claimed: Sources::new(),
            flows: Flows::new(),
            departures: Departures::new(),
            contacts: Flows::new(),
        }
    }

    /// Notes that a registration came from there, and lasts until then.
    pub fn note_source(&self, source: IpAddr, proven: bool, until: Timestamp) {
        let sources = if proven { &self.proven } else { &self.claimed };
        sources.note(source, until);
    }

    /// Notes where a phone is.
    pub fn note_places(&self, entry: &Entry<'_>) {
        if entry.flags() & PROVEN == 0 {
            return;
        }
        let Places { registrant, flow, contact, .. } = Places::of(entry);
        for (at, all) in [(flow, &self.flows), (contact, &self.contacts)] {
            if let Some(at) = at {
                all.note(at, registrant, entry.expires_at());
            }
        }
    }

    /// A phone was at these places before its record became this one: those where none of its registrant's bindings is left are
    /// free.
    pub fn left(&self, had: &Places, record: &[u8], now: Timestamp) {
        let there = || record::entries(record).filter(|e| e.live(now)).map(|e| Places::of(&e));
        let own = || there().filter(|places| places.registrant == had.registrant);
        if let Some(flow) = had.flow.filter(|at| !own().any(|places| places.flow == Some(*at))) {
            self.flows.leave(flow, had.registrant);
        }
        if let Some(contact) = had.contact.filter(|at| !own().any(|places| places.contact == Some(*at))) {
            self.contacts.leave(contact, had.registrant);
        }
    }

    /// A phone that has shown who it is registers by this way, and was at these places before.
    pub fn came(&self, by: &Way, had: &Places) {
        if had.way != *by {
            self.departures.note(&had.way);
        }
    }

    /// The same of all bindings of a record that was replaced.
    pub fn replaced(&self, before: &[u8], after: &[u8], now: Timestamp) {
        for had in record::entries(before).filter(|e| e.live(now)).map(|e| Places::of(&e)) {
            self.left(&had, after, now);
        }
    }

    /// Frees some of what has run out.
    pub fn prune(&self, now: Timestamp) {
        self.proven.prune(now);
        self.claimed.prune(now);
        self.flows.prune(now);
        self.contacts.prune(now);
    }
}
