//! Who may take a request back.

use std::net::IpAddr;

use trunkline_proxy::PartyKind;
use trunkline_sip::Flow;

use crate::context::Context;
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
        is_callers(&context.from, flow, same, rung) || same && self.is_on_anew(io, context.caller, flow, rung)
    }

    /// Is this another connection of the caller's? The one of the INVITE may have ended since. An agent is known by what it has
    /// registered over the connection, a trunk or peer by an address where nobody is rung.
    pub(crate) fn is_on_anew(
        &self,
        io: &Io<'_>,
        (kind, party): (PartyKind, u32),
        flow: &Flow,
        rung: impl FnOnce(IpAddr) -> bool,
    ) -> bool {
        let shared = &self.shared;
        match kind {
            _ if !flow.transport.is_reliable() => false,
            PartyKind::Stranger => false,
            PartyKind::Peer | PartyKind::Trunk => {
                let ip = flow.remote.ip();
                shared.guard.is_address_of(kind, party, ip) && !rung(ip.to_canonical())
            }
            PartyKind::Agent => {
                let tables = shared.tables.load();
                let now = io.unix_ms();
                let account = shared.account(&tables, party);
                account
                    .and_then(|(agent, domain)| self.registered_at((agent, party), domain, flow, now))
                    .is_some()
            }
        }
    }
}
