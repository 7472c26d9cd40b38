//! OPTIONS to trunks and peers: [`Qualifier`] says who is asked when and what an answer means; here it gets its ways and its
//! socket.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::time::Duration;

use hashbrown::HashMap;
use trunkline_model::{Peer, Ref, Tables};
use trunkline_proxy::PartyKind;
use trunkline_sip::{ConnectionId, Flow, Transport, parse_ip, put_address, put_transport};
use trunkline_transport::{Closed, Egress, Sent};
use trunkline_trunks::{Outcome, Output, Place, Qualifier, Subject};

use crate::mail::Io;
use crate::own::Errand;
use crate::reach::reach;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;
use crate::trust::Word;

/// Instances of a peer that are asked, at most.
const MOST_INSTANCES: usize = 64;
/// The destinations are listed after this long, if nobody is asked; also how long one that left a call unanswered is down then.
const UNASKED: u64 = 30_000;

/// A way that was asked, and the others of its name.
type Way = (Egress, Spare);

/// Who is asked, and how they do.
#[derive(Default)]
pub(crate) struct Qualify {
    machine: Qualifier<Way>,
    outputs: Vec<Output<Way>>,
    message: Vec<u8>,
    destinations: HashMap<Subject, Destination>,
    /// The version of the resources that were listed last, and when they are listed next.
    listed: u64,
    next_list: u64,
    /// Questions that went over a connection.
    over: Vec<(ConnectionId, u64)>,
    /// The warnings of destinations whose transport has no listener.
    unheard: Option<Vec<String>>,
}

/// A destination of a trunk or peer.
struct Destination {
    /// By whose word it is one; `None`: the operator's.
    word: Option<Word>,
    at: At,
}

/// Where it is.
enum At {
    /// A host of a trunk.
    Host(String, Option<u16>, Option<Transport>, Ref),
    /// A host, maybe with a port.
    Address(String),
    Flow(Flow),
    /// Where its Path or its Contact points.
    Contact {
        path: Vec<u8>,
        uri: Vec<u8>,
    },
}

impl At {
    fn way(&self, shared: &Shared) -> Resolved {
        match self {
            At::Host(host, port, transport, trunk) => {
                match shared.resolver.resolve(host.as_bytes(), *port, *transport) {
                    Resolved::To(egress, spare) => {
                        Resolved::To(shared.shown_to(trunk.as_str(), egress), spare)
                    }
                    other => other,
                }
            }
            At::Address(address) => shared.resolver.resolve_uri(format!("sip:{address}").as_bytes()),
            At::Flow(flow) => Resolved::To(Egress::back(flow), Spare::default()),
            At::Contact { path, uri } => shared.way_by_uri(path, uri),
        }
    }

    /// The name of its host, where the operator gave it one: carriers answer no other.
    fn name(&self) -> Option<&str> {
        let host = match self {
            At::Host(host, ..) => host,
            At::Address(address) => address.split_once(':').map_or(&**address, |(host, _)| host),
            At::Flow(_) | At::Contact { .. } => return None,
        };
        // More than one colon is an IPv6 address.
        let named = !host.is_empty() && !host.starts_with('[') && parse_ip(host.as_bytes()).is_none();
        named.then_some(host)
    }
}

impl Qualify {
    /// Asks those that are due, all changed ones among them.
    pub(crate) fn run(&mut self, io: &mut Io<'_>, shared: &Shared) {
        let (every, now, version) = (every(shared), io.now(), shared.tables.version());
        let arrived = shared.destinations.take_arrival();
        let changed = self.listed != version;
        if arrived || changed || now >= self.next_list {
            self.listed = version;
            self.next_list = now + if every > 0 { every } else { UNASKED };
            self.list(io, shared);
        }
        if changed {
            self.warn_of_transports(shared);
        }
        for subject in shared.destinations.take_silent() {
            shared.destinations.note_error(&subject, "no answer to a call".into());
            self.machine.failed_a_call(&subject, now, &mut self.outputs);
        }
        for subject in shared.destinations.take_heard() {
            self.machine.answered_a_call(&subject, now, &mut self.outputs);
        }
        match every {
            // Nobody would ever find that it is back.
            0 => self.machine.pardon(UNASKED, now, &mut self.outputs),
            every => self.machine.on_time(every, now, &mut self.outputs),
        }
        self.carry_out(io, shared);
    }

    /// An answer came.
    pub(crate) fn answered(
        &mut self,
        io: &mut Io<'_>,
        shared: &Shared,
        serial: u64,
        (status, reason): (u16, &[u8]),
    ) {
        let subject = self.machine.answered((serial, status), (every(shared), io.now()), &mut self.outputs);
        if let Some(subject) = subject {
            if status >= 400 {
                let error = format!("{status} {}", String::from_utf8_lossy(reason));
                shared.destinations.note_error(&subject, error.trim_end().to_owned());
            }
            if status != 503 {
                shared.destinations.note_answer(&subject);
            }
            self.note_next(io, shared, &subject);
        }
        self.carry_out(io, shared);
    }

