//! We register at carriers (`sendRegister`), so that they know where to send the calls for our numbers.
//!
//! One shard does it for all trunks. Each destination of a trunk is a [`Registration`], a machine without I/O; here it
//! gets its time, its answers and its socket.

mod registration;
mod request;
mod state;

use std::fmt::Write as _;
use std::net::SocketAddr;

use trunkline_model::{Ref, Tables};
use trunkline_sip::{ConnectionId, Flow, Message};
use trunkline_transaction::timers::Now;
use trunkline_transport::{Egress, Mail, Sent};

use state::Attempt;
pub(crate) use state::Registered;
pub use state::TrunkRegistration;

use crate::challenged::{Login, credentials_for};
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;
use registration::{Next, Registration};
use request::{Asked, Place};

/// Who registers: one shard for all.
const REGISTRANT: u8 = 0;
/// Changed resources are noticed in this time, in milliseconds.
const LOOK: Now = 1_000;
/// An address that is just being left is registered again after this.
const AFTER_LEAVING: Now = 2_000;
/// Destinations of a trunk that are registered at, and hosts beside them.
const MOST: usize = 64;
/// A name that is being looked up is asked for again after this.
const LOOK_UP: Now = 300;

/// The registrations of all trunks.
#[derive(Default)]
pub(crate) struct Registry {
    entries: Vec<Entry>,
    /// The resources they were last compared with.
    version: u64,
    serial: u64,
    next: Now,
}

struct Entry {
    trunk: Ref,
    /// The place of the destination in the trunk's `uris`.
    number: u8,
    place: Place,
    credentials: Option<(String, String)>,
    registration: Registration,
    call_id: String,
    cseq: u32,
    /// The REGISTER under way.
    serial: u64,
    sent: Vec<u8>,
    way: Option<(Egress, Spare)>,
    contact: Told,
    /// The connection the last REGISTER went over.
    connection: ConnectionId,
    /// The seconds that the trunk says to ask for.
    asked: Option<u32>,
}

impl Entry {
    /// Asks for so many seconds from the next REGISTER on.
    fn ask_for(&mut self, seconds: Option<u32>) {
        let changed = seconds.or(self.asked.map(|_| registration::EXPIRES));
        // One that is leaving asks for nothing any more.
        if let Some(seconds) = changed.filter(|_| !self.registration.is_leaving()) {
            self.registration.expires = seconds;
        }
        self.asked = seconds;
    }
}

/// A registration that the resources want.
struct Wanted {
    trunk: Ref,
    number: u8,
    place: Place,
    credentials: Option<(String, String)>,
    expires: Option<u32>,
}

/// Where a carrier was told to send calls.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// In the REGISTER under way.
    asked: Option<SocketAddr>,
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

impl Registry {
    /// How many milliseconds may pass until there is something to do, at most `max`.
    pub(crate) fn sleep(&self, now: Now, max: Now) -> Now {
        if self.entries.is_empty() { max } else { self.next.saturating_sub(now) }
    }

    /// How many carriers are still to hear that we leave.
    pub(crate) fn leaving(&self) -> u64 {
        self.entries.iter().filter(|e| e.registration.is_leaving()).count() as u64
    }

