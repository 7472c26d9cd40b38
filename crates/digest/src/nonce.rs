//! Stateless nonces.

use std::fmt;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;

/// Length of the binary form: 4 bytes of time, 6 of sequence, 8 of MAC.
const BYTES: usize = 18;
/// Length of the text: base64url without padding.
const TEXT: usize = 24;
const SEQUENCE_MASK: u64 = (1 << 48) - 1;

/// Bytes nobody can guess.
///
/// # Panics
/// When the operating system gives none: an exchange without secrets must not start.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).expect("the operating system's random generator");
    bytes
}

/// Issues and checks nonces without storing them: time and sequence with a keyed MAC (SipHash-2-4) over
/// both and the realm. RFC 7616 §3.3 leaves the form to the server.
///
/// Two nonces of one `Nonces` are never equal: the sequence counts up from a random start.
pub struct Nonces {
    key: [u8; 16],
    lifetime_ms: u64,
    sequence: AtomicU64,
}

/// The text of a nonce, 24 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce([u8; TEXT]);

impl Nonce {
    /// The text as it goes between the quotes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sequence number inside a nonce that passed the check: what the replay table is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceId(pub u64);

/// What a nonce turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Ours, for this realm, young enough.
    Fresh(NonceId),
    /// Ours, for this realm, too old (or from the future, after the clock went back).
    Stale,
    /// Not ours: forged, another realm's, or of a process that has ended.
    Forged,
}

impl Nonces {
    /// Nonces that live 300 seconds, with a fresh secret.
    pub fn new() -> Nonces {
        Nonces::with_secret(random(), 300)
    }

    /// Nonces with a given secret, so that several nodes accept each other's.
    pub fn with_secret(key: [u8; 16], lifetime_seconds: u32) -> Nonces {
        let start = u64::from_le_bytes(random()) & (SEQUENCE_MASK >> 1);
        Nonces { key, lifetime_ms: u64::from(lifetime_seconds) * 1000, sequence: AtomicU64::new(start) }
    }

    fn mac(&self, head: &[u8], realm: &[u8]) -> [u8; 8] {
        let mut hash = SipHasher24::new_with_key(&self.key);
        hash.write(head);
        hash.write(realm);
        hash.finish().to_be_bytes()
    }

    /// A new nonce for a realm.
    pub fn issue(&self, realm: &[u8], now: u64) -> Nonce {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) & SEQUENCE_MASK;
        let mut bytes = [0u8; BYTES];
        bytes[..4].copy_from_slice(&((now / 1000) as u32).to_be_bytes());
        bytes[4..10].copy_from_slice(&sequence.to_be_bytes()[2..]);
        let mac = self.mac(&bytes[..10], realm);
        bytes[10..].copy_from_slice(&mac);
        Nonce(encode(&bytes))
    }

    /// Is this nonce ours, for this realm, and fresh?
    pub fn check(&self, nonce: &[u8], realm: &[u8], now: u64) -> Freshness {
        let Some(bytes) = decode(nonce) else { return Freshness::Forged };
        let mac = self.mac(&bytes[..10], realm);
        let differ = mac.iter().zip(&bytes[10..]).fold(0, |acc, (a, b)| acc | (a ^ b));
        if std::hint::black_box(differ) != 0 {
            return Freshness::Forged;
        }
        let issued = u64::from(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) * 1000;
        // Cut to whole seconds when issued: the age is up to a second more than it seems.
        if now.abs_diff(issued) > self.lifetime_ms {
            return Freshness::Stale;
        }
        let mut sequence = [0u8; 8];
        sequence[2..].copy_from_slice(&bytes[4..10]);
        Freshness::Fresh(NonceId(u64::from_be_bytes(sequence)))
    }
}

impl Default for Nonces {
    fn default() -> Self {
        Nonces::new()
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut n = 0;
    while n < 64 {
        values[ALPHABET[n] as usize] = n as u8;
        n += 1;
    }
    values
};

fn encode(bytes: &[u8; BYTES]) -> [u8; TEXT] {
    let mut text = [0u8; TEXT];
    for (out, b) in text.chunks_exact_mut(4).zip(bytes.chunks_exact(3)) {
        let word = u32::from(b[0]) << 16 | u32::from(b[1]) << 8 | u32::from(b[2]);
        for (n, place) in out.iter_mut().enumerate() {
            *place = ALPHABET[(word >> (18 - 6 * n)) as usize & 63];
        }
    }
    text
}

fn decode(text: &[u8]) -> Option<[u8; BYTES]> {
    if text.len() != TEXT {
        return None;
    }
    let mut bytes = [0u8; BYTES];
    for (out, quad) in bytes.chunks_exact_mut(3).zip(text.chunks_exact(4)) {
        let mut word = 0u32;
        for &character in quad {
            let value = VALUES[usize::from(character)];
            if value == 0xff {
                return None;
            }
            word = word << 6 | u32::from(value);
        }
        out.copy_from_slice(&word.to_be_bytes()[1..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn fresh_then_stale_and_bound_to_realm_and_secret() {
        let nonces = Nonces::new();
        let nonce = nonces.issue(b"sip.local", NOW);
        assert!(matches!(nonces.check(nonce.as_bytes(), b"sip.local", NOW + 299_000), Freshness::Fresh(_)));
        assert_eq!(nonces.check(nonce.as_bytes(), b"sip.local", NOW + 300_001), Freshness::Stale);
        assert_eq!(nonces.check(nonce.as_bytes(), b"other", NOW), Freshness::Forged);
        assert_eq!(Nonces::new().check(nonce.as_bytes(), b"sip.local", NOW), Freshness::Forged);
        assert_ne!(nonces.issue(b"sip.local", NOW), nonces.issue(b"sip.local", NOW));
    }

    #[test]
    fn every_changed_character_is_forged() {
        let nonces = Nonces::new();
        let nonce = nonces.issue(b"r", NOW);
        for at in 0..TEXT {
            for with in [b'A', b'_', b'!', 0xff] {
                let mut text = nonce.0;
                if text[at] != with {
                    text[at] = with;
                    assert_eq!(nonces.check(&text, b"r", NOW), Freshness::Forged);
                }
            }
        }
        assert_eq!(nonces.check(b"", b"r", NOW), Freshness::Forged);
    }
}
