//! A carrier: one socket, or one connection, by which many calls come, of every fate, some requests twice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use trunkline_tests::{Dialog, Message, PATIENCE, Ua};

/// Without an answer a request is sent again after this (RFC 3261 §17.1.1.1, T1), over UDP.
const AGAIN: Duration = Duration::from_millis(500);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Busy,
    Cancelled,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::Answered, Fate::Answered, Fate::Busy, Fate::Cancelled];

    fn name(self) -> &'static str {
        match self {
            Fate::Answered => "answered",
            Fate::Busy => "busy",
            Fate::Cancelled => "cancelled",
        }
    }
}

/// A call as the caller sees it.
struct Call {
    fate: Fate,
    invite: Message,
    /// Sent again while it has no answer; nothing more when the call is over.
    waits: Option<Message>,
    ack: Option<Message>,
    cancelled: bool,
    begun: Instant,
    sent: Instant,
}

/// A call as the callee sees it.
#[derive(Default)]
struct Heard {
    /// The branches of the INVITEs and BYEs that came: more than one of a kind would be two transactions.
    invite: Option<(String, Message)>,
    bye: Option<String>,
    acknowledged: bool,
}

/// Both sides.
pub struct Carrier {
    caller: Ua,
    callee: Ua,
    calls: HashMap<String, Call>,
    heard: HashMap<String, Heard>,
    /// Calls under way.
    pub open: usize,
    /// Calls that are over.
    pub done: usize,
    /// Requests the caller sent for want of an answer.
    pub repeated: usize,
}

impl Carrier {
    /// Calls go from `caller`'s one socket to `callee`.
    pub fn new(caller: Ua, callee: Ua) -> Carrier {
        let (calls, heard) = (HashMap::new(), HashMap::new());
        Carrier { caller, callee, calls, heard, open: 0, done: 0, repeated: 0 }
    }

    fn over_udp(&self) -> bool {
        self.caller.wire.name() == "UDP"
    }

    /// Begins a call; every third INVITE over UDP goes out twice.
    pub fn begin(&mut self) {
        let number = self.calls.len();
        let fate = Fate::ALL[number % Fate::ALL.len()];
        let invite = self.caller.invite(&self.callee.aor()).with("X-Fate", fate.name());
        self.caller.send(&invite);
        if number.is_multiple_of(3) && self.over_udp() {
            self.caller.send(&invite);
        }
        let now = Instant::now();
        let waits = Some(invite.clone());
        let call = Call { fate, invite, waits, ack: None, cancelled: false, begun: now, sent: now };
        self.calls.insert(call.invite.call_id().to_owned(), call);
        self.open += 1;
    }

    /// Takes what has come for either side, and repeats what has had no answer.
    pub fn step(&mut self) {
        let soon = Duration::from_millis(1);
        for _ in 0..64 {
            let Some(m) = self.callee.wait(soon, |_| true) else { break };
            self.on_request(&m);
        }
        for _ in 0..64 {
            let Some(m) = self.caller.wait(soon, |_| true) else { break };
            self.on_response(&m);
        }
        let now = Instant::now();
        let udp = self.over_udp();
        for call in self.calls.values_mut().filter(|c| c.waits.is_some()) {
            let (fate, id) = (call.fate, call.invite.call_id());
            assert!(now - call.begun < PATIENCE, "{fate:?} call {id} hangs: {:?}", call.waits);
            if now - call.sent > AGAIN && udp {
                call.sent = now;
                self.repeated += 1;
                call.waits.iter().for_each(|request| self.caller.send(request));
            }
        }
    }

