//! Requests that were refused, and calls that failed elsewhere, found in the logs as they happen: what a line of the operator's log says of each.

use std::sync::Arc;

use trunkline_reasons::Reason;

use crate::code::{Events, Head};
use crate::event::{Answer, Event};
use crate::log::{Cursor, Log};
use crate::refused::Refused;
use crate::unanswered::{Abandoned, Unanswered};

/// Refusals told in a second, at most, and calls that failed elsewhere.
pub const PER_SECOND: u32 = 50;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The request.
    pub request: Refused,
    /// The status that it got.
    pub status: u16,
    /// Why.
    pub reason: Reason,
    /// The exchange refused it; else a callee or carrier did.
    pub ours: bool,
}

/// Reads the logs of all shards. Of most events it reads the head alone.
#[derive(Debug, Default)]
pub struct Refusals {
    cursors: Vec<Cursor>,
    second: u64,
    /// Of the exchange's own refusals, and of the others.
    told: [u32; 2],
    left_out: u64,
    unanswered: Unanswered,
    bytes: Vec<u8>,
}

impl Refusals {
    /// Gives what was refused since the last time to `tell`, up to [`PER_SECOND`]; the number of those beyond it when a second
    /// is over, 0 for none.
    pub fn turn(&mut self, logs: &[Arc<Log>], now: u64, mut tell: impl FnMut(&Refusal)) -> u64 {
        let left_out = match now / 1000 == self.second {
            true => 0,
            false => {
                (self.second, self.told) = (now / 1000, [0; 2]);
                std::mem::take(&mut self.left_out)
            }
        };
        self.cursors.resize(logs.len(), Cursor::default());
        self.unanswered.begin();
        let mut bytes = std::mem::take(&mut self.bytes);
        for (n, log) in logs.iter().enumerate() {
            // Whoever writes faster than this reads keeps nobody here for ever.
            for _ in 0..64 {
                let Some(cursor) = self.cursors.get_mut(n) else { break };
                let read = log.read(cursor, &mut bytes);
                self.take(log, &bytes, &mut tell);
                if !read.more {
                    break;
                }
            }
        }
        self.bytes = bytes;
        left_out
    }

    /// Gives the calls that were challenged, and that nobody has gone on with for a while.
    pub fn abandoned(&mut self, now: u64, tell: impl FnMut(&Abandoned)) {
        self.unanswered.end(now, tell);
    }

    fn take(&mut self, log: &Log, bytes: &[u8], tell: &mut impl FnMut(&Refusal)) {
        let mut events = Events::new(bytes);
        let mut arrived: Option<Head<'_>> = None;
        while let Some(head) = events.head() {
            if head.is_arrival() {
                arrived = Some(head);
                if head.has_credentials() {
                    self.unanswered.answered(&head);
                }
                continue;
            }
            let Some(entry) = Some(head).filter(Head::is_answer).and_then(|head| head.entry()) else {
                continue;
            };
            let Event::Answered(Answer { code: status @ 200.., ours, reason: Some(reason) }) = entry.event
            else {
                continue;
            };
            // A challenge follows its request at once.
            let challenged = arrived.filter(|a| ours && a.request == head.request && !a.has_credentials());
            if let Some(arrival) = challenged.filter(|_| reason.is_challenge()) {
                self.unanswered.challenged(&arrival, status, entry.at);
            }
            // A callee's challenge is for the caller to answer.
            if !is_refusal(reason) || !ours && matches!(status, ..300 | 401 | 407) {
                continue;
            }
            // Busy phones push no failed login out of the log.
            let [own, others] = &mut self.told;
            let told = if ours { own } else { others };
            if *told >= PER_SECOND {
                self.left_out += 1;
                continue;
            }
            *told += 1;
            if let Some(request) = arrival(bytes, head.request).or_else(|| earlier(log, head.request))
                && (ours || request.method == "INVITE")
            {
                tell(&Refusal { request, status, reason, ours });
            }
        }
    }
}

/// What is told of a request, found where it arrived.
fn arrival(bytes: &[u8], request: u64) -> Option<Refused> {
    let mut events = Events::new(bytes);
    while let Some(head) = events.head() {
        if head.request == request
            && head.is_arrival()
            && let Event::Arrived(a) = head.entry()?.event
        {
            return Some(Refused::of(&a));
        }
    }
    None
}

/// The same for one that arrived before what was read last.
fn earlier(log: &Log, request: u64) -> Option<Refused> {
    let mut found = None;
    log.for_each_chunk(|bytes| found = found.take().or_else(|| arrival(bytes, request)));
    found
}

