//! Requests that reached the exchange, and what goes back to who sent them.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{Due, Judge};
use crate::message::{Msg, param};

/// A request that reached the exchange.
#[derive(Debug)]
pub struct Incoming {
    pub branch: String,
    pub method: String,
    pub request: Rc<Msg>,
    pub source: SocketAddr,
    pub connection: u64,
    pub life: u32,
    /// Something was sent back.
    pub responded: bool,
    /// The failure, or the answer to another request than INVITE.
    pub last: Option<Rc<Msg>>,
    /// When that was sent last, and how often.
    pub sent: (u64, u32),
    /// When it was sent first.
    pub final_at: Option<u64>,
    /// To tags of the 2xx that were sent.
    pub successes: Vec<String>,
    /// The ACK to the failure has come.
    pub acknowledged: Option<u64>,
    /// When its CANCEL came.
    pub cancelled: Option<u64>,
    /// Its branches.
    pub outs: Vec<usize>,
    /// A 6xx came.
    pub global: bool,
}

impl Incoming {
    /// Does it still wait for its final response?
    pub fn is_pending(&self) -> bool {
        self.last.is_none() && self.successes.is_empty()
    }

    /// Does nobody wait for its branches any more?
    pub fn is_decided(&self) -> bool {
        !self.successes.is_empty() || self.global || self.cancelled.is_some()
    }
}

