//! Digest authentication as a client does it (RFC 7616, RFC 8760).

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha2::Sha256;

/// What is authorised.
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
}

/// The value of Authorization for a challenge; `None` if its algorithm is another one.
pub(crate) fn answer(challenge: &str, claim: &Claim<'_>) -> Option<String> {
    let field = |name: &str| field(challenge, name);
    let algorithm = field("algorithm").unwrap_or_else(|| "MD5".into());
    let (realm, nonce) = (field("realm")?, field("nonce")?);
    let hash = |text: &str| match algorithm.to_ascii_uppercase().as_str() {
        "MD5" => Some(hex(&Md5::digest(text))),
        "SHA-256" => Some(hex(&Sha256::digest(text))),
        _ => None,
    };
    let Claim { user, password, method, uri } = claim;
    let (a1, a2) = (hash(&format!("{user}:{realm}:{password}"))?, hash(&format!("{method}:{uri}"))?);
    let mut out = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm={algorithm}"
    );
    if let Some(opaque) = field("opaque") {
        let _ = write!(out, ", opaque=\"{opaque}\"");
    }
    let response = if field("qop").is_some() {
        let cnonce = crate::random::random();
        let _ = write!(out, ", qop=auth, nc=00000001, cnonce=\"{cnonce}\"");
        hash(&format!("{a1}:{nonce}:00000001:{cnonce}:auth:{a2}"))?
    } else {
        hash(&format!("{a1}:{nonce}:{a2}"))?
    };
    let _ = write!(out, ", response=\"{response}\"");
    Some(out)
}

/// A field of a challenge, quoted or not.
pub(crate) fn field(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge.trim().strip_prefix("Digest")?;
    loop {
        let (key, value) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',']);
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => value.split_once(',').unwrap_or((value, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = behind;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        let challenge = r#"Digest realm="a, b=c", nonce="n", algorithm=SHA-256, qop="auth,auth-int""#;
        let found =
            ["realm", "nonce", "algorithm", "qop"].map(|name| field(challenge, name).unwrap_or_default());
        assert_eq!(found, ["a, b=c", "n", "SHA-256", "auth,auth-int"]);
        assert_eq!(field(challenge, "opaque"), None);
    }

    #[test]
    fn the_response_is_that_of_rfc_2617() {
        // RFC 2617 §3.5 without qop, as RFC 2069 has it: the same user, realm, nonce and uri.
        let challenge = r#"Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093""#;
        let claim =
            Claim { user: "Mufasa", password: "Circle Of Life", method: "GET", uri: "/dir/index.html" };
        let given = answer(challenge, &claim).expect("MD5");
        assert!(given.ends_with("response=\"670fd8c2df070c60b045671b8b24ff02\""), "{given}");
    }
}