    /// What the resources want, compared with what there is.
    fn compare(&mut self, tables: &Tables, shared: &Shared, now: Now) {
        let (mut wanted, mut hopeless) = (Vec::new(), Vec::new());
        for trunk in tables.trunks().filter(|t| t.send_register) {
            let credentials =
                trunk.outbound_credentials.as_ref().and_then(|r| tables.credentials_by_ref(r.as_str()));
            let places = trunk.uris.iter().take(MOST).zip(0..).filter(|(u, _)| u.enabled);
            for (uri, number) in places.chain(trunk.registries.iter().take(MOST).zip(MOST as u8..)) {
                let user = uri.user.clone().or_else(|| credentials.map(|c| c.username.clone()));
                let Some(user) = user.filter(|u| !u.is_empty()) else {
                    let reason =
                        "no user to register as: give the trunk outbound credentials, or its uri a user";
                    hopeless.push((trunk.reference.clone(), number, uri.to_string(), reason));
                    continue;
                };
                let place = Place { host: uri.host.clone(), port: uri.port, transport: uri.transport, user };
                let credentials = credentials.map(|c| (c.username.clone(), c.password.clone()));
                wanted.push(Wanted {
                    trunk: trunk.reference.clone(),
                    number,
                    place,
                    credentials,
                    expires: trunk.register_expires,
                });
            }
        }
        for entry in &mut self.entries {
            let same = |w: &&Wanted| w.trunk == entry.trunk && w.place == entry.place;
            match wanted.iter().find(same) {
                Some(wanted) => {
                    if entry.number != wanted.number {
                        entry.number = wanted.number;
                        shared.registered.begin(&entry.trunk, wanted.number, &entry.place);
                        entry.registration.refresh(now);
                    }
                    if entry.credentials != wanted.credentials || entry.asked != wanted.expires {
                        entry.credentials.clone_from(&wanted.credentials);
                        entry.ask_for(wanted.expires);
                        entry.registration.refresh(now);
                    }
                }
                None => entry.registration.leave(now),
            }
        }
        shared.registered.keep(|trunk, number| {
            wanted.iter().any(|w| w.trunk == *trunk && w.number == number)
                || hopeless.iter().any(|h| h.0 == *trunk && h.1 == number)
        });
        for (trunk, number, target, reason) in hopeless {
            shared.registered.refused(&trunk, number, target, reason);
        }
        for Wanted { trunk, number, place, credentials, expires } in wanted {
            let same = |e: &&Entry| e.trunk == trunk && e.place == place;
            let known = self.entries.iter().find(same).map(|e| e.registration.is_leaving());
            let start = match known {
                Some(false) => continue,
                // What ends the old one must not end the new one.
                Some(true) => now + AFTER_LEAVING,
                None => now,
            };
            shared.registered.begin(&trunk, number, &place);
            let mut random = [0u8; 8];
            // A Call-ID that repeats after a restart is only a matter of CSeq then, and that is high.
            let _ = getrandom::fill(&mut random);
            let mut entry = Entry {
                call_id: random.iter().fold(String::from("r"), |mut id, b| {
                    let _ = write!(id, "{b:02x}");
                    id
                }),
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
            self.entries.push(entry);
        }
    }
}

impl Edge {
    /// Does what is due.
    pub(crate) fn register_at_trunks(&mut self, io: &mut Io<EdgeMail>) {
        let now = io.now();
        if self.shard != REGISTRANT || now < self.registry.next || !self.shared.config.register_at_trunks {
            return;
        }
        let mut registry = std::mem::take(&mut self.registry);
        let version = self.shared.tables.version();
        if registry.version != version && !self.draining {
            registry.version = version;
            registry.compare(&self.shared.tables.load(), &self.shared, now);
        }
        for i in 0..registry.entries.len() {
            while registry.entries.get(i).and_then(|e| e.registration.due()).is_some_and(|due| due <= now) {
                let Some(entry) = registry.entries.get_mut(i) else { break };
                let next = entry.registration.on_time(now);
                self.registration_step(io, entry, &mut registry.serial, next, None);
            }
        }
        // What has ended has nothing more to wait for.
        registry.entries.retain(|e| e.registration.due().is_some());
        let due = registry.entries.iter().filter_map(|e| e.registration.due()).min();
        registry.next = due.unwrap_or(Now::MAX).min(now + LOOK);
        self.registry = registry;
    }

    /// The exchange ends: carriers are told to send no more calls.
    pub(crate) fn leave_trunks(&mut self, io: &mut Io<EdgeMail>) {
        let now = io.now();
        self.registry.entries.iter_mut().for_each(|e| e.registration.leave(now));
        self.registry.next = now;
        self.register_at_trunks(io);
    }

    /// Takes the answer to one of our REGISTERs.
    pub(crate) fn on_register_response(
        &mut self,
        io: &mut Io<EdgeMail>,
        flow: &Flow,
        m: &Message<'_>,
        serial: u64,
    ) {
        if self.shard != REGISTRANT {
            io.post(usize::from(REGISTRANT), Mail::User(EdgeMail::Message(*flow, m.bytes.into())));
            return;
        }
        let mut registry = std::mem::take(&mut self.registry);
        if let Some(entry) = registry.entries.iter_mut().find(|e| e.serial == serial)
            && let Some((egress, _)) = &entry.way
        {
            let addresses = &self.shared.addresses;
            let us = entry.contact.asked.unwrap_or_else(|| addresses.advertised(egress));
            let response = request::read(m, us);
            let next = entry.registration.on_response(&response, io.now());
            // A trunk's or a peer's address is not ours, whatever a carrier says it sees.
            let free = |at: &SocketAddr| !self.shared.guard.is_owned_at(*at);
            if let Some(seen) = request::seen(m).filter(|_| next != Next::Wait).filter(free) {
                addresses.learn(egress, seen);
            }
            if next == Next::Rest {
                let granted = (200..300).contains(&response.status);
                let amiss = granted && entry.contact.granted(addresses.advertised(egress));
                let reason = String::from_utf8_lossy(m.reason()).into_owned();
                self.tell(io, entry, response.status, reason);
                if amiss {
                    entry.registration.refresh(io.now());
                }
            }
            self.registration_step(io, entry, &mut registry.serial, next, Some(m));
        }
        registry.next = io.now();
        self.registry = registry;
    }

