//! One registration with its way: what its machine wants is carried out here.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_model::Ref;
use trunkline_sip::{ConnectionId, Message};
use trunkline_transaction::timers::Now;
use trunkline_transport::{Egress, Sent};
use trunkline_trunks::{EXPIRES, Next, Registration};

use crate::address::Us;
use crate::challenged::{Login, credentials_for};
use crate::mail::Io;
use crate::registry::place::Place;
use crate::registry::request::{self, Asked};
use crate::registry::state::Attempt;
use crate::registry::wanted::Wanted;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;

/// A name that is being looked up is asked for again after this.
const LOOK_UP: Now = 300;

/// A registration at a destination of a trunk.
pub(super) struct Entry {
    pub(super) trunk: Ref,
    /// The place of the destination in the trunk's `uris`.
    pub(super) number: u8,
    pub(super) place: Place,
    pub(super) credentials: Option<(String, String)>,
    pub(super) registration: Registration,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// The REGISTER under way.
    pub(super) serial: u64,
    pub(super) sent: Vec<u8>,
    pub(super) way: Option<(Egress, Spare)>,
    pub(super) contact: Told,
    /// The connection the last REGISTER went over.
    pub(super) connection: ConnectionId,
    /// The seconds that the trunk says to ask for.
    pub(super) asked: Option<u32>,
}

impl Entry {
    /// One that the resources want, to begin then.
    pub(super) fn new(wanted: Wanted, call_id: String, start: Now) -> Entry {
        let Wanted { trunk, number, place, credentials, expires } = wanted;
        let mut entry = Entry {
            call_id,
            trunk,
            number,
            place,
            credentials,
            registration: Registration::new(true, start),
            cseq: 0,
            serial: 0,
            sent: Vec::new(),
            way: None,
            contact: Told::default(),
            connection: ConnectionId::NONE,
            asked: None,
        };
        entry.ask_for(expires);
        entry
    }

    /// Asks for so many seconds from the next REGISTER on.
    pub(super) fn ask_for(&mut self, seconds: Option<u32>) {
        let changed = seconds.or(self.asked.map(|_| EXPIRES));
        // One that is leaving asks for nothing any more.
        if let Some(seconds) = changed.filter(|_| !self.registration.is_leaving()) {
            self.registration.expires = seconds;
        }
        self.asked = seconds;
    }

    /// Takes the answer to its REGISTER.
    pub(super) fn on_response(
        &mut self,
        io: &mut Io<'_>,
        shared: &Shared,
        serial: &mut u64,
        m: &Message<'_>,
    ) {
        let Some((egress, _)) = &self.way else { return };
        let addresses = &shared.addresses;
        let us = self.contact.asked.unwrap_or_else(|| addresses.shown(egress).at);
        let response = request::read(m, us, addresses.shown(egress).name);
        let next = self.registration.on_response(&response, io.now());
        // A trunk's or a peer's address is not ours, whatever a carrier says it sees.
        let free = |at: &SocketAddr| !shared.guard.is_owned_at(*at);
        if let Some(seen) = request::seen(m).filter(|_| next != Next::Wait).filter(free) {
            addresses.learn(egress, seen);
        }
        if next == Next::Rest {
            let granted = (200..300).contains(&response.status);
            let amiss = granted && self.contact.granted(addresses.shown(egress).at);
            let reason = String::from_utf8_lossy(m.reason()).into_owned();
            self.tell(io, shared, response.status, reason);
            if amiss {
                self.registration.refresh(io.now());
            }
        }
        self.step(io, shared, serial, next, Some(m));
    }

    /// Carries out what the machine wants.
    pub(super) fn step(
        &mut self,
        io: &mut Io<'_>,
        shared: &Shared,
        serial: &mut u64,
        next: Next,
        challenged: Option<&Message<'_>>,
    ) {
        match (next, challenged) {
            (Next::Wait | Next::Rest | Next::Over, _) => {}
            (Next::Ask, _) => self.send(io, shared, serial, b""),
            (Next::Answer, Some(m)) => match self.authorization(m) {
                Ok(line) => self.send(io, shared, serial, &line),
                Err(reason) => {
                    self.registration.not_sent(None, io.now());
                    self.tell(io, shared, m.status().unwrap_or(0), reason);
                }
            },
            (Next::Answer, None) => self.registration.not_sent(None, io.now()),
            (Next::Repeat, _) => {
                if let Some((egress, _)) = &self.way {
                    io.send(egress, &self.sent);
                }
            }
            (Next::Silent, _) => {
                // Of several addresses of a name the next one is asked then.
                if let Some((egress, spare)) = self.way.take() {
                    spare.note_failure(&shared.resolver.avoided, &egress, Duration::ZERO);
                }
                self.tell(io, shared, 408, "no answer".into());
            }
        }
    }

