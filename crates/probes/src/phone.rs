//! A party: sends requests, answers them, and says what reached it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::digest::{Claim, answer};
use crate::message::{Message, parameter};
use crate::random::random;
use crate::target::{Login, Target};
use crate::wire::{Way, Wire};

pub(crate) use crate::stream::PATIENCE;
/// How long a request that goes on is waited for.
pub(crate) const RINGING: Duration = Duration::from_secs(2);
/// How long a party listens for what must not come.
pub(crate) const QUIET: Duration = Duration::from_millis(400);

/// A party on a socket of its own.
pub(crate) struct Phone {
    wire: Wire,
    way: Way,
    domain: String,
    pub(crate) login: Login,
    pub(crate) bytes_in: usize,
    pub(crate) bytes_out: usize,
}

/// A request: what is given, and what is usual for the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    /// Default: the phone's own AOR.
    pub(crate) from: Option<String>,
    /// Default: the Request-URI.
    pub(crate) to: Option<String>,
    pub(crate) from_tag: Option<String>,
    pub(crate) call_id: Option<String>,
    pub(crate) cseq: u32,
    /// Default: where the phone is.
    pub(crate) contact: Option<String>,
    /// Further header lines, each with its end.
    pub(crate) more: String,
    /// An SDP body, or none.
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn new(method: &'static str, uri: impl Into<String>) -> Ask {
        Ask { method, uri: uri.into(), cseq: 1, ..Ask::default() }
    }

    pub(crate) fn from(mut self, from: impl Into<String>) -> Ask {
        self.from = Some(from.into());
        self
    }

    pub(crate) fn more(mut self, line: impl AsRef<str>) -> Ask {
        let _ = write!(self.more, "{}\r\n", line.as_ref());
        self
    }
}

/// A call that was answered, as its caller knows it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) call_id: String,
    pub(crate) from_tag: String,
    pub(crate) to: String,
    /// The Record-Route that the caller got.
    pub(crate) route: String,
}

impl Phone {
    /// One that uses the transport of the target.
    pub(crate) fn at(target: &Target, local: SocketAddr, login: &Login) -> io::Result<Phone> {
        Phone::by(target.way, target, local, login)
    }

    pub(crate) fn by(way: Way, target: &Target, local: SocketAddr, login: &Login) -> io::Result<Phone> {
        let server = target.hears(way).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let wire = Wire::open(way, local, server)?;
        let (domain, login) = (target.domain.clone(), login.clone());
        Ok(Phone { wire, way, domain, login, bytes_in: 0, bytes_out: 0 })
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.wire.local()
    }

    pub(crate) fn aor(&self) -> String {
        format!("sip:{}@{}", self.login.user, self.domain)
    }

    pub(crate) fn contact(&self) -> String {
        format!("sip:{}@{}{}", self.login.user, self.local(), self.way.parameter())
    }

    /// A short SDP body.
    pub(crate) fn offer(&self) -> String {
        let ip = self.local().ip();
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n")
    }

