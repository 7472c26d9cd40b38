//! The bans that hold, for operators: who is banned since when, and how a ban is ended.

use std::net::SocketAddr;

use crate::guesses::{Ban, Guess, Guesses, Keys};

/// Bans that are listed, at most.
const NOTED: usize = 1024;

impl Keys {
    /// The key that a ban stands under.
    pub(crate) fn of(&self, ban: Ban) -> u64 {
        match ban {
            Ban::Flow => self.flow,
            Ban::User => self.user,
            Ban::Source => self.source,
        }
    }
}

/// A ban, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banned {
    /// Its scope.
    pub ban: Ban,
    /// Where the guesses came from.
    pub source: SocketAddr,
    /// The user that was tried last before it.
    pub user: String,
    /// Since when, in milliseconds of Unix time.
    pub since: u64,
    /// For how many milliseconds it holds, unless there are further guesses.
    pub left: u64,
}

/// A ban with its keys.
pub(crate) struct Noted {
    ban: Ban,
    source: SocketAddr,
    user: String,
    since: u64,
    keys: Keys,
}

impl Noted {
    fn shown(&self, left: u64) -> Banned {
        Banned { ban: self.ban, source: self.source, user: self.user.clone(), since: self.since, left }
    }
}

impl Guesses {
    /// A ban begins.
    pub(crate) fn note(&self, guess: &Guess<'_>, keys: Keys, ban: Ban, now: u64) {
        let mut noted = self.noted.lock();
        noted.retain(|known| known.keys.of(known.ban) != keys.of(ban));
        if noted.len() >= NOTED {
            noted.pop_front();
        }
        let user = String::from_utf8_lossy(guess.user).into_owned();
        noted.push_back(Noted { ban, source: guess.from, user, since: now, keys });
    }

    /// The bans that hold now, the oldest first; of many the latest 1,024.
    pub fn bans(&self, now: u64) -> Vec<Banned> {
        let mut noted = self.noted.lock();
        noted.retain(|known| self.left(known, now) > 0);
        noted.iter().map(|known| known.shown(self.left(known, now))).collect()
    }

    /// Ends the bans that `which` picks, and forgets the wrong responses that led to them; returns how many.
    pub fn unban(&self, which: impl Fn(&Banned) -> bool, now: u64) -> usize {
        let mut noted = self.noted.lock();
        let mut ended = 0;
        noted.retain(|known| {
            let left = self.left(known, now);
            if left > 0 && which(&known.shown(left)) {
                ended += 1;
                let Keys { flow, user, registered, source } = known.keys;
                [flow, user, registered].into_iter().for_each(|key| self.buckets.empty(key));
                if known.ban == Ban::Source {
                    self.buckets.empty(source);
                }
                return false;
            }
            left > 0
        });
        ended
    }

    /// Milliseconds that a ban holds yet.
    fn left(&self, known: &Noted, now: u64) -> u64 {
        let limits = match known.ban {
            Ban::Flow => self.limits.flow,
            Ban::User => self.limits.user,
            Ban::Source => self.limits.source,
        };
        self.buckets.wait(known.keys.of(known.ban), limits, now)
    }
}
