//! Tokens: JSON Web Tokens (RFC 7519) signed with HMAC SHA-512 (RFC 7518 §3.2), as Routr v1 makes them.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use serde_json::{Value, json};

/// The key that signs tokens.
pub struct TokenKey {
    key: hmac::Key,
    /// Seconds that a token is good for; without, until its user or the salt goes.
    life: Option<u64>,
}

/// Why a salt cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the salt is not base64: use 32 hexadecimal digits (spec: SALT, ROUTR_SALT; key routrV1.salt)")]
pub struct BadSalt;

/// A longer text is no token.
const LONGEST: usize = 4096;

impl TokenKey {
    /// From a salt: the key is what it stands for in base64, not its letters. What is no base64 in it is passed over,
    /// as Routr does.
    pub fn from_salt(salt: &str) -> Result<TokenKey, BadSalt> {
        let config = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
        let mut digits: String = salt.chars().filter(kept).collect();
        if digits.len() % 4 == 1 {
            // Six bits are no byte.
            digits.pop();
        }
        let key = GeneralPurpose::new(&ALPHABET, config).decode(digits).map_err(|_| BadSalt)?;
        if key.is_empty() {
            return Err(BadSalt);
        }
        Ok(TokenKey { key: hmac::Key::new(hmac::HMAC_SHA512, &key), life: None })
    }

    /// Tokens signed from now on end after so many seconds. Those of Routr have no end.
    pub fn expiring(mut self, seconds: u64) -> TokenKey {
        self.life = Some(seconds);
        self
    }

    /// A token for a user, made at this time (in seconds of Unix time). It ends with the user, with the salt, or when
    /// it expires.
    pub fn sign(&self, username: &str, now: u64) -> String {
        let claims = match self.life {
            Some(life) => json!({"sub": username, "exp": now.saturating_add(life)}),
            None => json!({"sub": username}),
        };
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({"alg": "HS512"})), encode(claims));
        let tag = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// A keyed digest of a text, in hexadecimal digits; no token is one.
    pub(crate) fn digest(&self, text: &str) -> String {
        let tag = hmac::sign(&self.key, format!("version\n{text}").as_bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The user of a token; `None` if it was not signed with this key, or is not good at this time (in seconds of
    /// Unix time).
    pub fn verify(&self, token: &str, now: u64) -> Option<String> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
        // Compares in constant time.
        hmac::verify(&self.key, signed.as_bytes(), &tag).ok()?;
        let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        if read(head)?["alg"] != "HS512" {
            return None;
        }
        let claims = read(claims)?;
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        let now = now as f64;
        let good = time("exp").is_none_or(|end| now < end) && time("nbf").is_none_or(|begin| begin <= now);
        claims["sub"].as_str().filter(|_| good).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &str = "1ecdc765b27e4b80924f4c5deeccf590";
    const ADMIN: &str = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.75_0_jp8__mLr2FK5Q-m2ph4euWA_zl3G_q01SdCo0Drg-_Dya3_OLTRGbRImnG5P-TfAgboqf5y3qGu1l39BA";

    fn key() -> TokenKey {
        TokenKey::from_salt(SALT).expect("a salt")
    }

    /// A token that a Routr v1 made with that salt.
    #[test]
    fn tokens_are_those_of_routr() {
        assert_eq!(key().sign("admin", 0), ADMIN);
        assert_eq!(key().verify(ADMIN, 0).as_deref(), Some("admin"));
    }

    #[test]
    fn what_is_not_signed_is_nobodys() {
        let other = TokenKey::from_salt("00000000000000000000000000000000").expect("a salt");
        assert_eq!(other.verify(ADMIN, 0), None);
        let (signed, tag) = ADMIN.rsplit_once('.').expect("three parts");
        let none = URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}");
        let (_, claims) = signed.split_once('.').expect("two parts");
        for wrong in [
            String::new(),
            "..".into(),
            format!("{signed}."),
            format!("{none}.{claims}."),
            format!("{none}.{claims}.{tag}"),
            format!("{signed}.{}", &tag[1..]),
            "x".repeat(5000),
        ] {
            assert_eq!(key().verify(&wrong, 0), None, "{wrong}");
        }
    }

    #[test]
    fn times_count_where_they_are_given() {
        let signed = |claims: Value| {
            let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", encode(json!({"alg": "HS512"})), encode(claims));
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key().key, signed.as_bytes())))
        };
        let token = signed(json!({"sub": "ann", "exp": 200, "nbf": 100}));
        assert_eq!(key().verify(&token, 150).as_deref(), Some("ann"));
        assert_eq!((key().verify(&token, 99), key().verify(&token, 200)), (None, None));
        assert_eq!(key().verify(&signed(json!({"sub": 7})), 0), None);
        let token = key().expiring(60).sign("ann", 1_000);
        assert_eq!(key().verify(&token, 1_059).as_deref(), Some("ann"));
        assert_eq!(key().verify(&token, 1_060), None);
    }

    #[test]
    fn salts() {
        for bad in ["", "!?", "a"] {
            assert_eq!(TokenKey::from_salt(bad).err(), Some(BadSalt), "{bad}");
        }
        for good in ["ab", "c2FsdA==", "1ecdc765-b27e-4b80-924f-4c5deeccf590\n"] {
            assert!(TokenKey::from_salt(good).is_ok(), "{good}");
        }
    }
}
