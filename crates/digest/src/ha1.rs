//! `H(user:realm:password)`, and a cache of them.

use std::fmt;
use std::hash::Hasher;

use parking_lot::RwLock;
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::Algorithm;
use crate::algorithm::Hex;
use crate::nonce::random;

/// The secret half of a response, RFC 7616 §3.4.2: as good as the password within its realm, so it is not
/// printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ha1 {
    algorithm: Algorithm,
    hex: Hex,
}

impl Ha1 {
    /// Hashes `username:realm:password`: the same with a session and without one.
    pub fn new(algorithm: Algorithm, username: &[u8], realm: &[u8], password: &[u8]) -> Ha1 {
        let algorithm = algorithm.hash();
        Ha1 { algorithm, hex: algorithm.joined(&[username, realm, password]) }
    }

    /// The key of a session: of one nonce of the server and one of the client (RFC 7616 §3.4.2).
    pub fn of_session(&self, nonce: &[u8], cnonce: &[u8]) -> Ha1 {
        let Ha1 { algorithm, hex } = *self;
        Ha1 { algorithm, hex: algorithm.joined(&[hex.as_bytes(), nonce, cnonce]) }
    }

    /// The algorithm of its hash.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hexadecimal digits.
    pub fn as_hex(&self) -> &[u8] {
        self.hex.as_bytes()
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ha1({})", self.algorithm.name())
    }
}

const CACHE_SHARDS: usize = 16;
const WAYS: usize = 4;

/// A bounded cache of [`Ha1`].
///
/// The key is a 128-bit keyed hash over algorithm, user, realm and password, so a changed password misses
/// and no password is kept. Four ways a set; the oldest of a set gives way.
pub struct Ha1Cache {
    key: [u8; 16],
    shards: Box<[RwLock<CacheShard>]>,
}

struct CacheShard {
    entries: Box<[Option<(u128, Ha1)>]>,
    next: usize,
}

impl Ha1Cache {
    /// A cache of about `capacity` entries of 96 bytes, taken at once.
    pub fn new(capacity: usize) -> Ha1Cache {
        let sets = (capacity / CACHE_SHARDS / WAYS).max(1).next_power_of_two();
        let shard = || RwLock::new(CacheShard { entries: vec![None; sets * WAYS].into(), next: 0 });
        Ha1Cache { key: random(), shards: (0..CACHE_SHARDS).map(|_| shard()).collect() }
    }

    fn key(&self, algorithm: Algorithm, username: &[u8], realm: &[u8], password: &[u8]) -> u128 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        hash.write_u8(algorithm.hash() as u8);
        // Lengths before texts: "a" + "bc" must not meet "ab" + "c".
        hash.write_u64((username.len() as u64) << 32 | realm.len() as u64);
        hash.write(username);
        hash.write(realm);
        hash.write(password);
        hash.finish128().as_u128()
    }

    /// The ways of a key's set.
    fn set(key: u128, len: usize) -> std::ops::Range<usize> {
        let first = (key as usize / CACHE_SHARDS) % (len / WAYS) * WAYS;
        first..first + WAYS
    }

    fn find(&self, key: u128) -> Option<Ha1> {
        let shard = self.shards.get(key as usize % CACHE_SHARDS)?.read();
        let ways = shard.entries.get(Ha1Cache::set(key, shard.entries.len()))?;
        ways.iter().flatten().find(|(k, _)| *k == key).map(|(_, found)| *found)
    }

    /// For a user who does not exist: takes as long as [`Ha1Cache::get`] of one who does, and changes nothing.
    pub fn miss(&self, algorithm: Algorithm, username: &[u8], realm: &[u8]) {
        std::hint::black_box(self.find(self.key(algorithm, username, realm, b"")).is_some());
    }

    /// The cached value, or a fresh one that is then cached.
    pub fn get(&self, algorithm: Algorithm, username: &[u8], realm: &[u8], password: &[u8]) -> Ha1 {
        let key = self.key(algorithm, username, realm, password);
        let Some(shard) = self.shards.get(key as usize % CACHE_SHARDS) else {
            return Ha1::new(algorithm, username, realm, password);
        };
        if let Some(found) = self.find(key) {
            return found;
        }
        let ha1 = Ha1::new(algorithm, username, realm, password);
        let mut shard = shard.write();
        shard.next = shard.next.wrapping_add(1);
        let (turn, len) = (shard.next % WAYS, shard.entries.len());
        let ways = shard.entries.get_mut(Ha1Cache::set(key, len)).unwrap_or_default();
        let at = ways.iter().position(Option::is_none).unwrap_or(turn);
        if let Some(entry) = ways.get_mut(at) {
            *entry = Some((key, ha1));
        }
        ha1
    }
}

impl Default for Ha1Cache {
    fn default() -> Self {
        Ha1Cache::new(16_384)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_password_misses() {
        let cache = Ha1Cache::new(64);
        let one = cache.get(Algorithm::Md5, b"a", b"r", b"1");
        assert_eq!(one, cache.get(Algorithm::Md5, b"a", b"r", b"1"));
        assert_ne!(one, cache.get(Algorithm::Md5, b"a", b"r", b"2"));
        assert_eq!(one, Ha1::new(Algorithm::Md5, b"a", b"r", b"1"));
        for n in 0..1000u32 {
            let user = n.to_string();
            let want = Ha1::new(Algorithm::Sha256, user.as_bytes(), b"r", b"p");
            assert_eq!(cache.get(Algorithm::Sha256, user.as_bytes(), b"r", b"p"), want);
        }
    }
}
