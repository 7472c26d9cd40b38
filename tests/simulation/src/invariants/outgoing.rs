//! Requests that the exchange sent on, and the responses that reach it.

use std::net::SocketAddr;
use std::rc::Rc;

use super::incoming::plain_via;
use super::{Due, Judge, LATE};
use crate::message::{Msg, user_of};
use crate::world::T1;

/// A branch.
#[derive(Debug)]
pub struct Outgoing {
    pub branch: String,
    pub request: Rc<Msg>,
    pub to: (SocketAddr, u64),
    pub invite: bool,
    pub of: usize,
    pub started: u64,
    /// When it was sent last, and how often.
    pub sent: (u64, u32),
    /// When the first response came.
    pub heard: Option<u64>,
    /// When timer C last began.
    pub clock: u64,
    /// When the first final response came, and which.
    pub final_at: Option<u64>,
    pub status: Option<u16>,
    /// To tags of its 2xx.
    pub tags: Vec<String>,
    /// When its CANCEL was sent first, last, and how often.
    pub cancel: Option<(u64, u64, u32)>,
    pub cancel_answered: bool,
    /// Another way was tried in its place.
    pub replaced: bool,
    /// Its challenge was answered.
    pub retried: bool,
    /// Its connection ended, or the exchange forgot it.
    pub ended: Option<u64>,
    /// The ACK to its failure.
    pub ack: Option<Rc<Msg>>,
}

impl Outgoing {
    /// Does a client transaction wait for its response?
    pub fn is_running(&self, now: u64) -> bool {
        let silent = self.heard.is_none() && now + LATE >= self.started + 64 * T1;
        let given_up = self.cancel.is_some_and(|(at, ..)| now + LATE >= at + 64 * T1);
        self.status.is_none() && self.ended.is_none() && !silent && !given_up
    }

    /// Was it heard of, and may it be cancelled?
    pub fn is_ringing(&self, now: u64) -> bool {
        self.invite && self.heard.is_some() && self.cancel.is_none() && self.is_running(now)
    }
}

