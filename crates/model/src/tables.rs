//! All resources, with the indexes a call needs.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use crate::reference::Ref;
use crate::resource::{
    AccessControlList, Agent, Credentials, Domain, Kind, Number, Peer, Resource, Trunk, User,
};
use crate::sharded::Sharded;
use crate::sorted::{Order, Sorted};
use crate::tenants::NumberUsers;

/// All resources. A copy is cheap and shares everything with the original until it is changed.
///
/// Look-ups take bytes as they stand in a message and allocate nothing. Hosts ignore case, users do not
/// (RFC 3261 §19.1.4).
#[derive(Clone, Debug, Default)]
pub struct Tables {
    acls: Sharded<AccessControlList>,
    credentials: Sharded<Credentials>,
    trunks: Sharded<Trunk>,
    numbers: Sharded<Number>,
    domains: Sharded<Domain>,
    agents: Sharded<Agent>,
    peers: Sharded<Peer>,
    users: Sharded<User>,
    trunk_by_inbound: Sharded<Trunk>,
    number_by_tel: Sharded<Number>,
    domain_by_uri: Sharded<Domain>,
    agent_by_name: Sharded<Agent>,
    peer_by_username: Sharded<Peer>,
    peer_by_aor: Sharded<Peer>,
    user_by_username: Sharded<User>,
    pub(crate) number_users: Sharded<NumberUsers>,
    sorted: Sorted,
}

/// How a resource differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is new.
    Created,
    /// It has changed.
    Updated,
    /// It is gone.
    Deleted,
}

/// A resource that refers to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its kind.
    pub kind: Kind,
    /// Its ref.
    pub reference: Ref,
    /// Its friendly name.
    pub name: String,
    /// The path of the field that refers, e.g. `spec.domainRef`.
    pub field: String,
}

impl Referrer {
    pub(crate) fn new(resource: &Resource, field: &str) -> Referrer {
        Referrer {
            kind: resource.kind(),
            reference: resource.reference().clone(),
            name: resource.name().to_owned(),
            field: field.to_owned(),
        }
    }
}

// The seed may be fixed: only the operator's keys are ever stored, a caller's are just looked up.
const HASHER: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0x7472_756e_6b6c_696e);

/// The hash of text whose case matters.
pub(crate) fn exact(parts: [&[u8]; 2]) -> u64 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(parts[0]);
    hasher.write_u8(0xff);
    hasher.write(parts[1]);
    hasher.finish()
}

/// The hash of text whose case does not matter.
fn folded(text: &[u8]) -> u64 {
    let mut hasher = HASHER.build_hasher();
    let mut lower = [0u8; 64];
    for chunk in text.chunks(lower.len()) {
        for (to, from) in lower.iter_mut().zip(chunk) {
            *to = from.to_ascii_lowercase();
        }
        hasher.write(lower.get(..chunk.len()).unwrap_or(chunk));
    }
    hasher.finish()
}

/// Are two AORs the same? Scheme and host ignore case, the user does not. `sips:` is not `sip:`.
fn same_aor(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() || !a.eq_ignore_ascii_case(b) {
        return false;
    }
    let user = |aor: &[u8]| {
        let start = aor.iter().position(|c| *c == b':').map_or(0, |at| at + 1);
        let end = aor.iter().rposition(|c| *c == b'@').unwrap_or(aor.len()).max(start);
        start..end
    };
    a.get(user(a)) == b.get(user(b))
}

