//! A brake on guessing passwords.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

use crate::nonce::random;

const SHARDS: usize = 16;
const WAYS: usize = 4;
const SETS: usize = 512;
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

/// Slows wrong responses per source address, per (source, user) and per user. A first 401 never counts:
/// only [`Throttle::failed`] does.
///
/// The limit per user does not hold for a source from which that user was accepted before: otherwise
/// anybody could lock a phone out. Bounded: 32,768 keys of 16 bytes (the least urgent of a set gives way)
/// and 16,384 remembered good pairs. An IPv6 source is its /64. While nobody fails, a check is one load.
pub struct Throttle {
    key: [u8; 16],
    per_source: ThrottleLimits,
    per_pair: ThrottleLimits,
    per_user: ThrottleLimits,
    /// Until when any key may be blocked, ms; before that nothing needs to be looked up.
    quiet_from: AtomicU64,
    shards: Box<[Mutex<Box<[Bucket]>>]>,
    known: Box<[AtomicU64]>,
}

/// A leaky bucket as one time (the "generic cell rate" form): it is empty at `drained`.
#[derive(Clone, Copy, Default)]
struct Bucket {
    key: u64,
    drained: u64,
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
            quiet_from: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| Mutex::new(vec![Bucket::default(); SETS * WAYS].into())).collect(),
            known: (0..KNOWN).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn hash(&self, kind: u8, ip: Option<IpAddr>, user: &[u8]) -> u64 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        hash.write_u8(kind);
        match ip {
            Some(IpAddr::V4(v4)) => hash.write_u32(v4.to_bits()),
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => hash.write_u32(v4.to_bits()),
                None => hash.write_u64((v6.to_bits() >> 64) as u64),
            },
            None => {}
        }
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

    /// May a response of this user from this source be checked?
    pub fn allow(&self, ip: IpAddr, user: &[u8], now: u64) -> Permit {
        if now >= self.quiet_from.load(Ordering::Relaxed) {
            return Permit::Ok;
        }
        let [source, pair, by_user] = self.keys(ip, user);
        let known = self.known_slot(pair.0).is_some_and(|slot| slot.load(Ordering::Relaxed) == pair.0);
        let mut wait = self.wait(source, now).max(self.wait(pair, now));
        if !known {
            wait = wait.max(self.wait(by_user, now));
        }
        match wait {
            0 => Permit::Ok,
            ms => Permit::RetryAfter(u32::try_from(ms.div_ceil(1000)).unwrap_or(u32::MAX)),
        }
    }

    /// A response was wrong (or the user unknown).
    pub fn failed(&self, ip: IpAddr, user: &[u8], now: u64) {
        for (key, limits) in self.keys(ip, user) {
            self.with_set(key, |set| {
                let at = set.iter().position(|b| b.key == key).or_else(|| {
                    // The set's calmest bucket gives way.
                    set.iter().enumerate().min_by_key(|(_, b)| b.drained).map(|(n, _)| n)
                });
                let Some(bucket) = at.and_then(|n| set.get_mut(n)) else { return };
                let from = if bucket.key == key { bucket.drained.max(now) } else { now };
                // A bucket never fills beyond one try over its burst: waiting an interval always helps.
                let full = now + limits.interval_ms * u64::from(limits.burst);
                *bucket = Bucket { key, drained: (from + limits.interval_ms).min(full) };
                self.quiet_from.fetch_max(bucket.drained, Ordering::Relaxed);
            });
        }
    }

    /// A response was right: the user's own source is remembered, and its slate is clean.
    pub fn succeeded(&self, ip: IpAddr, user: &[u8], now: u64) {
        let key = self.hash(2, Some(ip), user);
        if let Some(slot) = self.known_slot(key)
            && slot.load(Ordering::Relaxed) != key
        {
            slot.store(key, Ordering::Relaxed);
        }
        if now < self.quiet_from.load(Ordering::Relaxed) {
            self.with_set(key, |set| {
                if let Some(bucket) = set.iter_mut().find(|b| b.key == key) {
                    *bucket = Bucket::default();
                }
            });
        }
    }

    fn known_slot(&self, key: u64) -> Option<&AtomicU64> {
        self.known.get((key >> 40) as usize % KNOWN)
    }

    /// Milliseconds until the bucket has room for one more.
    fn wait(&self, (key, limits): (u64, ThrottleLimits), now: u64) -> u64 {
        let room = limits.interval_ms * u64::from(limits.burst.saturating_sub(1));
        self.with_set(key, |set| {
            set.iter().find(|b| b.key == key).map_or(0, |b| b.drained.saturating_sub(now + room))
        })
        .unwrap_or(0)
    }

    fn with_set<T>(&self, key: u64, f: impl FnOnce(&mut [Bucket]) -> T) -> Option<T> {
        let mut shard = self.shards.get(key as usize >> 1 & (SHARDS - 1))?.lock();
        let first = (key >> 8) as usize % SETS * WAYS;
        shard.get_mut(first..first + WAYS).map(f)
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
