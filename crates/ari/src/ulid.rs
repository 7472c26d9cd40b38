//! Fresh identifiers: 26 lower-case characters that sort by time, and what they are for.

use std::time::{SystemTime, UNIX_EPOCH};

/// Crockford's base 32, lower-case.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The purpose of a new id: the two letters after the dash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `-ch`
    Channel,
    /// `-br`
    Bridge,
    /// `-pb`
    Playback,
    /// `-rc`
    Recording,
    /// `-sn`
    Snoop,
}

impl Purpose {
    fn suffix(self) -> &'static str {
        match self {
            Purpose::Channel => "-ch",
            Purpose::Bridge => "-br",
            Purpose::Playback => "-pb",
            Purpose::Recording => "-rc",
            Purpose::Snoop => "-sn",
        }
    }
}

/// A fresh id such as `01k…-ch`.
#[must_use]
pub fn fresh(purpose: Purpose) -> String {
    let mut id = ulid();
    id.push_str(purpose.suffix());
    id
}

/// 48 bits of milliseconds and 80 random bits, in 26 characters.
#[must_use]
pub fn ulid() -> String {
    let mut random = [0u8; 16];
    if getrandom::fill(&mut random[6..]).is_err() {
        // Without the system's randomness the address of a local keeps two processes apart.
        let here = std::ptr::from_ref(&random) as usize as u64 ^ u64::from(std::process::id()) << 32;
        random[8..].copy_from_slice(&here.to_be_bytes());
    }
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    random[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    let number = u128::from_be_bytes(random);
    (0..26)
        .rev()
        .map(|place| {
            let digit = (number >> (place * 5)) as usize & 31;
            char::from(ALPHABET.get(digit).copied().unwrap_or(b'0'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fresh_sorted_and_26_characters_long() {
        let a = ulid();
        let b = fresh(Purpose::Playback);
        assert_eq!(a.len(), 26);
        assert!(b.ends_with("-pb") && b.len() == 29);
        assert_ne!(a, b[..26]);
        assert!(a[..8] <= b[..8]);
    }
}
