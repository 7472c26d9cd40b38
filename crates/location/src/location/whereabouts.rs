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
            self.origins.came(&by, &Places::of(&old));
        }
    }

    /// Notes where the phones are that have just registered.
    pub(super) fn note_origins(&self, register: &Register<'_>, record: &[u8], now: Timestamp) {
        let Some(seconds) = register.longest() else { return };
        let until = now + u64::from(seconds) * 1000;
        self.origins.note_source(register.flow.remote.ip(), register.proven, until);
        self.origins.departures.forget(&way(&register.flow));
        let new = record::entries(record).filter(|e| e.registered_at() == now && !e.removed());
        new.for_each(|entry| self.origins.note_places(&entry));
    }

    /// Is anybody registered from this source ([`trunkline_sip::source_of`]) who has shown who it is?
    pub fn has_source(&self, address: IpAddr, now: Timestamp) -> bool {
        self.origins.proven.has(address, now)
    }

    /// Has a phone that was reached by this way registered again by another one?
    pub fn has_left(&self, transport: Transport, remote: SocketAddr, connection: ConnectionId) -> bool {
        let connection = if transport.is_reliable() { connection.0 } else { 0 };
        self.origins.departures.has(&(transport, remote, connection))
    }

    /// Is this the UDP address and port of a phone that has shown who it is, and that is not this registrant's (0: nobody's)?
    pub fn is_anothers_flow(&self, at: SocketAddr, registrant: u32) -> bool {
        self.origins.flows.are_anothers(at, registrant)
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
