//! `WWW-Authenticate` and `Proxy-Authenticate`: written for our clients, read from our trunks.

use std::borrow::Cow;

use crate::params::{Item, Reader, quote, unescape};
use crate::{Algorithm, Error};

/// Appends one challenge (one header value): `Digest realm="…", nonce="…", …`.
///
/// RFC 8760 §2.3: several algorithms are several header fields in the order of preference; give each the
/// same nonce.
pub fn write_challenge(realm: &str, nonce: &[u8], algorithm: Algorithm, stale: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Digest realm=");
    quote(realm.as_bytes(), out);
    out.extend_from_slice(b", nonce=\"");
    out.extend_from_slice(nonce);
    out.extend_from_slice(b"\", ");
    if stale {
        out.extend_from_slice(b"stale=true, ");
    }
    out.extend_from_slice(b"algorithm=");
    out.extend_from_slice(algorithm.name().as_bytes());
    out.extend_from_slice(b", qop=\"auth\"");
}

/// A challenge that we received, RFC 7616 §3.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The realm, escapes resolved: compare it with the realm the credentials are for.
    pub realm: Cow<'a, [u8]>,
    /// The realm as it stands between the quotes, to be sent back.
    pub realm_raw: &'a [u8],
    /// The nonce as it stands between the quotes.
    pub nonce: &'a [u8],
    /// To be returned as it is. `None` also for an empty one, which says nothing and which some servers do not want back.
    pub opaque: Option<&'a [u8]>,
    /// `None` for an algorithm we do not speak; MD5 when none is named.
    pub algorithm: Option<Algorithm>,
    /// Was the algorithm named? Old servers want it left out of the answer when they left it out.
    pub algorithm_named: bool,
    /// Is `auth` among the offered qop values? Without any qop the answer takes the RFC 2069 form.
    pub qop_auth: bool,
    /// Were there qop values at all?
    pub qop_present: bool,
    /// The response was right but the nonce was old.
    pub stale: bool,
}

/// Reads a header value, which may hold several challenges of several schemes; those of scheme Digest that
/// are complete go to `found`.
pub fn parse_challenges<'a>(value: &'a [u8], mut found: impl FnMut(Challenge<'a>)) -> Result<(), Error> {
    let mut reader = Reader::new(value);
    let mut open: Option<Draft<'a>> = None;
    loop {
        match reader.next()? {
            Item::Scheme(scheme) => {
                open.take().and_then(Draft::finish).into_iter().for_each(&mut found);
                open = scheme.eq_ignore_ascii_case(b"Digest").then(Draft::default);
            }
            Item::Param(param) => {
                if let Some(draft) = &mut open {
                    draft.take(param.name, param.value);
                }
            }
            Item::End => {
                open.take().and_then(Draft::finish).into_iter().for_each(&mut found);
                return Ok(());
            }
        }
    }
}

#[derive(Default)]
struct Draft<'a> {
    realm: Option<&'a [u8]>,
    nonce: Option<&'a [u8]>,
    opaque: Option<&'a [u8]>,
    algorithm: Option<&'a [u8]>,
    qop: Option<&'a [u8]>,
    stale: bool,
}

impl<'a> Draft<'a> {
    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        match name {
            n if n.eq_ignore_ascii_case(b"realm") => self.realm = Some(value),
            n if n.eq_ignore_ascii_case(b"nonce") => self.nonce = Some(value),
            n if n.eq_ignore_ascii_case(b"opaque") => self.opaque = Some(value),
            n if n.eq_ignore_ascii_case(b"algorithm") => self.algorithm = Some(value),
            n if n.eq_ignore_ascii_case(b"qop") => self.qop = Some(value),
            n if n.eq_ignore_ascii_case(b"stale") => self.stale = value.eq_ignore_ascii_case(b"true"),
            _ => {}
        }
    }

    fn finish(self) -> Option<Challenge<'a>> {
        let realm = self.realm?;
        let offers_auth =
            |list: &[u8]| list.split(|b| *b == b',').any(|q| q.trim_ascii().eq_ignore_ascii_case(b"auth"));
        Some(Challenge {
            realm: unescape(realm),
            realm_raw: realm,
            nonce: self.nonce?,
            opaque: self.opaque.filter(|text| !text.is_empty()),
            algorithm: self.algorithm.map_or(Some(Algorithm::Md5), Algorithm::from_bytes),
            algorithm_named: self.algorithm.is_some(),
            qop_auth: self.qop.is_some_and(offers_auth),
            qop_present: self.qop.is_some(),
            stale: self.stale,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn several_challenges_in_one_header() {
        let value = br#"Basic realm="x", Digest realm="a\"b", nonce="1", opaque="", algorithm=SHA-256, qop="auth,auth-int", Digest realm="c", nonce="2", stale=TRUE, NTLM"#;
        let mut all = Vec::new();
        parse_challenges(value, |c| all.push(c)).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].realm.as_ref(), b"a\"b");
        assert_eq!(all[0].opaque, None);
        assert_eq!((all[0].algorithm, all[0].qop_auth, all[0].stale), (Some(Algorithm::Sha256), true, false));
        assert_eq!((all[1].algorithm, all[1].qop_auth, all[1].stale), (Some(Algorithm::Md5), false, true));
    }

    #[test]
    fn written_ones_are_read_back() {
        let mut out = Vec::new();
        write_challenge("sip.local", b"n0nce", Algorithm::Md5, true, &mut out);
        assert_eq!(out, br#"Digest realm="sip.local", nonce="n0nce", stale=true, algorithm=MD5, qop="auth""#);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_challenges(&bytes, |_| {});
        }

        #[test]
        fn parse_of_print(realm in "[ -~]{1,30}", stale: bool) {
            let mut out = Vec::new();
            write_challenge(&realm, b"abc", Algorithm::Sha256, stale, &mut out);
            let mut all = Vec::new();
            parse_challenges(&out, |c| all.push(c)).unwrap();
            prop_assert_eq!(all.len(), 1);
            prop_assert_eq!(all[0].realm.as_ref(), realm.as_bytes());
            prop_assert_eq!(all[0].stale, stale);
        }
    }
}