    /// A connection ended. A carrier that sends us calls over it has no other way, where a NAT lets nobody in.
    pub(crate) fn trunk_connection_ended(&mut self, now: Now, connection: ConnectionId) {
        let on_it = |e: &&mut Entry| e.connection == connection && connection != ConnectionId::NONE;
        for entry in self.registry.entries.iter_mut().filter(on_it) {
            entry.connection = ConnectionId::NONE;
            entry.registration.flow_ended(now);
            self.registry.next = now;
        }
    }

    fn registration_step(
        &mut self,
        io: &mut Io<EdgeMail>,
        entry: &mut Entry,
        serial: &mut u64,
        next: Next,
        challenged: Option<&Message<'_>>,
    ) {
        match (next, challenged) {
            (Next::Wait | Next::Rest | Next::Over, _) => {}
            (Next::Ask, _) => self.send_register(io, entry, serial, b""),
            (Next::Answer, Some(m)) => match authorization(entry, m) {
                Ok(line) => self.send_register(io, entry, serial, &line),
                Err(reason) => {
                    entry.registration.not_sent(None, io.now());
                    self.tell(io, entry, m.status().unwrap_or(0), reason);
                }
            },
            (Next::Answer, None) => entry.registration.not_sent(None, io.now()),
            (Next::Repeat, _) => {
                if let Some((egress, _)) = &entry.way {
                    io.send(egress, &entry.sent);
                }
            }
            (Next::Silent, _) => {
                // Of several addresses of a name the next one is asked then.
                if let Some((egress, spare)) = entry.way.take() {
                    spare.note_failure(&self.shared.resolver, &egress, std::time::Duration::ZERO);
                }
                self.tell(io, entry, 408, "no answer".into());
            }
        }
    }

    /// Sends a REGISTER; an answer to a challenge goes to the address that challenged.
    fn send_register(
        &mut self,
        io: &mut Io<EdgeMail>,
        entry: &mut Entry,
        serial: &mut u64,
        authorization: &[u8],
    ) {
        let now = io.now();
        if authorization.is_empty() || entry.way.is_none() {
            let place = &entry.place;
            match self.shared.resolver.resolve(place.host.as_bytes(), place.port, place.transport) {
                Resolved::To(egress, spare) if self.shared.guard.may_be_sent_to(&egress).is_ok() => {
                    entry.way = Some((egress, spare));
                }
                Resolved::Later(question) => {
                    self.shared.resolver.look_up(question);
                    return entry.registration.not_sent(Some(LOOK_UP), now);
                }
                Resolved::To(..) | Resolved::Nowhere => {
                    entry.registration.not_sent(None, now);
                    return self.tell(io, entry, 0, "its host has no address, or none we can reach".into());
                }
            }
        }
        let Some((egress, _)) = &entry.way else { return };
        *serial += 1;
        entry.serial = *serial;
        entry.cseq += 1;
        let us = self.shared.addresses.advertised(egress);
        entry.contact.asked = Some(us);
        let asked = Asked {
            place: &entry.place,
            egress,
            us,
            // One that leads nowhere any more would ring beside it until it ends by itself.
            gone: entry.contact.granted.filter(|before| *before != us),
            serial: entry.serial,
            call_id: &entry.call_id,
            cseq: entry.cseq,
            expires: entry.registration.expires,
            bulk: entry.registration.bulk,
            authorization,
        };
        request::write(&asked, &self.shared, &mut entry.sent);
        match io.send(egress, &entry.sent) {
            Sent::Via(connection) => {
                entry.connection = connection;
                entry.registration.sent(egress.transport.is_reliable(), now);
            }
            Sent::NoWay => {
                entry.registration.not_sent(None, now);
                self.tell(io, entry, 0, "no connection can be made".into());
            }
        }
    }

    /// Tells the operator what came of it.
    fn tell(&self, io: &Io<EdgeMail>, entry: &Entry, status: u16, reason: String) {
        if entry.registration.is_leaving() || entry.registration.due().is_none() {
            return;
        }
        let registered = entry.registration.is_registered(io.now());
        let until = entry.registration.until().filter(|_| registered);
        let until = until.map(|until| io.unix_ms() + until.saturating_sub(io.now()));
        let address = entry.way.as_ref().map(|(egress, _)| egress.remote.ip());
        let attempt = Attempt { address, registered, until, status, reason };
        self.shared.registered.set(&entry.trunk, entry.number, attempt);
    }
}

/// The header line that answers a challenge, or why there is none.
fn authorization(entry: &Entry, m: &Message<'_>) -> Result<Vec<u8>, String> {
    let Some((username, password)) = &entry.credentials else {
        return Err("it wants a password, and the trunk has no outbound credentials".into());
    };
    let mut uri = Vec::new();
    entry.place.put_registrar(&mut uri);
    let (name, value) = credentials_for(m, Login { username, password }, b"REGISTER", &uri)?;
    let mut line = name.name().as_bytes().to_vec();
    line.extend_from_slice(b": ");
    line.extend_from_slice(&value);
    line.extend_from_slice(b"\r\n");
    Ok(line)
}
