//! INVITEs that were challenged, and whose client has sent no credentials since: such a call failed, though its last answer was only
//! a challenge.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use trunkline_reasons::Reason;

use crate::code::Head;
use crate::event::Event;
use crate::refused::Refused;

/// A client answers by itself, within a second or two. One that repeats its INVITE is challenged again, and waited for again.
const PATIENCE_MS: u64 = 10_000;
/// Calls that are waited for; further ones are not told.
pub(crate) const MOST: usize = 4_096;

/// A call that nobody has gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// Its INVITE.
    pub request: Refused,
    /// The challenge: 401 or 407.
    pub status: u16,
    /// When it was challenged, in milliseconds since 1970.
    pub at: u64,
}

/// The calls that are waited for.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    /// By Call-ID, which is known by a keyed hash.
    waiting: HashMap<u64, Abandoned>,
    /// When each is looked at, in order.
    due: VecDeque<(u64, u64)>,
    /// Calls with credentials that were seen in this turn and the one before: they may be in another log than their challenge, and be
    /// read before it.
    answered: [HashSet<u64>; 2],
    keys: RandomState,
}

impl Unanswered {
    /// The logs are read from here to [`Unanswered::end`].
    pub fn begin(&mut self) {
        self.answered.swap(0, 1);
        self.answered[0].clear();
    }

    /// A request arrived with credentials.
    pub fn answered(&mut self, arrival: &Head<'_>) {
        if let Some(Event::Arrived(a)) = arrival.entry().map(|entry| entry.event)
            && a.method == b"INVITE"
            && !a.inside
        {
            self.answered[0].insert(self.keys.hash_one(a.call_id));
        }
    }

    /// A request without credentials was challenged.
    pub fn challenged(&mut self, arrival: &Head<'_>, status: u16, at: u64) {
        // The queue has those that have gone on, too.
        if self.due.len() >= MOST {
            return;
        }
        if let Some(Event::Arrived(a)) = arrival.entry().map(|entry| entry.event)
            && a.method == b"INVITE"
            && !a.inside
        {
            let key = self.keys.hash_one(a.call_id);
            self.waiting.insert(key, Abandoned { request: Refused::of(&a), status, at });
            self.due.push_back((at, key));
        }
    }

    /// Gives `tell` the calls that nobody has gone on with for a while.
    pub fn end(&mut self, now: u64, mut tell: impl FnMut(&Abandoned)) {
        for key in self.answered.iter().flatten() {
            self.waiting.remove(key);
        }
        while let Some((at, key)) = self.due.pop_front_if(|(at, _)| *at + PATIENCE_MS <= now) {
            // It may have been challenged again.
            if self.waiting.get(&key).is_some_and(|call| call.at <= at)
                && let Some(call) = self.waiting.remove(&key)
            {
                tell(&call);
            }
        }
    }
}

/// Why such a call failed.
pub const ABANDONED: Reason = Reason::AuthUnanswered;
