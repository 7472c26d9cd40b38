//! Client transactions of a phone, RFC 3261 §17.1 with RFC 6026, and what their user makes of responses.

use std::rc::Rc;

use super::compose::companion;
use super::deeds::Deed;
use super::dialog::Dialog;
use super::faults::Fault;
use super::plan::CancelAt;
use super::queue::{Event, Timer};
use super::{T1, T2, T4, World};
use crate::message::Msg;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Call,
    Reinvite(usize),
    Bye,
    Cancel,
    Prack,
    Message,
    Options,
    Register,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
    Ended,
}

/// One of them.
#[derive(Debug)]
pub struct Client {
    pub branch: String,
    pub invite: bool,
    pub message: Rc<Msg>,
    pub connection: u64,
    pub state: State,
    pub act: usize,
    pub purpose: Purpose,
    interval: u64,
    ack: Option<Rc<Msg>>,
    /// A CANCEL was sent or is planned.
    pub cancelled: bool,
    /// The caller gave up: whatever is answered, it hangs up.
    pub given_up: bool,
    rang: bool,
    /// Reliable provisional responses that were acknowledged: To tag and RSeq.
    pracked: Vec<(String, u32)>,
}

impl World<'_> {
    /// Sends a request in a transaction of its own; its place.
    pub(super) fn start(&mut self, phone: usize, act: usize, message: Rc<Msg>, purpose: Purpose) -> usize {
        let connection = self.way_out(phone);
        self.start_on(phone, connection, act, message, purpose)
    }

    pub(super) fn start_on(
        &mut self,
        phone: usize,
        connection: u64,
        act: usize,
        message: Rc<Msg>,
        purpose: Purpose,
    ) -> usize {
        let client = Client {
            branch: message.branch().to_owned(),
            invite: message.method() == "INVITE",
            message: message.clone(),
            connection,
            state: State::Calling,
            act,
            purpose,
            interval: T1,
            ack: None,
            cancelled: false,
            given_up: false,
            rang: false,
            pracked: Vec::new(),
        };
        self.phones[phone].clients.push(client);
        let n = self.phones[phone].clients.len() - 1;
        if connection == 0 {
            self.after(phone, T1, Timer::Request(n));
        }
        self.after(phone, 64 * T1, Timer::NoAnswer(n));
        self.send_in(phone, connection, message);
        n
    }

    pub(super) fn request_again(&mut self, phone: usize, n: usize) {
        let c = &mut self.phones[phone].clients[n];
        let again = match c.state {
            State::Calling => true,
            State::Proceeding => !c.invite,
            State::Accepted | State::Completed | State::Ended => false,
        };
        if !again {
            return;
        }
        c.interval = match (c.invite, c.state) {
            (true, _) => c.interval * 2,
            (false, State::Proceeding) => T2,
            (false, _) => (c.interval * 2).min(T2),
        };
        let (message, interval) = (c.message.clone(), c.interval);
        self.after(phone, interval, Timer::Request(n));
        self.send_in(phone, 0, message);
    }

    pub(super) fn no_answer(&mut self, phone: usize, n: usize) {
        let c = &mut self.phones[phone].clients[n];
        match c.state {
            State::Calling => c.state = State::Ended,
            State::Proceeding if !c.invite => c.state = State::Ended,
            _ => {}
        }
    }

    pub(super) fn client_ends(&mut self, phone: usize, n: usize) {
        self.phones[phone].clients[n].state = State::Ended;
    }

    /// A response reaches a phone, RFC 3261 §17.1.3.
    pub(super) fn on_response(&mut self, phone: usize, m: &Rc<Msg>) {
        let (branch, method) = (m.branch(), m.cseq().1);
        let found = self.phones[phone]
            .clients
            .iter()
            .position(|c| c.branch == branch && c.message.method() == method);
        let Some(n) = found else { return };
        let c = &mut self.phones[phone].clients[n];
        let stream = c.connection != 0;
        match (c.state, m.status(), c.invite) {
            (State::Ended, ..) => {}
            (State::Calling | State::Proceeding, 100..=199, _) => {
                c.state = State::Proceeding;
                self.on_provisional(phone, n, m);
            }
            (State::Calling | State::Proceeding, 200..=299, true) => {
                c.state = State::Accepted;
                self.after(phone, 64 * T1, Timer::ClientEnds(n));
                self.on_answered(phone, n, m);
            }
            (State::Accepted, 200..=299, true) => self.on_answered(phone, n, m),
            // A 2xx after the failure (RFC 3261 §13.2.2.4 asks for as much where it is heard of).
            (State::Completed, 200..=299, true) => self.on_answered(phone, n, m),
            (State::Calling | State::Proceeding, _, true) => {
                c.state = State::Completed;
                let ack = companion(&c.message, "ACK", m.get("To"));
                c.ack = ack.clone();
                let (connection, ends) = (c.connection, 64 * T1);
                self.after(phone, ends, Timer::ClientEnds(n));
                if let Some(ack) = ack {
                    self.send_in(phone, connection, ack);
                }
                self.on_failed(phone, n);
            }
            (State::Completed, 300.., true) => {
                if let Some(ack) = c.ack.clone().filter(|_| !stream) {
                    self.send_in(phone, 0, ack);
                }
            }
            (State::Calling | State::Proceeding, _, false) => {
                c.state = State::Completed;
                let ends = if stream { 0 } else { T4 };
                self.after(phone, ends, Timer::ClientEnds(n));
            }
            (State::Accepted | State::Completed, ..) => {}
        }
    }

    fn on_provisional(&mut self, phone: usize, n: usize, m: &Rc<Msg>) {
        let c = &mut self.phones[phone].clients[n];
        if c.purpose != Purpose::Call {
            return;
        }
        let (act, first_ring) = (c.act, m.status() > 100 && !c.rang);
        c.rang |= m.status() > 100;
        let cancel = self.plan.call(act).map_or(CancelAt::Never, |call| call.cancel);
        let after = match cancel {
            CancelAt::After100(ms) if !self.phones[phone].clients[n].rang => Some(ms),
            CancelAt::After180(ms) if first_ring => Some(ms),
            _ => None,
        };
        if let Some(ms) = after {
            self.cancel_later(phone, n, ms);
        }
        if m.get("Require").contains("100rel") && !m.tag("To").is_empty() {
            self.prack(phone, n, m);
        }
    }

    /// RFC 3262 §4.
    fn prack(&mut self, phone: usize, n: usize, m: &Msg) {
        let number: u32 = m.get("RSeq").parse().unwrap_or(0);
        let key = (m.tag("To").to_owned(), number);
        let c = &mut self.phones[phone].clients[n];
        if c.pracked.contains(&key) {
            return;
        }
        c.pracked.push(key);
        let (act, count) = (c.act, c.pracked.len() as u32);
        let cseq = m.cseq().0;
        let early = Dialog::of_caller(act, m);
        let branch = self.branch();
        let extra = format!("RAck: {number} {cseq} INVITE\r\n");
        if let Some(message) = self.inside(phone, &early, ("PRACK", cseq + count), &branch, &extra) {
            self.start(phone, act, message, Purpose::Prack);
        }
    }

    /// A 2xx to an INVITE: of this phone, or another one.
    fn on_answered(&mut self, phone: usize, n: usize, m: &Rc<Msg>) {
        let (act, purpose) = (self.phones[phone].clients[n].act, self.phones[phone].clients[n].purpose);
        let number = m.cseq().0;
        if let Purpose::Reinvite(dialog) = purpose {
            return self.acknowledge(phone, dialog, number);
        }
        let acks = self.plan.call(act).is_none_or(|call| call.acks);
        let known = self.dialog_of(phone, m, "From", "To");
        if !acks {
            self.saw(Fault::NeverAcked);
            return;
        }
        if let Some(dialog) = known {
            return self.acknowledge(phone, dialog, number);
        }
        let c = &mut self.phones[phone].clients[n];
        let unwanted = c.given_up || c.state == State::Completed;
        let early = c.pracked.len() as u32;
        let other = self.phones[phone].dialogs.iter().any(|d| d.act == act && d.caller);
        if other {
            self.saw(Fault::TwoAnswers);
        }
        let mut dialog = Dialog::of_caller(act, m);
        dialog.cseq += early;
        self.phones[phone].dialogs.push(dialog);
        let dialog = self.phones[phone].dialogs.len() - 1;
        self.acknowledge(phone, dialog, number);
        let cancel = self.plan.call(act).map_or(CancelAt::Never, |call| call.cancel);
        if unwanted || other {
            self.bye(phone, dialog);
        } else {
            self.talk(phone, dialog);
        }
        if cancel == CancelAt::AfterFinal {
            self.cancel_later(phone, n, 0);
        }
    }

    fn on_failed(&mut self, phone: usize, n: usize) {
        let c = &self.phones[phone].clients[n];
        let cancel = self.plan.call(c.act).map_or(CancelAt::Never, |call| call.cancel);
        if c.purpose == Purpose::Call && cancel == CancelAt::AfterFinal {
            self.cancel_later(phone, n, 0);
        }
    }

    pub(super) fn cancel_later(&mut self, phone: usize, n: usize, ms: u64) {
        let life = self.phones[phone].life;
        self.queue.put(self.now + ms, Event::Do(Deed::Cancel { phone, life, client: n }));
    }

    /// Takes a call back, RFC 3261 §9.1.
    pub(super) fn cancel(&mut self, phone: usize, n: usize) {
        let c = &mut self.phones[phone].clients[n];
        if c.cancelled || c.state == State::Ended {
            return;
        }
        c.cancelled = true;
        c.given_up |= matches!(c.state, State::Calling | State::Proceeding);
        let fault = match (c.state, c.rang) {
            (State::Calling, _) => Fault::CancelBefore100,
            (State::Proceeding, false) => Fault::CancelAfter100,
            (State::Proceeding, true) => Fault::CancelAfter180,
            _ => Fault::CancelAfterFinal,
        };
        let (act, connection) = (c.act, c.connection);
        let crossing = self.plan.call(act).is_some_and(|call| call.cancel == CancelAt::Crossing200);
        let message = companion(&c.message, "CANCEL", c.message.get("To"));
        self.saw(if crossing { Fault::CancelCrossing200 } else { fault });
        let gone = connection != 0 && !self.phones[phone].connections.contains(&connection);
        if let Some(message) = message.filter(|_| !gone) {
            self.start_on(phone, connection, act, message, Purpose::Cancel);
        }
    }

    /// A callee answers: a caller that wants its CANCEL to cross that sends it now.
    pub(super) fn cross(&mut self, act: usize) {
        let Some(call) = self.plan.call(act).filter(|call| call.cancel == CancelAt::Crossing200) else {
            return;
        };
        let phone = call.from;
        let own = |c: &super::client::Client| c.act == act && c.purpose == Purpose::Call;
        if let Some(n) = self.phones[phone].clients.iter().position(own) {
            self.cancel(phone, n);
        }
    }
}