impl Judge<'_> {
    /// The newest with this branch and method.
    pub(super) fn incoming_of(&self, branch: &str, method: &str) -> Option<usize> {
        self.incoming.iter().rposition(|i| i.branch == branch && i.method == method)
    }

    pub(super) fn request_arrives(&mut self, now: u64, source: SocketAddr, connection: u64, m: &Rc<Msg>) {
        let life = self.life;
        let known = self.incoming_of(m.branch(), m.method()).filter(|&n| self.incoming[n].life == life);
        if known.is_some_and(|n| self.is_remembered(now, n)) {
            return;
        }
        self.incoming.push(Incoming {
            branch: m.branch().to_owned(),
            method: m.method().to_owned(),
            request: m.clone(),
            source,
            connection,
            life,
            responded: false,
            last: None,
            sent: (0, 0),
            final_at: None,
            successes: Vec::new(),
            acknowledged: None,
            cancelled: None,
            outs: Vec::new(),
            global: false,
        });
        let n = self.incoming.len() - 1;
        match m.method() {
            "CANCEL" => self.cancel_arrives(now, m),
            "INVITE" => self.due.push(Due::Response { of: n }),
            _ => {}
        }
        if matches!(m.method(), "INVITE" | "MESSAGE") && m.tag("To").is_empty() {
            self.expect_rings(now, n);
        }
    }

    /// Is the transaction of a request still there, so that its repetition is one? At its very end either is right.
    fn is_remembered(&self, now: u64, n: usize) -> bool {
        let i = &self.incoming[n];
        let Some(at) = i.final_at else { return true };
        let stream = i.connection != 0;
        let lives = match (i.method.as_str(), i.acknowledged) {
            ("INVITE", Some(acknowledged)) if i.successes.is_empty() => {
                acknowledged + if stream { 0 } else { 5_000 }
            }
            ("INVITE", _) => at + 32_000,
            _ if stream => at,
            _ => at + 32_000,
        };
        // What was answered without a transaction is looked at anew.
        !i.outs.is_empty() && now <= lives + super::LATE
    }

    /// A CANCEL reached the exchange: its branches that were heard of are cancelled in this step.
    fn cancel_arrives(&mut self, now: u64, m: &Rc<Msg>) {
        let life = self.life;
        let found = self.incoming_of(m.branch(), "INVITE").filter(|&n| self.incoming[n].life == life);
        let Some(n) = found.filter(|&n| self.incoming[n].is_pending()) else { return };
        if self.incoming[n].cancelled.is_none() {
            self.incoming[n].cancelled = Some(now);
            self.cancel_the_others(now, n, None);
        }
    }

    /// The branches of a request that run and were heard of have to be cancelled now.
    pub(super) fn cancel_the_others(&mut self, now: u64, n: usize, but: Option<usize>) {
        for out in self.incoming[n].outs.clone() {
            if Some(out) != but && self.outgoing[out].is_ringing(now) {
                self.due.push(Due::Cancel { out });
            }
        }
    }

    pub(super) fn ack_arrives(&mut self, m: &Rc<Msg>) {
        let now = self.last_activity;
        if let Some(n) = self.incoming_of(m.branch(), "INVITE") {
            let i = &mut self.incoming[n];
            if i.last.is_some() && i.acknowledged.is_none() {
                i.acknowledged = Some(now);
            }
        }
    }

    pub(super) fn response_sent(&mut self, now: u64, to: (SocketAddr, u64), m: &Rc<Msg>) {
        let Some(n) = self.incoming_of(m.branch(), m.method()) else {
            return self.breach(now, format!("1: {} to {} answers no request", m.start(), to.0));
        };
        self.due.retain(|d| !matches!(d, Due::Response { of } if *of == n));
        self.incoming[n].responded = true;
        self.check_headers(now, n, m);
        let gone = to.1 != 0 && self.gone.contains(&self.incoming[n].connection);
        if to != self.way_back(n) && !(gone && to.0.ip() == self.incoming[n].source.ip()) {
            let back = self.way_back(n);
            self.breach(now, format!("2: {} goes to {to:?} instead of {back:?}", m.start()));
        }
        match m.status() {
            100..=199 => {
                if !self.incoming[n].is_pending() {
                    self.breach(now, format!("1: {} after the final response", m.start()));
                }
            }
            _ => self.final_sent(now, n, m),
        }
    }

    /// Where responses go, RFC 3261 §18.2.2 and RFC 3581.
    fn way_back(&self, n: usize) -> (SocketAddr, u64) {
        (self.incoming[n].source, self.incoming[n].connection)
    }

    /// Rules 2 and 3.
    fn check_headers(&mut self, now: u64, n: usize, m: &Rc<Msg>) {
        let i = &self.incoming[n];
        let wanted: Vec<String> = i.request.all("Via").map(plain_via).collect();
        let got: Vec<String> = m.all("Via").map(plain_via).collect();
        let mut wrong = None;
        if wanted != got {
            wrong = Some(format!("2: Via of {} is {got:?} instead of {wanted:?}", m.start()));
        }
        let port = param(m.get("Via"), "rport");
        if !port.is_empty() && port != i.source.port().to_string() {
            wrong = Some(format!("2: rport={port} for a request from {}", i.source));
        }
        for name in ["From", "Call-ID", "CSeq"] {
            if i.request.get(name) != m.get(name) {
                wrong = Some(format!(
                    "2: {name} of {} is {} instead of {}",
                    m.start(),
                    m.get(name),
                    i.request.get(name)
                ));
            }
        }
        let to = i.request.get("To");
        let tagged =
            m.get("To").strip_prefix(to).is_some_and(|rest| rest.is_empty() || rest.starts_with(";tag="));
        if !tagged || m.status() > 100 && m.tag("To").is_empty() {
            wrong = Some(format!("2: To of {} is {} instead of {to}", m.start(), m.get("To")));
        }
        let own: Vec<&str> = i.request.all("Record-Route").collect();
        let values: Vec<&str> = m.all("Record-Route").collect();
        let host = format!("<sip:{}", self.setup.address.ip());
        let (ours, theirs) = values.split_at(values.len().saturating_sub(own.len()));
        if !values.is_empty()
            && (theirs != own || ours.len() > 2 || !ours.iter().all(|v| v.starts_with(&host)))
        {
            wrong = Some(format!("3: Record-Route of {} is {values:?}", m.start()));
        }
        let begins =
            m.method() == "INVITE" && i.request.tag("To").is_empty() && (200..300).contains(&m.status());
        if begins && ours.is_empty() {
            wrong = Some(format!("3: {} has no Record-Route", m.start()));
        }
        if let Some(wrong) = wrong {
            self.breach(now, wrong);
        }
    }
}

/// A Via without what the exchange adds to it (RFC 3261 §18.2.1, RFC 3581 §4).
pub(super) fn plain_via(via: &str) -> String {
    let mut out = String::with_capacity(via.len());
    for (n, part) in via.split(';').enumerate() {
        if part.starts_with("received=") {
            continue;
        }
        if n > 0 {
            out.push(';');
        }
        out.push_str(if part.starts_with("rport=") { "rport" } else { part });
    }
    out
}
