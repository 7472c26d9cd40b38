//! Limits for guessing passwords that cannot be used to lock out other users.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;
use trunkline_sip::source_of;

use crate::ThrottleLimits;
use crate::bans::Noted;
use crate::buckets::Buckets;
use crate::nonce::random;

/// Remembered flows, at most.
const KNOWN: usize = 65_536;

/// The user whose secret a response is compared with, and the source of the response.
#[derive(Clone, Copy)]
pub struct Guess<'a> {
    /// The address and port it came from, or the connection's other end.
    pub from: SocketAddr,
    /// What tells those apart who come through one proxy, such as the addresses in the Vias below its own; empty where the
    /// client itself sent it.
    pub origin: &'a [u8],
    /// The user whose secret it is.
    pub user: &'a [u8],
    /// The secret itself: once it is changed nobody has guessed at it yet.
    pub secret: &'a [u8],
}

impl std::fmt::Debug for Guess<'_> {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guess").field("from", &self.from).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a ban holds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ban {
    /// This user from this address and port.
    Flow,
    /// This user from any port of the source that the user was not known on before.
    User,
    /// All users from a source where nobody is registered.
    Source,
}

/// May the response be compared with the secret?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Free,
    /// No: answer as if it was wrong. `told` is false once for each ban, when it is to be logged.
    Banned {
        /// The scope of the ban.
        ban: Ban,
        /// Was this ban reported before?
        told: bool,
    },
}

/// What else is known about the source of a response; looked up only when its user or source is banned.
pub trait Bindings {
    /// Is the user registered from this very address and port?
    fn is_registered_here(&self) -> bool;
    /// Is anybody registered from this source?
    fn has_registrations(&self) -> bool;
}

/// Counts wrong responses: those compared with a secret, whose nonce was ours, fresh and sent to their source. A forger
/// who reads no answers has no such nonce, so that it can ban nobody.
///
/// A ban holds for a user from one address and port, where a guesser mostly stays; with a wider limit for the user from
/// the source as a whole, against those who change ports. The wider one does not hold for a flow on which the user was
/// accepted before or is registered, so a guesser in an office does not lock out the phones of that office, and of a
/// phone with a wrong secret at most that user is banned. Behind a proxy, whose address and port all share, what the client
/// says of itself takes the port's place. A source where nobody is registered has a limit for all users
/// together.
///
/// Bounded: 32,768 counted keys of 16 bytes and 65,536 remembered flows of 8. While nobody guesses, a look is one load.
pub struct Guesses {
    key: [u8; 16],
    pub(crate) limits: Limits,
    pub(crate) buckets: Buckets,
    known: Box<[AtomicU64]>,
    pub(crate) noted: Mutex<VecDeque<Noted>>,
}

/// The limits of [`Guesses`].
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one user from one address and port.
    pub flow: ThrottleLimits,
    /// Of one user from one source.
    pub user: ThrottleLimits,
    /// Of one user from one source, where the user is registered, or was accepted through a proxy: those who can register as
    /// it (a domain that asks nobody for a digest), or look like it behind the proxy, have no more than that.
    pub registered: ThrottleLimits,
    /// Of all users from one source where nobody is registered.
    pub source: ThrottleLimits,
}

impl Default for Limits {
    /// 30 wrong ones of a user from an address and port, 90 from a source, 180 where the user is registered, then one in
    /// 20 s; 300 of a source, then one in 5 s. A phone with a wrong secret that tries every 20 s or more is never banned.
    fn default() -> Self {
        Limits {
            flow: ThrottleLimits { burst: 30, interval_ms: 20_000 },
            user: ThrottleLimits { burst: 90, interval_ms: 20_000 },
            registered: ThrottleLimits { burst: 180, interval_ms: 20_000 },
            source: ThrottleLimits { burst: 300, interval_ms: 5_000 },
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) flow: u64,
    pub(crate) user: u64,
    pub(crate) registered: u64,
    pub(crate) source: u64,
}

impl Guesses {
    /// With these limits.
    pub fn new(limits: Limits) -> Guesses {
        Guesses {
            key: random(),
            limits,
            buckets: Buckets::new(),
            known: (0..KNOWN).map(|_| AtomicU64::new(0)).collect(),
            noted: Mutex::default(),
        }
    }

    /// Of the address itself: in an IPv6 network each phone has its own, often with the same port.
    fn flow(&self, guess: &Guess<'_>) -> u64 {
        self.hash(1, guess, (guess.from.ip().to_canonical(), guess.from.port(), guess.origin))
    }

