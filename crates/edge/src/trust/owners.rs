//! Where the trunks and peers are: what their resources say, what their names lead to, where their instances registered.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use smallvec::SmallVec;
use trunkline_model::{Peer, Ref, Tables};
use trunkline_proxy::{PartyKind, Secret};
use trunkline_sip::Transport;

use super::Word;
use crate::peers::unix_seconds;
use crate::resolver::Question;
use crate::shared::Shared;

/// A trunk or peer that is reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) kind: PartyKind,
    pub(crate) party: u32,
    pub(crate) port: u16,
}

impl Owner {
    /// Is it the party whose word this is?
    pub(crate) fn is(&self, word: &Word) -> bool {
        (self.kind, self.party) == (word.kind, word.party)
    }
}

/// Trunks and peers by their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners(HashMap<IpAddr, SmallVec<[Owner; 2]>, foldhash::fast::RandomState>);

impl Owners {
    /// Those at an address.
    pub(crate) fn at(&self, ip: IpAddr) -> &[Owner] {
        self.0.get(&ip).map_or(&[], |owners| owners)
    }

    pub(crate) fn add(&mut self, at: SocketAddr, owner: Owner) {
        let owners = self.0.entry(at.ip()).or_default();
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
}

/// What was found in a name or a registration holds for so long, since a name leads now here, now there.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Instances of peers are looked at so often, whatever else has changed.
const EVERY: Duration = Duration::from_secs(5);
/// Whether anything has changed is looked at so often.
const LOOK: Duration = Duration::from_millis(250);
/// A name is asked for again after so long.
const ASKED_AGAIN: Duration = Duration::from_secs(30);

/// What the last look found, for the next one.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The version of the tables and of the names.
    version: (u64, u64),
    next: Option<Instant>,
    /// Where somebody was found by a name or a registration, and when.
    there: HashMap<(SocketAddr, Owner), Instant>,
    asked: HashMap<Question, Instant>,
}

impl Shared {
    /// Starts the thread that keeps what the guard goes by up to date, as long as anybody else needs it.
    pub(crate) fn keep_guard(self: &Arc<Self>) {
        let shared = Arc::downgrade(self);
        let run = move || {
            while let Some(shared) = shared.upgrade() {
                shared.renew_guard();
                drop(shared);
                std::thread::sleep(LOOK);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("guard".into()).spawn(run) {
            tracing::error!(%error, "no thread for the guard: it goes by what is known now");
        }
    }

    /// Renews what the guard goes by where something has changed.
    pub(crate) fn renew_guard(&self) {
        if let Err(error) = self.addresses.read_interfaces() {
            tracing::debug!(%error, "the kernel does not list this host's addresses now");
        }
        let mut found = self.found.lock();
        let version = (self.tables.version(), self.resolver.answers());
        let now = Instant::now();
        if found.version == version && found.next.is_some_and(|next| now < next) {
            return;
        }
        (found.version, found.next) = (version, Some(now + EVERY));
        let unix_ms = unix_seconds().unsigned_abs() * 1000;
        let owners = self.owners(&mut found, now, unix_ms);
        self.guard.set_owners(owners);
    }

    fn owners(&self, found: &mut Found, now: Instant, unix_ms: u64) -> Owners {
        let tables = self.tables.load();
        let mut owners = Owners::default();
        let mut look = Look { shared: self, owners: &mut owners, found, now };
        for trunk in tables.trunks() {
            let who = who(&self.secret, PartyKind::Trunk, &trunk.reference);
            for uri in &trunk.uris {
                look.at(who, uri.host.as_bytes(), uri.port, uri.transport);
            }
        }
        for peer in tables.peers() {
            look.peer(peer, &tables, unix_ms);
        }
        found.asked.retain(|_, asked| now.duration_since(*asked) < ASKED_AGAIN);
        let trunks = tables.trunks().map(|t| who(&self.secret, PartyKind::Trunk, &t.reference));
        let peers = tables.peers().map(|p| who(&self.secret, PartyKind::Peer, &p.reference));
        let exist: HashSet<(PartyKind, u32)> = trunks.chain(peers).map(|o| (o.kind, o.party)).collect();
        found.there.retain(|(_, owner), seen| {
            now.duration_since(*seen) < REMEMBERED && exist.contains(&(owner.kind, owner.party))
        });
        for (at, owner) in found.there.keys() {
            owners.add(*at, *owner);
        }
        owners
    }
}

/// An owner whose port is still to be said.
fn who(secret: &Secret, kind: PartyKind, reference: &Ref) -> Owner {
    Owner { kind, party: secret.party(reference.as_str().as_bytes()), port: 0 }
}

/// One look at all of them.
struct Look<'a> {
    shared: &'a Shared,
    owners: &'a mut Owners,
    found: &'a mut Found,
    now: Instant,
}

impl Look<'_> {
    /// At where a resource says somebody is.
    fn at(&mut self, who: Owner, host: &[u8], port: Option<u16>, transport: Option<Transport>) {
        let literal = trunkline_sip::parse_ip(host).is_some();
        let (addresses, question) = self.shared.resolver.known(host, port, transport, Transport::Udp);
        for at in addresses {
            match literal {
                true => self.owners.add(at, Owner { port: at.port(), ..who }),
                false => self.there(at, who),
            }
        }
        if let Some(question) = question.filter(|q| !self.found.asked.contains_key(q)) {
            self.found.asked.insert(question.clone(), self.now);
            self.shared.resolver.look_up(question);
        }
    }

    fn there(&mut self, at: SocketAddr, who: Owner) {
        self.found.there.insert((at, Owner { port: at.port(), ..who }), self.now);
    }

    fn peer(&mut self, peer: &Peer, tables: &Tables, unix_ms: u64) {
        let who = who(&self.shared.secret, PartyKind::Peer, &peer.reference);
        if let Some(address) = &peer.contact_addr
            && let Ok(uri) = trunkline_sip::Uri::parse(format!("sip:{address}").as_bytes())
        {
            let transport = uri.param("transport").and(uri.transport());
            self.at(who, uri.host, uri.port, transport);
        }
        // Without an AOR of its own it registers under its user, in whatever domain.
        let aors: Vec<String> = match &peer.aor {
            Some(aor) => vec![aor.clone()],
            None => tables.domains().map(|d| format!("sip:{}@{}", peer.username, d.domain_uri)).collect(),
        };
        for aor in aors {
            let mut at: Vec<SocketAddr> = Vec::new();
            self.shared.location.visit(aor.as_bytes(), unix_ms, |b| {
                at.push(b.flow.remote);
                if !b.behind_nat && b.path.is_empty() {
                    at.extend(self.shared.resolver.known_of_uri(b.uri).0);
                }
            });
            at.into_iter().for_each(|at| self.there(at, who));
        }
    }
}

/// [`Found`], for whoever looks next.
pub(crate) type LastLook = Mutex<Found>;
