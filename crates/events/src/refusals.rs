//! Requests that were refused, and calls that failed elsewhere, found in the logs as they happen: what a line of the operator's log says of each.

use std::net::SocketAddr;
use std::sync::Arc;

use trunkline_reasons::Reason;
use trunkline_sip::Transport;

use crate::code::{Events, Head};
use crate::event::{Answer, Event};
use crate::log::{Cursor, Log};
use crate::story::shown;

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

/// What is told of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it came from.
    pub source: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Its method.
    pub method: String,
    /// The URI of From.
    pub from: String,
    /// The Request-URI.
    pub to: String,
    /// The Call-ID.
    pub call_id: String,
}

/// Reads the logs of all shards. Of most events it reads the head alone.
#[derive(Debug, Default)]
pub struct Refusals {
    cursors: Vec<Cursor>,
    second: u64,
    /// Of the exchange's own refusals, and of the others.
    told: [u32; 2],
    left_out: u64,
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

    fn take(&mut self, log: &Log, bytes: &[u8], tell: &mut impl FnMut(&Refusal)) {
        let mut events = Events::new(bytes);
        while let Some(head) = events.head() {
            let entry = Some(head).filter(Head::is_answer).and_then(|head| head.entry());
            let Some(Event::Answered(Answer { code: status @ 200.., ours, reason: Some(reason) })) =
                entry.map(|entry| entry.event)
            else {
                continue;
            };
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
            return Some(Refused {
                source: a.source,
                transport: a.transport,
                method: shown(a.method),
                from: shown(a.from),
                to: shown(a.uri),
                call_id: shown(a.call_id),
            });
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
}
