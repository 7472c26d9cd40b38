//! Finds out where the trunks and peers are: what their resources say, what their names lead to, where their instances
//! are shown to be that registered, what their access lists allow. Beside the packets' way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use trunkline_model::{Peer, Ref, Tables};
use trunkline_proxy::{PartyKind, Secret};
use trunkline_sip::{Transport, canonical_ip};

use super::found::Found;
use super::owners::{Owner, Owners};
use super::unresolved::note_unresolved;
use crate::destinations::unix_seconds;
use crate::resolver::{Question, Resolver};
use crate::shared::Shared;

/// What was found in a name holds for so long, since a name leads now here, now there.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Instances of peers are looked at so often, whatever else has changed.
const EVERY: Duration = Duration::from_secs(5);
/// Whether anything has changed is looked at so often.
const LOOK: Duration = Duration::from_millis(250);
/// A name is asked for again after so long.
const ASKED_AGAIN: Duration = Duration::from_secs(30);
/// One that has led nowhere since the start is asked for sooner: calls of its trunk are refused.
const ASKED_AGAIN_SOON: Duration = Duration::from_secs(5);

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
            tracing::error!(%error, "no thread for the guard: it will not notice changed addresses");
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
        let arrived = self.arrivals.any.swap(false, Ordering::Acquire);
        if !arrived && found.version == version && found.next.is_some_and(|next| now < next) {
            return;
        }
        found.aors.extend(self.arrivals.take());
        (found.version, found.next) = (version, Some(now + EVERY));
        let unix_ms = unix_seconds().unsigned_abs() * 1000;
        let owners = self.owners(&mut found, now, unix_ms);
        found.begun = true;
        self.guard.set_owners(owners);
    }

    fn owners(&self, found: &mut Found, now: Instant, unix_ms: u64) -> Owners {
        let tables = self.tables.load();
        found.unfound.clear();
        let (mut owners, mut names) = (Owners::default(), HashSet::new());
        let mut look = Look { shared: self, owners: &mut owners, names: &mut names, found, now };
        for trunk in tables.trunks() {
            let who = who(&self.secret, PartyKind::Trunk, &trunk.reference);
            for uri in &trunk.uris {
                look.at(who, uri.host.as_bytes(), uri.port, uri.transport);
            }
            look.list(who, trunk.acl.as_ref(), &tables);
        }
        for peer in tables.peers() {
            look.peer(peer, &tables);
        }
        look.registered(&tables, unix_ms);
        if found.names != names {
            self.resolver.set_of_resources(names.clone());
            found.names = names;
        }
        found.keep_restored(now);
        found.resolved.retain(|name| found.names.contains(name));
        let resolved = &found.resolved;
        found.asked.retain(|name, asked| {
            let again = if resolved.contains(name) { ASKED_AGAIN } else { ASKED_AGAIN_SOON };
            now.duration_since(*asked) < again
        });
        let unresolved = tables.trunks().filter_map(|trunk| {
            let who = who(&self.secret, PartyKind::Trunk, &trunk.reference);
            Some((&trunk.reference, owners.unresolved(who.kind, who.party)?))
        });
        note_unresolved(&mut found.unresolved, unresolved, now);
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

impl Shared {
    /// Trunks and their names that have not been resolved since the start, for some time already.
    pub fn unresolved_trunks(&self) -> Vec<(Ref, String)> {
        let found = self.found.lock();
        let told = found.unresolved.iter().filter_map(|(trunk, name)| Some((trunk, name.told()?)));
        let mut all: Vec<_> = told.map(|(trunk, host)| (trunk.clone(), host.to_owned())).collect();
        all.sort_unstable();
        all
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
    names: &'a mut HashSet<Question>,
    found: &'a mut Found,
    now: Instant,
}

impl Look<'_> {
    /// At where a resource says somebody is.
    fn at(&mut self, who: Owner, host: &[u8], port: Option<u16>, transport: Option<Transport>) {
        let name = Resolver::question_of(host, port, transport, Transport::Udp);
        let literal = name.is_none();
        self.names.extend(name.clone());
        let (addresses, question) = self.shared.resolver.known(host, port, transport, Transport::Udp);
        match name {
            Some(name) if !addresses.is_empty() => drop(self.found.resolved.insert(name)),
            Some(name) => {
                self.found.unfound.insert((who.kind, who.party));
                if !self.found.resolved.contains(&name) {
                    self.owners.add_unresolved(who, name.host);
                }
            }
            None => {}
        }
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

    /// What the party's own list allows.
    fn list(&mut self, who: Owner, list: Option<&Ref>, tables: &Tables) {
        let Some(list) = list.and_then(|reference| tables.acl_by_ref(reference.as_str())) else { return };
        self.owners.add_list(who, list);
        match list.too_wide() {
            Some(network) => {
                // What there is at the start is said there, with all else that is open.
                if self.found.wide.insert(list.reference.clone()) && self.found.begun {
                    tracing::warn!(
                        list = %list.reference, %network,
                        "an access list of a trunk or peer is very wide: who sends from there is taken for it, and no \
                         phone may be reached at another address there"
                    );
                }
            }
            None => {
                self.found.wide.remove(&list.reference);
            }
        }
    }

    fn peer(&mut self, peer: &Arc<Peer>, tables: &Tables) {
        let who = who(&self.shared.secret, PartyKind::Peer, &peer.reference);
        if let Some(address) = &peer.contact_addr
            && let Ok(uri) = trunkline_sip::Uri::parse(format!("sip:{address}").as_bytes())
        {
            let transport = uri.param("transport").and(uri.transport());
            self.at(who, uri.host, uri.port, transport);
        }
        self.list(who, peer.acl.as_ref(), tables);
        if self.found.peers.get(&peer.reference).is_some_and(|known| Arc::ptr_eq(known, peer)) {
            return;
        }
        // Bindings that were there before: of an earlier run, or of before the peer was changed.
        self.found.peers.insert(peer.reference.clone(), peer.clone());
        match &peer.aor {
            Some(aor) => {
                self.found.aors.insert((peer.reference.clone(), aor.as_bytes().to_vec()));
            }
            // Without one of its own it registers under its user, in whatever domain.
            None => {
                let all = tables.domains().map(|d| format!("sip:{}@{}", peer.username, d.domain_uri));
                self.found.aors.extend(all.map(|aor| (peer.reference.clone(), aor.into_bytes())));
            }
        }
    }

    /// Where the instances of peers are that have registered, as long as their bindings live. What such a one wrote into its
    /// Contact is its own word: it names an owner of no address but of that which its packets are shown to come from.
    fn registered(&mut self, tables: &Tables, unix_ms: u64) {
        self.found.peers.retain(|reference, _| tables.peer_by_ref(reference.as_str()).is_some());
        let mut aors = std::mem::take(&mut self.found.aors);
        aors.retain(|(reference, aor)| {
            if !self.found.peers.contains_key(reference) {
                return false;
            }
            let who = who(&self.shared.secret, PartyKind::Peer, reference);
            let registrant = self.shared.secret.registrant(PartyKind::Peer, who.party);
            let (mut at, mut any): (Vec<SocketAddr>, bool) = (Vec::new(), false);
            self.shared.location.visit(aor, unix_ms, |b| {
                any = true;
                if b.registrant != registrant || !b.shown {
                    return;
                }
                at.push(b.flow.remote);
                if !b.behind_nat && b.path.is_empty() {
                    // Another port of its own host.
                    let contact = self.shared.resolver.known_of_uri(b.uri).0.into_iter();
                    at.extend(contact.filter(|at| canonical_ip(at.ip()) == canonical_ip(b.flow.remote.ip())));
                }
            });
            for at in at {
                self.owners.add(at, Owner { port: at.port(), ..who });
            }
            // The next one to register is told of.
            any
        });
        self.found.aors = aors;
    }
}