    /// The request as text.
    pub(crate) fn write(&self, ask: &Ask) -> String {
        let Ask { method, uri, cseq, more, body, .. } = ask;
        let own = |given: &Option<String>| given.clone().unwrap_or_else(random);
        let from = ask.from.clone().unwrap_or_else(|| format!("<{}>", self.aor()));
        let to = ask.to.clone().unwrap_or_else(|| format!("<{uri}>"));
        let contact = ask.contact.clone().unwrap_or_else(|| format!("<{}>", self.contact()));
        let (tag, call_id, local) = (own(&ask.from_tag), own(&ask.call_id), self.local());
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{way} {local};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: {from};tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: {contact}\r\n{more}{kind}Content-Length: {length}\r\n\r\n{body}",
            way = self.way.name(),
            branch = random(),
            kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" },
            length = body.len(),
        )
    }

    pub(crate) fn send(&mut self, text: &str) -> io::Result<()> {
        self.bytes_out += text.len();
        self.wire.send(text)
    }

    /// The next message that arrives within this time.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<Message> {
        let end = Instant::now() + patience;
        loop {
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            let bytes = self.wire.next(left)?;
            self.bytes_in += bytes.len();
            if let Some(message) = Message::read(&bytes) {
                return Some(message);
            }
        }
    }

    /// Sends a request and waits for its final response. Requests that arrive meanwhile are left unanswered.
    pub(crate) fn ask(&mut self, text: &str) -> io::Result<Option<Message>> {
        self.ask_within(text, PATIENCE)
    }

    /// The same, where it may be that nobody answers.
    pub(crate) fn ask_within(&mut self, text: &str, patience: Duration) -> io::Result<Option<Message>> {
        let (call_id, cseq) = (header(text, "Call-ID"), header(text, "CSeq"));
        self.send(text)?;
        let mut end = Instant::now() + patience;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let Some(message) = self.next(left) else { break };
            let is_it = message.get("call-id") == call_id && message.get("cseq") == cseq;
            if is_it && (1..200).contains(&message.status()) {
                // It rings, and nobody here takes the call.
                end = end.min(Instant::now() + RINGING);
            }
            if is_it && message.status() >= 200 {
                if cseq.ends_with(" INVITE") {
                    let ack = ack(text, &message);
                    self.send(&ack)?;
                }
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// The same, with the digest that the response wants.
    pub(crate) fn ask_as_user(&mut self, ask: &Ask) -> io::Result<Option<Message>> {
        let first = self.ask(&self.write(ask))?;
        let Some(authorised) = first.as_ref().and_then(|response| self.authorised(ask, response)) else {
            return Ok(first);
        };
        let text = self.write(&authorised);
        self.ask(&text)
    }

    /// The request with credentials for this challenge.
    pub(crate) fn authorised(&self, ask: &Ask, challenge: &Message) -> Option<Ask> {
        let (asks, gives) = match challenge.status() {
            401 => ("www-authenticate", "Authorization"),
            407 => ("proxy-authenticate", "Proxy-Authorization"),
            _ => return None,
        };
        let Login { user, password } = &self.login;
        let claim = Claim { user, password, method: ask.method, uri: &ask.uri };
        let credentials = challenge.all(asks).find_map(|one| answer(one, &claim))?;
        let again = Ask { cseq: ask.cseq + 1, ..ask.clone() };
        Some(again.more(format!("{gives}: {credentials}")))
    }

    /// Registers; the status of the answer.
    pub(crate) fn register(&mut self, expires: u32) -> io::Result<Option<u16>> {
        let ask = Ask { to: Some(format!("<{}>", self.aor())), ..self.register_request(expires) };
        Ok(self.ask_as_user(&ask)?.map(|response| response.status()))
    }

    pub(crate) fn register_request(&self, expires: u32) -> Ask {
        let ask = Ask::new("REGISTER", format!("sip:{}", self.domain)).more(format!("Expires: {expires}"));
        Ask { to: Some(format!("<{}>", self.aor())), call_id: Some(random()), ..ask }
    }

    /// Answers a request.
    pub(crate) fn respond(&mut self, request: &Message, status: u16) -> io::Result<()> {
        let mut text = format!("SIP/2.0 {status} Answer\r\n");
        for name in ["via", "record-route", "from", "call-id", "cseq"] {
            for value in request.all(name) {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        let to = request.get("to");
        let tag = if parameter(to, "tag").is_empty() { format!(";tag={}", random()) } else { String::new() };
        let contact = self.contact();
        let _ = write!(text, "to: {to}{tag}\r\ncontact: <{contact}>\r\ncontent-length: 0\r\n\r\n");
        self.send(&text)
    }

    /// The requests that reach this party until it is quiet for this long, each once. They are refused, so that they end.
    pub(crate) fn reached(&mut self, quiet: Duration) -> Vec<Message> {
        let (mut seen, mut all) = (HashSet::new(), Vec::new());
        while let Some(message) = self.next(quiet) {
            if message.status() > 0 || message.method() == "ACK" {
                continue;
            }
            // Questions of the exchange itself are no attack.
            let _ = self.respond(&message, 486);
            let of_exchange = message.method() == "OPTIONS" && message.get("call-id").starts_with('q');
            if !of_exchange
                && seen.insert((message.get("call-id").to_owned(), message.get("cseq").to_owned()))
            {
                all.push(message);
            }
        }
        all
    }

    /// Calls the callee, who answers. `None` if the call does not come about.
    pub(crate) fn call(&mut self, ask: &Ask, callee: &mut Phone) -> io::Result<Option<Answered>> {
        let mut text = self.write(ask);
        for _ in 0..2 {
            self.send(&text)?;
            let end = Instant::now() + PATIENCE;
            let mut challenge = None;
            while Instant::now() < end && challenge.is_none() {
                if let Some(request) =
                    callee.next(Duration::from_millis(20)).filter(|m| m.method() == "INVITE")
                {
                    callee.respond(&request, 200)?;
                }
                let Some(message) = self.next(Duration::from_millis(20)) else { continue };
                match message.status() {
                    0..200 => {}
                    200..300 => return self.answered(&text, &message).map(Some),
                    401 | 407 => challenge = Some(message),
                    _ => return Ok(None),
                }
            }
            let Some(challenge) = challenge else { return Ok(None) };
            self.send(&ack(&text, &challenge))?;
            let Some(authorised) = self.authorised(ask, &challenge) else { return Ok(None) };
            text = self.write(&authorised);
        }
        Ok(None)
    }

    fn answered(&mut self, invite: &str, ok: &Message) -> io::Result<Answered> {
        let answered = Answered {
            call_id: ok.get("call-id").to_owned(),
            from_tag: parameter(ok.get("from"), "tag").to_owned(),
            to: ok.get("to").to_owned(),
            route: ok.all("record-route").collect::<Vec<_>>().join(", "),
        };
        // The ACK to a 2xx is a request of its own (RFC 3261 §13.2.2.4).
        let target = ok.get("contact").trim_start_matches('<').split('>').next().unwrap_or_default();
        let ack = Ask {
            from_tag: Some(answered.from_tag.clone()),
            from: header_value(invite, "From"),
            to: Some(answered.to.clone()),
            call_id: Some(answered.call_id.clone()),
            cseq: ok.cseq().0,
            ..Ask::new("ACK", target)
        };
        let text = self.write(&ack.more(format!("Route: {}", answered.route)));
        self.send(&text)?;
        Ok(answered)
    }
}

/// The ACK to a final response other than 2xx (RFC 3261 §17.1.1.3).
fn ack(invite: &str, response: &Message) -> String {
    if (200..300).contains(&response.status()) {
        return String::new();
    }
    let uri = invite.split(' ').nth(1).unwrap_or_default();
    let line = |name: &str| format!("{name}: {}\r\n", header(invite, name));
    format!(
        "ACK {uri} SIP/2.0\r\n{}Max-Forwards: 70\r\n{}To: {}\r\n{}CSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
        line("Via"),
        line("From"),
        response.get("to"),
        line("Call-ID"),
        response.cseq().0,
    )
}

fn header<'t>(text: &'t str, name: &str) -> &'t str {
    let mut lines = text.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

/// A header's value without its tag.
fn header_value(text: &str, name: &str) -> Option<String> {
    header(text, name).split(";tag=").next().map(str::to_owned)
}
