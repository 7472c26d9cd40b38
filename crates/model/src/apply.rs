//! Changes to the tables, all or none.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::reference::Ref;
use crate::resource::{Kind, Resource};
use crate::tables::{Referrer, Tables};
use crate::validate::validate;

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new resource; it is an error if its ref is taken.
    Create(Resource),
    /// A resource in place of the one of its kind and ref; it is an error if there is none.
    Update(Resource),
    /// A resource, new or in place of the one of its kind and ref.
    Put(Resource),
    /// No such resource any more. That there was none is fine.
    Delete(Kind, Ref),
}

impl Change {
    /// The kind of the resource.
    pub fn target(&self) -> (Kind, &Ref) {
        match self {
            Change::Create(r) | Change::Update(r) | Change::Put(r) => (r.kind(), r.reference()),
            Change::Delete(kind, reference) => (*kind, reference),
        }
    }

    /// The resulting resources.
    pub fn resource(&self) -> Option<&Resource> {
        match self {
            Change::Create(r) | Change::Update(r) | Change::Put(r) => Some(r),
            Change::Delete(..) => None,
        }
    }
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the change among those applied together, from 0.
    pub change: usize,
    /// The kind of the resource.
    pub kind: Kind,
    /// Its ref.
    pub reference: Ref,
    /// The path of the field, e.g. `spec.domainRef`; empty if it is about the whole.
    pub field: String,
    /// The error.
    pub reason: Reason,
}

