//! What must hold whatever the world does. It sees what reaches the exchange and what leaves it, and knows RFC 3261 and
//! the setup; the exchange's own code it does not know. A breach begins with the number of its rule:
//!
//! | rule | what must hold | where it is written |
//! | --- | --- | --- |
//! | 1 | one final response to each request; of an INVITE several 2xx at most, and no failure after one | RFC 3261 §17.2, §16.7 |
//! | 2 | Via, CSeq, Call-ID and From of a response are those of the request it goes back to | §8.2.6.2, §16.7 step 3 |
//! | 3 | the Record-Route that goes back holds nothing but the exchange's values before those of the request | §16.7 step 8 |
//! | 4 | each 2xx to an INVITE that reaches the exchange goes on to the caller at once, late ones too | §16.7 step 5 |
//! | 5 | branches that lost, and those of a cancelled call, are cancelled as soon as they are heard of | §16.7 step 10, §16.10 |
//! | 6 | no CANCEL before a provisional response, after a final one, or without a reason | §9.1 |
//! | 7 | a CANCEL has its 200 and ends the call within 64*T1 of what it was passed on with | §9.2, §16.10 |
//! | 8 | timer C is never shorter than its setting | §16.6 step 11, §16.7 step 2 |
//! | 9 | each failure of an INVITE is acknowledged at once where it came from, and each repetition of it | §17.1.1.3 |
//! | 10 | no new branch after the final response or the CANCEL; no request on a branch after its failure but ACK | §16.7, §17.1.1 |
//! | 11 | Max-Forwards is one less | §16.6 step 3 |
//! | 12 | requests and failures are repeated by T1 and T2, and no longer than until they are heard | §17.1, §17.2 |
//! | 13 | nothing is kept after the last timer | §17 |
//! | 14 | a binding that was acknowledged rings until it expires or is removed | §10.3 |
//! | 15 | nothing is sent to an address that nobody named | §16.6, §18 |
//! | 16 | each request is answered | §17.2, §16.7 step 6 |
//! | 17 | the response that goes back is the best one | §16.7 step 6 |
//! | 18 | a forwarded request is the caller's, with one Via more | §16.6 |
//! | 19 | an INVITE on its way has its 100 | §17.2.1 |

mod bindings;
mod finals;
mod incoming;
mod outgoing;
mod repetition;

use std::net::SocketAddr;
use std::rc::Rc;

use crate::message::{Msg, address_of, uri_of};
use crate::world::Setup;
use bindings::Binding;
use incoming::Incoming;
use outgoing::Outgoing;

/// How late the exchange's timers may be, in milliseconds.
const LATE: u64 = 24;

/// Something that has to happen in the same step.
#[derive(Debug)]
enum Due {
    /// The ACK of this branch, with this To.
    Ack { out: usize, to: String },
    /// A 2xx with this To tag for this request.
    Success { of: usize, tag: String },
    /// The CANCEL of this branch.
    Cancel { out: usize },
    /// A first response.
    Response { of: usize },
    /// A request to this address, or over this connection.
    Rings { of: usize, at: SocketAddr, connections: Vec<u64> },
}

/// The judge of one history.
pub struct Judge<'e> {
    /// The first rule that was broken.
    pub broken: Option<String>,
    setup: &'e Setup,
    incoming: Vec<Incoming>,
    outgoing: Vec<Outgoing>,
    bindings: Vec<Binding>,
    named: Vec<SocketAddr>,
    due: Vec<Due>,
    /// The message that the exchange looks at in this step.
    at_hand: Option<Rc<Msg>>,
    /// Connections that are open, as far as the exchange has heard.
    gone: Vec<u64>,
    /// How often the exchange began anew.
    life: u32,
    last_activity: u64,
}

