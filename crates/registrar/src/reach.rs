//! How a contact is reached, where its URI points or only the way its REGISTER came, and for how long.

use trunkline_location::ContactChange;
use trunkline_sip::{Flow, Transport, Uri, Via};

use crate::config::{BySource, RegistrarConfig};

/// Finds out which contacts are reached the way the REGISTER came: all flows of `outbound`, those that the operator says, and
/// those of which `behind_nat` is true.
pub(crate) fn find_nat(
    (via, flow): (&Via<'_>, &Flow),
    (outbound, by_source): (bool, BySource),
    contacts: &mut [ContactChange<'_>],
    behind_nat: impl Fn(&Uri<'_>) -> bool,
) {
    let all = outbound || goes_by_source(via, flow, contacts, by_source);
    for contact in contacts {
        contact.behind_nat = all || Uri::parse(contact.uri).is_ok_and(|uri| behind_nat(&uri));
    }
}

/// Grants each contact its time: what the resource sets, else what the phone asks for within the registrar's bounds. Behind a
/// NAT, UDP mappings end soon, and refreshes keep them open; `outbound`: the phone does that by itself.
pub(crate) fn grant(
    transport: Transport,
    (fixed, outbound): (Option<u32>, bool),
    bounds: &RegistrarConfig,
    contacts: &mut [ContactChange<'_>],
) {
    let udp = transport == Transport::Udp && !outbound;
    for contact in contacts.iter_mut().filter(|c| c.expires > 0) {
        let longest = match udp && contact.behind_nat && bounds.nat_expires > 0 {
            true => bounds.nat_expires.min(bounds.max_expires),
            false => bounds.max_expires,
        };
        contact.expires = fixed.unwrap_or(contact.expires.min(longest));
    }
}

/// Did the operator decide that the contact is reached the way its REGISTER came, and not where it points? Several
/// contacts in one REGISTER are several places, of which the sender is one.
fn goes_by_source(via: &Via<'_>, flow: &Flow, contacts: &[ContactChange<'_>], by_source: BySource) -> bool {
    let symmetric = flow.transport.is_reliable() || via.rport.is_some();
    let ([contact], true, true) = (contacts, symmetric, by_source.covers(flow.transport)) else {
        return false;
    };
    let there = |uri: &Uri<'_>| {
        let port = uri.port.unwrap_or(flow.transport.default_port());
        uri.ip() == Some(flow.remote.ip()) && port == flow.remote.port()
    };
    !Uri::parse(contact.uri).is_ok_and(|uri| there(&uri))
}