/// An error in a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A value may not be so; the text says why.
    Invalid(String),
    /// Another resource has the value of this field.
    Taken {
        /// The one that has it.
        by: Ref,
    },
    /// The resource that this field refers to does not exist.
    Dangling {
        /// The kind that is looked for.
        kind: Kind,
        /// The ref that leads nowhere.
        to: Ref,
        /// A ref of that kind that may have been meant.
        near: Option<Ref>,
    },
    /// The resource to change does not exist.
    Missing,
    /// Others refer to what is to be deleted.
    InUse(Vec<Referrer>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Invalid(message) => f.write_str(message),
            Reason::Taken { by } => write!(f, "already used by {by}"),
            Reason::Dangling { kind, to, near } => {
                write!(f, "there is no {kind} `{to}`")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, " (did you mean `{near}`?)"))
            }
            Reason::Missing => f.write_str("there is no resource with this ref"),
            Reason::InUse(by) => {
                const SHOWN: usize = 10;
                f.write_str("still used by ")?;
                for (n, r) in by.iter().take(SHOWN).enumerate() {
                    let comma = if n > 0 { ", " } else { "" };
                    write!(f, "{comma}{} {} ({})", r.kind, r.reference, r.field)?;
                }
                match by.len().checked_sub(SHOWN) {
                    Some(more) if more > 0 => write!(f, " and {more} more"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// `Agent agent-01, spec.domainRef: there is no Domain …`
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.reference)?;
        if !self.field.is_empty() {
            write!(f, ", {}", self.field)?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Tables {
    /// Makes changes, all of them or, if one cannot be made, none. Within one call their order does not matter:
    /// an agent may stand before its domain, and two may swap their names.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), Vec<Violation>> {
        let mut next = self.clone();
        let mut violations = Vec::new();
        let mut refused = |change: usize, field: String, reason: Reason| {
            let (kind, reference) = changes[change].target();
            violations.push(Violation { change, kind, reference: reference.clone(), field, reason });
        };

        // Out with all that is touched, so that nothing of it is in the way of the rest.
        for (n, change) in changes.iter().enumerate() {
            let (kind, reference) = change.target();
            match change {
                Change::Create(_) => {}
                Change::Put(_) | Change::Delete(..) => {
                    next.remove(kind, reference);
                }
                Change::Update(_) => {
                    if next.remove(kind, reference).is_none() {
                        refused(n, String::new(), Reason::Missing);
                    }
                }
            }
        }
        for (n, change) in changes.iter().enumerate() {
            let Some(resource) = change.resource() else { continue };
            for problem in validate(resource) {
                refused(n, problem.field, Reason::Invalid(problem.message));
            }
            match next.taken(resource) {
                None => next.put(resource.clone()),
                Some((field, by)) => refused(n, field.to_owned(), Reason::Taken { by }),
            }
        }

        for (n, change) in changes.iter().enumerate() {
            let Some(resource) = change.resource() else { continue };
            for (field, kind, to) in resource.references() {
                // An empty one is validation's finding.
                if !to.is_empty() && !next.has(kind, to) {
                    let (to, near) = (to.clone(), next.near(kind, to));
                    refused(n, field.into_owned(), Reason::Dangling { kind, to, near });
                }
            }
        }
        for (n, referrers) in next.left_behind(changes) {
            refused(n, String::new(), Reason::InUse(referrers));
        }
        if violations.is_empty() {
            *self = next;
            Ok(())
        } else {
            violations.sort_by_key(|v| v.change);
            Err(violations)
        }
    }

    /// The field of a resource whose value another one has, and which that is.
    fn taken(&self, resource: &Resource) -> Option<(&'static str, Ref)> {
        if resource.reference().is_empty() {
            return None;
        }
        if let Some(other) = self.find(resource.reference()) {
            return Some(("ref", other.reference().clone()));
        }
        let (field, other) = match resource {
            Resource::AccessControlList(_) | Resource::Credentials(_) => return None,
            // By that host it is told which calls are the carrier's, and which the domain's.
            Resource::Trunk(t) => {
                let host = t.inbound_uri.as_ref()?.as_bytes();
                let domain = || self.domain_by_uri(host).map(|domain| &domain.reference);
                ("spec.inbound.uri", self.trunk_by_inbound_uri(host).map(|t| &t.reference).or_else(domain)?)
            }
            Resource::Number(n) => {
                ("spec.location.telUrl", &self.number_by_tel(n.tel_url.as_bytes())?.reference)
            }
            Resource::Domain(d) => {
                let host = d.domain_uri.as_bytes();
                let trunk = || self.trunk_by_inbound_uri(host).map(|trunk| &trunk.reference);
                ("spec.context.domainUri", self.domain_by_uri(host).map(|d| &d.reference).or_else(trunk)?)
            }
            Resource::Agent(a) => {
                ("spec.username", &self.agent(a.domain.as_ref(), a.username.as_bytes())?.reference)
            }
            Resource::Peer(p) => match self.peer_by_username(p.username.as_bytes()) {
                Some(other) => ("spec.username", &other.reference),
                None => ("spec.aor", &self.peer_by_aor(p.aor.as_ref()?.as_bytes())?.reference),
            },
            Resource::User(u) => ("spec.username", &self.user_by_username(u.username.as_bytes())?.reference),
        };
        Some((field, other.clone()))
    }

    fn has(&self, kind: Kind, reference: &str) -> bool {
        self.get(kind, reference).is_some()
    }

    /// A ref like this one, for "did you mean".
    fn near(&self, kind: Kind, reference: &str) -> Option<Ref> {
        // Not worth a look at hundreds of thousands.
        if self.count(kind) > 1000 {
            return None;
        }
        let all = self.of_kind(kind);
        crate::document::nearest(reference, all.iter().map(|r| &**r.reference())).map(Ref::from)
    }

    /// Deletions after which something refers to nothing, by the number of the change.
    fn left_behind(&self, changes: &[Change]) -> Vec<(usize, Vec<Referrer>)> {
        let gone: HashMap<(Kind, &str), usize> = changes
            .iter()
            .enumerate()
            .filter(|(_, change)| change.resource().is_none())
            .map(|(n, change)| (change.target(), n))
            .filter(|((kind, reference), _)| !self.has(*kind, reference))
            .map(|((kind, reference), n)| ((kind, reference.as_str()), n))
            .collect();
        if gone.is_empty() {
            return Vec::new();
        }
        // What this call puts was looked at above, as dangling.
        let put: HashSet<&str> =
            changes.iter().filter_map(Change::resource).map(|r| r.reference().as_str()).collect();
        let mut found: HashMap<usize, Vec<Referrer>> = HashMap::new();
        self.each_reference(|resource, field, kind, to| {
            if let Some(n) = gone.get(&(kind, to.as_str()))
                && !put.contains(resource.reference().as_str())
            {
                found.entry(*n).or_default().push(Referrer::new(resource, field));
            }
        });
        for referrers in found.values_mut() {
            referrers.sort_by(|a, b| (a.kind, &a.reference).cmp(&(b.kind, &b.reference)));
        }
        found.into_iter().collect()
    }
}
