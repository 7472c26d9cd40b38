//! A call that goes elsewhere when its callee does not take it.

use trunkline_model::Tables;
use trunkline_routing::{Decision, Fallback, PartyName, RoutedKind};
use trunkline_sip::{Flow, Method};

use crate::inbound::Inbound;

/// What is kept of a call that may be diverted. Only agents with a fallback have one, so others cost nothing.
#[derive(Clone, Debug)]
pub(crate) struct Divertible {
    pub(crate) fallback: Fallback,
    /// The AOR that was called.
    pub(crate) aor: String,
    /// The INVITE as it came.
    pub(crate) request: Vec<u8>,
    pub(crate) flow: Flow,
    /// Who calls.
    pub(crate) caller: PartyName,
    /// Had the caller shown who it is?
    pub(crate) proven: bool,
}

/// A call is diverted so often at most.
pub(crate) const MOST_TURNS: u8 = 5;

/// Where a call goes that ends with this status.
pub(crate) fn fallback_for(fallback: &Fallback, code: u16) -> Option<&str> {
    match code {
        486 | 600 | 603 => fallback.busy.as_deref(),
        408 | 480 | 487 => fallback.no_answer.as_deref(),
        _ => None,
    }
}

/// User name and domain of an agent, or a peer's user name.
pub(crate) fn account_of<'t>(tables: &'t Tables, caller: &PartyName) -> Option<(&'t [u8], &'t [u8])> {
    let reference = caller.reference.as_ref()?.as_str();
    match caller.kind {
        RoutedKind::Agent => {
            let agent = tables.agent_by_ref(reference)?;
            let domain = tables.domain_by_ref(agent.domain.as_ref()?.as_str())?;
            Some((agent.username.as_bytes(), domain.domain_uri.as_bytes()))
        }
        RoutedKind::Peer => Some((tables.peer_by_ref(reference)?.username.as_bytes(), b"")),
        RoutedKind::Pstn | RoutedKind::Unknown => None,
    }
}

impl Divertible {
    /// For the INVITE that is being forwarded by this decision, and was diverted so often before.
    pub(crate) fn new(inbound: &Inbound<'_>, decision: &Decision, turns: u8) -> Option<Box<Divertible>> {
        let fallback = &decision.parties.fallback;
        if inbound.method != Method::Invite || fallback.is_empty() || turns >= MOST_TURNS {
            return None;
        }
        Some(Box::new(Divertible {
            fallback: fallback.clone(),
            aor: String::from_utf8_lossy(&decision.aor).into_owned(),
            request: inbound.message.bytes.to_vec(),
            flow: *inbound.flow,
            caller: decision.parties.caller.clone(),
            proven: decision.proven,
        }))
    }
}
