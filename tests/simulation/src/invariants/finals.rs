//! Final responses: one each, the best one, and in time.

use std::rc::Rc;

use super::incoming::Incoming;
use super::{Due, Judge, LATE};
use crate::message::{Msg, user_of};
use crate::world::T1;

impl Judge<'_> {
    /// Rule 1, and what follows from a final response.
    pub(super) fn final_sent(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let invite = self.incoming[n].method == "INVITE";
        if invite && m.status() < 300 {
            return self.success_sent(now, n, m);
        }
        let i = &self.incoming[n];
        if !i.successes.is_empty() {
            return self.breach(now, format!("1: {} after a 2xx", m.start()));
        }
        match &i.last {
            Some(last) if last.text != m.text => {
                let what = format!("1: {} after {}", m.start(), last.start());
                return self.breach(now, what);
            }
            Some(_) => return self.failure_again(now, n),
            None => {}
        }
        let i = &mut self.incoming[n];
        i.last = Some(m.clone());
        i.sent = (now, 1);
        i.final_at = Some(now);
        if i.method == "REGISTER" && m.status() == 200 {
            self.registered(now, n, m);
        }
        if m.status() >= 300 {
            self.check_best(now, n, m);
        }
        self.check_cancelled(now, n, m.status());
    }

    fn success_sent(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let tag = m.tag("To").to_owned();
        self.due.retain(|d| !matches!(d, Due::Success { of, tag: t } if *of == n && *t == tag));
        let i = &mut self.incoming[n];
        let first = i.is_pending();
        i.final_at.get_or_insert(now);
        if !i.successes.contains(&tag) {
            i.successes.push(tag.clone());
        }
        if first {
            let winner =
                self.incoming[n].outs.iter().copied().find(|&o| self.outgoing[o].tags.contains(&tag));
            self.cancel_the_others(now, n, winner);
            self.check_cancelled(now, n, m.status());
        }
    }

    /// Rule 17: the best response, where every branch had one of its own.
    fn check_best(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let i = &self.incoming[n];
        // A challenge that the exchange answered itself is nobody's.
        let counts: Vec<usize> = i.outs.iter().copied().filter(|&o| !self.outgoing[o].retried).collect();
        // What was silent for too long counts as 408, whatever it says later (§16.7 step 6 lets a timer end a branch).
        let said = |o: &usize| self.outgoing[*o].status.filter(|_| !self.outgoing[*o].replaced);
        let heard: Vec<u16> = counts.iter().filter_map(said).collect();
        if i.outs.is_empty() || i.cancelled.is_some() || self.may_divert(i) {
            return;
        }
        let status = m.status();
        if heard.iter().any(|s| *s >= 600) {
            if status < 600 {
                self.breach(now, format!("17: {status} where a branch said 6xx: {heard:?}"));
            }
            return;
        }
        let all = heard.len() == counts.len();
        let best = heard.iter().map(|s| s / 100).min();
        if all && best != Some(status / 100) {
            self.breach(now, format!("17: {status} is not the best of {heard:?}"));
        }
        // What nobody said: no answer, no way, a challenge or an overload that is not the caller's (§16.7 step 6).
        let own = matches!(status, 403 | 408 | 480 | 500);
        if all && !own && !heard.contains(&status) {
            self.breach(now, format!("17: {status} is none of {heard:?}"));
        }
    }

    /// Has the callee somebody else to take its calls?
    pub(super) fn may_divert(&self, i: &Incoming) -> bool {
        let user = user_of(i.request.uri());
        self.setup
            .accounts
            .iter()
            .any(|a| a.user == user && (a.when_busy.is_some() || a.when_silent.is_some()))
    }

    /// Rule 7: how a cancelled call ends, and when.
    fn check_cancelled(&mut self, now: u64, n: usize, status: u16) {
        let i = &self.incoming[n];
        let Some(at) = i.cancelled else { return };
        // What a branch said meanwhile may go back as well.
        let from = |s: Option<u16>| s == Some(status) || status == 500 && s == Some(503);
        let heard = i.outs.iter().any(|&o| from(self.outgoing[o].status));
        if !heard && !matches!(status, 200..=299 | 487 | 600..) {
            return self.breach(now, format!("7: a cancelled call ends in {status}"));
        }
        // A branch that is first heard of just before it is given up has as long again for its CANCEL.
        if now > at + 2 * 64 * T1 + LATE {
            self.breach(now, format!("7: {} ms after its CANCEL a call ends", now - at));
        }
    }

    /// Rule 16, when all is over.
    pub(super) fn check_answered(&mut self, now: u64, n: usize) {
        let i = &self.incoming[n];
        if !i.is_pending() || i.life != self.life {
            return;
        }
        // Nobody is told of a request other than INVITE that nobody answered (RFC 4320 §4.2).
        let silent = |o: &usize| self.outgoing[*o].status.is_none();
        let excused = i.method != "INVITE" && i.outs.iter().any(silent);
        if !excused {
            let what = format!("16: no final response to {} {}", i.request.start(), i.branch);
            self.breach(now, what);
        }
    }
}
