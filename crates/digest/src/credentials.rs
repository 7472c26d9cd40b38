//! `Authorization` and `Proxy-Authorization`.

use std::borrow::Cow;

use crate::params::{Item, Reader, extended, once, unescape};
use crate::{Algorithm, Error};

/// The credentials of a request: `Authorization` or `Proxy-Authorization` with scheme Digest,
/// RFC 7616 §3.4, borrowed from the header value.
///
/// `username` and `realm` are compared with names of ours, so their escapes are resolved. The others enter
/// the hash as they stand between the quotes (RFC 7616 §3.4.1 `unq`).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The claimed user name; from `username*` if that is present instead (RFC 7616 §3.4).
    pub username: Cow<'a, [u8]>,
    /// The realm the client answers for.
    pub realm: Cow<'a, [u8]>,
    /// The nonce of the challenge.
    pub nonce: &'a [u8],
    /// The Request-URI as the client wrote it.
    pub uri: &'a [u8],
    /// The hash, in hexadecimal.
    pub response: &'a [u8],
    /// The algorithm; MD5 when none is named.
    pub algorithm: Algorithm,
    /// Client nonce; present with `qop`.
    pub cnonce: Option<&'a [u8]>,
    /// Nonce count; present with `qop`.
    pub nc: Option<u32>,
    /// The eight digits of `nc` as they stand, which is what enters the hash.
    pub nc_text: &'a [u8],
    /// True for `qop=auth`; false for the form of RFC 2069 without qop.
    pub qop: bool,
    /// Returned from the challenge.
    pub opaque: Option<&'a [u8]>,
}