    fn keys(&self, guess: &Guess<'_>) -> Keys {
        let nobody = Guess { user: b"", secret: b"", ..*guess };
        let source = (source_of(guess.from.ip()), 0, &b""[..]);
        Keys {
            flow: self.flow(guess),
            user: self.hash(2, guess, source),
            registered: self.hash(4, guess, source),
            source: self.hash(3, &nobody, source),
        }
    }

    fn hash(&self, kind: u8, guess: &Guess<'_>, place: (IpAddr, u16, &[u8])) -> u64 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        hash.write_u8(kind);
        place.hash(&mut hash);
        hash.write_u64(guess.user.len() as u64);
        hash.write(guess.user);
        hash.write(guess.secret);
        hash.finish() | 1
    }

    /// May this response be compared with the secret?
    pub fn standing(&self, guess: &Guess<'_>, bindings: &impl Bindings, now: u64) -> Standing {
        if self.buckets.are_empty(now) {
            return Standing::Free;
        }
        let keys = self.keys(guess);
        let full = |key, limits| self.buckets.wait(key, limits, now) > 0;
        // Who comes through a proxy may look like another one whom the proxy does not tell from it: what it guesses bans none who
        // was accepted before, up to the limit of the wider ban.
        let alike = !guess.origin.is_empty()
            && self.is_known(keys.flow)
            && !full(keys.registered, self.limits.registered);
        if full(keys.flow, self.limits.flow) && !alike {
            return self.banned(guess, keys, Ban::Flow, now);
        }
        let by_user = full(keys.user, self.limits.user);
        let by_source = full(keys.source, self.limits.source);
        let registered = || !full(keys.registered, self.limits.registered) && bindings.is_registered_here();
        if !by_user && !by_source || self.is_known(keys.flow) || registered() {
            return Standing::Free;
        }
        if by_user {
            return self.banned(guess, keys, Ban::User, now);
        }
        if bindings.has_registrations() { Standing::Free } else { self.banned(guess, keys, Ban::Source, now) }
    }

    /// Each ban is reported once. There are few: after the ban of a user from a source, no port of it reaches its own limit.
    fn banned(&self, guess: &Guess<'_>, keys: Keys, ban: Ban, now: u64) -> Standing {
        let told = self.buckets.mark(keys.of(ban), now) != Some(true);
        if !told {
            self.note(guess, keys, ban, now);
        }
        Standing::Banned { ban, told }
    }

    /// It was compared and wrong.
    pub fn wrong(&self, guess: &Guess<'_>, now: u64) {
        let keys = self.keys(guess);
        self.buckets.pour(keys.flow, self.limits.flow, now);
        self.buckets.pour(keys.user, self.limits.user, now);
        self.buckets.pour(keys.registered, self.limits.registered, now);
        self.buckets.pour(keys.source, self.limits.source, now);
    }

    /// It was compared and right: the flow is remembered, and what was wrong on it is forgiven.
    ///
    /// The counts of the user's other ports stay: a guesser next to a phone would begin anew with each of its requests.
    pub fn right(&self, guess: &Guess<'_>, now: u64) {
        let key = self.flow(guess);
        if let Some(slot) = self.slot(key)
            && slot.load(Ordering::Relaxed) != key
        {
            slot.store(key, Ordering::Relaxed);
        }
        if !self.buckets.are_empty(now) {
            self.buckets.empty(key);
        }
    }

    fn is_known(&self, key: u64) -> bool {
        self.slot(key).is_some_and(|slot| slot.load(Ordering::Relaxed) == key)
    }

    fn slot(&self, key: u64) -> Option<&AtomicU64> {
        self.known.get((key >> 40) as usize % KNOWN)
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Guesses::new(Limits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const OFFICE: &str = "192.0.2.1";
    const FREE: Standing = Standing::Free;

    /// (registered here, anybody registered from the source)
    struct World(bool, bool);

    impl Bindings for World {
        fn is_registered_here(&self) -> bool {
            self.0
        }

        fn has_registrations(&self) -> bool {
            self.1
        }
    }

    const NOBODY: World = World(false, false);
    const OTHERS: World = World(false, true);
    const ITSELF: World = World(true, true);

    fn guess<'a>(ip: &str, port: u16, user: &'a str) -> Guess<'a> {
        Guess {
            from: (ip.parse::<std::net::IpAddr>().unwrap(), port).into(),
            origin: b"",
            user: user.as_bytes(),
            secret: b"s",
        }
    }

    fn banned(standing: Standing) -> Option<Ban> {
        match standing {
            Standing::Free => None,
            Standing::Banned { ban, .. } => Some(ban),
        }
    }

