//! OPTIONS to trunks and peers: [`Qualifier`] says who is asked when and what an answer means; here it gets its ways and its
//! socket.

use std::io::Write as _;
use std::time::Duration;

use trunkline_model::{Peer, Tables};
use trunkline_proxy::PartyKind;
use trunkline_sip::{Flow, Transport, parse_ip, put_address, put_transport};
use trunkline_transport::{Egress, Sent};
use trunkline_trunks::{Input, Output, Place, Qualifier, Subject};

use crate::mail::Io;
use crate::own::Errand;
use crate::reach::reach;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;
use crate::trust::Word;

/// Instances of a peer that are asked, at most.
const MOST_INSTANCES: usize = 64;

/// A way that was asked, and the others of its name.
type Way = (Egress, Spare);

/// Who is asked, and how they do.
#[derive(Default)]
pub(crate) struct Qualify {
    machine: Qualifier<Way>,
    outputs: Vec<Output<Way>>,
    message: Vec<u8>,
}

/// One destination of a round.
struct Destination {
    subject: Subject,
    /// By whose word it is one; `None`: the operator's.
    word: Option<Word>,
    at: At,
}

/// Where it is.
enum At {
    Host(String, Option<u16>, Option<Transport>),
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
            At::Host(host, port, transport) => shared.resolver.resolve(host.as_bytes(), *port, *transport),
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
    /// Is it time for a round?
    pub(crate) fn is_due(&mut self, every: u64, now: u64) -> bool {
        self.machine.is_due(every, now)
    }

    /// Asks all.
    pub(crate) fn round(&mut self, io: &mut Io<'_>, shared: &Shared) {
        let tables = shared.tables.load();
        let mut destinations = Vec::new();
        for trunk in tables.trunks() {
            for (place, uri) in trunk.uris.iter().enumerate().take(64).filter(|(_, u)| u.enabled) {
                let subject = Subject::Trunk(trunk.reference.clone(), place as u8);
                let at = At::Host(uri.host.clone(), uri.port, uri.transport);
                destinations.push(Destination { subject, word: None, at });
            }
        }
        for peer in tables.peers().filter(|p| p.enabled) {
            of_peer(io, shared, &tables, peer, &mut destinations);
        }
        self.machine.handle(Input::Round, &mut self.outputs);
        for Destination { subject, word, at } in destinations {
            self.machine.handle(Input::Destination(subject), &mut self.outputs);
            let mut went = None;
            for output in self.outputs.drain(..) {
                match output {
                    Output::PassOver((egress, spare)) => {
                        spare.note_failure(&shared.resolver.avoided, &egress, Duration::ZERO);
                    }
                    Output::Set(subject, down) => set(shared, &subject, down),
                    Output::Ask(serial) => {
                        went = Some(ask(io, shared, word.as_ref(), (&at, serial), &mut self.message));
                    }
                }
            }
            if let Some(went) = went {
                self.machine.handle(went, &mut self.outputs);
            }
        }
        shared.peers.keep(|peer, place| self.machine.asks(&Subject::Peer(peer.clone(), place)));
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, shared: &Shared, serial: u64, status: u16) {
        self.machine.handle(Input::Response { serial, status }, &mut self.outputs);
        for output in self.outputs.drain(..) {
            if let Output::Set(subject, down) = output {
                set(shared, &subject, down);
            }
        }
    }
}

fn set(shared: &Shared, subject: &Subject, down: bool) {
    match subject {
        Subject::Trunk(trunk, place) => shared.set_trunk(trunk, *place, down),
        Subject::Peer(peer, place) => shared.peers.set(peer, *place, down),
    }
}

/// A peer's given address and its instances.
fn of_peer(io: &Io<'_>, shared: &Shared, tables: &Tables, peer: &Peer, out: &mut Vec<Destination>) {
    if let Some(address) = &peer.contact_addr {
        shared.peers.begin(&peer.reference, Place::Address, || address.clone());
        let subject = Subject::Peer(peer.reference.clone(), Place::Address);
        out.push(Destination { subject, word: None, at: At::Address(address.clone()) });
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
            shared.peers.begin(&peer.reference, place, || String::from_utf8_lossy(b.uri).into_owned());
            let at = match way.flow {
                Some(flow) => At::Flow(flow),
                None => At::Contact { path: b.path.to_vec(), uri: b.uri.to_vec() },
            };
            let word = Word { kind: PartyKind::Peer, party, seen_at: Some(b.flow.remote), source: 0 };
            let subject = Subject::Peer(peer.reference.clone(), place);
            out.push(Destination { subject, word: Some(word), at });
        });
    }
}

/// Sends a question, and says what came of it.
fn ask(
    io: &mut Io<'_>,
    shared: &Shared,
    word: Option<&Word>,
    (at, serial): (&At, u64),
    message: &mut Vec<u8>,
) -> Input<Way> {
    match at.way(shared) {
        Resolved::To(egress, spare) if shared.guard.check(word, &egress).is_ok() => {
            write(shared, &egress, (at.name(), serial), message);
            match io.send(&egress, message) {
                Sent::Via(_) => Input::Sent((egress, spare)),
                Sent::NoWay => Input::NoWay(Some((egress, spare))),
            }
        }
        Resolved::To(..) | Resolved::Nowhere => Input::NoWay(None),
        // A name that is not known yet is looked up by this very question.
        Resolved::Later(question) => {
            shared.resolver.look_up(question);
            Input::Later
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
    out.extend_from_slice(b">\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n");
}
