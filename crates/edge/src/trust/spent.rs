//! Credentials that have been looked at here, or that nobody asked for, go no further.

use smallvec::SmallVec;
use trunkline_digest::{realm_of, realms};
use trunkline_sip::{Header, HeaderName, Message, Span, Uri};

use crate::edge::Edge;

/// Lines with credentials that are left out of one request, which has one or two.
pub(crate) type Spent = SmallVec<[Span; 4]>;

impl Edge {
    /// Credentials for a realm of ours in a request inside a dialog, where nobody asked for them. They go no further
    /// (RFC 3261 §22.3): whoever got them could use what is fresh in them to call as the one who sent them.
    pub(crate) fn spent_credentials(&self, m: &Message<'_>, to_carrier: bool) -> Spent {
        let ours = |line: &&Header| {
            realm_of(line.value.of(m.bytes)).is_some_and(|realm| self.is_our_realm(&realm, to_carrier))
        };
        let lines = m.header_lines(HeaderName::Authorization);
        let lines = lines.chain(m.header_lines(HeaderName::ProxyAuthorization));
        lines.filter(ours).map(|line| line.line).collect()
    }

    /// Does a callee challenge the caller for a realm of ours? The answer would be of use to nobody but who wants to call as
    /// the caller, so that such a challenge is never passed on; nor is one that cannot be read, in which phones may find whatever
    /// realm they look for.
    pub(crate) fn challenges_for_us(&self, m: &Message<'_>, by_carrier: bool) -> bool {
        if !matches!(m.status(), Some(401 | 407)) {
            return false;
        }
        let mut ours = false;
        let lines = m.header_lines(HeaderName::WwwAuthenticate);
        for line in lines.chain(m.header_lines(HeaderName::ProxyAuthenticate)) {
            let value = line.value.of(m.bytes);
            let mut read = 0;
            realms(value, |realm| {
                read += 1;
                ours |= self.is_our_realm(realm, by_carrier);
            });
            ours |= read == 0 || read != realms_named(value);
        }
        ours
    }

    /// Do we ask for digests of this realm: is it a domain of ours, an address, or what a trunk calls us by? `carrier`: between
    /// the caller and a carrier, which usually has its own host name for both; there the realm is the carrier's.
    fn is_our_realm(&self, realm: &[u8], carrier: bool) -> bool {
        let own = || {
            let uri = [b"sip:", realm].concat();
            Uri::parse(&uri).is_ok_and(|uri| self.shared.addresses.is_own(&uri))
        };
        let tables = self.shared.tables.load();
        let calls_us = || tables.trunk_by_inbound_uri(realm).is_some();
        tables.domain_by_uri(realm).is_some() || !carrier && calls_us() || own()
    }
}

/// How often a challenge names a realm for who reads it without care.
fn realms_named(value: &[u8]) -> usize {
    let name = b"realm";
    let is_named = |at: usize| {
        let (before, from) = value.split_at(at);
        let named = from.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
        let after = from.get(name.len()..).unwrap_or_default().trim_ascii_start();
        // Of a longer name it is the end.
        let inside = before.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_');
        named && after.first() == Some(&b'=') && !inside
    };
    (0..value.len()).filter(|at| is_named(*at)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_that_is_not_read_alike_by_all_names_more_realms_than_are_read() {
        let read = |value: &str| {
            let mut read = 0;
            realms(value.as_bytes(), |_| read += 1);
            (read, realms_named(value.as_bytes()))
        };
        for (value, count) in [
            ("Digest realm=\"a\", nonce=\"n\"", 1),
            ("Digest nonce=\"n\",REALM = \"a\"", 1),
            ("Digest realm=\"a\", nonce=\"n\", Basic realm=\"b\"", 2),
            ("Digest realm=\"a\", x-realm=\"b\", nonce=\"n\"", 1),
        ] {
            assert_eq!(read(value), (count, count), "{value}");
        }
        for value in [
            "Digest domain=\"x\" realm=\"sip.local\"",
            "Digest nonce=\"n\";realm=\"sip.local\"",
            "Digest,realm=\"sip.local\"",
            "Digest x=\"\\\", realm=\"y\", z=\"\\\", realm=\"sip.local\"",
            "Digest nonce=\"n\"",
        ] {
            let (read, named) = read(value);
            assert!(read == 0 || read != named, "{value}: {read} {named}");
        }
    }
}