impl<'e> Judge<'e> {
    /// Nothing has happened yet.
    pub fn new(setup: &'e Setup) -> Judge<'e> {
        let mut named = setup.carriers.clone();
        named.push(setup.peer.1);
        Judge {
            broken: None,
            setup,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            bindings: Vec::new(),
            named,
            due: Vec::new(),
            at_hand: None,
            gone: Vec::new(),
            life: 0,
            last_activity: 0,
        }
    }

    /// A rule is broken; the first one counts.
    pub fn breach(&mut self, now: u64, what: impl Into<String>) {
        if self.broken.is_none() {
            self.broken = Some(format!("at {}.{:03} rule {}", now / 1000, now % 1000, what.into()));
        }
    }

    fn name(&mut self, address: SocketAddr) {
        if !self.named.contains(&address) {
            self.named.push(address);
        }
    }

    /// A message arrives at the exchange.
    pub fn arrives(&mut self, now: u64, source: SocketAddr, connection: u64, m: &Rc<Msg>) {
        self.last_activity = now;
        self.at_hand = Some(m.clone());
        self.name(source);
        if let Some(contact) = address_of(uri_of(m.get("Contact"))) {
            self.name(contact);
        }
        match (m.is_request(), m.method()) {
            (true, "ACK") => self.ack_arrives(m),
            (true, _) => self.request_arrives(now, source, connection, m),
            (false, "CANCEL") => self.cancel_answered(m),
            (false, _) => self.response_arrives(now, m),
        }
    }

    /// The exchange sends a message.
    pub fn sent(&mut self, now: u64, to: (SocketAddr, u64), m: &Rc<Msg>) {
        self.last_activity = now;
        // A connection that somebody opened leads to whoever opened it.
        if to.1 == 0 && !self.named.contains(&to.0) {
            self.breach(now, format!("15: {} goes to {}, which nobody named", m.start(), to.0));
        }
        match (m.is_request(), m.method()) {
            (false, _) => self.response_sent(now, to, m),
            (true, "ACK") => self.ack_sent(now, to, m),
            (true, "CANCEL") => self.cancel_sent(now, to, m),
            (true, "OPTIONS") if m.all("Via").count() == 1 => {}
            (true, _) => self.request_sent(now, to, m),
        }
    }

    /// A connection ended.
    pub fn closed(&mut self, now: u64, connection: u64) {
        self.last_activity = now;
        self.gone.push(connection);
        for out in self.outgoing.iter_mut().filter(|o| o.to.1 == connection && o.ended.is_none()) {
            out.ended = Some(now);
        }
    }

    /// The exchange forgot its transactions.
    pub fn restarted(&mut self, now: u64) {
        self.life += 1;
        self.due.clear();
        self.last_activity = now;
        self.outgoing.iter_mut().filter(|o| o.ended.is_none()).for_each(|o| o.ended = Some(now));
        self.bindings.iter_mut().filter(|b| b.connection != 0).for_each(|b| b.connection = u64::MAX);
    }

    /// The step is over.
    pub fn settled(&mut self, now: u64, kept: usize) {
        for due in std::mem::take(&mut self.due) {
            let what = match due {
                Due::Ack { out, .. } => {
                    format!("9: no ACK to the failure of branch {}", self.outgoing[out].branch)
                }
                Due::Success { of, tag } => {
                    format!(
                        "4: the 2xx of {tag} does not go on to the caller of {}",
                        self.incoming[of].branch
                    )
                }
                Due::Cancel { out } => {
                    format!("5: branch {} is not cancelled", self.outgoing[out].branch)
                }
                Due::Response { of } => format!("19: no response to INVITE {}", self.incoming[of].branch),
                Due::Rings { at, .. } => format!("14: the binding at {at} does not ring"),
            };
            self.breach(now, what);
        }
        self.at_hand = None;
        if kept > 0 && now > self.last_activity + self.longest() {
            self.breach(now, format!("13: {kept} transactions are kept, and nothing has happened for long"));
        }
    }

    /// Nothing lasts longer without a message.
    fn longest(&self) -> u64 {
        self.setup.timer_c + 2 * 64 * crate::world::T1 + 10_000
    }

    /// The history does not end.
    pub fn endless(&mut self, now: u64, kept: usize) {
        self.breach(now, format!("13: it does not end; {kept} transactions are kept"));
    }

    /// The history is over, and nothing is kept.
    pub fn ended(&mut self, now: u64) {
        for n in 0..self.incoming.len() {
            self.check_answered(now, n);
            self.check_insisted(now, n);
        }
        for n in 0..self.outgoing.len() {
            self.check_repeated(now, n);
        }
    }
}
