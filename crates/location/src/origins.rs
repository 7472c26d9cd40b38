//! Where registered phones send from and listen: what that proves, and whose each address is.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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
    /// Those of proxies that registered them, which speak for many.
    pub proxies: Flows,
    /// The ways that the first have left.
    pub departures: Departures,
    /// Other ports at which they listen on the same hosts, as their Contacts say; all those on connections have.
    pub contacts: Flows,
}

/// Where a binding's phone is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    registrant: u32,
    /// Which phone it is: its instance, else the Call-ID of its REGISTERs. Two behind different NATs may have one Contact.
    phone: u64,
    /// How it is reached.
    way: Way,
    /// Over UDP.
    flow: Option<SocketAddr>,
    /// The same of a proxy before it.
    proxy: Option<SocketAddr>,
    contact: Option<SocketAddr>,
}

impl Places {
    pub fn of(entry: &Entry<'_>) -> Places {
        let (remote, texts) = (entry.remote(), entry.texts());
        let udp = (entry.transport() == Transport::Udp).then_some(remote);
        let (flow, proxy) = if texts.path.is_empty() { (udp, None) } else { (None, udp) };
        // A Contact behind a NAT, or behind a proxy, is nobody's.
        let is_used = entry.flags() & BEHIND_NAT == 0 && texts.path.is_empty();
        let contact = if is_used { Uri::parse(texts.uri).ok() } else { None };
        let contact = contact
            .and_then(|uri| Some(SocketAddr::new(uri.ip()?, uri.port.unwrap_or(PORT))))
            .filter(|at| canonical_ip(at.ip()) == canonical_ip(remote.ip()))
            .filter(|at| flow.is_none_or(|flow| flow.port() != at.port()));
        let mut phone = DefaultHasher::new();
        (texts.instance.is_empty(), if texts.instance.is_empty() { texts.call_id } else { texts.instance })
            .hash(&mut phone);
        let (registrant, phone, way) = (entry.registrant(), phone.finish(), entry.way());
        Places { registrant, phone, way, flow, proxy, contact }
    }

    /// Each with the table that it is noted in.
    fn all<'o>(&self, origins: &'o Origins) -> [(Option<SocketAddr>, &'o Flows); 3] {
        [(self.flow, &origins.flows), (self.proxy, &origins.proxies), (self.contact, &origins.contacts)]
    }
}

impl Origins {
    pub fn new() -> Origins {
        Origins {
            proven: Sources::new(),
            claimed: Sources::new(),
            flows: Flows::new(),
            proxies: Flows::new(),
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
        let places = Places::of(entry);
        for (at, table) in places.all(self) {
            if let Some(at) = at {
                table.note(at, places.registrant, entry.expires_at());
            }
        }
    }

    /// A phone was at these places before its record became this one: those where none of its registrant's bindings is left are
    /// free.
    pub fn left(&self, had: &Places, record: &[u8], now: Timestamp) {
        let there = || record::entries(record).filter(|e| e.live(now)).map(|e| Places::of(&e));
        let own = || there().filter(|places| places.registrant == had.registrant);
        for (n, (at, table)) in had.all(self).into_iter().enumerate() {
            let stays = |places: Places| places.all(self).get(n).is_some_and(|(other, _)| *other == at);
            if let Some(at) = at.filter(|_| !own().any(stays)) {
                table.leave(at, had.registrant);
            }
        }
    }

    /// A phone that has shown who it is registers by this way, and was at these places before; the record is as it is since.
    /// Another phone that wrote the same Contact has taken its binding, and left no way.
    pub fn came(&self, by: &Way, had: &Places, record: &[u8], now: Timestamp) {
        let again = |e: Entry<'_>| e.registered_at() == now && Places::of(&e).phone == had.phone;
        if had.way != *by && record::entries(record).any(again) {
            self.departures.note(had.registrant, &had.way);
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
        self.proxies.prune(now);
        self.contacts.prune(now);
    }
}
