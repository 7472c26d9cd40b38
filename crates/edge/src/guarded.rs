//! Ways a request must not take: unprotected ones for a SIPS URI, and to a carrier by a phone's own word.

use trunkline_model::TrunkUri;
use trunkline_sip::{Address, List, Message, Uri, parse_ip};
use trunkline_transport::Egress;

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::resolver::{Resolved, Spare};

/// With a 480: a SIPS URI leads to phones without TLS (RFC 5630 §5.3, §6.2).
pub(crate) const SIPS_NOT_ALLOWED: &[u8] = b"Warning: 380 trunkline \"SIPS Not Allowed\"\r\n";

/// Does a URI insist on TLS on every hop (RFC 3261 §26.2.2)?
pub(crate) fn is_sips(uri: &[u8]) -> bool {
    uri.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"sips:"))
}

/// Takes out the ways that are not protected by TLS; `false` when that leaves none.
pub(crate) fn keep_secure(request: &Message<'_>, ways: &mut [Option<(Egress, Spare)>]) -> bool {
    if !is_sips(request.uri_text()) || ways.iter().all(Option::is_none) {
        return true;
    }
    for way in ways.iter_mut() {
        // Another address of its name may be spoken to otherwise.
        *way =
            way.take().filter(|(egress, _)| egress.transport.is_secure()).map(|(e, _)| (e, Spare::default()));
    }
    ways.iter().any(Option::is_some)
}

impl Edge {
    /// Would this REGISTER have calls for its user sent to a carrier, which takes them for the exchange's own? Only a
    /// gateway that registers itself may name an address that is also a trunk's.
    pub(crate) fn names_a_trunk<'c>(
        &self,
        inbound: &Inbound<'_>,
        mut contacts: impl Iterator<Item = &'c [u8]>,
        path: &[u8],
    ) -> bool {
        let source = inbound.flow.remote.ip();
        let leads = |uri: &[u8]| {
            let Ok(uri) = Uri::parse(uri) else { return false };
            let host = uri.param("maddr").flatten().unwrap_or(uri.host);
            parse_ip(host) != Some(source) && self.is_trunk_host(host)
        };
        let first = List::new(path).flatten().next().and_then(|hop| Address::parse(hop, "Path").ok());
        first.is_some_and(|hop| leads(hop.uri)) || contacts.any(leads)
    }

    fn is_trunk_host(&self, host: &[u8]) -> bool {
        let ip = parse_ip(host);
        self.shared.tables.load().trunks().any(|trunk| {
            let named = |u: &TrunkUri| u.host.as_bytes().eq_ignore_ascii_case(host);
            trunk.uris.iter().any(named) || ip.is_some_and(|ip| self.is_trunk_source(trunk, ip))
        })
    }

    /// The same for a phone's way by name, which may lead elsewhere than when the phone registered.
    pub(crate) fn keep_from_trunks(&self, path: &[u8], uri: &[u8], way: Resolved) -> Resolved {
        let by_name = || !path.is_empty() || Uri::parse(uri).is_ok_and(|uri| uri.ip().is_none());
        match way {
            Resolved::To(egress, spare) if self.scratch.parties.agent_called && by_name() => {
                let tables = self.shared.tables.load();
                let is_trunk = |ip| tables.trunks().any(|trunk| self.is_trunk_source(trunk, ip));
                match is_trunk(egress.remote.ip()) || spare.any(is_trunk) {
                    true => Resolved::Nowhere,
                    false => Resolved::To(egress, spare),
                }
            }
            way => way,
        }
    }
}