/// Is it the exchange that refuses? That a caller gives up or nobody answers is no refusal.
fn is_refusal(reason: Reason) -> bool {
    !reason.is_challenge()
        && !matches!(reason.code(), "call.cancelled" | "callee.no-answer" | "trunk.no-answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Arrival;
    use crate::recorder::Recorder;
    use crate::unanswered::MOST;
    use trunkline_sip::Transport;

    fn arrive(recorder: &mut Recorder, from: &[u8]) {
        request(recorder, b"REGISTER", from);
    }

    fn request(recorder: &mut Recorder, method: &[u8], from: &[u8]) {
        recorder.clear();
        recorder.begin();
        recorder.note(
            1,
            Event::Arrived(Arrival {
                method,
                uri: b"sip:sip.local",
                from,
                call_id: b"c",
                agent: b"",
                contact: b"",
                transport: Transport::Udp,
                source: "192.0.2.7:5060".parse().unwrap(),
                inside: false,
                credentials: true,
                private_media: false,
                rewritten: false,
                own: false,
            }),
        );
    }

    fn answer(recorder: &mut Recorder, code: u16, reason: Option<Reason>, ours: bool) {
        recorder.note(2, Event::Answered(Answer { code, reason, ours }));
    }

    #[test]
    fn refusals_are_told_once_and_not_without_end() {
        let logs = [Arc::new(Log::new(1 << 20))];
        let mut recorder = Recorder::new(Arc::clone(&logs[0]), 0);
        let mut refusals = Refusals::default();
        for (method, from, code, reason, ours) in [
            ("REGISTER", &b"sip:1@h"[..], 401, Some(Reason::AuthWrongPassword), true),
            ("REGISTER", b"sip:2@h", 401, Some(Reason::AuthRequired), true),
            ("INVITE", b"sip:3@h", 486, Some(Reason::CalleeRejected), false),
            ("MESSAGE", b"sip:3@h", 486, Some(Reason::CalleeRejected), false),
            ("INVITE", b"sip:3@h", 401, Some(Reason::CalleeRejected), false),
            ("INVITE", b"sip:4@h", 200, None, false),
            ("REGISTER", b"sip:5:pw@h", 403, Some(Reason::AclDenied), true),
        ] {
            request(&mut recorder, method.as_bytes(), from);
            answer(&mut recorder, code, reason, ours);
        }
        recorder.commit();
        let mut told = Vec::new();
        assert_eq!(
            refusals.turn(&logs, 1_000, |r| told.push((r.request.from.clone(), r.status, r.reason, r.ours))),
            0
        );
        assert_eq!(
            told,
            [
                ("sip:1@h".to_owned(), 401, Reason::AuthWrongPassword, true),
                ("sip:3@h".to_owned(), 486, Reason::CalleeRejected, false),
                ("sip:5:…@h".to_owned(), 403, Reason::AclDenied, true)
            ]
        );
        for _ in 0..200 {
            arrive(&mut recorder, b"sip:1@h");
            answer(&mut recorder, 404, Some(Reason::RouteNoPolicy), true);
        }
        recorder.commit();
        let mut count = 0;
        refusals.turn(&logs, 2_000, |_| count += 1);
        assert_eq!(count, PER_SECOND);
        assert_eq!(refusals.turn(&logs, 2_500, |_| count += 1), 0);
        assert_eq!(refusals.turn(&logs, 3_000, |_| count += 1), u64::from(200 - PER_SECOND));
        assert_eq!(count, PER_SECOND, "nothing is told twice");
    }

    fn invite(call_id: &str, credentials: bool) -> Event<'_> {
        Event::Arrived(Arrival {
            method: b"INVITE",
            uri: b"sip:1002@sip.local",
            from: b"sip:1001@sip.local",
            call_id: call_id.as_bytes(),
            agent: b"",
            contact: b"",
            transport: Transport::Udp,
            source: "192.0.2.7:5060".parse().unwrap(),
            inside: false,
            own: false,
            credentials,
            private_media: false,
            rewritten: false,
        })
    }

    fn note(recorder: &mut Recorder, at: u64, events: &[Event<'_>]) {
        recorder.clear();
        recorder.begin();
        events.iter().for_each(|event| recorder.note(at, *event));
        recorder.commit();
    }

    #[test]
    fn calls_that_nobody_goes_on_with_are_told_once() {
        let logs = [(); 2].map(|()| Arc::new(Log::new(1 << 20)));
        let mut recorders = [0, 1].map(|n| Recorder::new(Arc::clone(&logs[n]), n as u8));
        let challenge =
            Event::Answered(Answer { code: 401, reason: Reason::from_code("auth.required"), ours: true });
        let mut refusals = Refusals::default();
        let mut turn = |now| {
            let mut told = Vec::new();
            refusals.turn(&logs, now, |_| {});
            refusals.abandoned(now, |call| told.push((call.request.call_id.clone(), call.at, call.status)));
            told
        };
        let [one, two] = &mut recorders;
        // The repetition with credentials is in a log that is read before that of the challenge, and perhaps a turn earlier.
        note(one, 1_100, &[invite("goes-on", true)]);
        note(two, 1_000, &[invite("goes-on", false), challenge]);
        note(two, 1_000, &[invite("given-up", false), challenge]);
        note(two, 1_000, &[invite("repeated", false), challenge]);
        note(one, 1_100, &[invite("late", true)]);
        assert_eq!(turn(1_200), []);
        note(two, 1_000, &[invite("late", false), challenge]);
        note(one, 5_000, &[invite("repeated", false), challenge]);
        note(one, 5_000, &[invite("another", true), challenge]);
        assert_eq!(turn(5_001), []);
        assert_eq!(turn(11_001), [("given-up".to_owned(), 1_000, 401)]);
        assert_eq!(turn(15_001), [("repeated".to_owned(), 5_000, 401)]);
        assert_eq!(turn(60_000), []);
        // A flood takes no more memory than there is for it.
        for n in 0..6_000 {
            note(one, 70_000, &[invite(&n.to_string(), false), challenge]);
        }
        turn(70_001);
        assert_eq!(turn(90_000).len(), MOST);
    }
}
