//! Are the trunks and peers there? OPTIONS to every destination, as other exchanges do.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;
use trunkline_model::{Peer, Ref, Tables};
use trunkline_proxy::PartyKind;
use trunkline_sip::{Flow, Message};
use trunkline_transport::{Egress, Mail, Sent};

use crate::address::{put_address, put_transport};
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};
use crate::own::Errand;
use crate::peers::Place;
use crate::resolver::{Resolved, Spare};
use crate::shared::Shared;
use crate::trust::Word;
use crate::ways::reach;

/// Who asks: one shard for all.
const ASKER: u8 = 0;
/// Unanswered questions in a row that make a destination count as down.
const PATIENCE: u8 = 2;
/// Instances of a peer that are asked, at most.
const MOST_INSTANCES: usize = 64;

/// The questions under way.
#[derive(Debug, Default)]
pub(crate) struct Qualify {
    next: u64,
    serial: u64,
    asked: HashMap<Subject, Asked>,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    /// A destination of a trunk.
    Trunk(Ref, u8),
    /// A peer, or an instance of one.
    Peer(Ref, Place),
}

impl Subject {
    fn set(&self, shared: &Shared, down: bool) {
        match self {
            Subject::Trunk(trunk, place) => shared.set_trunk(trunk, *place, down),
            Subject::Peer(peer, place) => shared.peers.set(peer, *place, down),
        }
    }
}

#[derive(Clone, Debug)]
struct Asked {
    serial: u64,
    unanswered: u8,
    /// The address that was asked, and the others of its name.
    at: Option<(Egress, Spare)>,
}

/// An instance of a peer, as it registered.
struct Instance {
    binding: u64,
    /// The flow it is reached by; else where its Path or its Contact points.
    flow: Option<Flow>,
    path: Vec<u8>,
    uri: Vec<u8>,
    seen_at: SocketAddr,
}

impl Edge {
    /// Asks again when it is time.
    pub(crate) fn qualify(&mut self, io: &mut Io<EdgeMail>) {
        let every = self.shared.config.qualify.as_millis() as u64;
        if self.shard != ASKER || every == 0 || io.now() < self.qualify.next {
            return;
        }
        self.qualify.next = io.now() + every;
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let before = std::mem::take(&mut self.qualify.asked);
        for trunk in tables.trunks() {
            for (place, uri) in trunk.uris.iter().enumerate().take(64).filter(|(_, u)| u.enabled) {
                let to = Subject::Trunk(trunk.reference.clone(), place as u8);
                let way = || shared.resolver.resolve(uri.host.as_bytes(), uri.port, uri.transport);
                self.question(io, &before, to, None, way);
            }
        }
        for peer in tables.peers().filter(|p| p.enabled) {
            self.question_peer(io, &before, &tables, peer);
        }
        let asked = &self.qualify.asked;
        shared.peers.keep(|peer, place| asked.contains_key(&Subject::Peer(peer.clone(), place)));
    }

    /// Asks a peer's given address and its instances.
    fn question_peer(
        &mut self,
        io: &mut Io<EdgeMail>,
        before: &HashMap<Subject, Asked>,
        tables: &Tables,
        peer: &Peer,
    ) {
        let shared = self.shared.clone();
        if let Some(address) = &peer.contact_addr {
            shared.peers.begin(&peer.reference, Place::Address, || address.clone());
            let to = Subject::Peer(peer.reference.clone(), Place::Address);
            self.question(io, before, to, None, || {
                shared.resolver.resolve_uri(format!("sip:{address}").as_bytes())
            });
        }
        // Without an AOR of its own it registers under its user, in whatever domain.
        let aors: Vec<String> = match &peer.aor {
            Some(aor) => vec![aor.clone()],
            None => tables.domains().map(|d| format!("sip:{}@{}", peer.username, d.domain_uri)).collect(),
        };
        // Questions go out when the location service is not locked any more.
        let mut instances: Vec<Instance> = Vec::new();
        for aor in aors {
            shared.location.visit(aor.as_bytes(), io.unix_ms(), |b| {
                if let Some(way) = reach(io, &b).filter(|_| instances.len() < MOST_INSTANCES) {
                    let (path, uri) = (b.path.to_vec(), b.uri.to_vec());
                    let seen_at = b.flow.remote;
                    instances.push(Instance { binding: b.id.0, flow: way.flow, path, uri, seen_at });
                }
            });
        }
        for instance in instances {
            let place = Place::Instance(instance.binding);
            let uri = &instance.uri;
            shared.peers.begin(&peer.reference, place, || String::from_utf8_lossy(uri).into_owned());
            let way = match &instance.flow {
                Some(flow) => Resolved::To(Egress::back(flow), Spare::default()),
                None => self.way_by_uri(&instance.path, uri),
            };
            let party = shared.secret.party(peer.reference.as_str().as_bytes());
            let word = Word { kind: PartyKind::Peer, party, seen_at: Some(instance.seen_at) };
            self.question(io, before, Subject::Peer(peer.reference.clone(), place), Some(word), || way);
        }
    }