    /// Sends a REGISTER; an answer to a challenge goes to the address that challenged.
    fn send(&mut self, io: &mut Io<'_>, shared: &Shared, serial: &mut u64, authorization: &[u8]) {
        let now = io.now();
        if authorization.is_empty() || self.way.is_none() {
            let place = &self.place;
            match shared.resolver.resolve(place.host.as_bytes(), place.port, place.transport) {
                Resolved::To(egress, spare) if shared.guard.may_be_sent_to(&egress).is_ok() => {
                    self.way = Some((shared.shown_to(self.trunk.as_str(), egress), spare));
                }
                Resolved::Later(question) => {
                    shared.resolver.look_up(question);
                    return self.registration.not_sent(Some(LOOK_UP), now);
                }
                Resolved::To(..) | Resolved::Nowhere => {
                    self.registration.not_sent(None, now);
                    let reason = "its host has no address, or none we can reach";
                    return self.tell(io, shared, 0, reason.into());
                }
            }
        }
        let Some((egress, _)) = &self.way else { return };
        *serial += 1;
        self.serial = *serial;
        self.cseq += 1;
        let Us { at: us, name } = shared.addresses.shown(egress);
        self.contact.asked = Some(us);
        let asked = Asked {
            place: &self.place,
            egress,
            us,
            name,
            // One that leads nowhere any more would ring beside it until it ends by itself.
            gone: self.contact.granted.filter(|before| *before != us),
            serial: self.serial,
            call_id: &self.call_id,
            cseq: self.cseq,
            expires: self.registration.expires,
            bulk: self.registration.bulk,
            authorization,
        };
        request::write(&asked, shared, &mut self.sent);
        match io.send(egress, &self.sent) {
            Sent::Via(connection) => {
                self.connection = connection;
                self.registration.sent(egress.transport.is_reliable(), now);
            }
            Sent::NoWay => {
                self.registration.not_sent(None, now);
                self.tell(io, shared, 0, "no connection can be made".into());
            }
        }
    }

    /// Tells the operator what came of it.
    fn tell(&self, io: &Io<'_>, shared: &Shared, status: u16, reason: String) {
        if self.registration.is_leaving() || self.registration.due().is_none() {
            return;
        }
        let registered = self.registration.is_registered(io.now());
        let until = self.registration.until().filter(|_| registered);
        let until = until.map(|until| io.unix_ms() + until.saturating_sub(io.now()));
        let address = self.way.as_ref().map(|(egress, _)| egress.remote.ip());
        let attempt = Attempt { address, registered, until, status, reason };
        shared.registered.set(&self.trunk, self.number, attempt);
    }

    /// The header line that answers a challenge, or why there is none.
    fn authorization(&self, m: &Message<'_>) -> Result<Vec<u8>, String> {
        let Some((username, password)) = &self.credentials else {
            return Err("it wants a password, and the trunk has no outbound credentials".into());
        };
        let mut uri = Vec::new();
        self.place.put_registrar(&mut uri);
        let (name, value) = credentials_for(m, Login { username, password }, b"REGISTER", &uri)?;
        let mut line = name.name().as_bytes().to_vec();
        line.extend_from_slice(b": ");
        line.extend_from_slice(&value);
        line.extend_from_slice(b"\r\n");
        Ok(line)
    }
}

/// Where a carrier was told to send calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// In the REGISTER under way.
    pub(super) asked: Option<SocketAddr>,
    /// In the last one that was granted.
    granted: Option<SocketAddr>,
    /// It has been mended since the registration was last due.
    mended: bool,
}

impl Told {
    /// The carrier took the Contact. `now`: what it says is our address. `true`: it has to be told, which it is once,
    /// as some NATs have another address for every packet.
    fn granted(&mut self, now: SocketAddr) -> bool {
        self.granted = self.asked;
        self.mended = !self.mended && self.granted != Some(now);
        self.mended
    }
}