    /// A connection ended. A question that it took along has no answer.
    pub(crate) fn closed(&mut self, io: &mut Io<'_>, shared: &Shared, connection: ConnectionId, why: Closed) {
        let times = (every(shared), io.now());
        while let Some(place) = self.over.iter().position(|(c, _)| *c == connection) {
            let (_, serial) = self.over.swap_remove(place);
            if let Some(subject) = self.machine.lost(serial, times, &mut self.outputs) {
                let error = match why {
                    Closed::Refused => "the connection was refused or not completed",
                    Closed::NoHandshake(why) => why.words(),
                    Closed::ByPeer => "the connection was closed by the other side",
                    Closed::Broken | Closed::Idle | Closed::Slow | Closed::Garbage | Closed::ByUs => {
                        "the connection broke"
                    }
                };
                shared.destinations.note_error(&subject, error.into());
            }
        }
        if !self.outputs.is_empty() {
            self.carry_out(io, shared);
        }
    }

    /// Lists the destinations of all trunks and peers. New ones are due at once.
    fn list(&mut self, io: &Io<'_>, shared: &Shared) {
        let tables = shared.tables.load();
        let mut list = Vec::new();
        for trunk in tables.trunks() {
            for (place, uri) in trunk.uris.iter().enumerate().take(64).filter(|(_, u)| u.enabled) {
                let subject = Subject::Trunk(trunk.reference.clone(), place as u8);
                let at = At::Host(uri.host.clone(), uri.port, uri.transport, trunk.reference.clone());
                list.push((subject, uri.to_string(), Destination { word: None, at }));
            }
        }
        for peer in tables.peers().filter(|p| p.enabled) {
            of_peer(io, shared, &tables, peer, &mut list);
        }
        self.machine.begin_list();
        self.destinations.clear();
        for (subject, target, destination) in list {
            // An instance is the same while its binding is.
            let place = if destination.word.is_some() { "" } else { target.as_str() };
            if self.machine.list(subject.clone(), fingerprint(place), io.now()) {
                shared.destinations.begin(&subject, target);
            }
            self.destinations.insert(subject, destination);
        }
        self.machine.end_list();
        shared.destinations.keep(|subject| self.machine.asks(subject));
        self.over.retain(|(_, serial)| self.machine.awaits(*serial));
    }

    /// Logs which of the destinations that are new have a transport without a listener; the start logs the first ones.
    fn warn_of_transports(&mut self, shared: &Shared) {
        let transports: Vec<_> = shared.config.listeners.iter().map(|listener| listener.transport).collect();
        let unheard = shared.tables.load().without_listener(&transports);
        let before = self.unheard.as_ref().unwrap_or(&shared.unheard);
        for warning in unheard.iter().filter(|warning| !before.contains(warning)) {
            tracing::warn!("{warning}");
        }
        self.unheard = Some(unheard);
    }

    /// Does what the machine wants done.
    fn carry_out(&mut self, io: &mut Io<'_>, shared: &Shared) {
        while !self.outputs.is_empty() {
            for output in std::mem::take(&mut self.outputs) {
                match output {
                    Output::PassOver((egress, spare)) => {
                        spare.note_failure(&shared.resolver.avoided, &egress, Duration::ZERO);
                    }
                    Output::Silent(subject) => {
                        let seconds = every(shared).min(4_000) / 1_000;
                        let error = format!("no answer to OPTIONS within {seconds} s");
                        shared.destinations.note_error(&subject, error);
                        self.note_next(io, shared, &subject);
                    }
                    Output::Set(subject, state) => shared.destinations.set(&subject, state, &shared.board),
                    Output::Ask(subject, serial) => self.ask(io, shared, &subject, serial),
                }
            }
        }
    }

    /// Sends a question, and reports what came of it.
    fn ask(&mut self, io: &mut Io<'_>, shared: &Shared, subject: &Subject, serial: u64) {
        let Some(Destination { word, at }) = self.destinations.get(subject) else { return };
        let outcome = send(io, shared, word.as_ref(), (at, serial), &mut self.message);
        let outcome = outcome.unwrap_or_else(|(way, error)| {
            shared.destinations.note_error(subject, error);
            Outcome::NoWay(way.map(|way| *way))
        });
        if let Outcome::Sent((egress, _)) = &outcome
            && egress.transport.is_reliable()
        {
            self.over.push((egress.connection, serial));
        }
        self.machine.asked(subject, outcome, (every(shared), io.now()), &mut self.outputs);
        self.note_next(io, shared, subject);
    }

    fn note_next(&self, io: &Io<'_>, shared: &Shared, subject: &Subject) {
        let due_in = self.machine.due_in(subject, every(shared), io.now());
        shared.destinations.note_next(subject, due_in);
    }
}

