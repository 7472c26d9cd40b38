//! Machines without sockets: the bytes say what happens to them, one after the other.

use trunkline_proxy::ProxyTransaction;
use trunkline_proxy::transaction::{Answer, Asked, Heard, Input, Output, Question, Target, Waiting, Work};
use trunkline_sip::{Index, Limits, Message, Method};
use trunkline_transaction::timers::{C, Now};
use trunkline_trunks::{Next, Registration, Response};

use crate::rng::Rng;

/// Scripts of several lengths.
pub fn scripts() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(8);
    (1..40).map(|n| (0..n * 5).map(|_| rng.draw() as u8).collect()).collect()
}

/// Takes what the machine is told from a script; 0 behind its end.
struct Script<'a> {
    rest: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[usize::from(self.byte()) % list.len()]
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }
}

const CODES: [u16; 28] = [
    100, 180, 180, 183, 199, 200, 202, 299, 300, 302, 401, 403, 404, 407, 408, 415, 430, 480, 486, 487, 500,
    503, 503, 504, 600, 603, 666, 699,
];

/// A proxy transaction with its owner.
struct Proxy<'a> {
    script: Script<'a>,
    machine: ProxyTransaction<()>,
    work: Work,
    index: Index,
    now: Now,
    method: &'static str,
    /// Branches that were heard of, and have had no final response.
    rings: Vec<bool>,
    /// Those that are being cancelled.
    cancelled: Vec<u8>,
    finals: (u32, u32),
    ended_silently: bool,
}

