//! A phone made of one socket: it writes requests, answers challenges, and waits for what it is told to expect.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::digest::Challenge;
use crate::message::{Message, uri};
use crate::repetitions::Repetitions;
use crate::wire::Wire;

/// One phone. Messages that arrive while it waits for another are kept for a later wait. What the exchange repeats over UDP
/// is taken once.
#[derive(Debug)]
pub struct Ua {
    /// Its socket.
    pub wire: Wire,
    /// User part of its AOR.
    pub user: String,
    /// Its domain.
    pub domain: String,
    /// Its digest secret.
    pub password: String,
    kept: Vec<Message>,
    taken: Repetitions,
}

impl Ua {
    /// A phone on UDP.
    pub fn udp(server: SocketAddr, user: &str, domain: &str, password: &str) -> Ua {
        Ua::new(Wire::udp(server), user, domain, password)
    }

    /// A phone on one TCP connection.
    pub fn tcp(server: SocketAddr, user: &str, domain: &str, password: &str) -> Ua {
        Ua::new(Wire::tcp(server), user, domain, password)
    }

    /// A phone on one WebSocket.
    pub fn ws(server: SocketAddr, user: &str, domain: &str, password: &str) -> Ua {
        Ua::new(Wire::ws(server), user, domain, password)
    }

    /// A phone on any socket.
    pub fn new(wire: Wire, user: &str, domain: &str, password: &str) -> Ua {
        let (user, domain, password) = (user.to_owned(), domain.to_owned(), password.to_owned());
        Ua { wire, user, domain, password, kept: Vec::new(), taken: Repetitions::default() }
    }

    /// `sip:user@domain`.
    pub fn aor(&self) -> String {
        format!("sip:{}@{}", self.user, self.domain)
    }

    /// The URI it is reached by.
    pub fn contact(&self) -> String {
        let transport = match self.wire {
            Wire::Udp { .. } => "",
            Wire::Tcp { ref stream, .. } if stream.is_secure() => ";transport=tls",
            Wire::Tcp { .. } => ";transport=tcp",
            Wire::Ws(_) => ";transport=ws",
        };
        format!("sip:{}@{}{transport}", self.user, self.wire.local())
    }

    /// A Via line of its own with a fresh branch.
    pub fn via(&self) -> String {
        format!("SIP/2.0/{} {};branch=z9hG4bK{};rport", self.wire.name(), self.wire.local(), fresh())
    }

    /// A new request out of dialog, from us, with a fresh Call-ID, tag and branch.
    pub fn request(&self, method: &str, to: &str) -> Message {
        Message::request(method, to)
            .with("Via", self.via())
            .with("Max-Forwards", "70")
            .with("From", format!("<{}>;tag={}", self.aor(), fresh()))
            .with("To", format!("<{to}>"))
            .with("Call-ID", format!("{}@flow", fresh()))
            .with("CSeq", format!("1 {method}"))
            .with("Contact", format!("<{}>", self.contact()))
    }

    /// An INVITE with a small SDP body.
    pub fn invite(&self, to: &str) -> Message {
        self.request("INVITE", to).body("application/sdp", sdp(self.wire.local(), "sendrecv"))
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Message) {
        self.taken.asked(message);
        assert!(self.wire.send(&message.bytes()), "{}: the connection is closed", self.user);
    }

    /// The first message that matches, of those kept or those that arrive; panics when none does in time.
    pub fn expect(&mut self, what: &str, matches: impl Fn(&Message) -> bool) -> Message {
        let found = self.wait(PATIENCE, &matches);
        self.found(what, found)
    }

    /// The first that matches of what arrives, be it a repetition of what was taken.
    pub fn expect_again(&mut self, what: &str, matches: impl Fn(&Message) -> bool) -> Message {
        let found = self.read(PATIENCE, true, matches);
        self.found(what, found)
    }

    fn found(&self, what: &str, found: Option<Message>) -> Message {
        let seen = || self.kept.iter().map(|message| message.start.as_str()).collect::<Vec<_>>();
        found.unwrap_or_else(|| panic!("{} waited for {what}; it has {:?}", self.user, seen()))
    }

