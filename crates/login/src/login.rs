//! Checking passwords and tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use trunkline_digest::{Permit, Throttle, ThrottleLimits};
use trunkline_model::{Live, User};
use trunkline_store::{StoreError, hash_token, verify_password};

use crate::identity::{Identity, Means};
use crate::permits::{HashPermit, HashPermits};
use crate::presented::Presented;
use crate::verified::Verified;

/// Wrong ones of a source: so many at once, then one in so many milliseconds.
const PER_SOURCE: ThrottleLimits = ThrottleLimits { burst: 30, interval_ms: 2_000 };
/// Wrong ones of one user from one source.
const PER_PAIR: ThrottleLimits = ThrottleLimits { burst: 5, interval_ms: 10_000 };
/// Wrong ones of one user from sources that user never logged in from.
const PER_USER: ThrottleLimits = ThrottleLimits { burst: 100, interval_ms: 1_000 };
/// Beyond that, wrong ones of one user from one network that user never logged in from.
const PER_NETWORK: ThrottleLimits = ThrottleLimits { burst: 1, interval_ms: 60_000 };

/// The hash that passwords of unknown users are compared with, so that they take as long as others. No password has it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$dHJ1bmtsaW5lLW5vYm9keQ$\
                      bm9ib2R5J3MgcGFzc3dvcmQgaXMgdGhpcyBhdCBhbGw";

/// Why nobody is logged in. None of them tells whether there is such a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing was shown.
    #[error("a login is required: send a user's name and password (Basic) or a token (Bearer)")]
    Absent,
    /// The credentials cannot be read.
    #[error(
        "the authorization cannot be read: send `Basic` with base64 of NAME:PASSWORD, or `Bearer` with a token"
    )]
    Malformed,
    /// No user has it.
    #[error("the user name, password or token is wrong, or the user is disabled")]
    Wrong,
    /// There were too many wrong ones.
    #[error("too many wrong logins: try again in {seconds} s")]
    Slowed {
        /// When the next one is looked at.
        seconds: u32,
    },
    /// Too many passwords wait to be checked.
    #[error("too many logins at once: try again in a moment")]
    Busy,
}

/// Checks passwords and tokens against the users in force. Cheap to clone.
#[derive(Clone)]
pub struct Login {
    inner: Arc<Inner>,
}

struct Inner {
    live: Arc<Live>,
    throttle: Throttle,
    verified: Verified,
    permits: Arc<HashPermits>,
    /// The throttle's time counts from here: it must not jump with the clock.
    start: Instant,
}

impl Login {
    /// For these users.
    pub fn new(live: Arc<Live>) -> Result<Login, StoreError> {
        // The shards need the rest of the machine.
        let hashing = std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(4));
        Login::hashing(live, hashing)
    }

    /// With room for so many hashes at a time.
    fn hashing(live: Arc<Live>, hashing: usize) -> Result<Login, StoreError> {
        Ok(Login {
            inner: Arc::new(Inner {
                live,
                throttle: Throttle::with_limits(PER_SOURCE, PER_PAIR, PER_USER, PER_NETWORK),
                verified: Verified::new().map_err(StoreError::Random)?,
                permits: Arc::new(HashPermits::new(hashing)),
                start: Instant::now(),
            }),
        })
    }

    /// Finds the user of these credentials. To be called on a tokio runtime; a password that is not known from a
    /// moment ago takes tens of milliseconds on one of its blocking threads.
    pub async fn check(&self, source: IpAddr, presented: Presented) -> Result<Identity, Refused> {
        if !presented.fits() {
            return Err(Refused::Malformed);
        }
        match presented {
            Presented::Password { username, password } => self.password(source, username, password).await,
            Presented::Token(token) => self.inner.token(source, &token),
        }
    }

    async fn password(
        &self,
        source: IpAddr,
        username: String,
        password: String,
    ) -> Result<Identity, Refused> {
        self.inner.allowed(source, &username)?;
        if let Some(user) = self.inner.user(&username)
            && let Some(hash) = &user.password_hash
        {
            let mark = self.inner.verified.mark(&username, &password, hash);
            if user.enabled && self.inner.verified.knows(&mark, Instant::now()) {
                return Ok(Identity::new(&user, Means::Password));
            }
        }
        let known = self.inner.throttle.is_known(source, username.as_bytes());
        let place = self.inner.permits.clone().turn(source, known).await.ok_or(Refused::Busy)?;
        // Others of this source may have been wrong while this one waited.
        self.inner.allowed(source, &username)?;
        let inner = self.inner.clone();
        // Runs to its end, and is counted, even if the caller hangs up.
        let hashed = tokio::task::spawn_blocking(move || inner.hash(source, &username, &password, place));
        hashed.await.unwrap_or(Err(Refused::Busy))
    }
}

