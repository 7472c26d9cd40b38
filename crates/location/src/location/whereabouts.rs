//! Where registered phones are: what their sources prove, whose each address is, and which ways they have left.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::{ConnectionId, Transport};

use super::Location;
use crate::binding::Timestamp;
use crate::departures::way;
use crate::origins::Places;
use crate::record;
use crate::register::Register;

impl Location {
    /// Notes the ways that phones have left which have just registered again by another one.
    pub(super) fn note_departures(&self, register: &Register<'_>, had: &[u8], record: &[u8], now: Timestamp) {
        if !register.proven {
            return;
        }
        let is_new = |id| record::entries(record).any(|e| e.id() == id && e.registered_at() == now);
        let by = way(&register.flow);
        for old in record::entries(had).filter(|e| e.live(now) && is_new(e.id())) {
            self.origins.came(&by, &Places::of(&old), record, now);
        }
    }

    /// Notes where the phones are that have just registered.
    pub(super) fn note_origins(&self, register: &Register<'_>, record: &[u8], now: Timestamp) {
        let Some(seconds) = register.longest() else { return };
        let until = now + u64::from(seconds) * 1000;
        self.origins.note_source(register.flow.remote.ip(), register.proven, until);
        self.origins.departures.forget(register.registrant, &way(&register.flow));
        let new = record::entries(record).filter(|e| e.registered_at() == now && !e.removed());
        new.for_each(|entry| self.origins.note_places(&entry));
    }

    /// Ends the binding at this place of a record: its phone is nowhere any more.
    pub(super) fn end(&self, record: &mut [u8], at: usize, now: Timestamp) {
        let had = record::entries(record).find(|e| e.at == at).map(|e| Places::of(&e));
        record::end(record, at, now);
        if let Some(had) = had {
            self.origins.left(&had, record, now);
        }
    }

    /// Is anybody registered from this source ([`trunkline_sip::source_of`]) who has shown who it is?
    pub fn has_source(&self, address: IpAddr, now: Timestamp) -> bool {
        self.origins.proven.has(address, now)
    }

    /// Has a phone of this registrant that was reached by this way registered again by another one?
    pub fn has_left(
        &self,
        registrant: u32,
        transport: Transport,
        remote: SocketAddr,
        connection: ConnectionId,
    ) -> bool {
        let connection = if transport.is_reliable() { connection.0 } else { 0 };
        self.origins.departures.has(registrant, &(transport, remote, connection))
    }

    /// Is this the UDP address and port of a phone that has shown who it is, or of a proxy before it, and that is not this
    /// registrant's (0: nobody's)?
    pub fn is_anothers_flow(&self, at: SocketAddr, registrant: u32) -> bool {
        self.is_anothers_phone(at, registrant) || self.is_anothers_proxy(at, registrant)
    }

    /// The same of the phone itself.
    pub fn is_anothers_phone(&self, at: SocketAddr, registrant: u32) -> bool {
        self.origins.flows.are_anothers(at, registrant)
    }

    /// The same of the proxy.
    pub fn is_anothers_proxy(&self, at: SocketAddr, registrant: u32) -> bool {
        self.origins.proxies.are_anothers(at, registrant)
    }

    /// Does the Contact of such a phone name this port of the host that it sends from?
    pub fn is_anothers_contact(&self, at: SocketAddr, registrant: u32) -> bool {
        self.origins.contacts.are_anothers(at, registrant)
    }

    /// Is anybody registered from this source, whether anybody asked who it is or not?
    pub fn is_registered_from(&self, address: IpAddr, now: Timestamp) -> bool {
        self.origins.claimed.has(address, now) || self.has_source(address, now)
    }
}
