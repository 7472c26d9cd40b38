//! Is a digest for what is asked for?

use trunkline_routing::{is_separator, named_elsewhere, named_in_to};
use trunkline_sip::{Method, Scheme, Uri, uris_equal};

use crate::config::DigestUri;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::trust::identity::Demand;

impl Edge {
    /// Does the `uri` of a digest name what the Request-URI does, as closely as [`DigestUri`] wants it? Otherwise
    /// somebody who saw one call being made could make another with its digest. Phones write the port, parameters,
    /// scheme and escapes as they like (RFC 3261 §22.4), and the name or address of the server they know us by.
    ///
    /// Where another header says who is called (`routing.addressInfo`, `toAsAor`), it names that user: the Request-URI then
    /// says nothing of who will be called. So does To where the Request-URI names no user; but a carrier that calls our
    /// Contact can only repeat that, and reaches the numbers of its trunk alone.
    pub(crate) fn names_target(
        &self,
        inbound: &Inbound<'_>,
        uri: &[u8],
        demand: &Demand<'_>,
        carrier: bool,
    ) -> bool {
        let m = &inbound.message;
        let method = inbound.method;
        let compares = match self.shared.config.digest_uri {
            DigestUri::User => matches!(method, Method::Invite | Method::Message | Method::Refer),
            DigestUri::Strict => true,
            DigestUri::Off => false,
        };
        let called = match demand.begins {
            true => {
                let elsewhere = named_elsewhere(m, &self.shared.config.routing);
                let named = elsewhere.or_else(|| m.uri().ok());
                named.filter(|_| !carrier).and_then(|uri| named_in_to(m, &uri)).or(elsewhere)
            }
            false => None,
        };
        if !compares || called.is_none() && uri == m.uri_text() {
            return true;
        }
        if self.shared.config.digest_uri == DigestUri::Strict && !uris_equal(uri, m.uri_text()) {
            return false;
        }
        let (Ok(named), Ok(request)) = (Uri::parse(uri), m.uri()) else { return false };
        if self.shared.config.digest_uri == DigestUri::Strict {
            return called.is_none_or(|called| same_user(&named, &called));
        }
        let wanted = called.unwrap_or(request);
        same_user(&named, &wanted)
            && (named.host.eq_ignore_ascii_case(wanted.host) || self.is_known_host(&named, demand.realm))
    }

    /// Is the host ours or a trunk's, whatever the port? A telephone number has none.
    fn is_known_host(&self, uri: &Uri<'_>, realm: &[u8]) -> bool {
        match uri.scheme {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel => return true,
            Scheme::Other => return false,
        }
        let host = uri.host;
        let tables = self.shared.tables.load();
        host.eq_ignore_ascii_case(realm)
            || self.shared.addresses.is_own(&Uri { port: None, ..*uri })
            || tables.domain_by_uri(host).is_some()
            || tables.trunk_by_inbound_uri(host).is_some()
            || tables.trunks().any(|t| t.uris.iter().any(|u| u.host.as_bytes().eq_ignore_ascii_case(host)))
    }
}

/// Are the users the same, escapes decoded? Of telephone numbers the digits count: `tel:+1-700` is
/// `sip:+1700;phone-context=+1@h`.
fn same_user(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let (one, other) = (a.user_decoded().unwrap_or_default(), b.user_decoded().unwrap_or_default());
    match a.scheme == Scheme::Tel || b.scheme == Scheme::Tel {
        true => digits(&one).eq(digits(&other)),
        false => one == other,
    }
}

/// A telephone number without its parameters and visual separators (RFC 3966 §5.1.1).
fn digits(user: &[u8]) -> impl Iterator<Item = u8> {
    let number = user.split(|&b| b == b';').next().unwrap_or_default();
    number.iter().copied().filter(|b| !is_separator(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_compared_as_what_they_stand_for() {
        for (a, b, same) in [
            ("sip:1002@sip.local", "sip:1002@192.0.2.1:5060;transport=tcp", true),
            ("sips:1002@sip.local", "sip:1002@sip.local", true),
            ("sip:%31002@sip.local", "sip:1002@sip.local", true),
            ("sip:100%32@sip.local", "sip:%31002@sip.local", true),
            ("sip:1002:pw@sip.local", "sip:1002@sip.local", true),
            ("sip:sip.local", "sip:sip.local", true),
            ("sip:1002@sip.local", "sip:1003@sip.local", false),
            ("sip:Ann@sip.local", "sip:ann@sip.local", false),
            ("sip:sip.local", "sip:1002@sip.local", false),
            ("sip:1-002@sip.local", "sip:1002@sip.local", false),
            ("tel:+1-700-555", "tel:+1700555", true),
            ("sip:+1%20700%2F555@sip.local", "tel:+1700555", true),
            ("tel:+1700555", "sip:+1700555;phone-context=+1@sip.local;user=phone", true),
            ("sip:+1700555@sip.local", "tel:+1700556", false),
        ] {
            let read = |text: &'static str| Uri::parse(text.as_bytes()).unwrap();
            assert_eq!(same_user(&read(a), &read(b)), same, "{a} {b}");
            assert_eq!(same_user(&read(b), &read(a)), same, "{b} {a}");
        }
    }
}