/// An AOR with scheme and host in lower case: `SIP:Ann@SIP.local` is `sip:Ann@sip.local`.
pub fn normal_aor(aor: &str) -> String {
    match (aor.split_once(':'), aor.rfind('@')) {
        (Some((scheme, rest)), Some(_)) => {
            let (user, host) = rest.rsplit_once('@').unwrap_or((rest, ""));
            format!("{}:{user}@{}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
        }
        (Some((scheme, rest)), None) => format!("{}:{rest}", scheme.to_ascii_lowercase()),
        (None, _) => aor.to_owned(),
    }
}

fn domain_key(domain: Option<&Ref>) -> &[u8] {
    domain.map_or(b"", |r| r.as_bytes())
}

macro_rules! by_ref {
    ($($(#[$meta:meta])* $get:ident, $iter:ident, $table:ident: $Type:ty;)*) => {$(
        $(#[$meta])*
        pub fn $get(&self, reference: &str) -> Option<&Arc<$Type>> {
            self.$table.get(exact([reference.as_bytes(), b""]), |r| *r.reference == *reference)
        }

        /// All of the kind, in no order.
        pub fn $iter(&self) -> impl Iterator<Item = &Arc<$Type>> {
            self.$table.iter()
        }
    )*};
}

impl Tables {
    by_ref! {
        /// The access control list of that ref.
        acl_by_ref, acls, acls: AccessControlList;
        /// The credentials of that ref.
        credentials_by_ref, all_credentials, credentials: Credentials;
        /// The trunk of that ref.
        trunk_by_ref, trunks, trunks: Trunk;
        /// The number of that ref.
        number_by_ref, numbers, numbers: Number;
        /// The domain of that ref.
        domain_by_ref, domains, domains: Domain;
        /// The agent of that ref.
        agent_by_ref, agents, agents: Agent;
        /// The peer of that ref.
        peer_by_ref, peers, peers: Peer;
        /// The user of that ref.
        user_by_ref, users, users: User;
    }

    /// The domain whose AORs have that host; case does not matter.
    pub fn domain_by_uri(&self, host: &[u8]) -> Option<&Arc<Domain>> {
        self.domain_by_uri.get(folded(host), |d| d.domain_uri.as_bytes().eq_ignore_ascii_case(host))
    }

    /// The agent of that user name in that domain (`None`: among those without one).
    pub fn agent(&self, domain: Option<&Ref>, username: &[u8]) -> Option<&Arc<Agent>> {
        self.agent_by_name.get(exact([domain_key(domain), username]), |a| {
            a.username.as_bytes() == username && a.domain.as_ref() == domain
        })
    }

    /// The peer of that user name.
    pub fn peer_by_username(&self, username: &[u8]) -> Option<&Arc<Peer>> {
        self.peer_by_username.get(exact([username, b""]), |p| p.username.as_bytes() == username)
    }

    /// The peer whose instances register under that AOR, e.g. `sip:conference@sip.local`. Peers without an AOR
    /// are not found here.
    pub fn peer_by_aor(&self, aor: &[u8]) -> Option<&Arc<Peer>> {
        self.peer_by_aor.get(folded(aor), |p| p.aor.as_ref().is_some_and(|a| same_aor(a.as_bytes(), aor)))
    }

    /// The number of that text, with or without `tel:` before it, e.g. `+17066041487`.
    pub fn number_by_tel(&self, number: &[u8]) -> Option<&Arc<Number>> {
        let digits = match number.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case(b"tel:") => number.get(4..).unwrap_or_default(),
            _ => number,
        };
        self.number_by_tel.get(folded(digits), |n| n.digits().as_bytes().eq_ignore_ascii_case(digits))
    }

    /// The trunk whose carrier calls us by that host; case does not matter.
    pub fn trunk_by_inbound_uri(&self, host: &[u8]) -> Option<&Arc<Trunk>> {
        self.trunk_by_inbound.get(folded(host), |t| inbound(t).eq_ignore_ascii_case(host))
    }

    /// The user of that login name.
    pub fn user_by_username(&self, username: &[u8]) -> Option<&Arc<User>> {
        self.user_by_username.get(exact([username, b""]), |u| u.username.as_bytes() == username)
    }

    /// How many of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::AccessControlList => self.acls.len(),
            Kind::Credentials => self.credentials.len(),
            Kind::Trunk => self.trunks.len(),
            Kind::Number => self.numbers.len(),
            Kind::Domain => self.domains.len(),
            Kind::Agent => self.agents.len(),
            Kind::Peer => self.peers.len(),
            Kind::User => self.users.len(),
        }
    }

    /// Is there nothing at all?
    pub fn is_empty(&self) -> bool {
        Kind::ALL.into_iter().all(|kind| self.count(kind) == 0)
    }

    /// The resource of that kind and ref.
    pub fn get(&self, kind: Kind, reference: &str) -> Option<Resource> {
        Some(match kind {
            Kind::AccessControlList => self.acl_by_ref(reference)?.clone().into(),
            Kind::Credentials => self.credentials_by_ref(reference)?.clone().into(),
            Kind::Trunk => self.trunk_by_ref(reference)?.clone().into(),
            Kind::Number => self.number_by_ref(reference)?.clone().into(),
            Kind::Domain => self.domain_by_ref(reference)?.clone().into(),
            Kind::Agent => self.agent_by_ref(reference)?.clone().into(),
            Kind::Peer => self.peer_by_ref(reference)?.clone().into(),
            Kind::User => self.user_by_ref(reference)?.clone().into(),
        })
    }

    /// The resource of that ref, whatever its kind: refs are unique among all.
    pub fn find(&self, reference: &str) -> Option<Resource> {
        Kind::ALL.into_iter().find_map(|kind| self.get(kind, reference))
    }

    /// All resources of a kind, in an order that is kept for the next who asks.
    pub fn sorted(&self, kind: Kind, order: Order) -> Arc<[Resource]> {
        self.sorted.get(kind, order, || self.of_kind(kind))
    }

    /// All resources of a kind, in no order.
    pub fn of_kind(&self, kind: Kind) -> Vec<Resource> {
        match kind {
            Kind::AccessControlList => self.acls.iter().cloned().map(Resource::from).collect(),
            Kind::Credentials => self.credentials.iter().cloned().map(Resource::from).collect(),
            Kind::Trunk => self.trunks.iter().cloned().map(Resource::from).collect(),
            Kind::Number => self.numbers.iter().cloned().map(Resource::from).collect(),
            Kind::Domain => self.domains.iter().cloned().map(Resource::from).collect(),
            Kind::Agent => self.agents.iter().cloned().map(Resource::from).collect(),
            Kind::Peer => self.peers.iter().cloned().map(Resource::from).collect(),
            Kind::User => self.users.iter().cloned().map(Resource::from).collect(),
        }
    }

    /// All resources, those that others refer to first; within a kind in no order.
    pub fn all(&self) -> impl Iterator<Item = Resource> {
        Kind::ALL.into_iter().flat_map(|kind| self.of_kind(kind))
    }

    /// What differs from earlier tables: resources that are new, gone or changed, each once. What both share costs nothing.
    pub fn changes_since(&self, before: &Tables) -> Vec<(Difference, Kind, Ref)> {
        let mut candidates = std::collections::BTreeSet::new();
        macro_rules! differing {
            ($($table:ident: $kind:ident,)*) => {$(
                self.$table.differences(&before.$table, |resource| {
                    candidates.insert((Kind::$kind, resource.reference.clone()));
                });
            )*};
        }
        differing! {
            acls: AccessControlList,
            credentials: Credentials,
            trunks: Trunk,
            numbers: Number,
            domains: Domain,
            agents: Agent,
            peers: Peer,
            users: User,
        }
        let differ = |(kind, reference): (Kind, Ref)| {
            let difference = match (before.get(kind, &reference), self.get(kind, &reference)) {
                (None, Some(_)) => Difference::Created,
                (Some(_), None) => Difference::Deleted,
                (Some(old), Some(new)) if old != new => Difference::Updated,
                // A file was written anew with the same resource.
                _ => return None,
            };
            Some((difference, kind, reference))
        };
        candidates.into_iter().filter_map(differ).collect()
    }

    /// Finds the resources that refer to this ref, among all resources.
    pub fn referrers(&self, reference: &str) -> Vec<Referrer> {
        let mut found = Vec::new();
        self.each_reference(|resource, field, _, to| {
            if **to == *reference {
                found.push(Referrer::new(resource, field));
            }
        });
        found.sort_by(|a, b| (a.kind, &a.reference).cmp(&(b.kind, &b.reference)));
        found
    }

    /// Walks over every field that refers to a resource.
    pub(crate) fn each_reference(&self, mut look: impl FnMut(&Resource, &str, Kind, &Ref)) {
        for resource in self.all() {
            for (field, kind, to) in resource.references() {
                look(&resource, &field, kind, to);
            }
        }
    }

    /// Puts a resource in, in place of the one of its kind and ref. Checks nothing.
    pub fn put(&mut self, resource: impl Into<Resource>) {
        let resource = resource.into();
        self.remove(resource.kind(), &resource.reference().clone());
        let key = exact([resource.reference().as_bytes(), b""]);
        match resource {
            Resource::AccessControlList(acl) => {
                self.acls.put(key, |r| r.reference == acl.reference, acl.clone());
            }
            Resource::Credentials(c) => {
                self.credentials.put(key, |r| r.reference == c.reference, c.clone());
            }
            Resource::Trunk(t) => {
                self.trunks.put(key, |r| r.reference == t.reference, t.clone());
                let host = inbound(&t);
                if !host.is_empty() {
                    self.trunk_by_inbound.put(
                        folded(host),
                        |r| inbound(r).eq_ignore_ascii_case(host),
                        t.clone(),
                    );
                }
            }
            Resource::Number(n) => {
                self.numbers.put(key, |r| r.reference == n.reference, n.clone());
                let tel = folded(n.digits().as_bytes());
                self.number_by_tel.put(tel, |r| r.digits().eq_ignore_ascii_case(n.digits()), n.clone());
            }
            Resource::Domain(d) => {
                self.domains.put(key, |r| r.reference == d.reference, d.clone());
                let host = folded(d.domain_uri.as_bytes());
                self.domain_by_uri.put(host, |r| r.domain_uri.eq_ignore_ascii_case(&d.domain_uri), d.clone());
                self.enter_numbers(&d);
            }
            Resource::Agent(a) => {
                self.agents.put(key, |r| r.reference == a.reference, a.clone());
                let name = exact([domain_key(a.domain.as_ref()), a.username.as_bytes()]);
                self.agent_by_name.put(name, |r| r.username == a.username && r.domain == a.domain, a.clone());
            }
            Resource::Peer(p) => {
                self.peers.put(key, |r| r.reference == p.reference, p.clone());
                let name = exact([p.username.as_bytes(), b""]);
                self.peer_by_username.put(name, |r| r.username == p.username, p.clone());
                if let Some(aor) = &p.aor {
                    let is =
                        |r: &Peer| r.aor.as_ref().is_some_and(|a| same_aor(a.as_bytes(), aor.as_bytes()));
                    self.peer_by_aor.put(folded(aor.as_bytes()), is, p.clone());
                }
            }
            Resource::User(u) => {
                self.users.put(key, |r| r.reference == u.reference, u.clone());
                let name = exact([u.username.as_bytes(), b""]);
                self.user_by_username.put(name, |r| r.username == u.username, u.clone());
            }
        }
    }

    /// Takes a resource out; gives it back if it was there. Checks nothing.
    pub fn remove(&mut self, kind: Kind, reference: &str) -> Option<Resource> {
        self.sorted.forget(kind);
        let key = exact([reference.as_bytes(), b""]);
        // The secondary indexes give up an entry only if it is this very resource: with two of the same key
        // (which validation forbids) the other one stays.
        match kind {
            Kind::AccessControlList => {
                self.acls.remove(key, |r| *r.reference == *reference).map(Resource::from)
            }
            Kind::Credentials => {
                self.credentials.remove(key, |r| *r.reference == *reference).map(Resource::from)
            }
            Kind::Trunk => {
                let t = self.trunks.remove(key, |r| *r.reference == *reference)?;
                self.trunk_by_inbound.remove(folded(inbound(&t)), |r| r.reference == t.reference);
                Some(t.into())
            }
            Kind::Number => {
                let n = self.numbers.remove(key, |r| *r.reference == *reference)?;
                let tel = folded(n.digits().as_bytes());
                self.number_by_tel.remove(tel, |r| r.reference == n.reference);
                Some(n.into())
            }
            Kind::Domain => {
                let d = self.domains.remove(key, |r| *r.reference == *reference)?;
                let host = folded(d.domain_uri.as_bytes());
                self.domain_by_uri.remove(host, |r| r.reference == d.reference);
                self.forget_numbers(&d);
                Some(d.into())
            }
            Kind::Agent => {
                let a = self.agents.remove(key, |r| *r.reference == *reference)?;
                let name = exact([domain_key(a.domain.as_ref()), a.username.as_bytes()]);
                self.agent_by_name.remove(name, |r| r.reference == a.reference);
                Some(a.into())
            }
            Kind::Peer => {
                let p = self.peers.remove(key, |r| *r.reference == *reference)?;
                let name = exact([p.username.as_bytes(), b""]);
                self.peer_by_username.remove(name, |r| r.reference == p.reference);
                if let Some(aor) = &p.aor {
                    self.peer_by_aor.remove(folded(aor.as_bytes()), |r| r.reference == p.reference);
                }
                Some(p.into())
            }
            Kind::User => {
                let u = self.users.remove(key, |r| *r.reference == *reference)?;
                let name = exact([u.username.as_bytes(), b""]);
                self.user_by_username.remove(name, |r| r.reference == u.reference);
                Some(u.into())
            }
        }
    }
}

fn inbound(trunk: &Trunk) -> &[u8] {
    trunk.inbound_uri.as_deref().unwrap_or_default().as_bytes()
}
