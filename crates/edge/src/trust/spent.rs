//! Credentials that have been looked at here, or that nobody asked for, go no further.

use smallvec::SmallVec;
use trunkline_digest::realm_of;
use trunkline_model::Trunk;
use trunkline_sip::{Header, HeaderName, Message, Span, Uri};

use crate::edge::Edge;

/// Lines with credentials that are left out of one request, which has one or two.
pub(crate) type Spent = SmallVec<[Span; 4]>;

impl Edge {
    /// Credentials for a realm of ours in a request inside a dialog, where nobody asked for them. They go no further
    /// (RFC 3261 §22.3): whoever got them could use what is fresh in them to call as the one who sent them.
    pub(crate) fn spent_credentials(&self, m: &Message<'_>) -> Spent {
        let ours = |line: &&Header| {
            let Some(realm) = realm_of(line.value.of(m.bytes)) else { return false };
            let own = |host: &[u8]| {
                let uri = [b"sip:", host].concat();
                Uri::parse(&uri).is_ok_and(|uri| self.shared.addresses.is_own(&uri))
            };
            let tables = self.shared.tables.load();
            let calls_us = |t: &Trunk| t.inbound_uri.as_ref().is_some_and(|uri| uri.as_bytes() == &*realm);
            tables.domain_by_uri(&realm).is_some() || own(&realm) || tables.trunks().any(|t| calls_us(t))
        };
        let lines = m.header_lines(HeaderName::Authorization);
        let lines = lines.chain(m.header_lines(HeaderName::ProxyAuthorization));
        lines.filter(ours).map(|line| line.line).collect()
    }
}
