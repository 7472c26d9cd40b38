//! Ways a request must not take: unprotected ones for a SIPS URI, and to a carrier by a phone's own word. And what it
//! must not take along.

use arrayvec::ArrayVec;
use trunkline_digest::Credentials;
use trunkline_model::{Trunk, TrunkUri};
use trunkline_sip::{Address, Header, HeaderName, List, Message, Span, Uri, parse_ip};
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

/// Lines with credentials that are left out of one request, at most; a request has one or two.
pub(crate) type Spent = ArrayVec<Span, 4>;

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
    /// Credentials for a realm of ours in a request inside a dialog, where nobody asked for them. They go no further
    /// (RFC 3261 §22.3): whoever got them could use what is fresh in them to call as the one who sent them.
    pub(crate) fn spent_credentials(&self, m: &Message<'_>) -> Spent {
        let ours = |line: &&Header| {
            let Ok(Some(digest)) = Credentials::parse(line.value.of(m.bytes)) else { return false };
            let own = |host: &[u8]| {
                let uri = [b"sip:", host].concat();
                Uri::parse(&uri).is_ok_and(|uri| self.shared.addresses.is_own(&uri))
            };
            let tables = self.shared.tables.load();
            let calls_us =
                |t: &Trunk| t.inbound_uri.as_ref().is_some_and(|uri| uri.as_bytes() == &*digest.realm);
            tables.domain_by_uri(&digest.realm).is_some()
                || own(&digest.realm)
                || tables.trunks().any(|t| calls_us(t))
        };
        let lines = m.header_lines(HeaderName::Authorization);
        let lines = lines.chain(m.header_lines(HeaderName::ProxyAuthorization));
        lines.filter(ours).take(4).map(|line| line.line).collect()
    }

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
