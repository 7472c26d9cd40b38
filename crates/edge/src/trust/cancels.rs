//! Who may take a request back.

use std::net::IpAddr;

use trunkline_proxy::PartyKind;
use trunkline_sip::{Flow, canonical_ip};

use crate::context::{Context, Hop};
use crate::edge::Edge;
use crate::mail::Io;

/// Is a CANCEL that came by `flow` the caller's, whose request came by `from`? It comes by the request's connection, or from
/// its port. NATs rebind: from another port of the address it has to say what the request said (RFC 3261 §9.1), `same`, and
/// nobody may be there to whom the request went or is about to go, `rung`, since a neighbour who is rung knows all of that.
pub(crate) fn is_callers(from: &Flow, flow: &Flow, same: bool, rung: impl FnOnce(IpAddr) -> bool) -> bool {
    if from.transport.is_reliable() || flow.transport.is_reliable() {
        return from.transport == flow.transport && from.connection == flow.connection;
    }
    let ip = flow.remote.ip().to_canonical();
    from.remote == flow.remote || from.remote.ip().to_canonical() == ip && same && !rung(ip)
}

impl Edge {
    /// Is a CANCEL that came by `flow` the caller's of this transaction?
    pub(crate) fn may_cancel(&self, io: &Io<'_>, context: &Context, flow: &Flow, companion: u64) -> bool {
        let rung = |ip| context.proxy.targets().any(|t| t.hop.egress.remote.ip().to_canonical() == ip);
        let same = context.companion == companion;
        is_callers(&context.from, flow, same, rung)
            || same
                && self.is_on_anew(io, context.caller, flow, rung)
                && !context
                    .proxy
                    .targets()
                    .any(|t| self.is_anothers(&t.hop, context.caller, flow.remote.ip(), io.unix_ms()))
    }

    /// Is this the caller on another way than its INVITE came by? The connection of the INVITE may have ended since, and a carrier
    /// has several addresses. An agent is known by what it has registered over the connection, a trunk or peer by an address of its
    /// own or of its list, where nobody is rung.
    pub(crate) fn is_on_anew(
        &self,
        io: &Io<'_>,
        caller: (PartyKind, u32),
        flow: &Flow,
        rung: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let shared = &self.shared;
        match caller.0 {
            PartyKind::Stranger => false,
            PartyKind::Peer | PartyKind::Trunk => {
                self.is_of(caller, flow) && !rung(flow.remote.ip().to_canonical())
            }
            PartyKind::Agent if !flow.transport.is_reliable() => false,
            PartyKind::Agent => {
                let tables = shared.tables.load();
                let now = io.unix_ms();
                let account = shared.account(&tables, caller.1);
                account
                    .and_then(|(agent, domain)| self.registered_at((agent, caller.1), domain, flow, now))
                    .is_some()
            }
        }
    }

    /// Does a packet come from one of the addresses of this trunk or peer?
    pub(crate) fn is_of(&self, (kind, party): (PartyKind, u32), flow: &Flow) -> bool {
        matches!(kind, PartyKind::Peer | PartyKind::Trunk)
            && self.shared.guard.is_address_of(kind, party, flow.remote.ip())
    }

    /// Is another party that is rung at this address, too? It has seen the INVITE, and one address may be on several lists.
    fn is_anothers(&self, hop: &Hop, caller: (PartyKind, u32), ip: IpAddr, now: u64) -> bool {
        let shared = &self.shared;
        let trunk =
            hop.trunk.as_ref().map(|t| (PartyKind::Trunk, shared.secret.party(t.as_str().as_bytes())));
        let Some((kind, party)) = trunk.or(hop.word.map(|word| (word.kind, word.party))) else {
            return false;
        };
        match kind {
            // An agent's connection is its own, whoever else is on its host.
            _ if caller.0 == PartyKind::Agent || (kind, party) == caller => false,
            PartyKind::Agent => {
                let tables = shared.tables.load();
                let account = shared.account(&tables, party);
                account.is_some_and(|a| self.has_registered_from((a, party), (canonical_ip(ip), None), now))
            }
            PartyKind::Peer | PartyKind::Trunk | PartyKind::Stranger => {
                shared.guard.is_address_of(kind, party, ip)
            }
        }
    }
}