    /// The same with a bound of the caller's, and nothing when it passes.
    pub fn wait(&mut self, bound: Duration, matches: impl Fn(&Message) -> bool) -> Option<Message> {
        if let Some(at) = self.kept.iter().position(&matches) {
            let message = self.kept.remove(at);
            self.take(&message);
            return Some(message);
        }
        self.read(bound, false, matches)
    }

    fn read(&mut self, bound: Duration, again: bool, matches: impl Fn(&Message) -> bool) -> Option<Message> {
        let end = Instant::now() + bound;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let bytes = self.wire.recv(left).ok()??;
            match Message::parse(&bytes) {
                Some(message) if !again && self.taken.has(&message) => {}
                Some(message) if matches(&message) => {
                    self.take(&message);
                    return Some(message);
                }
                Some(message) => self.kept.push(message),
                None => {} // a keep-alive
            }
        }
    }

    /// Only datagrams are repeated.
    fn take(&mut self, message: &Message) {
        if self.wire.name() == "UDP" {
            self.taken.take(message);
            self.kept.retain(|kept| !self.taken.has(kept));
        }
    }

    /// The final response to a request of ours, by Call-ID and CSeq.
    pub fn final_for(&mut self, request: &Message) -> Message {
        let (call, cseq) = (request.call_id(), request.cseq());
        let what = format!("a final response to {} {}", cseq.1, request.uri());
        self.expect(&what, |m| m.status() >= 200 && m.call_id() == call && m.cseq() == cseq)
    }

    /// The response with this status to a request of ours; another final response is a failure.
    pub fn status_for(&mut self, request: &Message, status: u16) -> Message {
        let (call, cseq) = (request.call_id(), request.cseq());
        let what = format!("{status} to {} {}", cseq.1, request.uri());
        let found = self.expect(&what, |m| {
            m.call_id() == call && m.cseq() == cseq && (m.status() == status || m.status() >= 200)
        });
        assert_eq!(found.status(), status, "{}: {}", self.user, found.start);
        found
    }

    /// The next request of a method.
    pub fn request_of(&mut self, method: &str) -> Message {
        self.expect(method, |m| m.method() == method)
    }

    /// Throws away what is kept and whatever has arrived.
    pub fn forget(&mut self) {
        while self.wait(Duration::from_millis(1), |_| true).is_some() {}
    }

    /// True when no message matching arrives within `quiet`.
    ///
    /// # Panics
    /// When that is no time at all, in which nothing would be read.
    pub fn silent(&mut self, quiet: Duration, matches: impl Fn(&Message) -> bool) -> bool {
        assert!(!quiet.is_zero(), "whoever does not listen hears nothing");
        self.wait(quiet, matches).is_none()
    }

    /// Sends a request and gives its final response; a 401 or 407 is answered once. An INVITE's failure is
    /// acknowledged. Returned with it: the request as it was last sent.
    pub fn ask(&mut self, request: &Message) -> (Message, Message) {
        self.send(request);
        let response = self.final_for(request);
        self.acknowledge_failure(request, &response);
        let Some(retry) = self.authorise(request, &response, 1) else { return (response, request.clone()) };
        self.send(&retry);
        let response = self.final_for(&retry);
        self.acknowledge_failure(&retry, &response);
        (response, retry)
    }

    /// As [`Ua::ask`] for an INVITE that shall ring: stops after the challenge, with the INVITE that is on its way.
    pub fn call(&mut self, invite: &Message) -> Message {
        self.send(invite);
        let call = invite.call_id();
        let first = self.expect("an answer to INVITE", |m| m.status() >= 100 && m.call_id() == call);
        if first.status() != 401 && first.status() != 407 {
            self.kept.insert(0, first);
            return invite.clone();
        }
        self.acknowledge_failure(invite, &first);
        let retry = self.authorise(invite, &first, 1).expect("a challenge that can be answered");
        self.send(&retry);
        retry
    }

    /// The same request again with credentials for the challenge in `response`, a CSeq higher.
    pub fn authorise(&self, request: &Message, response: &Message, nc: u32) -> Option<Message> {
        let (ask, answer) = match response.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return None,
        };
        let challenge = response.all(ask).find_map(Challenge::parse)?;
        let (number, method) = request.cseq();
        let value = challenge.answer(&self.user, &self.password, method, request.uri(), nc);
        Some(
            request
                .clone()
                .set("Via", self.via())
                .set("CSeq", format!("{} {method}", number + 1))
                .set(answer, value),
        )
    }

    /// ACK to a final failure of an INVITE, on the INVITE's own branch (RFC 3261 §17.1.1.3).
    pub fn acknowledge_failure(&mut self, invite: &Message, response: &Message) {
        if invite.method() != "INVITE" || response.status() < 300 {
            return;
        }
        let mut ack = Message::request("ACK", invite.uri());
        for name in ["Via", "Max-Forwards", "From", "Call-ID", "Route"] {
            if let Some(value) = invite.get(name) {
                ack = ack.with(name, value);
            }
        }
        let ack =
            ack.with("To", response.get("To").unwrap_or("")).with("CSeq", format!("{} ACK", invite.cseq().0));
        self.send(&ack);
    }

    /// CANCEL of an INVITE of ours (RFC 3261 §9.1).
    pub fn cancel(&mut self, invite: &Message) -> Message {
        let cancel = Ua::cancel_of(invite);
        self.send(&cancel);
        cancel
    }

    /// The CANCEL of an INVITE, not sent yet.
    pub fn cancel_of(invite: &Message) -> Message {
        let mut cancel = Message::request("CANCEL", invite.uri());
        for name in ["Via", "Max-Forwards", "From", "To", "Call-ID", "Route"] {
            if let Some(value) = invite.get(name) {
                cancel = cancel.with(name, value);
            }
        }
        cancel.with("CSeq", format!("{} CANCEL", invite.cseq().0))
    }

    /// A REGISTER of our contact.
    pub fn register_request(&self, expires: u32) -> Message {
        let registrar = format!("sip:{}", self.domain);
        self.request("REGISTER", &registrar)
            .set("To", format!("<{}>", self.aor()))
            .with("Expires", expires.to_string())
    }

    /// Registers, with digest when asked; the final response.
    pub fn register(&mut self, expires: u32) -> Message {
        let request = self.register_request(expires);
        self.ask(&request).0
    }

    /// A response to a request that arrived, with our tag and Contact.
    pub fn response(&self, request: &Message, status: u16, reason: &str) -> Message {
        let mut out =
            Message { start: format!("SIP/2.0 {status} {reason}"), headers: Vec::new(), body: Vec::new() };
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                let tagless = name == "To" && status > 100 && request.tag("To").is_none();
                let value =
                    if tagless { format!("{value};tag={}", self.tag_for(request)) } else { value.to_owned() };
                out = out.with(name, value);
            }
        }
        let dialog = matches!(request.method(), "INVITE" | "SUBSCRIBE" | "UPDATE");
        if dialog && status < 300 { out.with("Contact", format!("<{}>", self.contact())) } else { out }
    }

    /// Sends that response.
    pub fn respond(&mut self, request: &Message, status: u16, reason: &str) -> Message {
        let response = self.response(request, status, reason);
        self.send(&response);
        response
    }

    /// Answers an INVITE with 200 and SDP.
    pub fn accept(&mut self, invite: &Message) -> Message {
        let response =
            self.response(invite, 200, "OK").body("application/sdp", sdp(self.wire.local(), "sendrecv"));
        self.send(&response);
        response
    }

    /// Our tag in a call: the same for every response to it.
    fn tag_for(&self, request: &Message) -> String {
        let text = format!("{}{}{}", request.call_id(), self.user, self.wire.local());
        format!("t{:x}", text.bytes().fold(5381_u64, |sum, byte| sum.wrapping_mul(33) ^ u64::from(byte)))
    }

    /// The URI of the first Contact of a response.
    pub fn target(response: &Message) -> String {
        uri(response.get("Contact").unwrap_or("")).to_owned()
    }
}

/// A short offer or answer.
pub fn sdp(at: SocketAddr, direction: &str) -> String {
    format!(
        "v=0\r\no=- 7 {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\na={direction}\r\n",
        COUNTER.load(Ordering::Relaxed),
        40_000 + u32::from(at.port()) % 2_000 * 2,
        family = if at.is_ipv6() { "IP6" } else { "IP4" },
        ip = at.ip(),
    )
}

static COUNTER: AtomicU32 = AtomicU32::new(1);

/// Text no other call of this machine has.
pub fn fresh() -> String {
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let time =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |t| t.as_micros());
    format!("{:x}.{:x}.{n}", std::process::id(), time & 0xff_ffff_ffff)
}
