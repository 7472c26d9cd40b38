//! How many calls a party may have, at once and in a minute: trunks, agents, peers and domains.
//!
//! What counts is what lives, the ringing included, by the dialogs that the exchange sees. A callee that has as many calls as it
//! may is busy (486), so that its fallback takes the call; a trunk is passed over while another one may take the call, then 503;
//! a caller is refused with 403, a carrier with 503. Calls to the operator's emergency numbers count, and are never refused.

use trunkline_calls::{Calls, Counted, LimitReached, Refused, SessionKey};
use trunkline_model::{CallLimits, Ref, Tables};
use trunkline_reasons::Reason;
use trunkline_routing::{PartyName, RoutedKind};

use crate::aims::{Aims, Rung};
use crate::shared::Shared;

/// Whom a call counts for, beside its binding and its trunk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parties {
    pub(crate) caller: Counted,
    pub(crate) called: Counted,
    /// Of the caller and of the callee.
    pub(crate) domains: [Counted; 2],
}

/// A party that has a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// `trunk`, `agent`, `peer` or `domain`.
    pub kind: &'static str,
    /// Its ref.
    pub reference: Ref,
    /// Its calls now.
    pub calls: u32,
    /// How many it may have.
    pub limits: CallLimits,
}

fn counted(key: SessionKey, limits: &CallLimits) -> Counted {
    Counted { key: Some(key), limit: limits.at_once, per_minute: limits.per_minute }
}

/// A party with its own limits, and its domain with those.
fn party(tables: &Tables, name: &PartyName) -> (Counted, Counted) {
    let Some(reference) = &name.reference else { return (Counted::default(), Counted::default()) };
    let key = SessionKey::reference(reference.as_str().as_bytes());
    let (limits, domain) = match name.kind {
        RoutedKind::Agent => {
            let agent = tables.agent_by_ref(reference.as_str());
            let domain = agent.and_then(|a| tables.domain_by_ref(a.domain.as_ref()?.as_str()));
            (agent.map(|a| a.limits), domain)
        }
        RoutedKind::Peer => {
            let peer = tables.peer_by_ref(reference.as_str());
            let host = peer.and_then(|p| p.aor.as_deref()?.rsplit_once('@')).map(|(_, host)| host);
            (peer.map(|p| p.limits), host.and_then(|host| tables.domain_by_uri(host.as_bytes())))
        }
        RoutedKind::Pstn => (tables.trunk_by_ref(reference.as_str()).map(|t| t.limits), None),
        RoutedKind::Unknown => (None, None),
    };
    let domain = domain.map(|d| counted(SessionKey::reference(d.reference.as_str().as_bytes()), &d.limits));
    (counted(key, &limits.unwrap_or_default()), domain.unwrap_or_default())
}

/// The trunk that a call leaves by.
pub(crate) fn trunk(tables: &Tables, reference: &Ref, emergency: bool) -> Counted {
    let limits = tables.trunk_by_ref(reference.as_str()).map(|t| t.limits).unwrap_or_default();
    let counted = counted(SessionKey::reference(reference.as_str().as_bytes()), &limits);
    if emergency { counted.unlimited() } else { counted }
}

/// Whom a call counts for.
pub(crate) fn parties(tables: &Tables, rung: Rung<'_>, emergency: bool) -> Parties {
    let (of, no) = (&rung.decision.parties, Counted::default());
    let (caller, caller_domain) = party(tables, &of.caller);
    let (called, called_domain) = match of.callee.kind {
        // It counts for the trunk that takes it.
        RoutedKind::Pstn => (no, no),
        _ => party(tables, &of.callee),
    };
    let within = caller_domain.key == called_domain.key;
    let domains = [caller_domain, if within { no } else { called_domain }];
    match emergency {
        true => Parties {
            caller: caller.unlimited(),
            called: called.unlimited(),
            domains: domains.map(Counted::unlimited),
        },
        false => Parties { caller, called, domains },
    }
}

/// Why a call is refused that a limit of others than the callee keeps out, with header lines. `from_carrier`: a carrier calls.
pub(crate) fn refusal(refused: Refused, from_carrier: bool) -> (Reason, Vec<u8>) {
    // A carrier stays away for that long (RFC 3261 §21.5.4), since it is its own limit. What others are told of a trunk, or of
    // themselves, keeps them away from nothing.
    let wait = || refused.wait.map_or(Vec::new(), |s| format!("Retry-After: {s}\r\n").into_bytes());
    match refused.who {
        LimitReached::Caller if from_carrier => (Reason::LimitCarrier, wait()),
        LimitReached::Caller => (Reason::LimitCaller, Vec::new()),
        LimitReached::CallerDomain | LimitReached::Callee | LimitReached::CalleeDomain => {
            (Reason::LimitDomain, Vec::new())
        }
        LimitReached::Trunk => (Reason::LimitTrunk, Vec::new()),
        LimitReached::Memory => (Reason::OverloadCalls, Vec::new()),
        LimitReached::Share => (Reason::OverloadCallShare, Vec::new()),
    }
}

/// Is the callee the one that takes no more calls?
pub(crate) fn is_busy(refused: &Refused) -> bool {
    matches!(refused.who, LimitReached::Callee | LimitReached::CalleeDomain)
}

/// Leaves out the targets whose trunk takes no more calls. False: none is left.
pub(crate) fn pass_over_full_trunks(
    (calls, tables): (&Calls, &Tables),
    first: &trunkline_routing::Decision,
    aims: &mut Aims,
    now: u64,
) -> bool {
    let is_full = |reference: &Ref| calls.has_room(&trunk(tables, reference, false), now).is_err();
    let full: Vec<usize> = (0..aims.list.len())
        .filter(|n| {
            let target = aims.list.get(*n).and_then(|aim| aims.target(first, aim));
            target.and_then(|target| target.trunk.as_ref()).is_some_and(is_full)
        })
        .collect();
    let had = aims.list.len();
    for n in full.into_iter().rev() {
        aims.list.remove(n);
        aims.ways.remove(n);
    }
    had == 0 || !aims.list.is_empty()
}

impl Shared {
    /// The parties that have a limit, with their calls, in no order.
    pub fn limited(&self) -> Vec<Limited> {
        let tables = self.tables.load();
        let of = |kind, reference: &Ref, limits| Limited {
            kind,
            reference: reference.clone(),
            calls: self.calls.sessions(SessionKey::reference(reference.as_str().as_bytes())),
            limits,
        };
        let trunks = tables.trunks().map(|t| of("trunk", &t.reference, t.limits));
        let agents = tables.agents().map(|a| of("agent", &a.reference, a.limits));
        let peers = tables.peers().map(|p| of("peer", &p.reference, p.limits));
        let domains = tables.domains().map(|d| of("domain", &d.reference, d.limits));
        trunks.chain(agents).chain(peers).chain(domains).filter(|limited| !limited.limits.is_none()).collect()
    }
}
