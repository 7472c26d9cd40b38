//! The client's side: answering a challenge.

use crate::challenge::parse_challenges;
use crate::params::quote;
use crate::verify::response;
use crate::{Algorithm, Challenge, Error, Ha1};

/// The client's data for an answer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// User name.
    pub username: &'a str,
    /// Password.
    pub password: &'a str,
    /// The method of the request to be sent again.
    pub method: &'a [u8],
    /// Its Request-URI.
    pub uri: &'a [u8],
    /// A fresh random text of the client's: hexadecimal digits.
    pub cnonce: &'a str,
    /// How often this nonce was used, from 1.
    pub nc: u32,
}

impl std::fmt::Debug for Answer<'_> {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The value of `Authorization` (for 401) or `Proxy-Authorization` (for 407).
    pub value: Vec<u8>,
    /// The algorithm that was chosen.
    pub algorithm: Algorithm,
}

/// Answers the best of the challenges in the given header values: SHA-256, then SHA-512-256, then MD5, each before its form
/// with a session.
///
/// # Errors
/// [`Error::NoChallenge`] when none can be answered; a header value that cannot be read is passed over.
pub fn answer(challenges: &[&[u8]], with: &Answer<'_>) -> Result<Answered, Error> {
    let mut best: Option<(Challenge<'_>, Algorithm)> = None;
    for value in challenges {
        // What was complete before a fault still counts.
        let _ = parse_challenges(value, |challenge| {
            let Some(algorithm) = challenge.algorithm else { return };
            if !challenge.qop_auth && (challenge.qop_present || algorithm.has_session()) {
                return;
            }
            if best.as_ref().is_none_or(|(_, had)| algorithm.strength() > had.strength()) {
                best = Some((challenge, algorithm));
            }
        });
    }
    let (challenge, algorithm) = best.ok_or(Error::NoChallenge)?;
    let ha1 = Ha1::new(algorithm, with.username.as_bytes(), &challenge.realm, with.password.as_bytes());
    let nc = format!("{:08x}", with.nc);
    let qop = challenge.qop_auth.then_some((nc.as_bytes(), with.cnonce.as_bytes()));
    let ha1 = match algorithm.has_session() {
        true => ha1.of_session(challenge.nonce, with.cnonce.as_bytes()),
        false => ha1,
    };
    let response = response(&ha1, challenge.nonce, qop, with.method, with.uri);

    let mut value = Vec::with_capacity(320);
    value.extend_from_slice(b"Digest username=");
    quote(with.username.as_bytes(), &mut value);
    let raw = |out: &mut Vec<u8>, name: &[u8], text: &[u8]| {
        out.extend_from_slice(b", ");
        out.extend_from_slice(name);
        out.extend_from_slice(b"=\"");
        out.extend_from_slice(text);
        out.push(b'"');
    };
    raw(&mut value, b"realm", challenge.realm_raw);
    raw(&mut value, b"nonce", challenge.nonce);
    raw(&mut value, b"uri", with.uri);
    raw(&mut value, b"response", response.as_bytes());
    if challenge.algorithm_named {
        value.extend_from_slice(b", algorithm=");
        value.extend_from_slice(algorithm.name().as_bytes());
    }
    if challenge.qop_auth {
        raw(&mut value, b"cnonce", with.cnonce.as_bytes());
        value.extend_from_slice(b", qop=auth, nc=");
        value.extend_from_slice(nc.as_bytes());
    }
    if let Some(opaque) = challenge.opaque {
        raw(&mut value, b"opaque", opaque);
    }
    Ok(Answered { value, algorithm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, verify};

    const WITH: Answer<'static> = Answer {
        username: "1001",
        password: "pw",
        method: b"INVITE",
        uri: b"sip:2@x",
        cnonce: "c0ffee",
        nc: 1,
    };

    #[test]
    fn sha_256_goes_before_md5_and_the_server_agrees() {
        let offers: [&[u8]; 2] = [
            br#"Digest realm="p", nonce="n", algorithm=MD5, qop="auth""#,
            br#"Digest realm="p", nonce="n", algorithm=SHA-256, qop="auth", opaque="o""#,
        ];
        let got = answer(&offers, &WITH).unwrap();
        assert_eq!(got.algorithm, Algorithm::Sha256);
        let credentials = Credentials::parse(&got.value).unwrap().unwrap();
        assert!(verify(&credentials, b"INVITE", &Ha1::new(Algorithm::Sha256, b"1001", b"p", b"pw")));
        assert_eq!(credentials.opaque, Some(&b"o"[..]));
    }

    #[test]
    fn a_session_where_nothing_else_is_offered() {
        for name in ["MD5-sess", "SHA-256-sess", "SHA-512-256-sess"] {
            let offer = format!("Digest realm=\"p\", nonce=\"n\", algorithm={name}, qop=\"auth\"");
            let got = answer(&[offer.as_bytes()], &WITH).unwrap();
            assert_eq!(got.algorithm.name(), name);
            let credentials = Credentials::parse(&got.value).unwrap().unwrap();
            assert!(
                verify(&credentials, b"INVITE", &Ha1::new(got.algorithm, b"1001", b"p", b"pw")),
                "{name}"
            );
            let plain = offer.replace("-sess", "");
            let got = answer(&[offer.as_bytes(), plain.as_bytes()], &WITH).unwrap();
            assert_eq!(got.algorithm.name(), name.replace("-sess", ""));
        }
        let without_qop = answer(&[br#"Digest realm="p", nonce="n", algorithm=MD5-sess"#], &WITH);
        assert_eq!(without_qop, Err(Error::NoChallenge));
    }

    #[test]
    fn an_old_server_gets_the_old_form() {
        let got = answer(&[br#"Digest realm="p", nonce="n""#], &WITH).unwrap();
        let text = String::from_utf8(got.value.clone()).unwrap();
        assert!(!text.contains("qop") && !text.contains("algorithm"), "{text}");
        let credentials = Credentials::parse(&got.value).unwrap().unwrap();
        assert!(verify(&credentials, b"INVITE", &Ha1::new(Algorithm::Md5, b"1001", b"p", b"pw")));
    }

    #[test]
    fn nothing_to_answer() {
        let offers: [&[u8]; 3] = [
            b"Basic realm=\"x\"",
            b"Digest realm=\"x\", nonce=\"n\", algorithm=NEW",
            b"Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
        ];
        assert_eq!(answer(&offers, &WITH), Err(Error::NoChallenge));
    }
}
