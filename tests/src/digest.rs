//! The client's side of digest authentication (RFC 7616), written apart from the exchange's own, so that the two
//! check each other.

use md5::Digest as _;

/// One WWW-Authenticate or Proxy-Authenticate value.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Protection space.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// `MD5` when absent.
    pub algorithm: String,
    /// Whether `qop=auth` is offered.
    pub qop: bool,
    /// Echoed when given.
    pub opaque: Option<String>,
    /// Whether only the nonce was wrong.
    pub stale: bool,
}

impl Challenge {
    /// Reads a header value `Digest realm="…", nonce="…"`.
    pub fn parse(value: &str) -> Option<Challenge> {
        let rest = value.trim().strip_prefix("Digest ")?;
        let get = |name: &str| {
            split(rest).find_map(|part| {
                let (key, value) = part.split_once('=')?;
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        Some(Challenge {
            realm: get("realm")?,
            nonce: get("nonce")?,
            algorithm: get("algorithm").unwrap_or_else(|| "MD5".to_owned()),
            qop: get("qop").is_some_and(|qop| qop.split(',').any(|word| word.trim() == "auth")),
            opaque: get("opaque"),
            stale: get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The value of Authorization or Proxy-Authorization that answers it; `nc` counts the uses of this nonce from 1.
    pub fn answer(&self, user: &str, password: &str, method: &str, uri: &str, nc: u32) -> String {
        self.answer_with(user, password, method, uri, nc, "c0ffee11")
    }

    /// The same with a client nonce of the caller's.
    pub fn answer_with(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        nc: u32,
        cnonce: &str,
    ) -> String {
        let hash = |text: String| -> String {
            match self.algorithm.strip_suffix("-sess").unwrap_or(&self.algorithm) {
                "SHA-256" => hex(&sha2::Sha256::digest(text)),
                "SHA-512-256" => hex(&sha2::Sha512_256::digest(text)),
                _ => hex(&md5::Md5::digest(text)),
            }
        };
        let mut ha1 = hash(format!("{user}:{}:{password}", self.realm));
        if self.algorithm.ends_with("-sess") {
            ha1 = hash(format!("{ha1}:{}:{cnonce}", self.nonce));
        }
        let ha2 = hash(format!("{method}:{uri}"));
        let count = format!("{nc:08x}");
        let response = if self.qop {
            hash(format!("{ha1}:{}:{count}:{cnonce}:auth:{ha2}", self.nonce))
        } else {
            hash(format!("{ha1}:{}:{ha2}", self.nonce))
        };
        let mut out = format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            self.realm, self.nonce, self.algorithm
        );
        if self.qop {
            out += &format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            out += &format!(", opaque=\"{opaque}\"");
        }
        out
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits at commas outside quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    /// The expected value was computed with another program.
    #[test]
    fn an_answer_without_qop_is_the_old_formula() {
        let challenge =
            Challenge::parse("Digest realm=\"sip.test\", nonce=\"abc, def\"").expect("a challenge");
        assert_eq!(challenge.nonce, "abc, def");
        let answer = challenge.answer("1001", "secret", "REGISTER", "sip:sip.test", 1);
        assert!(answer.contains("response=\"9bc3c2f5179f8b38501f97c20b2d0566\""), "{answer}");
    }
}
