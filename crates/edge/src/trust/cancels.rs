//! Who may take a request back.

use std::net::IpAddr;

use trunkline_sip::Flow;

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