impl Inner {
    fn now(&self) -> u64 {
        // Well above zero, where the throttle's arithmetic begins.
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX / 2) + 1
    }

    fn user(&self, username: &str) -> Option<Arc<User>> {
        self.live.load().user_by_username(username.as_bytes()).cloned()
    }

    fn allowed(&self, source: IpAddr, user: &str) -> Result<(), Refused> {
        match self.throttle.allow(source, user.as_bytes(), self.now()) {
            Permit::Ok => Ok(()),
            Permit::RetryAfter(seconds) => Err(Refused::Slowed { seconds }),
        }
    }

    /// Hashes the password and compares; as much work for a user who does not exist.
    fn hash(
        &self,
        source: IpAddr,
        username: &str,
        password: &str,
        place: HashPermit,
    ) -> Result<Identity, Refused> {
        let user = self.user(username);
        let stored = user.as_ref().filter(|user| user.enabled).and_then(|user| user.password_hash.as_deref());
        let right = verify_password(password, stored.unwrap_or(NOBODY));
        let outcome = match (user.as_ref(), stored) {
            (Some(user), Some(stored)) if right => {
                self.throttle.succeeded(source, username.as_bytes(), self.now());
                self.verified.remember(self.verified.mark(username, password, stored), Instant::now());
                Ok(Identity::new(user, Means::Password))
            }
            _ => {
                self.throttle.failed(source, username.as_bytes(), self.now());
                Err(Refused::Wrong)
            }
        };
        // Only now: whose turn is next finds this one counted.
        drop(place);
        outcome
    }

    /// Looks for the token among all users': there are few, and a token is compared by its SHA-256.
    fn token(&self, source: IpAddr, token: &str) -> Result<Identity, Refused> {
        let hash = hash_token(token);
        // Each wrong token counts as a separate user, so that guesses do not lock out the owner of another token.
        self.allowed(source, &hash)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let good = |expires: Option<i64>| expires.is_none_or(|at| u64::try_from(at).is_ok_and(|at| now < at));
        let tables = self.live.load();
        let found = tables.users().filter(|user| user.enabled).find_map(|user| {
            let token = user.tokens.iter().find(|t| t.hash == hash && good(t.expires))?;
            Some(Identity::new(user, Means::Token(token.name.clone())))
        });
        match found {
            Some(identity) => Ok(identity),
            None => {
                self.throttle.failed(source, hash.as_bytes(), self.now());
                Err(Refused::Wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use trunkline_model::Role;
    use trunkline_store::hash_password;

    #[tokio::test]
    async fn the_second_time_costs_no_hash() {
        let mut ann = User::new("user-ann", "ann", Role::Operator);
        ann.password_hash = Some(hash_password("horse").expect("hashed"));
        let live = Arc::new(Live::default());
        live.update(|tables| tables.put(ann));
        let login = Login::hashing(live, 1).expect("made");
        let from = IpAddr::from([192, 0, 2, 1]);
        login.check(from, Presented::password("ann", "horse")).await.expect("right");
        // Nobody can hash now.
        let turn = login.inner.permits.clone().turn(from, false).await.expect("room");
        for _ in 0..10 {
            let again = login.check(from, Presented::password("ann", "horse"));
            let again = tokio::time::timeout(Duration::from_secs(60), again).await;
            assert!(again.expect("without waiting").is_ok());
        }
        let other = login.check(from, Presented::password("ann", "Horse"));
        assert!(tokio::time::timeout(Duration::from_millis(50), other).await.is_err(), "another one waits");
        drop(turn);
    }

    #[test]
    fn nobody_costs_as_much_as_somebody() {
        let stored = hash_password("horse").expect("hashed");
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).map(str::to_owned);
        assert_eq!(parameters(NOBODY), parameters(&stored));
        assert_eq!(NOBODY.len(), stored.len());
        let time = |hash: &str| {
            let start = Instant::now();
            assert!(!verify_password("x", hash));
            start.elapsed()
        };
        // One that cannot be read would take no time at all. What the machine does beside it only makes a time longer.
        let least = (0..3).map(|_| time(&stored)).min().expect("three");
        assert!(time(NOBODY) * 10 > least);
    }
}
