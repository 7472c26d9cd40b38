//! What a shard counts. Each has one writer, its shard; readers may be a moment behind.

use std::sync::atomic::{AtomicU64, Ordering};

use trunkline_reasons::Reason;

macro_rules! counters {
    ($(#[doc = $help:literal] $name:ident,)*) => {
        /// The counters of one shard.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
            reasons: Reasons,
            codes: Codes,
        }

        impl Counters {
            /// Every counter with its name.
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get()),)*]
            }

            /// What the counter of this name counts, in one sentence.
            pub fn help(name: &str) -> &'static str {
                match name {
                    $(stringify!($name) => $help.trim_ascii_start(),)*
                    _ => "",
                }
            }
        }
    };
}

counters! {
    /// Requests received.
    requests,
    /// Responses received.
    responses,
    /// Retransmitted requests, which are absorbed.
    retransmissions,
    /// Messages that are not SIP or cannot be answered.
    garbage,
    /// Requests that cannot be parsed and were refused (400 and the like).
    malformed,
    /// Responses without a matching transaction.
    stray_responses,
    /// ACKs without a matching transaction or dialog.
    stray_acks,
    /// Requests forwarded.
    forwarded,
    /// Requests inside dialogs of the exchange.
    in_dialog,
    /// Requests whose dialog has ended, or that name another target than that of their dialog.
    outside_dialogs,
    /// Requests that the exchange answered itself.
    answered,
    /// Requests that were challenged (401, 407).
    challenged,
    /// Messages not sent to an unproven source because its allowance was used up.
    held_back,
    /// Digests that were wrong.
    auth_failed,
    /// Digests refused without a check, after too many wrong ones.
    throttled,
    /// REGISTER requests that changed or refreshed bindings.
    registered,
    /// REGISTER requests refused because the database accepts no bindings.
    unstorable,
    /// Calls started.
    calls,
    /// INVITEs and other requests that got no answer.
    timeouts,
    /// New requests refused because of overload.
    shed,
    /// Requests that were not delivered, as the network reports (ICMP).
    undelivered,
    /// Calls ended because no media came.
    media_timeouts,
    /// Messages that waited for DNS or the media relay.
    suspended,
    /// Messages that waited for DNS or the media relay in vain.
    suspended_lost,
    /// Requests refused because the transaction table was full.
    overloaded,
    /// Requests of a busy source that were moved to another worker.
    handed_over,
    /// Messages for another worker that were dropped because too many waited there.
    handover_dropped,
    /// Connections that ended after requests had been sent over them.
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

/// Responses to clients, by status.
#[derive(Debug)]
struct Codes([Counter; 600]);

impl Default for Codes {
    fn default() -> Self {
        Codes(std::array::from_fn(|_| Counter::default()))
    }
}

impl Counters {
    /// A response with this status goes to a client.
    pub(crate) fn count_code(&self, code: u16) {
        if let Some(counter) = code.checked_sub(100).and_then(|n| self.codes.0.get(usize::from(n))) {
            counter.add();
        }
    }

    /// How many responses with each status went to clients.
    pub fn codes(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (100..)
            .zip(&self.codes.0)
            .map(|(code, counter)| (code, counter.get()))
            .filter(|(_, count)| *count > 0)
    }

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

#[cfg(test)]
mod tests {
    use super::Counters;

    #[test]
    fn each_counter_says_what_it_counts() {
        for (name, _) in Counters::default().all() {
            let help = Counters::help(name);
            assert!(help.ends_with('.') && help.len() > 10, "{name}: {help}");
        }
        assert_eq!(Counters::help("no_counter"), "");
    }
}
