//! What a shard counts. Each has one writer, its shard; readers may be a moment behind.

use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_reasons::Reason;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one shard.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            reasons: Reasons,
        }

        impl Counters {
            /// Every counter with its name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }
        }
    };
}

counters! {
    /// Requests received.
    requests,
    /// Responses received.
    responses,
    /// Requests that were received before: absorbed.
    retransmissions,
    /// Messages that are no SIP, or cannot be answered.
    garbage,
    /// Requests answered with 400 or its like because they cannot be read.
    malformed,
    /// Responses for which there is no transaction.
    stray_responses,
    /// ACKs that belong to nothing.
    stray_acks,
    /// Requests forwarded.
    forwarded,
    /// Requests inside dialogs of ours.
    in_dialog,
    /// Requests that claim a dialog which has ended, or go to another target than its own.
    outside_dialogs,
    /// Answers we made ourselves.
    answered,
    /// Challenges sent.
    challenged,
    /// Messages kept back from a source that has not shown that it is there, and sent too little for them.
    held_back,
    /// Wrong credentials.
    auth_failed,
    /// Credentials that were not looked at, after too many wrong ones.
    throttled,
    /// REGISTER requests that changed or refreshed bindings.
    registered,
    /// REGISTER requests refused since the database takes no bindings.
    unstorable,
    /// Calls begun.
    calls,
    /// INVITEs and other requests that got no answer.
    timeouts,
    /// New requests turned away while there was more to do than could be done.
    shed,
    /// Requests that did not arrive, as the network says (ICMP).
    undelivered,
    /// Messages that waited for a name or the media relay.
    suspended,
    /// Messages that waited in vain.
    suspended_lost,
    /// Requests refused for want of a place in the transaction table.
    overloaded,
    /// Requests of a busy source given to the shard of their Call-ID.
    handed_over,
    /// Messages for another shard that were dropped since too many waited there.
    handover_dropped,
    /// Connections that ended after requests had gone out on them.
    asked_ended,
}

/// Answers of our own, by reason.
#[derive(Debug)]
struct Reasons([Counter; Reason::ALL.len()]);

impl Default for Reasons {
    fn default() -> Self {
        Reasons(std::array::from_fn(|_| Counter::default()))
    }
}

impl Counters {
    /// An answer of our own goes out.
    pub(crate) fn count_answer(&self, reason: Option<Reason>) {
        self.answered.add();
        self.count_reason(reason);
    }

    /// A request failed for this reason.
    pub(crate) fn count_reason(&self, reason: Option<Reason>) {
        if let Some(counter) = reason.and_then(|reason| self.reasons.0.get(reason.number())) {
            counter.add();
        }
    }

    /// How many requests failed for each reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().zip(&self.reasons.0).map(|(reason, counter)| (*reason, counter.get()))
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more. No locked instruction: there is one writer.
    pub(crate) fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