    /// Guesses until it is banned; how many were looked at.
    fn exhaust(g: &Guesses, guess: &Guess<'_>, now: u64) -> u32 {
        let mut looked_at = 0;
        while g.standing(guess, &OTHERS, now) == FREE {
            g.wrong(guess, now);
            looked_at += 1;
        }
        looked_at
    }

    #[test]
    fn bans_are_listed_and_ended_by_an_operator() {
        let g = Guesses::default();
        let (guesser, other) = (guess(OFFICE, 5060, "1001"), guess("192.0.2.2", 5060, "1002"));
        for guess in [&guesser, &other] {
            assert_eq!(exhaust(&g, guess, NOW), 30);
        }
        let users = |now| g.bans(now).into_iter().map(|ban| (ban.ban, ban.user)).collect::<Vec<_>>();
        assert_eq!(users(NOW), [(Ban::Flow, "1001".to_owned()), (Ban::Flow, "1002".to_owned())]);
        assert_eq!(g.unban(|ban| ban.user == "1001", NOW), 1);
        assert_eq!(g.standing(&guesser, &OTHERS, NOW), FREE);
        assert_eq!(banned(g.standing(&other, &OTHERS, NOW)), Some(Ban::Flow));
        assert_eq!(users(NOW), [(Ban::Flow, "1002".to_owned())]);
        assert_eq!(exhaust(&g, &guesser, NOW), 30, "it starts from zero");
        assert_eq!(users(NOW).len(), 2);
        assert!(users(NOW + 20_000).is_empty(), "both bans have ended by themselves");
        assert_eq!(g.unban(|_| true, NOW + 20_000), 0);
    }

    #[test]
    fn a_guesser_on_one_port_bans_itself_alone() {
        let g = Guesses::default();
        let guesser = guess(OFFICE, 5060, "1001");
        assert_eq!(exhaust(&g, &guesser, NOW), 30);
        assert_eq!(banned(g.standing(&guesser, &OTHERS, NOW)), Some(Ban::Flow));
        assert_eq!(g.standing(&guess(OFFICE, 5062, "1001"), &OTHERS, NOW), FREE);
        assert_eq!(g.standing(&guess(OFFICE, 5060, "1002"), &OTHERS, NOW), FREE);
        assert_eq!(g.standing(&guess("192.0.2.2", 5060, "1001"), &OTHERS, NOW), FREE);
        let changed = Guess { secret: b"another", ..guesser };
        assert_eq!(g.standing(&changed, &OTHERS, NOW), FREE, "nobody has guessed at the new secret");
        assert_eq!(exhaust(&g, &guesser, NOW + 20_000), 1);
    }

    #[test]
    fn a_guesser_on_many_ports_does_not_ban_the_phone() {
        let g = Guesses::default();
        let phone = guess(OFFICE, 40_000, "1001");
        g.right(&phone, NOW);
        let looked_at: u32 = (1..1000).map(|port| exhaust(&g, &guess(OFFICE, port, "1001"), NOW)).sum();
        assert_eq!(looked_at, 90);
        assert_eq!(g.standing(&phone, &OTHERS, NOW), FREE, "accepted there before");
        let other = guess(OFFICE, 40_002, "1001");
        assert_eq!(g.standing(&other, &ITSELF, NOW), FREE, "registered there");
        assert_eq!(banned(g.standing(&other, &OTHERS, NOW)), Some(Ban::User));
        // That the phone is right does not let the guesser begin anew.
        g.right(&phone, NOW);
        assert_eq!(exhaust(&g, &guess(OFFICE, 2000, "1001"), NOW), 0);
    }

    #[test]
    fn who_registers_as_the_user_on_each_port_is_stopped_as_well() {
        let g = Guesses::default();
        let phone = guess(OFFICE, 40_000, "1001");
        g.right(&phone, NOW);
        let mut looked_at = 0;
        for port in 1..1000 {
            let guess = guess(OFFICE, port, "1001");
            while g.standing(&guess, &ITSELF, NOW) == FREE {
                g.wrong(&guess, NOW);
                looked_at += 1;
            }
        }
        assert_eq!((looked_at, g.standing(&phone, &OTHERS, NOW)), (180, FREE));
    }

    #[test]
    fn a_guesser_behind_a_proxy_does_not_ban_the_phone_behind_it() {
        let g = Guesses::default();
        let at = |origin: &'static [u8]| Guess { origin, ..guess(OFFICE, 5060, "1001") };
        let phone = at(b"UDP 10.0.0.1:5060");
        g.right(&phone, NOW);
        let looked_at: u32 = [&b"UDP 10.0.0.2"[..], b"UDP 10.0.0.3", b"UDP 10.0.0.4", b"UDP 10.0.0.5"]
            .into_iter()
            .map(|origin| exhaust(&g, &at(origin), NOW))
            .sum();
        assert_eq!((looked_at, g.standing(&phone, &OTHERS, NOW)), (90, FREE));
    }

