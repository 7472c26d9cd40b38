//! Callers who withhold their name in From, and show it in their digest.

use trunkline_model::Domain;
use trunkline_sip::{Address, HeaderName, List, Message, Uri, unquote};

use crate::ask::Ask;
use crate::call::Call;
use crate::rules::{Rules, Stop};

/// Users that a message names beside From, at most.
const MOST_NAMES: usize = 8;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Does somebody of ours call under a withheld name (RFC 3323 §4.1.1.3)? Who it may be stands in the digest, or in what it
    /// wants to be shown as (RFC 3325 §9.2); that it is, only a right digest shows, whatever its domain asks of others.
    pub(crate) fn withheld_calls(&mut self, call: &mut Call<'s, 'x>) -> Result<bool, Stop> {
        let from = self.request.from_uri;
        if self.request.registers() || !is_withheld(&from, &self.request.caller) {
            return Ok(false);
        }
        // Realm, algorithms and list are those of the first domain that is named, whoever there may be: else they would tell
        // who exists.
        for (_, host) in names(self.request.message).take(MOST_NAMES) {
            if let Some(domain) = self.domain(host)? {
                call.from_domain = Some(domain);
                break;
            }
        }
        for (user, host) in names(self.request.message).take(MOST_NAMES) {
            let of_host = |domain: &&Domain| host.eq_ignore_ascii_case(domain.domain_uri.as_bytes());
            if let Some(domain) = call.from_domain.filter(of_host)
                && let Some(agent) = self.agent(domain, user)?
            {
                self.agent_calls(agent, domain, call);
                call.access.digest = true;
                return Ok(true);
            }
            if let Some(peer) = self.peer(user)?
                && peer.credentials.is_some()
            {
                self.peer_calls(peer, call)?;
                (call.access.digest, call.access.proven) = (true, false);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Does a From say that its name is withheld: `anonymous`, or a host that nobody can have?
pub(crate) fn is_withheld(from: &Uri<'_>, user: &[u8]) -> bool {
    let nowhere = |host: &[u8]| {
        let end = host.len().saturating_sub(8);
        host.get(end..).is_some_and(|end| end.eq_ignore_ascii_case(b".invalid"))
    };
    user.eq_ignore_ascii_case(b"anonymous") || nowhere(from.host)
}

/// The users and hosts that digests, and then P-Preferred-Identity, name.
fn names<'a>(m: Message<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let digests = m
        .header_lines(HeaderName::Authorization)
        .chain(m.header_lines(HeaderName::ProxyAuthorization))
        .filter_map(move |line| digest_names(line.value.of(m.bytes)));
    let preferred = m.list(HeaderName::PPreferredIdentity).flatten().filter_map(|value| {
        let uri = Address::parse(value, "P-Preferred-Identity").ok()?.parsed_uri().ok()?;
        uri.user.map(|user| (user, uri.host))
    });
    digests.chain(preferred)
}

/// User and realm of a digest, where they hold no escapes. It is only a name: whether the digest is right is another question.
fn digest_names(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let named = |name| digest_param(value, name).filter(|v: &&[u8]| !v.is_empty() && !v.contains(&b'\\'));
    Some((named("username")?, named("realm")?))
}

/// A parameter of a digest's credentials, without its quotes.
pub(crate) fn digest_param<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let (scheme, params) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Digest") || !params.first()?.is_ascii_whitespace() {
        return None;
    }
    List::new(params).flatten().find_map(|param| {
        let equals = param.iter().position(|b| *b == b'=')?;
        let (known, value) = param.split_at_checked(equals)?;
        let value = value.get(1..)?;
        known.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then(|| unquote(value.trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_digests() {
        let all = b"Digest realm=\"sip.test\", qop=auth,username = \"10,01\", response=\"x\"";
        assert_eq!(digest_names(all), Some((&b"10,01"[..], &b"sip.test"[..])));
        for none in [
            &b"Basic username=\"a\", realm=\"r\""[..],
            b"Digest username=\"a\"",
            b"Digest username=\"a\\\"b\", realm=\"r\"",
            b"Digest username=\"\", realm=\"r\"",
            b"Digest",
            b"",
        ] {
            assert_eq!(digest_names(none), None, "{none:?}");
        }
    }

    #[test]
    fn withheld_names() {
        let is = |uri: &str| {
            let uri = Uri::parse(uri.as_bytes()).unwrap();
            is_withheld(&uri, uri.user.unwrap_or_default())
        };
        for withheld in [
            "sip:anonymous@anonymous.invalid",
            "sip:Anonymous@sip.test",
            "sip:anonymous.invalid",
            "sip:x@c8oqz84zk7z.invalid",
        ] {
            assert!(is(withheld), "{withheld}");
        }
        for shown in ["sip:1001@sip.test", "sip:anonymouse@sip.test", "sip:invalid", "tel:+1555"] {
            assert!(!is(shown), "{shown}");
        }
    }
}
