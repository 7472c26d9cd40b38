//! What happens to requests, as it happens, in words.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::code::{Entry, Events};
use crate::event::Event;
use crate::log::Log;
use crate::story::{in_words, shown};
use crate::subscription::Subscription;

/// Requests of which the Call-ID is remembered; the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// Reads the logs of all shards.
#[derive(Debug)]
pub struct Requests {
    subscription: Subscription,
    seen: Seen,
}

/// The Call-IDs of requests.
#[derive(Debug, Default)]
struct Seen {
    call_ids: HashMap<u64, String>,
    order: VecDeque<u64>,
}

impl Requests {
    /// Reads what happens from now on.
    pub fn from_now(logs: &[Arc<Log>]) -> Requests {
        Requests { subscription: Subscription::from_now(logs), seen: Seen::default() }
    }

    /// Reads from the oldest events that are kept.
    pub fn from_oldest(logs: &[Arc<Log>]) -> Requests {
        Requests { subscription: Subscription::from_oldest(logs), seen: Seen::default() }
    }

    /// Gives what happened since the last time to `tell`: the Call-ID, empty if it is not known any more, and what happened; how
    /// many events were lost.
    pub fn turn(&mut self, mut tell: impl FnMut(&str, &str)) -> u64 {
        self.entries(|call_id, entry| tell(call_id, &in_words(&entry.event).0))
    }

    /// As [`Requests::turn`], with the events themselves.
    pub fn entries(&mut self, mut tell: impl FnMut(&str, &Entry<'_>)) -> u64 {
        let seen = &mut self.seen;
        self.subscription.turn(|bytes| {
            for entry in Events::new(bytes) {
                if let Event::Arrived(arrival) = &entry.event {
                    seen.remember(entry.request, shown(arrival.call_id));
                }
                let call_id = seen.call_ids.get(&entry.request).map_or("", String::as_str);
                tell(call_id, &entry);
            }
        })
    }
}

impl Seen {
    fn remember(&mut self, request: u64, call_id: String) {
        if self.call_ids.insert(request, call_id).is_some() {
            return;
        }
        self.order.push_back(request);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.call_ids.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Answer;
    use crate::recorder::Recorder;

    #[test]
    fn each_event_is_told_once_with_its_call() {
        let logs = [Arc::new(Log::new(1 << 20))];
        let mut recorder = Recorder::new(Arc::clone(&logs[0]), 0);
        let mut requests = Requests::from_now(&logs);
        let mut told = Vec::new();
        recorder.begin();
        recorder.note(1, crate::story::tests::arrived("INVITE", "one"));
        recorder.note(1, Event::Fact { words: "{} is agent {}", names: "1002\0agent-02" });
        recorder.commit();
        assert_eq!(requests.turn(|call, text| told.push(format!("{call}: {text}"))), 0);
        recorder.note(2, Event::Answered(Answer { code: 200, reason: None, ours: false }));
        recorder.commit();
        assert_eq!(requests.turn(|call, text| told.push(format!("{call}: {text}"))), 0);
        assert_eq!(
            told,
            [
                "one: INVITE sip:1002@sip.local arrived from 192.0.2.7:5060 over UDP",
                "one: 1002 is agent agent-02",
                "one: the caller gets 200 OK"
            ]
        );
    }
}
