//! Stateless nonces.

use std::fmt;
use std::hash::{Hash as _, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher24;
use trunkline_sip::source_of;

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
/// both, the realm and the source the nonce is sent to. RFC 7616 §3.3 leaves the form to the server.
///
/// The source is the address (of IPv6 the /64), not the port, since a NAT may give the next request another. So who sends from a forged address, and reads no answers, never has a nonce that is good there.
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

/// The result for a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Ours, sent to this source for this realm, young enough.
    Fresh(NonceId),
    /// Ours, sent to this source for this realm, too old (or from the future, after the clock went back).
    Stale,
    /// Not ours: forged, another realm's, sent to another source, or of a process that has ended.
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

    fn mac(&self, head: &[u8], realm: &[u8], source: IpAddr) -> [u8; 8] {
        let mut hash = SipHasher24::new_with_key(&self.key);
        hash.write(head);
        source_of(source).hash(&mut hash);
        hash.write(realm);
        hash.finish().to_be_bytes()
    }

    /// A new nonce for a realm, to be sent to this source.
    pub fn issue(&self, realm: &[u8], source: IpAddr, now: u64) -> Nonce {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) & SEQUENCE_MASK;
        let mut bytes = [0u8; BYTES];
        bytes[..4].copy_from_slice(&((now / 1000) as u32).to_be_bytes());
        bytes[4..10].copy_from_slice(&sequence.to_be_bytes()[2..]);
        let mac = self.mac(&bytes[..10], realm, source);
        bytes[10..].copy_from_slice(&mac);
        Nonce(encode(&bytes))
    }

    /// Is this nonce ours, sent to this source for this realm, and fresh?
    pub fn check(&self, nonce: &[u8], realm: &[u8], source: IpAddr, now: u64) -> Freshness {
        let Some(bytes) = decode(nonce) else { return Freshness::Forged };
        let mac = self.mac(&bytes[..10], realm, source);
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn fresh_then_stale_and_bound_to_realm_and_secret() {
        let nonces = Nonces::new();
        let nonce = nonces.issue(b"sip.local", HERE, NOW);
        let check = |nonces: &Nonces, realm: &[u8], now| nonces.check(nonce.as_bytes(), realm, HERE, now);
        assert!(matches!(check(&nonces, b"sip.local", NOW + 299_000), Freshness::Fresh(_)));
        assert_eq!(check(&nonces, b"sip.local", NOW + 300_001), Freshness::Stale);
        assert_eq!(check(&nonces, b"other", NOW), Freshness::Forged);
        assert_eq!(check(&Nonces::new(), b"sip.local", NOW), Freshness::Forged);
        assert_ne!(nonces.issue(b"sip.local", HERE, NOW), nonces.issue(b"sip.local", HERE, NOW));
    }

    #[test]
    fn bound_to_the_source_it_was_sent_to() {
        let nonces = Nonces::new();
        for (sent_to, comes_from, good) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("::1", "127.0.0.1", false),
        ] {
            let nonce = nonces.issue(b"r", sent_to.parse().unwrap(), NOW);
            let found = nonces.check(nonce.as_bytes(), b"r", comes_from.parse().unwrap(), NOW);
            assert_eq!(matches!(found, Freshness::Fresh(_)), good, "{sent_to} {comes_from}");
        }
    }

    #[test]
    fn every_changed_character_is_forged() {
        let nonces = Nonces::new();
        let nonce = nonces.issue(b"r", HERE, NOW);
        for at in 0..TEXT {
            for with in [b'A', b'_', b'!', 0xff] {
                let mut text = nonce.0;
                if text[at] != with {
                    text[at] = with;
                    assert_eq!(nonces.check(&text, b"r", HERE, NOW), Freshness::Forged);
                }
            }
        }
        assert_eq!(nonces.check(b"", b"r", HERE, NOW), Freshness::Forged);
    }
}
