//! Limits for guessing the passwords of logins.

use std::hash::{Hash as _, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher13;
use trunkline_sip::source_of;

use crate::buckets::Buckets;
use crate::nonce::random;

const KNOWN: usize = 16_384;

/// May this request be checked now?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Ok,
    /// No; so many seconds until the next try is (for `Retry-After`).
    RetryAfter(u32),
}

/// How many wrong responses are let through at once, and how fast the right to more comes back.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleLimits {
    /// Wrong responses at once.
    pub burst: u32,
    /// Milliseconds until one more is allowed.
    pub interval_ms: u64,
}

/// Slows wrong passwords per source address, per (source, user) and per user, for logins over a connection. SIP, whose
/// sources can be forged, has [`crate::Guesses`].
///
/// The limit per user does not hold for a source from which that user was accepted before: otherwise
/// anybody could lock a phone out. Bounded: 32,768 keys of 16 bytes (the least urgent of a set gives way)
/// and 16,384 remembered good pairs. An IPv6 source is its /64. While nobody fails, a check is one load.
pub struct Throttle {
    key: [u8; 16],
    per_source: ThrottleLimits,
    per_pair: ThrottleLimits,
    per_user: ThrottleLimits,
    buckets: Buckets,
    known: Box<[AtomicU64]>,
}

impl Throttle {
    /// The default limits: 60 wrong responses of a source then one in 2 s; 10 of one user from one source
    /// then one in 10 s; 200 of one user from anywhere then one a second.
    pub fn new() -> Throttle {
        Throttle::with_limits(
            ThrottleLimits { burst: 60, interval_ms: 2_000 },
            ThrottleLimits { burst: 10, interval_ms: 10_000 },
            ThrottleLimits { burst: 200, interval_ms: 1_000 },
        )
    }

    /// Limits per source, per (source, user), and per user from sources not known for that user.
    pub fn with_limits(source: ThrottleLimits, pair: ThrottleLimits, user: ThrottleLimits) -> Throttle {
        Throttle {
            key: random(),
            per_source: source,
            per_pair: pair,
            per_user: user,
            buckets: Buckets::new(),
            known: (0..KNOWN).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn hash(&self, kind: u8, ip: Option<IpAddr>, user: &[u8]) -> u64 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        hash.write_u8(kind);
        ip.map(source_of).hash(&mut hash);
        hash.write(user);
        hash.finish() | 1
    }

    fn keys(&self, ip: IpAddr, user: &[u8]) -> [(u64, ThrottleLimits); 3] {
        [
            (self.hash(1, Some(ip), b""), self.per_source),
            (self.hash(2, Some(ip), user), self.per_pair),
            (self.hash(3, None, user), self.per_user),
        ]
    }

    /// May a password of this user from this source be checked?
    pub fn allow(&self, ip: IpAddr, user: &[u8], now: u64) -> Permit {
        if self.buckets.are_empty(now) {
            return Permit::Ok;
        }
        let [source, pair, by_user] = self.keys(ip, user);
        let known = self.known_slot(pair.0).is_some_and(|slot| slot.load(Ordering::Relaxed) == pair.0);
        let wait = |(key, limits)| self.buckets.wait(key, limits, now);
        let mut ms = wait(source).max(wait(pair));
        if !known {
            ms = ms.max(wait(by_user));
        }
        match ms {
            0 => Permit::Ok,
            ms => Permit::RetryAfter(u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX)),
        }
    }

    /// A password was wrong (or the user unknown).
    pub fn failed(&self, ip: IpAddr, user: &[u8], now: u64) {
        for (key, limits) in self.keys(ip, user) {
            self.buckets.pour(key, limits, now);
        }
    }

    /// A password was right: the user's own source is remembered, and its slate is clean.
    pub fn succeeded(&self, ip: IpAddr, user: &[u8], now: u64) {
        let key = self.hash(2, Some(ip), user);
        if let Some(slot) = self.known_slot(key)
            && slot.load(Ordering::Relaxed) != key
        {
            slot.store(key, Ordering::Relaxed);
        }
        if !self.buckets.are_empty(now) {
            self.buckets.empty(key);
        }
    }

    fn known_slot(&self, key: u64) -> Option<&AtomicU64> {
        self.known.get((key >> 40) as usize % KNOWN)
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Throttle::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn one_user_from_one_source_is_slowed_and_recovers() {
        let t = Throttle::new();
        for _ in 0..10 {
            assert_eq!(t.allow(A, b"1001", NOW), Permit::Ok);
            t.failed(A, b"1001", NOW);
        }
        assert_eq!(t.allow(A, b"1001", NOW), Permit::RetryAfter(10));
        assert_eq!(t.allow(B, b"1001", NOW), Permit::Ok);
        assert_eq!(t.allow(A, b"1002", NOW), Permit::Ok);
        assert_eq!(t.allow(A, b"1001", NOW + 10_000), Permit::Ok);
        t.succeeded(A, b"1001", NOW + 10_000);
        t.failed(A, b"1001", NOW + 10_000);
        assert_eq!(t.allow(A, b"1001", NOW + 10_000), Permit::Ok);
    }

    #[test]
    fn a_source_that_walks_through_the_users_is_slowed() {
        let t = Throttle::new();
        for n in 0..60u32 {
            t.failed(A, n.to_string().as_bytes(), NOW);
        }
        assert_eq!(t.allow(A, b"fresh", NOW), Permit::RetryAfter(2));
        assert_eq!(t.allow(B, b"fresh", NOW), Permit::Ok);
    }

    #[test]
    fn many_sources_against_one_user_do_not_lock_the_phone_out() {
        let t = Throttle::new();
        t.succeeded(A, b"1001", NOW);
        for n in 0..400u32 {
            t.failed(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), b"1001", NOW);
        }
        assert!(matches!(t.allow(B, b"1001", NOW), Permit::RetryAfter(_)));
        assert_eq!(t.allow(A, b"1001", NOW), Permit::Ok);
    }

    #[test]
    fn an_ipv6_source_is_its_network() {
        let t = Throttle::new();
        for n in 0..60u128 {
            let ip = IpAddr::from((0x2001_0db8_u128 << 96 | n).to_be_bytes());
            t.failed(ip, n.to_string().as_bytes(), NOW);
        }
        assert!(matches!(t.allow("2001:db8::ffff".parse().unwrap(), b"x", NOW), Permit::RetryAfter(_)));
    }
}
