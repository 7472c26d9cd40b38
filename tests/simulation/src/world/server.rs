//! Server transactions of a phone, RFC 3261 §17.2 with RFC 6026, and what their user does.

use std::rc::Rc;

use super::compose::response;
use super::dialog::Dialog;
use super::faults::Fault;
use super::plan::{Answer, Final, OnCancel};
use super::queue::Timer;
use super::{T1, T2, World};
use crate::message::{Msg, user_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Proceeding,
    /// A 2xx was sent.
    Accepted,
    /// A failure was sent.
    Completed,
    Confirmed,
}

/// One of them.
#[derive(Debug)]
pub struct Server {
    branch: String,
    method: String,
    request: Rc<Msg>,
    connection: u64,
    state: State,
    tag: String,
    act: usize,
    last: Option<Rc<Msg>>,
    interval: u64,
    plan: Option<Answer>,
    /// The dialog of a 2xx.
    dialog: Option<usize>,
    acknowledged: bool,
}

impl World<'_> {
    pub(super) fn on_request(&mut self, phone: usize, connection: u64, m: &Rc<Msg>) {
        let method = m.method();
        if method == "ACK" {
            return self.on_ack(phone, m);
        }
        let servers = &self.phones[phone].servers;
        if let Some(s) = servers.iter().find(|s| s.branch == m.branch() && s.method == method) {
            let again = s.last.clone().filter(|_| s.state != State::Confirmed && s.state != State::Accepted);
            if let Some(last) = again {
                self.respond(phone, connection, last);
            }
            return;
        }
        match method {
            "CANCEL" => self.on_cancel(phone, connection, m),
            "OPTIONS" => self.reply(phone, connection, m, 200),
            _ if !m.tag("To").is_empty() => self.on_inside(phone, connection, m),
            _ => self.on_new(phone, connection, m),
        }
    }

    fn serve(&mut self, phone: usize, connection: u64, m: &Rc<Msg>, plan: Option<Answer>) -> usize {
        let tag = match m.tag("To") {
            "" => format!("t{}", self.serial()),
            tag => tag.to_owned(),
        };
        let server = Server {
            branch: m.branch().to_owned(),
            method: m.method().to_owned(),
            request: m.clone(),
            connection,
            state: State::Proceeding,
            tag,
            act: act_of(m.call_id()),
            last: None,
            interval: T1,
            plan,
            dialog: None,
            acknowledged: false,
        };
        self.phones[phone].servers.push(server);
        self.phones[phone].servers.len() - 1
    }

    /// Answers at once.
    fn reply(&mut self, phone: usize, connection: u64, m: &Rc<Msg>, status: u16) {
        let n = self.serve(phone, connection, m, None);
        self.send_response(phone, n, status, "");
    }

    fn on_new(&mut self, phone: usize, connection: u64, m: &Rc<Msg>) {
        let act = act_of(m.call_id());
        let place = self.phones[phone].place;
        if self.phones[phone].challenges && m.get("Proxy-Authorization").is_empty() {
            self.saw(Fault::CarrierChallenges);
            let n = self.serve(phone, connection, m, None);
            let nonce = self.serial();
            let extra = format!(
                "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n{nonce}\", algorithm=MD5\r\n"
            );
            return self.send_response(phone, n, 407, &extra);
        }
        let plan = self.plan.answer(act, place);
        let n = self.serve(phone, connection, m, plan);
        let Some(plan) = plan else { return self.send_response(phone, n, 404, "") };
        if let Some(ms) = plan.trying {
            self.after(phone, ms, Timer::Answer(n, 0));
        }
        if let Some((ms, _)) = plan.ring {
            self.after(phone, ms, Timer::Answer(n, 1));
        }
        if let Final::After(ms, _) = plan.last {
            self.after(phone, ms, Timer::Answer(n, 2));
        }
        self.note_callee(phone, act, &plan);
    }

    /// What kind of callee got a request.
    fn note_callee(&mut self, phone: usize, act: usize, plan: &Answer) {
        let p = &self.phones[phone];
        let silent = plan.trying.is_none() && plan.ring.is_none();
        let fault = match (plan.last, p.user.is_empty()) {
            (Final::Never, true) if silent => Some(Fault::CarrierDead),
            (Final::After(2_000.., _), true) if silent => Some(Fault::CarrierLate),
            (Final::After(_, 503), true) => Some(Fault::CarrierFails),
            (Final::After(_, 486), true) => Some(Fault::CarrierBusy),
            (Final::Never, _) if silent => Some(Fault::Silent),
            (Final::Never, _) => Some(Fault::NeverAnswered),
            (Final::After(..), _) => None,
        };
        let called = self.plan.call(act).map_or("", |call| user_of(&call.to));
        let own = |q: &&super::Phone| q.user == p.user && q.servers.iter().any(|s| s.act == act);
        let fork = p.user == "2001" && self.phones.iter().filter(own).count() > 1;
        let parallel = fork && self.phones.iter().filter(own).all(|q| q.registers == p.registers);
        let more = [
            (p.user == "2005" && called == "2002", Fault::FallbackBusy),
            (p.user == "2005" && called == "2003", Fault::FallbackNoAnswer),
            (parallel, Fault::ForkParallel),
            (fork && !parallel, Fault::ForkSerial),
            (p.flows > 1, Fault::Flows),
            (p.user == "pbx", Fault::Peer),
        ];
        fault.into_iter().for_each(|f| self.seen.add(f));
        more.iter().filter(|(is, _)| *is).for_each(|(_, f)| self.seen.add(*f));
    }

    /// The next step of the plan, unless the INVITE has its final response.
    pub(super) fn answer(&mut self, phone: usize, n: usize, step: u8) {
        let s = &self.phones[phone].servers[n];
        let (Some(plan), State::Proceeding) = (s.plan, s.state) else { return };
        match (step, plan.ring, plan.last) {
            (0, ..) if s.last.is_none() => self.send_response(phone, n, 100, ""),
            (1, Some((_, status)), _) if s.method == "INVITE" => {
                let reliable = plan.reliable && s.request.get("Supported").contains("100rel");
                let contact = self.phones[phone].contact();
                let mut extra = format!("Contact: {contact}\r\n");
                if reliable {
                    self.saw(Fault::Reliable);
                    extra.push_str("Require: 100rel\r\nRSeq: 1\r\n");
                }
                self.send_response(phone, n, status, &extra);
                if reliable {
                    self.after(phone, T1, Timer::Response(n));
                    self.phones[phone].servers[n].interval = T1;
                }
            }
            (2, _, Final::After(_, status)) => self.finish(phone, n, status),
            _ => {}
        }
    }

    fn finish(&mut self, phone: usize, n: usize, status: u16) {
        let act = self.phones[phone].servers[n].act;
        let invite = self.phones[phone].servers[n].method == "INVITE";
        match status {
            200 if invite => {
                let (request, tag) = {
                    let s = &self.phones[phone].servers[n];
                    (s.request.clone(), s.tag.clone())
                };
                let dialog = Dialog::of_callee(act, &request, &tag);
                self.phones[phone].dialogs.push(dialog);
                self.phones[phone].servers[n].dialog = Some(self.phones[phone].dialogs.len() - 1);
                let contact = format!("Contact: {}\r\n", self.phones[phone].contact());
                self.cross(act);
                self.send_response(phone, n, 200, &contact);
            }
            600.. => {
                self.saw(Fault::GlobalFailure);
                self.send_response(phone, n, status, "");
            }
            _ => self.send_response(phone, n, status, ""),
        }
    }

    fn send_response(&mut self, phone: usize, n: usize, status: u16, extra: &str) {
        let s = &mut self.phones[phone].servers[n];
        let Some(message) = response(&s.request, status, &s.tag, extra) else { return };
        s.last = Some(message.clone());
        let invite = s.method == "INVITE";
        s.state = match status {
            100..=199 => State::Proceeding,
            200..=299 => State::Accepted,
            _ => State::Completed,
        };
        if !invite && status >= 200 {
            // Kept for repetitions, RFC 3261 §17.2.2.
            s.state = State::Completed;
        }
        let connection = s.connection;
        if invite && status >= 200 {
            s.interval = T1;
            // A 2xx is repeated over streams, too (RFC 3261 §13.3.1.4).
            if connection == 0 || status < 300 {
                self.after(phone, T1, Timer::Response(n));
            }
            self.after(phone, 64 * T1, Timer::NoAck(n));
        }
        self.respond(phone, connection, message);
    }

    pub(super) fn response_again(&mut self, phone: usize, n: usize) {
        let s = &mut self.phones[phone].servers[n];
        let Some(last) = s.last.clone().filter(|_| !s.acknowledged) else { return };
        let early = s.state == State::Proceeding && last.get("Require").contains("100rel");
        if !early && !matches!(s.state, State::Accepted | State::Completed) {
            return;
        }
        s.interval = if early { s.interval * 2 } else { (s.interval * 2).min(T2) };
        let (interval, connection) = (s.interval, s.connection);
        if interval <= 32_000 {
            self.after(phone, interval, Timer::Response(n));
        }
        self.respond(phone, connection, last);
    }

    pub(super) fn no_ack(&mut self, phone: usize, n: usize) {
        let s = &mut self.phones[phone].servers[n];
        let (silent, dialog) = (!s.acknowledged, s.dialog);
        s.acknowledged = true;
        if let Some(dialog) = dialog.filter(|_| silent) {
            // Nobody acknowledged its 2xx (RFC 3261 §13.3.1.4).
            self.bye(phone, dialog);
        }
    }

    fn on_ack(&mut self, phone: usize, m: &Rc<Msg>) {
        let number = m.cseq().0;
        let tag = m.tag("To");
        let for_it = |s: &Server| {
            s.method == "INVITE"
                && s.request.call_id() == m.call_id()
                && s.request.cseq().0 == number
                && match s.state {
                    State::Completed => s.branch == m.branch(),
                    _ => s.tag == tag,
                }
        };
        let Some(n) = self.phones[phone].servers.iter().position(for_it) else { return };
        let s = &mut self.phones[phone].servers[n];
        let first = !s.acknowledged;
        s.acknowledged = true;
        if s.state == State::Completed {
            s.state = State::Confirmed;
        }
        if let Some(dialog) = s.dialog.filter(|_| first) {
            self.talk(phone, dialog);
        }
    }

    fn on_cancel(&mut self, phone: usize, connection: u64, m: &Rc<Msg>) {
        let servers = &self.phones[phone].servers;
        let found = servers.iter().position(|s| s.branch == m.branch() && s.method == "INVITE");
        let Some(n) = found else { return self.reply(phone, connection, m, 481) };
        let on_cancel = servers[n].plan.map_or(OnCancel::Ends, |plan| plan.on_cancel);
        if on_cancel == OnCancel::Deaf {
            self.saw(Fault::CancelIgnored);
            return;
        }
        let tag = self.phones[phone].servers[n].tag.clone();
        let own = self.serve(phone, connection, m, None);
        self.phones[phone].servers[own].tag = tag;
        self.send_response(phone, own, 200, "");
        if self.phones[phone].servers[n].state != State::Proceeding {
            return;
        }
        match on_cancel {
            OnCancel::Ignores => self.saw(Fault::CancelIgnored),
            OnCancel::Ends | OnCancel::Deaf => self.send_response(phone, n, 487, ""),
        }
    }

    /// A request inside a dialog.
    fn on_inside(&mut self, phone: usize, connection: u64, m: &Rc<Msg>) {
        let known = self.dialog_of(phone, m, "To", "From");
        let early =
            |s: &Server| s.method == "INVITE" && s.tag == m.tag("To") && s.request.call_id() == m.call_id();
        match (m.method(), known) {
            ("PRACK", _) => {
                let server = self.phones[phone].servers.iter().position(early);
                if let Some(n) = server
                    && self.phones[phone].servers[n].state == State::Proceeding
                {
                    let s = &mut self.phones[phone].servers[n];
                    // It is heard: what is repeated from now on is the plain response.
                    s.last = s.last.take().filter(|last| !last.get("Require").contains("100rel"));
                }
                self.reply(phone, connection, m, if server.is_some() { 200 } else { 481 });
            }
            (_, None) => self.reply(phone, connection, m, 481),
            ("BYE", Some(dialog)) => {
                self.phones[phone].dialogs[dialog].ended = true;
                self.reply(phone, connection, m, 200);
            }
            ("INVITE", Some(dialog)) if self.phones[phone].dialogs[dialog].ended => {
                self.reply(phone, connection, m, 481);
            }
            ("INVITE", Some(_)) => {
                let n = self.serve(phone, connection, m, None);
                let contact = format!("Contact: {}\r\n", self.phones[phone].contact());
                self.send_response(phone, n, 200, &contact);
            }
            (_, Some(_)) => self.reply(phone, connection, m, 200),
        }
    }
}

/// The act a Call-ID belongs to.
fn act_of(call_id: &str) -> usize {
    let digits = call_id.get(1..).unwrap_or("").split('-').next().unwrap_or("");
    digits.parse().unwrap_or(usize::MAX)
}
