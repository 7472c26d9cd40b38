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
/// Nobody locks a user out from elsewhere: the limit per user does not hold for a source from which that user was accepted
/// before, and beyond it each network that the user was not accepted from has tries of its own, though few. So guessing from many
/// addresses is slow, and the user who comes from a new one is checked at once. Bounded: 32,768 keys of 16 bytes (the least urgent
/// of a set gives way) and 16,384 remembered good pairs. An IPv6 source is its /64, a network its /48; an IPv4 address is both.
/// While nobody fails, a check is one load.
pub struct Throttle {
    key: [u8; 16],
    per_source: ThrottleLimits,
    per_pair: ThrottleLimits,
    per_user: ThrottleLimits,
    per_network: ThrottleLimits,
    buckets: Buckets,
    known: Box<[AtomicU64]>,
}

impl Throttle {
    /// The default limits: 60 wrong responses of a source then one in 2 s; 10 of one user from one source
    /// then one in 10 s; 200 of one user from anywhere, which fill at one a second, then one a minute from each network.
    pub fn new() -> Throttle {
        Throttle::with_limits(
            ThrottleLimits { burst: 60, interval_ms: 2_000 },
            ThrottleLimits { burst: 10, interval_ms: 10_000 },
            ThrottleLimits { burst: 200, interval_ms: 1_000 },
            ThrottleLimits { burst: 1, interval_ms: 60_000 },
        )
    }

    /// Limits per source, per (source, user), and per user from sources not known for that user; of each network beyond the last.
    pub fn with_limits(
        source: ThrottleLimits,
        pair: ThrottleLimits,
        user: ThrottleLimits,
        network: ThrottleLimits,
    ) -> Throttle {
        Throttle {
            key: random(),
            per_source: source,
            per_pair: pair,
            per_user: user,
            per_network: network,
            buckets: Buckets::new(),
            known: (0..KNOWN).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn hash(&self, kind: u8, ip: Option<IpAddr>, user: &[u8]) -> u64 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        hash.write_u8(kind);
        ip.hash(&mut hash);
        hash.write(user);
        hash.finish() | 1
    }

    fn keys(&self, ip: IpAddr, user: &[u8]) -> [(u64, ThrottleLimits); 4] {
        let source = source_of(ip);
        [
            (self.hash(1, Some(source), b""), self.per_source),
            (self.hash(2, Some(source), user), self.per_pair),
            (self.hash(3, None, user), self.per_user),
            (self.hash(4, Some(network_of(source)), user), self.per_network),
        ]
    }

    /// Was this user accepted from this source before?
    pub fn is_known(&self, ip: IpAddr, user: &[u8]) -> bool {
        self.is_known_pair(self.hash(2, Some(source_of(ip)), user))
    }

    fn is_known_pair(&self, key: u64) -> bool {
        self.known_slot(key).is_some_and(|slot| slot.load(Ordering::Relaxed) == key)
    }

    /// May a password of this user from this source be checked?
    pub fn allow(&self, ip: IpAddr, user: &[u8], now: u64) -> Permit {
        if self.buckets.are_empty(now) {
            return Permit::Ok;
        }
        let [source, pair, by_user, network] = self.keys(ip, user);
        let wait = |(key, limits)| self.buckets.wait(key, limits, now);
        let mut ms = wait(source).max(wait(pair));
        if !self.is_known_pair(pair.0) && wait(by_user) > 0 {
            ms = ms.max(wait(network));
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
        let key = self.hash(2, Some(source_of(ip)), user);
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

/// The network of a source: of IPv6 the /48 that one customer gets.
fn network_of(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() >> 80 << 80).to_be_bytes()),
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
    fn many_sources_against_one_user_do_not_lock_it_out() {
        let t = Throttle::new();
        t.succeeded(A, b"1001", NOW);
        let guessers = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        (0..400).for_each(|n| t.failed(guessers(n), b"1001", NOW));
        // Each of them has one try a minute, though it had some left.
        assert_eq!(t.allow(guessers(7), b"1001", NOW), Permit::RetryAfter(60));
        assert_eq!(t.allow(guessers(7), b"1001", NOW + 60_000), Permit::Ok);
        // Where the user is known wrong ones are forgiven as before, and a new place is looked at once.
        assert_eq!((t.allow(A, b"1001", NOW), t.allow(B, b"1001", NOW)), (Permit::Ok, Permit::Ok));
        t.failed(B, b"1001", NOW);
        assert_eq!(t.allow(B, b"1001", NOW), Permit::RetryAfter(60));
        t.succeeded(B, b"1001", NOW + 60_000);
        assert_eq!(t.allow(B, b"1001", NOW + 60_000), Permit::Ok);
    }

    #[test]
    fn a_network_of_many_sources_has_the_tries_of_one() {
        let t = Throttle::new();
        let of_48 = |n: u128| IpAddr::from((0x2001_0db8_0001_u128 << 80 | n << 64).to_be_bytes());
        (0..200).for_each(|n| t.failed(of_48(n), b"1001", NOW));
        assert_eq!(t.allow(of_48(4_711), b"1001", NOW), Permit::RetryAfter(60));
        assert_eq!(t.allow("2001:db8:2::1".parse().unwrap(), b"1001", NOW), Permit::Ok);
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