    /// Looks at what became of the last question to this one, and asks the next.
    fn question(
        &mut self,
        io: &mut Io<EdgeMail>,
        before: &HashMap<Subject, Asked>,
        to: Subject,
        word: Option<Word>,
        way: impl FnOnce() -> Resolved,
    ) {
        let shared = self.shared.clone();
        let (unanswered, silent) = match before.get(&to) {
            Some(a) => (a.unanswered, a.at.as_ref().filter(|_| a.unanswered > 0)),
            None => (0, None),
        };
        // Of several addresses of a name the next one is asked then, and calls go there first.
        if let Some((egress, spare)) = silent {
            spare.note_failure(&shared.resolver, egress, Duration::ZERO);
        }
        if unanswered >= PATIENCE {
            to.set(&shared, true);
        }
        self.qualify.serial += 1;
        let serial = self.qualify.serial;
        let mut at = None;
        // A name that is not known yet is looked up by this very question; the next round sends.
        let sent = match way() {
            Resolved::To(egress, spare) if shared.guard.check(word.as_ref(), &egress).is_ok() => {
                at = Some((egress, spare));
                self.ask(io, egress, serial)
            }
            Resolved::To(..) | Resolved::Nowhere => Sent::NoWay,
            Resolved::Later(question) => {
                shared.resolver.look_up(question);
                self.qualify.asked.insert(to, Asked { serial, unanswered, at });
                return;
            }
        };
        let unanswered = match sent {
            Sent::Via(_) => unanswered.saturating_add(1),
            Sent::NoWay => PATIENCE,
        };
        self.qualify.asked.insert(to, Asked { serial, unanswered, at });
    }

    fn ask(&mut self, io: &mut Io<EdgeMail>, egress: Egress, serial: u64) -> Sent {
        let us = self.shared.addresses.advertised(&egress);
        let mut out = std::mem::take(&mut self.scratch.out);
        out.clear();
        let address = |out: &mut Vec<u8>, a| {
            out.extend_from_slice(b"sip:");
            put_address(a, out);
            put_transport(egress.transport, out);
        };
        out.extend_from_slice(b"OPTIONS ");
        address(&mut out, egress.remote);
        let _ = write!(out, " SIP/2.0\r\nVia: SIP/2.0/{} ", egress.transport.via_name());
        put_address(us, &mut out);
        out.extend_from_slice(b";branch=");
        Errand::Qualify.put_branch(&self.shared.secret, serial, &mut out);
        let mac = Errand::Qualify.mac(&self.shared.secret, serial);
        out.extend_from_slice(b";rport\r\nMax-Forwards: 70\r\nFrom: <");
        address(&mut out, us);
        let _ = write!(out, ">;tag={mac:x}\r\nTo: <");
        address(&mut out, egress.remote);
        let _ = write!(out, ">\r\nCall-ID: q{serial:x}.{mac:x}\r\nCSeq: 1 OPTIONS\r\nContact: <");
        address(&mut out, us);
        out.extend_from_slice(b">\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n");
        let sent = io.send(&egress, &out);
        self.scratch.out = out;
        sent
    }

    /// Takes an answer to one of our questions.
    pub(crate) fn on_qualify_response(
        &mut self,
        io: &mut Io<EdgeMail>,
        flow: &Flow,
        m: &Message<'_>,
        serial: u64,
    ) {
        if self.shard != ASKER {
            io.post(usize::from(ASKER), Mail::User(EdgeMail::Message(*flow, m.bytes.into())));
            return;
        }
        // Any answer shows that somebody is there (a 503 says that it wants no calls).
        let found = self.qualify.asked.iter_mut().find(|(_, a)| a.serial == serial);
        if let Some((subject, asked)) = found {
            asked.unanswered = 0;
            subject.set(&self.shared, m.status() == Some(503));
        }
    }
}