    /// Keeps so many calls under way for a while.
    pub fn run(&mut self, time: Duration, at_once: usize) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            while self.open < at_once {
                self.begin();
            }
            self.step();
        }
    }

    /// Keeps sixteen calls under way until something is told.
    pub fn run_until_told(&mut self, told: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !told() {
            assert!(Instant::now() < end, "a busy source is not handed over");
            self.run(Duration::from_millis(100), 16);
        }
    }

    /// Lets a call begin now and then until a condition holds.
    pub fn run_slowly(&mut self, pause: Duration, what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut next = Instant::now();
        while !holds() {
            assert!(Instant::now() < end, "in vain: {what}");
            if Instant::now() >= next {
                next += pause;
                self.begin();
            }
            self.step();
        }
    }

    /// Waits for the calls under way, and looks back on all.
    pub fn end(&mut self) {
        while self.open > 0 {
            self.step();
        }
        let end = Instant::now() + PATIENCE;
        let missing = |c: &Carrier| {
            let heard = |call: &Call| c.heard.get(call.invite.call_id());
            c.calls
                .values()
                .filter(|call| !heard(call).is_some_and(|h| h.acknowledged))
                .map(|call| (call.fate, call.invite.call_id().to_owned()))
                .collect::<Vec<_>>()
        };
        while !missing(self).is_empty() {
            assert!(Instant::now() < end, "calls without an ACK at the callee: {:?}", missing(self));
            self.step();
        }
        assert_eq!(self.calls.len(), self.heard.len());
    }

    fn on_request(&mut self, m: &Message) {
        let heard = self.heard.entry(m.call_id().to_owned()).or_default();
        let branch = m.branch().unwrap_or_default().to_owned();
        match m.method() {
            "INVITE" => {
                let first = heard.invite.get_or_insert_with(|| (branch.clone(), m.clone()));
                assert_eq!(first.0, branch, "two transactions for the INVITE of {}", m.call_id());
                self.callee.respond(m, 180, "Ringing");
                match m.get("X-Fate") {
                    Some("answered") => drop(self.callee.accept(m)),
                    Some("busy") => drop(self.callee.respond(m, 486, "Busy Here")),
                    _ => {}
                }
            }
            "CANCEL" => {
                self.callee.respond(m, 200, "OK");
                let (_, invite) = heard.invite.clone().expect("CANCEL of an INVITE that came");
                self.callee.respond(&invite, 487, "Request Terminated");
            }
            "ACK" => heard.acknowledged = true,
            "BYE" => {
                let first = heard.bye.get_or_insert_with(|| branch.clone());
                assert_eq!(*first, branch, "two transactions for the BYE of {}", m.call_id());
                self.callee.respond(m, 200, "OK");
            }
            method => panic!("the callee is asked for {method}"),
        }
    }

    fn on_response(&mut self, m: &Message) {
        let call = self.calls.get_mut(m.call_id()).expect("a response to one of our calls");
        let (_, method) = m.cseq();
        let udp = self.caller.wire.name() == "UDP";
        match (method, m.status()) {
            ("INVITE", 100) => {}
            ("INVITE", 180) => {
                if call.fate == Fate::Cancelled && !std::mem::replace(&mut call.cancelled, true) {
                    if udp {
                        self.caller.send(&call.invite);
                    }
                    call.waits = Some(self.caller.cancel(&call.invite));
                    call.sent = Instant::now();
                }
            }
            ("INVITE", 200) => {
                assert_eq!(call.fate, Fate::Answered, "{}", m.call_id());
                if let Some(ack) = &call.ack {
                    return self.caller.send(ack);
                }
                let mut dialog = Dialog::of_caller(&call.invite, m);
                let ack = dialog.request(&self.caller, "ACK");
                let bye = dialog.request(&self.caller, "BYE");
                for request in [&ack, &bye].into_iter().chain(udp.then_some(&bye)) {
                    self.caller.send(request);
                }
                (call.ack, call.waits, call.sent) = (Some(ack), Some(bye), Instant::now());
            }
            ("INVITE", status) => {
                let wanted = if call.fate == Fate::Busy { 486 } else { 487 };
                assert_eq!((status, call.fate == Fate::Answered), (wanted, false), "{}", m.call_id());
                self.caller.acknowledge_failure(&call.invite, m);
                if call.waits.take().is_some() {
                    (self.open, self.done) = (self.open - 1, self.done + 1);
                }
            }
            ("BYE", 200) => {
                if call.waits.take().is_some() {
                    (self.open, self.done) = (self.open - 1, self.done + 1);
                }
            }
            ("CANCEL", 200) => {}
            (method, status) => panic!("{status} to {method} of {}", m.call_id()),
        }
    }
}