/// Milliseconds between two questions; 0: nobody is asked.
fn every(shared: &Shared) -> u64 {
    shared.config.qualify.as_millis() as u64
}

fn fingerprint(place: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    hasher.finish()
}

/// A destination with its name in lists.
type Listed = (Subject, String, Destination);

/// A peer's given address and its instances.
fn of_peer(io: &Io<'_>, shared: &Shared, tables: &Tables, peer: &Peer, out: &mut Vec<Listed>) {
    if let Some(address) = &peer.contact_addr {
        let subject = Subject::Peer(peer.reference.clone(), Place::Address);
        let at = At::Address(address.clone());
        out.push((subject, address.clone(), Destination { word: None, at }));
    }
    // Without an AOR of its own it registers under its user, in whatever domain.
    let aors: Vec<String> = match &peer.aor {
        Some(aor) => vec![aor.clone()],
        None => tables.domains().map(|d| format!("sip:{}@{}", peer.username, d.domain_uri)).collect(),
    };
    let party = shared.secret.party(peer.reference.as_str().as_bytes());
    // Questions go out when the location service is not locked any more.
    let mut instances = 0;
    for aor in aors {
        shared.location.visit(aor.as_bytes(), io.unix_ms(), |b| {
            let Some(way) = reach(io, &b).filter(|_| shared.is_there(&b) && instances < MOST_INSTANCES)
            else {
                return;
            };
            instances += 1;
            let place = Place::Instance(b.id.0);
            let at = match way.flow {
                Some(flow) => At::Flow(flow),
                None => At::Contact { path: b.path.to_vec(), uri: b.uri.to_vec() },
            };
            let word = Word { kind: PartyKind::Peer, party, seen_at: Some(b.flow.remote), ..Word::default() };
            let subject = Subject::Peer(peer.reference.clone(), place);
            let target = String::from_utf8_lossy(b.uri).into_owned();
            out.push((subject, target, Destination { word: Some(word), at }));
        });
    }
}

/// Sends a question; an error with the way that could not be gone, if there was one.
fn send(
    io: &mut Io<'_>,
    shared: &Shared,
    word: Option<&Word>,
    (at, serial): (&At, u64),
    message: &mut Vec<u8>,
) -> Result<Outcome<Way>, (Option<Box<Way>>, String)> {
    match at.way(shared) {
        Resolved::To(egress, spare) if shared.guard.check(word, &egress).is_ok() => {
            write(shared, &egress, (at.name(), serial), message);
            match io.send(&egress, message) {
                Sent::Via(connection) => Ok(Outcome::Sent((Egress { connection, ..egress }, spare))),
                Sent::NoWay => {
                    let error = format!("cannot send to {} {}", egress.transport, egress.remote);
                    Err((Some(Box::new((egress, spare))), error))
                }
            }
        }
        Resolved::To(egress, _) => {
            Err((None, format!("nothing is sent to {}: it is an address of others", egress.remote)))
        }
        Resolved::Nowhere => {
            let name = at.name().map(|name| format!(" for {name}")).unwrap_or_default();
            Err((None, format!("no address was found{name}")))
        }
        // A name that is not known yet is looked up by this very question.
        Resolved::Later(question) => {
            shared.resolver.look_up(question);
            Ok(Outcome::Later)
        }
    }
}

/// Writes the OPTIONS.
fn write(shared: &Shared, egress: &Egress, (name, serial): (Option<&str>, u64), out: &mut Vec<u8>) {
    let us = shared.addresses.shown(egress);
    out.clear();
    let address = |out: &mut Vec<u8>, a| {
        out.extend_from_slice(b"sip:");
        put_address(a, out);
        put_transport(egress.transport, out);
    };
    let ourselves = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"sip:");
        us.put(out);
        put_transport(egress.transport, out);
    };
    let them = |out: &mut Vec<u8>| match name {
        Some(name) => {
            let _ = write!(out, "sip:{name}:{}", egress.remote.port());
            put_transport(egress.transport, out);
        }
        None => address(out, egress.remote),
    };
    out.extend_from_slice(b"OPTIONS ");
    them(out);
    let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/{} ", egress.transport.via_name());
    us.put(out);
    out.extend_from_slice(b";branch=");
    Errand::Qualify.put_branch(&shared.secret, serial, out);
    let mac = Errand::Qualify.mac(&shared.secret, serial);
    out.extend_from_slice(b";rport\r\nMax-Forwards: 70\r\nFrom: <");
    ourselves(out);
    let _ = write!(out, ">;tag={mac:x}\r\nTo: <");
    them(out);
    let _ = write!(out, ">\r\nCall-ID: q{serial:x}.{mac:x}\r\nCSeq: 1 OPTIONS\r\nContact: <");
    ourselves(out);
    out.extend_from_slice(b">\r\nAccept: application/sdp\r\n");
    if !shared.config.server_name.is_empty() {
        let _ = write!(out, "User-Agent: {}\r\n", shared.config.server_name);
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
}
