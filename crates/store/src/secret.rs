//! Secrets: made, hashed, compared.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use sha2::{Digest, Sha256};
use trunkline_model::Tables;

use crate::error::StoreError;

/// Lower-case letters and digits without those that look alike (0 o, 1 l i): they must be typed into phones.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// A random secret of that many characters, each worth almost five bits.
pub fn generate_secret(length: usize) -> Result<String, StoreError> {
    // The largest multiple of the alphabet: bytes from there on would favour its beginning.
    let fair = (256 / ALPHABET.len() * ALPHABET.len()) as u8;
    let mut secret = String::with_capacity(length);
    let mut bytes = [0u8; 64];
    while secret.len() < length {
        getrandom::fill(&mut bytes).map_err(StoreError::Random)?;
        let letters = bytes.iter().filter(|b| **b < fair);
        let letters = letters.filter_map(|b| ALPHABET.get(usize::from(*b) % ALPHABET.len()));
        secret.extend(letters.take(length - secret.len()).map(|b| char::from(*b)));
    }
    Ok(secret)
}

/// Argon2id with the crate's defaults (19 MiB, 2 passes), as a PHC string. Takes tens of milliseconds.
pub fn hash_password(password: &str) -> Result<String, StoreError> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(StoreError::Random)?;
    let salt = SaltString::encode_b64(&salt).map_err(StoreError::Hash)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(StoreError::Hash)?;
    Ok(hash.to_string())
}

/// Is this the password of that PHC string? Takes as long as hashing; no password matches a broken string.
pub fn verify_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A user whose password is known to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonPassword {
    /// The user name.
    pub username: String,
    /// Why the password is none, e.g. `is one that programs are delivered with`.
    pub why: &'static str,
}

impl fmt::Display for CommonPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "user {}: the password {}: anyone who reaches the API or the console can log in with it; change it \
             (`trunkline users update {0} --prompt-password`; with Routr v1 `spec.credentials.secret` of the User)",
            self.username, self.why
        )
    }
}

/// What programs like this one are delivered with, and what is tried first at a login.
const DELIVERED: [&str; 8] =
    ["changeit", "admin", "password", "changeme", "trunkline", "routr", "123456", "1234"];

/// So many users are tried: each takes a tenth of a second and more.
const MOST_USERS: usize = 20;

/// The users whose passwords are those that anybody tries first. Takes as long as a login with each of them.
pub fn common_user_passwords(tables: &Tables) -> Vec<CommonPassword> {
    let users = tables.users().filter(|user| user.enabled).take(MOST_USERS);
    let found = users.filter_map(|user| {
        let hash = user.password_hash.as_deref()?;
        let why = if DELIVERED.iter().any(|password| verify_password(password, hash)) {
            "is one that programs are delivered with"
        } else if verify_password(&user.username, hash) {
            "is the user name"
        } else {
            return None;
        };
        Some(CommonPassword { username: user.username.clone(), why })
    });
    found.collect()
}

/// A token as it is stored: SHA-256 in lower-case hexadecimal. Tokens are random, so a fast hash does.
pub fn hash_token(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (a, b) = (generate_secret(16).expect("random"), generate_secret(16).expect("random"));
        assert_eq!(a.len(), 16);
        assert_ne!(a, b);
        assert!(!a.contains(['0', 'o', '1', 'l', 'i']));
        assert_eq!(generate_secret(100).expect("random").len(), 100);
    }

    #[test]
    fn a_password_is_known_again() {
        let hash = hash_password("correct horse").expect("hashed");
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password("correct horse", &hash));
        assert!(!verify_password("battery staple", &hash));
        assert!(!verify_password("correct horse", "plain"));
    }

    #[test]
    fn a_token_is_its_sha256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_token("abc"), abc);
    }
}