impl Proxy<'_> {
    fn target(&mut self) -> Target<()> {
        let (flags, more) = (self.script.byte(), self.script.byte());
        Target {
            reliable: flags & 1 != 0,
            grown: flags & 3 == 3,
            trunk: flags & 4 != 0,
            carrier: flags & 8 != 0,
            passes_challenges: flags & 16 != 0,
            has_credentials: flags & 32 != 0,
            has_addresses: flags & 64 != 0,
            silence: (more & 1 != 0).then_some(2_000),
            patience: 2_000,
            phone: u64::from(more >> 1 & 3),
            cseq_added: 0,
            hop: (),
        }
    }

    fn request(&self, transport: &str) -> Vec<u8> {
        let method = self.method;
        format!(
            "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/{transport} us;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n\
             From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    fn start(&mut self) {
        let target = self.target();
        if self.script.byte().is_multiple_of(16) {
            return self.machine.start_dead(503, target, &mut self.work);
        }
        let request = self.request(if target.grown { "TCP" } else { "UDP" });
        self.machine.start(request, target, self.now, &mut self.work);
    }

    fn put_off(&mut self) {
        let (group, kind) = (self.script.byte() & 3, self.script.byte());
        let (request, target) = (self.request("UDP"), self.target());
        let dead = (kind & 14 == 14).then_some(480);
        let waiting = Waiting { request, name_at: 60, dead, group, target };
        self.machine.put_off(waiting, kind & 1 != 0);
    }

    fn tell(&mut self, input: Input<'_, ()>) {
        self.machine.handle(input, self.now, &mut self.work);
        self.carry_out(None);
    }

    fn hear(&mut self) {
        let branch = self.script.byte() % (self.machine.branches().len() as u8).max(1);
        let (code, kind) = (self.script.pick(&CODES), self.script.byte());
        let method = if kind & 7 == 7 { "CANCEL" } else { self.method };
        let below = if kind & 56 == 56 { "" } else { "Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\n" };
        let text = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP us;branch=z9hG4bK1\r\n{below}From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 1 {method}\r\nRetry-After: 7 (x)\r\nWWW-Authenticate: Digest realm=\"x\"\r\n\r\n"
        );
        let mut index = std::mem::take(&mut self.index);
        index.parse(text.as_bytes(), &Limits::default()).expect("a response");
        let message = Message::new(text.as_bytes(), &index);
        let heard = Heard { branch, message: &message, for_us: kind & 64 != 0, may_stay: kind & 128 == 0 };
        if method != "CANCEL" {
            self.rings.resize(self.rings.len().max(usize::from(branch) + 1), false);
            self.rings[usize::from(branch)] = code < 200;
        }
        self.machine.handle(Input::Response(heard), self.now, &mut self.work);
        self.carry_out(Some(heard));
        self.index = index;
    }

    fn answer_to(&mut self, asked: Asked, heard: Option<Heard<'_>>) -> Answer<()> {
        let choice = self.script.byte();
        let here = matches!(asked.what, Question::Address(_) | Question::Diversion) || heard.is_some();
        if choice < 100 || !here || !self.machine.has_room(8) {
            return Answer::Nothing;
        }
        match asked.what {
            Question::Diversion => {
                self.machine.begin_again();
                self.start();
                Answer::Started
            }
            Question::Redirection if choice & 1 == 0 => {
                self.start();
                Answer::Started
            }
            Question::Address(_) | Question::Credentials | Question::Redirection => {
                Answer::Instead(self.request("UDP"), self.target())
            }
        }
    }

    fn carry_out(&mut self, heard: Option<Heard<'_>>) {
        let mut steps = 0;
        while let Some(output) = self.work.outputs.pop_front() {
            steps += 1;
            assert!(steps < 5_000, "it never comes to an end");
            match output {
                Output::Request(branch) => {
                    let b = self.machine.branch_mut(branch).expect("a branch");
                    if b.waited() {
                        b.name_place(8).expect("a place").fill(b'n');
                    }
                }
                Output::Repeat(branch) | Output::FallBack(branch) | Output::AckAgain(branch) => {
                    assert!(!self.machine.branch(branch).expect("a branch").sent().is_empty());
                }
                Output::Silent(branch) => assert!(self.machine.branch(branch).is_some()),
                Output::Ack(branch, text) => {
                    assert!(self.work.bytes[text.range()].starts_with(b"ACK ") && self.method == "INVITE");
                    assert!(self.machine.branch(branch).is_some());
                }
                Output::Cancel(branch, text) => {
                    assert!(self.work.bytes[text.range()].starts_with(b"CANCEL ") && self.method == "INVITE");
                    let rang = self.rings.get(usize::from(branch)).copied().unwrap_or_default();
                    // It is repeated until it is answered itself, whatever becomes of the branch.
                    let again = self.cancelled.contains(&branch);
                    assert!(rang || again, "a CANCEL for a branch that has not been heard of, or has ended");
                    self.cancelled.push(branch);
                }
                Output::Reply => assert!(!self.machine.reply().is_empty() || self.finals.1 > 0),
                Output::Forward { branch, code, .. } => {
                    self.answered(code);
                    self.machine.passed_on(branch, code, b"text", &mut self.work);
                }
                Output::Answer(code) => {
                    self.answered(code);
                    self.machine.answered(b"answer", false, &mut self.work);
                }
                Output::Ask(asked) => {
                    let answer = self.answer_to(asked, heard);
                    self.machine.handle(Input::Answer(asked, answer, heard), self.now, &mut self.work);
                }
                Output::TimedOut => self.ended_silently = true,
            }
        }
        self.work.bytes.clear();
        assert!(self.machine.branches().len() <= 256);
    }

    /// One final response goes to the caller, but for further 2xx to an INVITE.
    fn answered(&mut self, code: u16) {
        match code {
            ..200 => assert_eq!(self.finals, (0, 0), "{code} after the final response"),
            200..300 => {
                assert!(self.method == "INVITE" || self.finals == (0, 0), "{code} after the final response");
                self.finals.1 += 1;
            }
            _ => {
                assert_eq!(self.finals, (0, 0), "{code} after the final response");
                self.finals.0 += 1;
            }
        }
    }

    fn step(&mut self) {
        let branch = |p: &mut Self| p.script.byte() % (p.machine.branches().len() as u8).max(1);
        match self.script.byte() % 20 {
            0 => self.tell(Input::Repetition),
            1 => self.tell(Input::Ack),
            2 => self.tell(Input::Cancel(b"Reason: SIP;cause=487\r\n")),
            3 => {
                let (branch, code) = (branch(self), self.script.pick(&[480, 503]));
                self.tell(Input::Unsent(branch, code));
            }
            4 => {
                let branch = branch(self);
                self.tell(Input::Unreachable(branch));
            }
            5 => {
                let branch = branch(self);
                self.tell(Input::Doubtful(branch));
            }
            6 => {
                let (branch, refused) = (branch(self), self.script.flag());
                self.tell(Input::Lost { branch, refused });
            }
            7..10 => {
                self.now += Now::from(self.script.byte()) * 150;
                self.tell(Input::Timer);
            }
            10..13 => {
                self.now = self.machine.deadline().unwrap_or(self.now).max(self.now);
                self.tell(Input::Timer);
            }
            _ => self.hear(),
        }
    }
}