impl Judge<'_> {
    pub(super) fn outgoing_of(&self, branch: &str) -> Option<usize> {
        let here = |o: &Outgoing| self.incoming[o.of].life == self.life;
        self.outgoing.iter().rposition(|o| o.branch == branch && here(o))
    }

    pub(super) fn request_sent(&mut self, now: u64, to: (SocketAddr, u64), m: &Rc<Msg>) {
        if let Some(n) = self.outgoing_of(m.branch()) {
            return self.request_again(now, n, to, m);
        }
        let Some(second) = m.all("Via").nth(1) else {
            return self.breach(now, format!("18: {} is nobody's", m.start()));
        };
        let Some(of) = self.incoming_of(crate::message::param(second, "branch"), m.method()) else {
            return self.breach(now, format!("18: {} is no request that came", m.start()));
        };
        self.check_forwarded(now, of, to, m);
        let i = &self.incoming[of];
        if !i.is_pending() || i.cancelled.is_some() {
            self.breach(now, format!("10: a new branch {} after the end", m.branch()));
        }
        if self.may_divert(&self.incoming[of]) && user_of(m.uri()) != user_of(self.incoming[of].request.uri())
        {
            // The call goes on to somebody else, whatever its callee said.
            self.incoming[of].global = false;
        }
        for &earlier in &self.incoming[of].outs {
            let o = &mut self.outgoing[earlier];
            // A carrier's host, or one flow of a phone: another way to the same callee.
            let way = self.setup.carriers.contains(&o.to.0) || o.to.1 != 0;
            o.replaced |= way && o.started < now && o.heard.is_none();
            o.retried |= o.to == to && o.status == Some(407) && !m.get("Proxy-Authorization").is_empty();
        }
        self.outgoing.push(Outgoing {
            branch: m.branch().to_owned(),
            request: m.clone(),
            to,
            invite: m.method() == "INVITE",
            of,
            started: now,
            sent: (now, 1),
            heard: None,
            clock: now,
            final_at: None,
            status: None,
            tags: Vec::new(),
            cancel: None,
            cancel_answered: false,
            replaced: false,
            retried: false,
            ended: None,
            ack: None,
        });
        let n = self.outgoing.len() - 1;
        self.incoming[of].outs.push(n);
        self.due.retain(|d| match d {
            Due::Rings { of: i, at, connections } => {
                let rings = if to.1 == 0 { to.0 == *at } else { connections.contains(&to.1) || to.0 == *at };
                *i != of || !rings
            }
            _ => true,
        });
    }

    /// Rules 11 and 18.
    fn check_forwarded(&mut self, now: u64, of: usize, to: (SocketAddr, u64), m: &Rc<Msg>) {
        let r = self.incoming[of].request.clone();
        let hops = |m: &Msg| m.get("Max-Forwards").parse::<i64>().unwrap_or(-1);
        if hops(m) != hops(&r) - 1 {
            self.breach(now, format!("11: Max-Forwards {} becomes {}", hops(&r), hops(m)));
        }
        let theirs: Vec<String> = r.all("Via").map(plain_via).collect();
        let behind: Vec<String> = m.all("Via").skip(1).map(plain_via).collect();
        if theirs != behind {
            self.breach(now, format!("18: Via behind ours is {behind:?} instead of {theirs:?}"));
        }
        let to_carrier = self.setup.carriers.contains(&to.0);
        for name in ["From", "To", "Call-ID"] {
            if m.get(name) != r.get(name) && !(to_carrier && name != "Call-ID") {
                self.breach(now, format!("18: {name} {} becomes {}", r.get(name), m.get(name)));
            }
        }
        let raised = u32::from(!m.get("Proxy-Authorization").is_empty());
        // A dialog through a challenged INVITE counts on from there.
        let counts =
            m.cseq().0 == r.cseq().0 + raised || !r.tag("To").is_empty() && m.cseq().0 + 1 >= r.cseq().0;
        if !counts || m.cseq().1 != r.cseq().1 {
            self.breach(now, format!("18: CSeq {} becomes {}", r.get("CSeq"), m.get("CSeq")));
        }
        let body = |m: &Msg| m.text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned());
        if body(m) != body(&r) {
            self.breach(now, "18: the body changes");
        }
    }

    fn request_again(&mut self, now: u64, n: usize, to: (SocketAddr, u64), m: &Rc<Msg>) {
        let o = &self.outgoing[n];
        if o.request.text != m.text || o.to.0 != to.0 {
            return self.breach(now, format!("12: a repetition of {} differs", o.branch));
        }
        if o.status.is_some() {
            return self.breach(now, format!("10: {} again after its final response", m.start()));
        }
        self.check_interval(now, n);
        self.outgoing[n].sent = (now, self.outgoing[n].sent.1 + 1);
    }

    /// A response other than to a CANCEL reaches the exchange.
    pub(super) fn response_arrives(&mut self, now: u64, m: &Rc<Msg>) {
        let Some(n) = self.outgoing_of(m.branch()) else { return };
        if m.cseq() != self.outgoing[n].request.cseq() || m.call_id() != self.outgoing[n].request.call_id() {
            return;
        }
        match (m.status(), self.outgoing[n].invite) {
            (100..=199, _) => self.provisional_arrives(now, n, m.status()),
            (200..=299, true) => self.success_arrives(now, n, m),
            (_, true) => self.failure_arrives(now, n, m),
            (status, false) => {
                let o = &mut self.outgoing[n];
                if o.is_running(now) {
                    (o.status, o.final_at) = (Some(status), Some(now));
                }
                o.heard.get_or_insert(now);
            }
        }
    }

    fn provisional_arrives(&mut self, now: u64, n: usize, status: u16) {
        let own_time = self.has_own_time(n);
        let o = &mut self.outgoing[n];
        if !o.is_running(now) {
            return;
        }
        o.heard.get_or_insert(now);
        if status > 100 && !own_time {
            o.clock = now;
        }
        let wanted = self.outgoing[n].replaced || self.incoming[self.outgoing[n].of].is_decided();
        if wanted && self.outgoing[n].is_ringing(now) {
            self.due.push(Due::Cancel { out: n });
        }
    }

    /// Does the account that rings have a time of its own, which does not begin again?
    fn has_own_time(&self, n: usize) -> bool {
        let user = user_of(self.outgoing[n].request.uri());
        self.setup.accounts.iter().any(|a| a.user == user && a.rings_for.is_some())
    }

    fn success_arrives(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let o = &mut self.outgoing[n];
        let accepted =
            o.status.is_some_and(|s| s < 300) && o.final_at.is_some_and(|at| now + LATE < at + 64 * T1);
        if o.ended.is_some() || !(accepted || o.is_running(now)) {
            return;
        }
        o.heard.get_or_insert(now);
        if o.status.is_none() {
            (o.status, o.final_at) = (Some(m.status()), Some(now));
        }
        let tag = m.tag("To").to_owned();
        if !o.tags.contains(&tag) {
            o.tags.push(tag.clone());
        }
        let of = o.of;
        self.due.push(Due::Success { of, tag });
    }

    fn failure_arrives(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let o = &mut self.outgoing[n];
        let completed = o.status.is_some_and(|s| s >= 300)
            && o.to.1 == 0
            && o.final_at.is_some_and(|at| now + LATE < at + 64 * T1);
        let first = o.is_running(now);
        if o.ended.is_some() || !(completed || first) {
            return;
        }
        o.heard.get_or_insert(now);
        // What is repeated is answered as the first was, whatever it says now.
        let to = o.ack.as_ref().map_or_else(|| m.get("To").to_owned(), |ack| ack.get("To").to_owned());
        self.due.push(Due::Ack { out: n, to });
        let of = o.of;
        if !first {
            return;
        }
        (o.status, o.final_at) = (Some(m.status()), Some(now));
        // What was silent for too long counts as 408, whatever it says later.
        if m.status() >= 600 && !self.outgoing[n].replaced && !self.incoming[of].is_decided() {
            self.incoming[of].global = true;
            self.cancel_the_others(now, of, Some(n));
        }
    }

    /// Rule 9; an ACK to a 2xx goes end to end.
    pub(super) fn ack_sent(&mut self, now: u64, to: (SocketAddr, u64), m: &Rc<Msg>) {
        let Some(n) = self.outgoing_of(m.branch()).filter(|&n| self.outgoing[n].invite) else {
            return self.ack_forwarded(now, m);
        };
        let wanted = self.due.iter().position(|d| matches!(d, Due::Ack { out, .. } if *out == n));
        let Some(at) = wanted else {
            // At the very end of a transaction either is right.
            let o = &self.outgoing[n];
            if o.status.is_none_or(|s| s < 300) {
                self.breach(now, format!("9: an ACK of {} to no failure", m.branch()));
            }
            return;
        };
        let Due::Ack { to: header, .. } = self.due.remove(at) else { return };
        let o = &mut self.outgoing[n];
        let r = &o.request;
        let same = m.uri() == r.uri()
            && m.get("Via") == r.get("Via")
            && m.all("Via").count() == 1
            && m.get("From") == r.get("From")
            && m.call_id() == r.call_id()
            && m.cseq().0 == r.cseq().0
            && m.get("To") == header
            && m.all("Route").eq(r.all("Route"))
            && to == o.to;
        o.ack = Some(m.clone());
        if !same {
            self.breach(now, format!("9: the ACK of {} is not that of its INVITE", m.branch()));
        }
    }

    fn ack_forwarded(&mut self, now: u64, m: &Rc<Msg>) {
        let came = self.at_hand.clone().filter(|a| a.is_request() && a.method() == "ACK");
        let Some(came) = came else {
            return self.breach(now, format!("9: an ACK {} that nobody sent", m.branch()));
        };
        let hops = |m: &Msg| m.get("Max-Forwards").parse::<i64>().unwrap_or(-1);
        if hops(m) != hops(&came) - 1 {
            self.breach(now, format!("11: Max-Forwards {} becomes {}", hops(&came), hops(m)));
        }
    }

    /// Rules 5, 6 and 8.
    pub(super) fn cancel_sent(&mut self, now: u64, to: (SocketAddr, u64), m: &Rc<Msg>) {
        let Some(n) = self.outgoing_of(m.branch()).filter(|&n| self.outgoing[n].invite) else {
            return self.breach(now, format!("6: a CANCEL {} of no INVITE", m.branch()));
        };
        self.due.retain(|d| !matches!(d, Due::Cancel { out } if *out == n));
        if self.outgoing[n].cancel.is_some() {
            return self.cancel_again(now, n);
        }
        let o = &self.outgoing[n];
        if o.heard.is_none() {
            return self.breach(now, format!("6: a CANCEL of {} before any response", o.branch));
        }
        if o.status.is_some() {
            return self.breach(now, format!("6: a CANCEL of {} after its final response", o.branch));
        }
        let r = &o.request;
        let same = m.uri() == r.uri()
            && m.get("Via") == r.get("Via")
            && m.get("From") == r.get("From")
            && m.get("To") == r.get("To")
            && m.call_id() == r.call_id()
            && m.cseq().0 == r.cseq().0
            && to == o.to;
        // One that was given up as silent, and is heard of after all once the caller has its answer.
        let late = o.heard == Some(now) && self.incoming[o.of].final_at.is_some();
        let reason = late || o.replaced || self.incoming[o.of].is_decided();
        let rings = self.setup.rings_for(user_of(o.request.uri()));
        let rang = now - o.clock;
        let branch = o.branch.clone();
        self.outgoing[n].cancel = Some((now, now, 1));
        if !same {
            self.breach(now, format!("6: the CANCEL of {branch} is not that of its INVITE"));
        }
        if !reason && rang < rings {
            self.breach(now, format!("8: {branch} is cancelled after {rang} ms, not {rings}"));
        }
    }

    pub(super) fn cancel_answered(&mut self, m: &Rc<Msg>) {
        if let Some(n) = self.outgoing_of(m.branch())
            && m.status() >= 200
        {
            self.outgoing[n].cancel_answered = true;
        }
    }
}