    /// A guesser that the proxy does not tell from the phone bans itself, and the phone no sooner than it would by the user.
    #[test]
    fn who_looks_like_a_phone_behind_a_proxy_does_not_ban_it_at_once() {
        let g = Guesses::default();
        let both = Guess { origin: b"UDP 10.0.0.1:5060", ..guess(OFFICE, 5060, "1001") };
        g.right(&both, NOW);
        for _ in 0..90 {
            g.wrong(&both, NOW);
        }
        assert_eq!(g.standing(&both, &OTHERS, NOW), FREE, "accepted there before");
        let other = Guess { origin: b"UDP 10.0.0.2:5060", ..both };
        assert_eq!(banned(g.standing(&other, &OTHERS, NOW)), Some(Ban::User));
        for _ in 0..90 {
            g.wrong(&both, NOW);
        }
        assert_eq!(banned(g.standing(&both, &OTHERS, NOW)), Some(Ban::Flow), "and it guesses no further");
    }

    #[test]
    fn a_corrected_phone_begins_anew() {
        let g = Guesses::default();
        let phone = guess(OFFICE, 5060, "1001");
        for _ in 0..29 {
            g.wrong(&phone, NOW);
        }
        assert_eq!(g.standing(&phone, &OTHERS, NOW), FREE);
        g.right(&phone, NOW);
        assert_eq!(exhaust(&g, &phone, NOW), 30);
    }

    #[test]
    fn one_that_tries_every_twenty_seconds_is_never_banned() {
        let g = Guesses::default();
        let phone = guess(OFFICE, 5060, "1001");
        for n in 0..1000 {
            assert_eq!(g.standing(&phone, &OTHERS, NOW + n * 20_000), FREE);
            g.wrong(&phone, NOW + n * 20_000);
        }
    }

    #[test]
    fn a_source_that_walks_through_the_users_is_banned_where_nobody_is_registered() {
        let g = Guesses::default();
        for n in 0..300 {
            g.wrong(&guess(OFFICE, 5060, &n.to_string()), NOW);
        }
        let next = guess(OFFICE, 5060, "next");
        assert_eq!(banned(g.standing(&next, &NOBODY, NOW)), Some(Ban::Source));
        assert_eq!(g.standing(&next, &OTHERS, NOW), FREE);
        assert_eq!(g.standing(&guess("192.0.2.2", 5060, "next"), &NOBODY, NOW), FREE);
    }

    #[test]
    fn a_ban_is_reported_once() {
        let g = Guesses::default();
        let one = guess(OFFICE, 1, "1001");
        for _ in 0..30 {
            g.wrong(&one, NOW);
        }
        let first = |now| matches!(g.standing(&one, &OTHERS, now), Standing::Banned { told: false, .. });
        assert!(first(NOW) && !first(NOW));
        let mut told_of = Vec::new();
        for port in 2..100 {
            let guess = guess(OFFICE, port, "1001");
            loop {
                match g.standing(&guess, &OTHERS, NOW) {
                    Standing::Free => g.wrong(&guess, NOW),
                    Standing::Banned { ban, told } => {
                        told_of.extend((!told).then_some(ban));
                        break;
                    }
                }
            }
        }
        assert_eq!(
            told_of,
            [Ban::Flow, Ban::Flow, Ban::User],
            "each of its own, and further ports add nothing"
        );
        g.wrong(&one, NOW + 20_000);
        assert!(!first(NOW + 20_000), "the same ban still");
        let later = NOW + 60 * 60_000;
        for _ in 0..30 {
            g.wrong(&one, later);
        }
        assert!(first(later) && !first(later));
    }

    #[test]
    fn an_ipv6_source_is_its_network() {
        let g = Guesses::default();
        for n in 0..90 {
            g.wrong(&guess(&format!("2001:db8::{n:x}"), n, "1001"), NOW);
        }
        assert_eq!(banned(g.standing(&guess("2001:db8::ffff", 999, "1001"), &OTHERS, NOW)), Some(Ban::User));
        assert_eq!(g.standing(&guess("2001:db8:0:1::1", 999, "1001"), &OTHERS, NOW), FREE);
        // In such a network every phone may have the same port.
        let g = Guesses::default();
        exhaust(&g, &guess("2001:db8::9", 5060, "1001"), NOW);
        assert_eq!(g.standing(&guess("2001:db8::a", 5060, "1001"), &OTHERS, NOW), FREE);
    }
}