/// A proxy transaction: it answers once, asks for nothing without end, cancels what rings, and ends.
pub fn proxy(bytes: &[u8]) {
    let mut script = Script { rest: bytes.get(..400).unwrap_or(bytes) };
    let (first, targets) = (script.byte(), script.byte());
    let (method, name) =
        if first & 3 == 0 { (Method::Message, "MESSAGE") } else { (Method::Invite, "INVITE") };
    let machine = ProxyTransaction::new(method, first & 4 != 0, b"100".to_vec(), Vec::new(), C);
    let mut p = Proxy {
        script,
        machine,
        work: Work::default(),
        index: Index::default(),
        now: 1_000,
        method: name,
        rings: Vec::new(),
        cancelled: Vec::new(),
        finals: (0, 0),
        ended_silently: false,
    };
    p.machine.set_divertible(first & 8 != 0);
    p.machine.set_redirectable(first & 16 != 0);
    if first & 32 != 0 {
        p.machine.ring_for(20_000, first & 64 != 0);
    }
    for _ in 0..targets >> 2 & 3 {
        p.put_off();
    }
    for _ in 0..=targets & 3 {
        p.start();
    }
    p.carry_out(None);
    while !p.script.rest.is_empty() && !p.machine.is_over() {
        p.step();
    }
    let mut timers = 0;
    while let Some(at) = p.machine.deadline().filter(|_| !p.machine.is_over()) {
        timers += 1;
        assert!(timers < 20_000, "it does not end: {at} is due at {}", p.now);
        p.now = at.max(p.now);
        p.tell(Input::Timer);
    }
    assert!(p.machine.is_over(), "nothing is due, and it is not over");
    assert!(p.finals != (0, 0) || p.ended_silently && name != "INVITE", "the caller has no answer");
    p.machine.close(&mut p.work.buffers);
}

/// A registration at a carrier: it asks at a bounded rate, however the carrier answers, and ends when it is left.
pub fn registration(bytes: &[u8]) {
    let mut script = Script { rest: bytes.get(..400).unwrap_or(bytes) };
    let mut r = Registration::new(script.flag(), 0);
    let (mut now, mut asked, mut left) = (0, 0_u64, false);
    while !script.rest.is_empty() {
        let mut next = Next::Wait;
        match script.byte() % 10 {
            0..5 => {
                let code = script.pick(&[100, 200, 200, 202, 401, 407, 401, 403, 420, 423, 503, 699]);
                let number = |script: &mut Script<'_>| {
                    let choice = script.byte();
                    script.pick(&[
                        None,
                        Some(0),
                        Some(1),
                        Some(30),
                        Some(u32::from(choice) * 60),
                        Some(u32::MAX),
                    ])
                };
                let response = Response {
                    status: code,
                    granted: number(&mut script),
                    at_least: number(&mut script),
                    retry_after: number(&mut script),
                    stale: script.flag(),
                };
                next = r.on_response(&response, now);
            }
            5 => r.flow_ended(now),
            6 if script.byte().is_multiple_of(8) => {
                r.leave(now);
                left = true;
            }
            6 if !left && script.byte().is_multiple_of(8) => r.refresh(now),
            6 => {}
            _ => {
                now = r.due().unwrap_or(now).max(now);
                next = r.on_time(now);
            }
        }
        match next {
            Next::Ask | Next::Answer => {
                asked += 1;
                match script.byte() % 16 {
                    0 => r.not_sent(Some(1_000), now),
                    1 => r.not_sent(None, now),
                    other => r.sent(other & 1 == 0, now),
                }
            }
            Next::Over => assert!(left && r.due().is_none(), "over, and nobody left"),
            Next::Wait | Next::Rest | Next::Repeat | Next::Silent => {}
        }
        assert!(r.due().is_some() || left, "it would never ask again");
        assert!(!r.is_registered(now) || r.until().is_some_and(|until| until > now));
    }
    assert!(asked <= 1 + bytes.len() as u64);
    r.leave(now);
    // Nobody answers: it ends all the same.
    for _ in 0..64 {
        let Some(due) = r.due() else { return assert!(!r.is_leaving()) };
        now = due.max(now);
        if r.on_time(now) == Next::Ask {
            r.sent(false, now);
        }
    }
    panic!("it does not end");
}
