//! What somebody does without having been asked.

use std::fmt::Write as _;

use super::World;
use super::client::Purpose;
use super::compose::line;
use super::faults::Fault;
use super::plan::{Act, CallPlan, CancelAt};
use super::queue::Event;
use crate::message::Msg;

/// How long a binding lives usually, in seconds.
const LASTING: u32 = 3_600;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub enum Deed {
    /// An act begins.
    Begin(usize),
    /// A caller takes its call back.
    Cancel { phone: usize, life: u32, client: usize },
    /// Somebody hangs up.
    Bye { phone: usize, life: u32, dialog: usize },
    /// Somebody changes the call.
    Reinvite { phone: usize, life: u32, dialog: usize },
    /// A phone registers (again).
    Register { phone: usize },
}

impl World<'_> {
    /// Everybody registers, and the acts are put into the queue.
    pub(super) fn begin(&mut self) {
        for phone in 0..self.phones.len() {
            if self.phones[phone].registers.is_some() {
                self.queue.put(phone as u64, Event::Do(Deed::Register { phone }));
            }
        }
        let starts: Vec<u64> = self.plan.acts.iter().map(|(at, _)| *at).collect();
        for (act, at) in starts.into_iter().enumerate() {
            self.queue.put(at, Event::Do(Deed::Begin(act)));
        }
    }

    pub(super) fn carry_out(&mut self, deed: Deed) {
        let alive = |phone: usize, life: u32| self.phones[phone].life == life;
        match deed {
            Deed::Begin(act) => self.begin_act(act),
            Deed::Cancel { phone, life, client } if alive(phone, life) => self.cancel(phone, client),
            Deed::Bye { phone, life, dialog } if alive(phone, life) => self.bye(phone, dialog),
            Deed::Reinvite { phone, life, dialog } if alive(phone, life) => self.reinvite(phone, dialog),
            Deed::Register { phone } => self.register(phone, LASTING),
            Deed::Cancel { .. } | Deed::Bye { .. } | Deed::Reinvite { .. } => {}
        }
    }

    fn begin_act(&mut self, act: usize) {
        let Some((_, what)) = self.plan.acts.get(act).cloned() else { return };
        if self.less.acts >> act.min(31) & 1 != 0 {
            return;
        }
        match what {
            Act::Call(call) => self.call(act, &call),
            Act::Message { from, to, .. } => {
                self.saw(Fault::Instant);
                self.ask(from, act, ("MESSAGE", &to), Purpose::Message);
            }
            Act::Options { from } => {
                self.saw(Fault::Options);
                let to = format!("sip:{}", self.setup.domain);
                self.ask(from, act, ("OPTIONS", &to), Purpose::Options);
            }
            Act::Register { phone, expires } => {
                self.saw(match expires {
                    0 => Fault::Removal,
                    LASTING => Fault::Refresh,
                    _ => Fault::Expiry,
                });
                self.register(phone, expires);
            }
            Act::Disconnect { phone, again } => self.disconnect(phone, again),
            Act::RestartPhone { phone } => self.restart_phone(phone),
            Act::RestartExchange => self.restart_exchange(),
        }
    }

    fn call(&mut self, act: usize, call: &CallPlan) {
        let contact = format!("Contact: {}\r\nSupported: 100rel\r\n", self.phones[call.from].contact());
        let Some(message) = self.request(call.from, act, ("INVITE", &call.to), &contact) else { return };
        if self.phones[call.from].user.is_empty() {
            self.saw(Fault::Inbound);
        }
        let n = self.start(call.from, act, message, Purpose::Call);
        if call.cancel == CancelAt::Before100 {
            let ms = self.rng.below(3) as u64;
            self.cancel_later(call.from, n, ms);
        }
    }

    /// A request out of dialog.
    fn request(
        &mut self,
        phone: usize,
        act: usize,
        (method, to): (&str, &str),
        extra: &str,
    ) -> Option<std::rc::Rc<Msg>> {
        let branch = self.branch();
        let tag = self.serial();
        let mut out = self.head(phone, method, to, &branch);
        let from = match self.phones[phone].user.as_str() {
            "" => format!("<sip:+15550009999@carrier.example>;tag=f{tag}"),
            user => format!("<sip:{user}@{}>;tag=f{tag}", self.setup.domain),
        };
        line(&mut out, "From", &from);
        line(&mut out, "To", &format!("<{to}>"));
        let body = if method == "MESSAGE" { "hello" } else { "" };
        let _ = write!(
            out,
            "Call-ID: c{act}-{tag}\r\nCSeq: 1 {method}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Msg::read(out)
    }

    fn ask(&mut self, phone: usize, act: usize, what: (&str, &str), purpose: Purpose) {
        if let Some(message) = self.request(phone, act, what, "") {
            self.start(phone, act, message, purpose);
        }
    }

    /// REGISTER for each flow of a phone.
    pub(super) fn register(&mut self, phone: usize, expires: u32) {
        let flows = self.phones[phone].flows.max(1);
        for flow in 0..flows {
            let connection = match (flows, self.phones[phone].connections.get(usize::from(flow))) {
                (1, _) => self.way_out(phone),
                (_, Some(open)) => *open,
                (_, None) => self.connect(phone),
            };
            let branch = self.branch();
            let mut out = self.head(phone, "REGISTER", &format!("sip:{}", self.setup.domain), &branch);
            let p = &mut self.phones[phone];
            p.register_cseq += 1;
            let (cseq, life, user, host) = (p.register_cseq, p.life, p.user.clone(), p.address.ip());
            let q = p.registers.filter(|q| *q != 1000).map_or(String::new(), |q| format!(";q=0.{q:03}"));
            let outbound = match flows {
                1 => String::new(),
                _ => format!(
                    ";+sip.instance=\"<urn:uuid:00000000-0000-0000-0000-00000000{user}>\";reg-id={}",
                    flow + 1
                ),
            };
            let contact = p.contact();
            let domain = self.setup.domain;
            let _ = write!(
                out,
                "From: <sip:{user}@{domain}>;tag=r{cseq}\r\nTo: <sip:{user}@{domain}>\r\n\
                 Call-ID: r{life}-{host}-{flow}\r\nCSeq: {cseq} REGISTER\r\n\
                 Contact: {contact}{q}{outbound};expires={expires}\r\nSupported: path, outbound\r\nContent-Length: 0\r\n\r\n"
            );
            if let Some(message) = Msg::read(out) {
                self.start_on(phone, connection, usize::MAX, message, Purpose::Register);
            }
        }
    }

    /// The connections of a phone end; what is under way on them is lost.
    fn disconnect(&mut self, phone: usize, again: bool) {
        let gone = std::mem::take(&mut self.phones[phone].connections);
        if gone.is_empty() {
            return;
        }
        self.saw(Fault::ConnectionClosed);
        for connection in gone {
            let at = self.now + self.rng.below(30) as u64;
            self.queue.put(at, Event::Closed { connection, refused: false });
        }
        if again {
            let at = self.now + 200 + self.rng.below(2_000) as u64;
            self.queue.put(at, Event::Do(Deed::Register { phone }));
        }
    }

    fn restart_phone(&mut self, phone: usize) {
        self.saw(Fault::PhoneRestarts);
        self.ladder.note(self.now, || format!("{} forgets everything", self.phones[phone].name));
        let p = &mut self.phones[phone];
        p.life += 1;
        p.register_cseq = 0;
        p.clients.clear();
        p.servers.clear();
        p.dialogs.clear();
        self.disconnect(phone, false);
        if self.phones[phone].registers.is_some() {
            let at = self.now + 50 + self.rng.below(1_000) as u64;
            self.queue.put(at, Event::Do(Deed::Register { phone }));
        }
    }

    fn restart_exchange(&mut self) {
        self.saw(Fault::ExchangeRestarts);
        self.ladder.note(self.now, || "the exchange begins anew".to_owned());
        self.exchange.restart();
        self.open.clear();
        self.judge.restarted(self.now);
        for phone in 0..self.phones.len() {
            if !self.phones[phone].connections.is_empty() {
                self.phones[phone].connections.clear();
                let at = self.now + 100 + self.rng.below(1_000) as u64;
                self.queue.put(at, Event::Do(Deed::Register { phone }));
            }
        }
        self.after_step();
    }
}
