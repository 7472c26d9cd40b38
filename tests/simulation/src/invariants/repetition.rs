//! Repetitions, by the timers of RFC 3261 §17.

use super::{Judge, LATE};
use crate::world::{T1, T2};

/// When a request is sent again, counted from the first time: timers A and E.
fn schedule(invite: bool) -> impl Iterator<Item = u64> {
    let (mut at, mut interval) = (0, T1);
    std::iter::from_fn(move || {
        at += interval;
        interval = if invite { interval * 2 } else { (interval * 2).min(T2) };
        (at < 64 * T1).then_some(at)
    })
}

impl Judge<'_> {
    /// Rule 12: a request again.
    pub(super) fn check_interval(&mut self, now: u64, n: usize) {
        let o = &self.outgoing[n];
        let (last, count) = o.sent;
        let passed = now - last;
        let power = T1 << (count - 1).min(10);
        let wanted = if o.invite { power } else { power.min(T2) };
        let heard = o.heard.is_some();
        let wrong = match (o.invite, heard) {
            (true, true) => true,
            (false, true) => passed < wanted || passed > T2 + LATE,
            (_, false) => passed < wanted || passed > wanted + LATE,
        };
        if wrong || o.to.1 != 0 {
            let what =
                format!("12: {} again after {passed} ms, the {count}. time (heard: {heard})", o.branch);
            self.breach(now, what);
        }
    }

    /// Rule 12: a CANCEL again.
    pub(super) fn cancel_again(&mut self, now: u64, n: usize) {
        let o = &mut self.outgoing[n];
        let Some((first, last, count)) = o.cancel else { return };
        let wanted = (T1 << (count - 1).min(10)).min(T2);
        let passed = now - last;
        o.cancel = Some((first, now, count + 1));
        let late = passed < wanted || passed > wanted + LATE || o.to.1 != 0;
        if late || o.cancel_answered {
            let what = format!("12: the CANCEL of {} again after {passed} ms", o.branch);
            self.breach(now, what);
        }
    }

    /// Rule 12: the final response again, because its request came again, or by timer G.
    pub(super) fn failure_again(&mut self, now: u64, n: usize) {
        let at_hand = self.at_hand.clone();
        let i = &mut self.incoming[n];
        if at_hand.is_some_and(|m| m.is_request() && m.branch() == i.branch && m.method() == i.method) {
            return;
        }
        let (last, count) = i.sent;
        let passed = now - last;
        let wanted = (T1 << (count - 1).min(10)).min(T2);
        i.sent = (now, count + 1);
        let late = passed < wanted || passed > wanted + LATE;
        if late || i.method != "INVITE" || i.acknowledged.is_some() || i.connection != 0 {
            let what = format!("12: the failure of {} again after {passed} ms", i.branch);
            self.breach(now, what);
        }
    }

    /// Rule 12, when all is over: was a request repeated as long as nobody was heard, and a failure as long as it was not
    /// acknowledged?
    pub(super) fn check_repeated(&mut self, now: u64, n: usize) {
        let o = &self.outgoing[n];
        let i = &self.incoming[o.of];
        if o.to.1 != 0 || i.life != self.life {
            return;
        }
        // Of another request than INVITE nobody waits for the others once it has its answer, or another way is tried.
        let left = if o.invite { None } else { i.final_at.or(o.replaced.then_some(o.started)) };
        let until = [o.heard, o.ended, left].into_iter().flatten().min().unwrap_or(u64::MAX);
        let least = schedule(o.invite).filter(|at| o.started + at + LATE < until).count() as u32 + 1;
        if o.sent.1 < least {
            let what = format!("12: {} was sent {} times instead of {least}", o.branch, o.sent.1);
            self.breach(now, what);
        }
    }

    /// Rule 12, when all is over: was a failure repeated until its ACK came?
    pub(super) fn check_insisted(&mut self, now: u64, n: usize) {
        let i = &self.incoming[n];
        let Some(first) = i.final_at.filter(|_| i.last.is_some() && !i.outs.is_empty()) else { return };
        // Whoever has not shown that it is there has no claim to repetitions; callers are registered.
        let counts = i.method == "INVITE" && i.connection == 0 && i.request.tag("To").is_empty();
        if !counts || i.life != self.life || !i.successes.is_empty() {
            return;
        }
        let until = i.acknowledged.unwrap_or(u64::MAX);
        let least = schedule(false).filter(|at| first + at + LATE < until).count() as u32 + 1;
        if i.sent.1 < least {
            let what =
                format!("12: the failure of {} was sent {} times instead of {least}", i.branch, i.sent.1);
            self.breach(now, what);
        }
    }
}
