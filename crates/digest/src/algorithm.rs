//! The hash algorithms, and digests written as hexadecimal without a heap.

use md5::{Digest, Md5};
use sha2::{Sha256, Sha512_256};

/// A hash algorithm of RFC 7616 §3.2 and RFC 8760 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Algorithm {
    /// `MD5`: what every phone speaks, and what is meant when no algorithm is named.
    #[default]
    Md5 = 0,
    /// `SHA-512-256`.
    Sha512_256 = 1,
    /// `SHA-256`.
    Sha256 = 2,
    /// `MD5-sess`: as [`Algorithm::Md5`], with a key of the session (RFC 7616 §3.4.2).
    Md5Session = 3,
    /// `SHA-512-256-sess`.
    Sha512_256Session = 4,
    /// `SHA-256-sess`.
    Sha256Session = 5,
}

impl Algorithm {
    /// The text in the `algorithm` parameter.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha512_256 => "SHA-512-256",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5Session => "MD5-sess",
            Algorithm::Sha512_256Session => "SHA-512-256-sess",
            Algorithm::Sha256Session => "SHA-256-sess",
        }
    }

    /// Reads a name in any case; `None` for one we do not speak.
    pub fn from_bytes(name: &[u8]) -> Option<Algorithm> {
        use Algorithm::{Md5, Md5Session, Sha256, Sha256Session, Sha512_256, Sha512_256Session};
        [Md5, Sha256, Sha512_256, Md5Session, Sha256Session, Sha512_256Session]
            .into_iter()
            .find(|a| name.eq_ignore_ascii_case(a.name().as_bytes()))
    }

    /// The algorithm without the session's key: that of the hash.
    pub fn hash(self) -> Algorithm {
        match self {
            Algorithm::Md5 | Algorithm::Md5Session => Algorithm::Md5,
            Algorithm::Sha512_256 | Algorithm::Sha512_256Session => Algorithm::Sha512_256,
            Algorithm::Sha256 | Algorithm::Sha256Session => Algorithm::Sha256,
        }
    }

    /// Is it one of the `-sess` forms?
    pub fn has_session(self) -> bool {
        self != self.hash()
    }

    /// Which of two that are offered is to be answered: the better hash, and of one hash the form without a session, which
    /// more servers get right.
    pub(crate) fn strength(self) -> (Algorithm, bool) {
        (self.hash(), !self.has_session())
    }

    /// The digest of the parts joined by colons.
    pub(crate) fn joined(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Md5 | Algorithm::Md5Session => Hex::of(&joined::<Md5>(parts)),
            Algorithm::Sha512_256 | Algorithm::Sha512_256Session => Hex::of(&joined::<Sha512_256>(parts)),
            Algorithm::Sha256 | Algorithm::Sha256Session => Hex::of(&joined::<Sha256>(parts)),
        }
    }
}

/// Most inputs fit a small buffer: one `update` of a whole run costs less than ten of a few bytes each.
fn joined<D: Digest>(parts: &[&[u8]]) -> md5::digest::Output<D> {
    let mut buffer = [0u8; 256];
    let total = parts.iter().map(|p| p.len() + 1).sum::<usize>();
    if let (Some(room), false) = (buffer.get_mut(..total), parts.is_empty()) {
        let mut at = 0;
        for part in parts {
            if let Some(to) = room.get_mut(at..at + part.len()) {
                to.copy_from_slice(part);
            }
            at += part.len();
            if let Some(colon) = room.get_mut(at) {
                *colon = b':';
            }
            at += 1;
        }
        return D::digest(&room[..total - 1]);
    }
    let mut hash = D::new();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

/// A digest as lower-case hexadecimal digits, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hex {
    digits: [u8; 64],
    len: u8,
}

impl Hex {
    fn of(bytes: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0u8; 64];
        let mut len = 0;
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
            len += 2;
        }
        Hex { digits, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_long_and_short_inputs_agree_with_the_plain_hash() {
        let long = vec![b'a'; 300];
        let md5 = Algorithm::Md5.joined(&[&long, b"b"]);
        let mut whole = long.clone();
        whole.extend_from_slice(b":b");
        assert_eq!(md5.as_bytes(), Hex::of(&Md5::digest(&whole)).as_bytes());
        assert_eq!(Algorithm::Md5.joined(&[b""]).as_bytes(), b"d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn names_are_read_in_any_case() {
        assert_eq!(Algorithm::from_bytes(b"md5"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::from_bytes(b"sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::from_bytes(b"MD5-SESS"), Some(Algorithm::Md5Session));
        assert_eq!(Algorithm::from_bytes(b"sha-512-256-sess"), Some(Algorithm::Sha512_256Session));
        assert_eq!(Algorithm::from_bytes(b"SHA-1-sess"), None);
    }
}
