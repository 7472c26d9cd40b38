//! Whom a call counts for, and whether a party may have one more.

use crate::call::{CallStart, Counted};
use crate::rates::Rates;
use crate::sessions::{SessionKey, Sessions};

/// Caller, binding, trunk, callee and two domains.
pub(crate) const PARTIES: usize = 6;
const CALLED: usize = 3;
const CALLED_DOMAIN: usize = 5;

/// A party has as many calls as it may: answer 486 towards a callee, 503 for a trunk, 403 for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitReached {
    /// The caller.
    #[error("the caller has reached its limit of calls: raise the limit or end a call")]
    Caller,
    /// The callee.
    #[error("the callee has reached its limit of calls: raise the limit or end a call")]
    Callee,
    /// The trunk.
    #[error("the trunk has reached its limit of calls: raise the limit or use another trunk")]
    Trunk,
    /// The caller's domain: as the caller.
    #[error("the caller's domain has reached its limit of calls: raise the limit or end a call")]
    CallerDomain,
    /// The callee's domain: as the callee.
    #[error("the callee's domain has reached its limit of calls: raise the limit or end a call")]
    CalleeDomain,
    /// The memory of all calls: 503.
    #[error("calls hold as much memory as they may: end calls or raise limits.callBytes")]
    Memory,
    /// The caller's share of it: 503.
    #[error("the caller's calls hold as much memory as they may: end calls or raise limits.accountPercent")]
    Share,
}

/// A call that was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{who}")]
pub struct Refused {
    /// Whose limit it is.
    pub who: LimitReached,
    /// In how many seconds there is room, where it is the limit per minute.
    pub wait: Option<u32>,
}

/// The parties that a call counts for.
pub(crate) type Keys = [Option<SessionKey>; PARTIES];

/// Whom a call counts for, and whose limit it is.
fn parties(start: &CallStart<'_>) -> [(Counted, LimitReached); PARTIES] {
    let [caller_domain, callee_domain] = start.domains;
    [
        (start.caller, LimitReached::Caller),
        (start.callee, LimitReached::Callee),
        (start.trunk, LimitReached::Trunk),
        (start.called, LimitReached::Callee),
        (caller_domain, LimitReached::CallerDomain),
        (callee_domain, LimitReached::CalleeDomain),
    ]
}

/// Calls per party, now and in the last minute.
pub(crate) struct Counting {
    sessions: Sessions,
    rates: Rates,
}

impl Counting {
    pub fn new() -> Counting {
        Counting { sessions: Sessions::new(), rates: Rates::new() }
    }

    /// A call counts for all its parties, or for none.
    pub fn add(&self, start: &CallStart<'_>, now: u64) -> Result<Keys, Refused> {
        let parties = parties(start);
        for (n, (counted, who)) in parties.iter().enumerate() {
            if let Err(wait) = self.add_one(counted, now) {
                parties.iter().take(n).for_each(|(counted, _)| self.take_back(counted));
                return Err(Refused { who: *who, wait });
            }
        }
        Ok(parties.map(|(counted, _)| counted.key))
    }

    fn add_one(&self, counted: &Counted, now: u64) -> Result<(), Option<u32>> {
        let Some(key) = counted.key else { return Ok(()) };
        if !self.sessions.add(key, counted.limit) {
            return Err(None);
        }
        let paid = counted.per_minute.map_or(Ok(()), |rate| self.rates.take(key, rate, now));
        paid.map_err(|wait| {
            self.sessions.remove(key);
            Some(wait)
        })
    }

    fn take_back(&self, counted: &Counted) {
        let Some(key) = counted.key else { return };
        self.sessions.remove(key);
        if let Some(rate) = counted.per_minute {
            self.rates.give_back(key, rate);
        }
    }

    /// Could a call of this party begin? An error: in how many seconds, where it is the limit per minute.
    pub fn has_room(&self, counted: &Counted, now: u64) -> Result<(), Option<u32>> {
        let Some(key) = counted.key else { return Ok(()) };
        if counted.limit.is_some_and(|limit| self.sessions.count(key) >= limit) {
            return Err(None);
        }
        counted.per_minute.map_or(Ok(()), |rate| self.rates.has_room(key, rate, now)).map_err(Some)
    }

    /// The call with these keys goes to another target: its binding and trunk change, limits are not asked.
    pub fn assign(&self, keys: &mut Keys, to: [Option<SessionKey>; 2]) {
        for (had, new) in keys.iter_mut().skip(1).zip(to) {
            if *had != new {
                if let Some(key) = new {
                    self.sessions.add(key, None);
                }
                if let Some(key) = std::mem::replace(had, new) {
                    self.sessions.remove(key);
                }
            }
        }
    }

    /// The call goes to another callee, of this domain; what it had is given back by [`Counting::recounted`].
    pub fn add_callee(&self, [called, domain]: [Counted; 2], now: u64) -> Result<(), Refused> {
        self.add_one(&called, now).map_err(|wait| Refused { who: LimitReached::Callee, wait })?;
        self.add_one(&domain, now).map_err(|wait| {
            self.take_back(&called);
            Refused { who: LimitReached::CalleeDomain, wait }
        })
    }

    /// The keys change to those of the callee that was added; `None`: the call has ended meanwhile.
    pub fn recounted(&self, keys: Option<&mut Keys>, called: [Counted; 2]) {
        let new = called.map(|counted| counted.key);
        match keys {
            Some(keys) => {
                for (place, new) in [CALLED, CALLED_DOMAIN].into_iter().zip(new) {
                    let had = keys.get_mut(place).and_then(|had| std::mem::replace(had, new));
                    had.into_iter().for_each(|key| self.sessions.remove(key));
                }
            }
            None => new.into_iter().flatten().for_each(|key| self.sessions.remove(key)),
        }
    }

    /// The call has ended.
    pub fn remove(&self, keys: &mut Keys) {
        keys.iter_mut().filter_map(Option::take).for_each(|key| self.sessions.remove(key));
    }

    pub fn sessions(&self, key: SessionKey) -> u32 {
        self.sessions.count(key)
    }

    pub fn sweep(&self, now: u64) {
        self.rates.sweep(now);
    }
}