impl std::fmt::Debug for Credentials<'_> {
    /// Without the hash, from which a weak secret is guessed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (username, realm) =
            (String::from_utf8_lossy(&self.username), String::from_utf8_lossy(&self.realm));
        f.debug_struct("Credentials")
            .field("username", &username)
            .field("realm", &realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl<'a> Credentials<'a> {
    /// Reads a header value such as `Digest username="1001", realm=…`.
    ///
    /// `Ok(None)` for another scheme. Allocates only when the user name or realm holds an escape.
    pub fn parse(value: &'a [u8]) -> Result<Option<Credentials<'a>>, Error> {
        let mut reader = Reader::new(value);
        match reader.next() {
            Ok(Item::Scheme(scheme)) if scheme.eq_ignore_ascii_case(b"Digest") => {}
            Ok(Item::Scheme(_)) => return Ok(None),
            Ok(Item::Param(_) | Item::End) => return Err(Error::Missing("scheme Digest")),
            Err(error) => return Err(error),
        }
        let (mut username, mut realm, mut nonce, mut uri) = (None, None, None, None);
        let (mut response, mut algorithm, mut cnonce, mut nc) = (None, None, None, None);
        let (mut qop, mut opaque, mut extended_name) = (None, None, None);
        loop {
            let param = match reader.quick() {
                Some(param) => param,
                None => match reader.next()? {
                    Item::Param(param) => param,
                    Item::Scheme(_) => return Err(Error::Repeated("scheme")),
                    Item::End => break,
                },
            };
            // The length tells the names apart but for three pairs; one comparison then confirms.
            let (slot, name) = match (param.name.len(), param.name.first().map(u8::to_ascii_lowercase)) {
                (8, Some(b'u')) => (&mut username, "username"),
                (8, Some(b'r')) => (&mut response, "response"),
                (5, Some(b'r')) => (&mut realm, "realm"),
                (5, Some(b'n')) => (&mut nonce, "nonce"),
                (3, Some(b'u')) => (&mut uri, "uri"),
                (3, Some(b'q')) => (&mut qop, "qop"),
                (9, Some(b'u')) => (&mut extended_name, "username*"),
                (9, _) => (&mut algorithm, "algorithm"),
                (6, Some(b'c')) => (&mut cnonce, "cnonce"),
                (6, Some(b'o')) => (&mut opaque, "opaque"),
                (2, _) => (&mut nc, "nc"),
                _ => continue,
            };
            if param.name != name.as_bytes() && !param.name.eq_ignore_ascii_case(name.as_bytes()) {
                continue;
            }
            once(slot, param.value, name)?;
        }
        let algorithm = match algorithm {
            None => Algorithm::Md5,
            Some(name) => Algorithm::from_bytes(name).ok_or(Error::Algorithm)?,
        };
        let qop = match qop {
            None => false,
            Some(name) if name.eq_ignore_ascii_case(b"auth") => true,
            Some(_) => return Err(Error::Qop),
        };
        if qop && cnonce.is_none() {
            return Err(Error::Missing("cnonce"));
        }
        if qop && nc.is_none() {
            return Err(Error::Missing("nc"));
        }
        let count = nc.map(nonce_count).transpose()?;
        let username = match (username, extended_name) {
            (Some(name), None) => unescape(name),
            (None, Some(name)) => extended(name).ok_or(Error::Extended)?,
            (Some(_), Some(_)) => return Err(Error::Repeated("username")),
            (None, None) => return Err(Error::Missing("username")),
        };
        Ok(Some(Credentials {
            username,
            realm: unescape(realm.ok_or(Error::Missing("realm"))?),
            nonce: nonce.ok_or(Error::Missing("nonce"))?,
            uri: uri.ok_or(Error::Missing("uri"))?,
            response: response.ok_or(Error::Missing("response"))?,
            algorithm,
            cnonce,
            nc: count,
            nc_text: nc.unwrap_or_default(),
            qop,
            opaque,
        }))
    }

    /// Are these the credentials of a first request, which only say who asks (3GPP TS 24.229 §5.1.1.2.1)? They answer
    /// no challenge.
    pub fn answer_nothing(&self) -> bool {
        self.nonce.is_empty() || self.response.is_empty()
    }
}

/// The realm of a digest that may be malformed otherwise: a refused digest can still help a guesser.
pub fn realm_of(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut reader = Reader::new(value);
    match reader.next() {
        Ok(Item::Scheme(scheme)) if scheme.eq_ignore_ascii_case(b"Digest") => {}
        Ok(Item::Scheme(_) | Item::Param(_) | Item::End) | Err(_) => return None,
    }
    loop {
        match reader.next() {
            Ok(Item::Param(param)) if param.name.eq_ignore_ascii_case(b"realm") => {
                return Some(unescape(param.value));
            }
            Ok(Item::Param(_)) => {}
            Ok(Item::Scheme(_) | Item::End) | Err(_) => return None,
        }
    }
}

/// Calls `found` for the realm of each challenge in a header value, whatever its scheme and whatever else it lacks; what stands
/// behind a fault is not looked at.
pub fn realms(value: &[u8], mut found: impl FnMut(&[u8])) {
    let mut reader = Reader::new(value);
    loop {
        match reader.next() {
            Ok(Item::Param(param)) if param.name.eq_ignore_ascii_case(b"realm") => {
                found(&unescape(param.value))
            }
            Ok(Item::Param(_) | Item::Scheme(_)) => {}
            Ok(Item::End) | Err(_) => return,
        }
    }
}

fn nonce_count(text: &[u8]) -> Result<u32, Error> {
    if text.len() != 8 {
        return Err(Error::NonceCount);
    }
    let mut count = 0u32;
    for &digit in text {
        let value = char::from(digit).to_digit(16).ok_or(Error::NonceCount)?;
        count = count << 4 | value;
    }
    if count == 0 { Err(Error::NonceCount) } else { Ok(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_phones_send() {
        let value = b"Digest username=\"al\\\"ice\" ,realm=\"sip.local\",\r\n nonce=\"n\", uri=\"sip:sip.local;x=1,2\", \
            response=\"00\", algorithm=MD5, cnonce=\"c\", nc=0000000a, qop=auth, opaque=\"\"";
        let c = Credentials::parse(value).unwrap().unwrap();
        assert_eq!(c.username.as_ref(), b"al\"ice");
        assert!(matches!(c.realm, Cow::Borrowed(b"sip.local")));
        assert_eq!(c.uri, b"sip:sip.local;x=1,2");
        assert_eq!((c.nc, c.qop, c.opaque), (Some(10), true, Some(&b""[..])));
    }

    #[test]
    fn another_scheme_is_none_and_faults_are_named() {
        assert_eq!(Credentials::parse(b"Basic dXNlcjpwYXNz"), Ok(None));
        assert_eq!(Credentials::parse(b"Digest username=\"a"), Err(Error::Syntax(17)));
        assert_eq!(Credentials::parse(b"Digest realm=\"a\""), Err(Error::Missing("username")));
        let twice = b"Digest username=\"a\",username=\"b\"";
        assert_eq!(Credentials::parse(twice), Err(Error::Repeated("username")));
        let base = "Digest username=\"a\",realm=\"r\",nonce=\"n\",uri=\"u\",response=\"x\"";
        let with = |more: &str| Credentials::parse(format!("{base},{more}").as_bytes()).map(|_| ());
        assert_eq!(with("algorithm=SHA-1-sess"), Err(Error::Algorithm));
        assert_eq!(with("username*=UTF-8''a"), Err(Error::Repeated("username")));
        assert_eq!(with("qop=auth-int,nc=00000001,cnonce=\"c\""), Err(Error::Qop));
        assert_eq!(with("qop=auth,nc=1,cnonce=\"c\""), Err(Error::NonceCount));
        assert_eq!(with("qop=auth,nc=00000001"), Err(Error::Missing("cnonce")));
    }

    #[test]
    fn the_realm_is_read_of_what_is_refused() {
        let realm = |text: &str| realm_of(text.as_bytes()).map(|realm| realm.into_owned());
        let ours = Some(b"sip.local".to_vec());
        assert_eq!(realm("Digest qop=auth-int, REALM = \"sip.local\", username=\"a"), ours);
        assert_eq!(realm("digest algorithm=AKAv1-MD5,realm=sip.local"), ours);
        assert_eq!(realm("Basic realm=\"sip.local\""), None);
        assert_eq!(realm("Digest username=\"realm=sip.local\""), None);
    }

    #[test]
    fn names_beyond_ascii_come_plain_or_extended() {
        let rest = "realm=\"r\",nonce=\"\",uri=\"u\",response=\"\"";
        let name = |text: &str| {
            let value = format!("Digest {text},{rest}");
            Credentials::parse(value.as_bytes()).map(|c| c.unwrap().username.into_owned())
        };
        let jane = Ok("Jäs".as_bytes().to_vec());
        assert_eq!(name("username=\"Jäs\""), jane);
        assert_eq!(name("username*=UTF-8''J%C3%A4s"), jane);
        assert_eq!(name("USERNAME*=utf-8'de'J%c3%a4s"), jane);
        for bad in ["ISO-8859-1''J%E4s", "UTF-8'J%C3%A4s", "UTF-8''J%C", "UTF-8''J%ZZ", ""] {
            assert_eq!(name(&format!("username*={bad}")), Err(Error::Extended), "{bad}");
        }
        let empty = format!("Digest username=\"a\",{rest}");
        assert!(Credentials::parse(empty.as_bytes()).unwrap().unwrap().answer_nothing());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Credentials::parse(&bytes);
            let mut with_scheme = b"Digest ".to_vec();
            with_scheme.extend_from_slice(&bytes);
            let _ = Credentials::parse(&with_scheme);
        }

        /// The quick way and the thorough one read the same.
        #[test]
        fn blanks_make_no_difference(
            blanks in proptest::collection::vec("[ \t]{0,2}", 24), name in "[!-~]{0,12}", text in "[ -~]{0,12}"
        ) {
            let fields = [
                ("username", true, "u"), ("realm", true, "r"), ("nonce", true, "n=,"), ("uri", true, "sip:a,b=c"),
                ("response", true, "00"), ("algorithm", false, "MD5"), ("qop", false, "auth"),
                ("nc", false, "00000001"), ("cnonce", true, "c"),
            ];
            let mut plain = b"Digest ".to_vec();
            let mut blank = b"Digest ".to_vec();
            for (n, (key, quoted, value)) in fields.iter().enumerate() {
                let quote = if *quoted { "\"" } else { "" };
                let (a, b) = (&blanks[2 * n], &blanks[2 * n + 1]);
                plain.extend_from_slice(format!("{key}={quote}{value}{quote}, ").as_bytes());
                blank.extend_from_slice(format!("{key}{a}={b}{quote}{value}{quote}{a},{b}{b}").as_bytes());
            }
            let want = Credentials::parse(&plain).unwrap().unwrap();
            let read = Credentials::parse(&blank).unwrap().unwrap();
            prop_assert_eq!(&read, &want);
            // Something unknown among them changes nothing, or is refused.
            let mut more = plain.clone();
            more.extend_from_slice(format!("x{name}=\"{text}").as_bytes());
            more.push(b'"');
            if let Ok(Some(read)) = Credentials::parse(&more) {
                prop_assert_eq!(read.uri, want.uri);
            }
        }

        #[test]
        fn quoted_text_comes_back(name in "[ -~]{0,40}", realm in "[ -~]{0,40}") {
            let mut value = b"Digest username=".to_vec();
            crate::params::quote(name.as_bytes(), &mut value);
            value.extend_from_slice(b",realm=");
            crate::params::quote(realm.as_bytes(), &mut value);
            value.extend_from_slice(b",nonce=\"n\",uri=\"sip:a\",response=\"0\"");
            let read = Credentials::parse(&value).unwrap().unwrap();
            prop_assert_eq!(read.username.as_ref(), name.as_bytes());
            prop_assert_eq!(read.realm.as_ref(), realm.as_bytes());
            prop_assert_eq!(realm_of(&value).map(Cow::into_owned), Some(realm.into_bytes()));
        }
    }
}
