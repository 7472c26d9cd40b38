//! The side that is called: every request that arrives is judged, and answered as its history has it.

use std::fmt::Write as _;

use trunkline_tests::Message;

use super::cast::Who;
use super::challenged::ACCOUNT;
use super::lane::{Lane, Served};
use super::net::Port;
use super::ruling::{Broken, Forgery, Place, Plan, Play};

/// The host of an identity that a sender asserts.
pub const SAID: &str = "said.test";

impl Lane {
    /// Whatever arrives is answered, also where it should not be: what nobody answers would come again and again.
    pub fn take_request(&mut self, port: Port, message: Message) -> Play {
        let refused = message.clone();
        let result = self.judge_request(port, message);
        if result.is_err() {
            self.respond(port, refused, &Plan { status: 603, tag: "wrong".into(), ..Plan::default() });
        }
        result
    }

    fn judge_request(&mut self, port: Port, message: Message) -> Play {
        let (who, branch) = (self.sockets.who(port), message.branch().unwrap_or_default().to_owned());
        let method = message.method().to_owned();
        if let Some(served) = self.served.get(&branch) {
            if served.port != port {
                return Err(Broken(format!("{who:?} got a repetition of another's {method}")));
            }
            return match method.as_str() {
                "CANCEL" => self.take_cancel(port, &message, &branch),
                "ACK" if served.status >= 300 => Ok(()),
                _ => {
                    let answer = served.answer.clone();
                    self.sockets.send(port, &answer);
                    Ok(())
                }
            };
        }
        if self.old.contains(&branch) {
            return Ok(());
        }
        let name = message.get("X-Step").unwrap_or_default().to_owned();
        let Some(step) = self.steps.get_mut(&name) else {
            return Err(Broken(format!(
                "{who:?} got a {method} nobody sent: step `{name}`\n{}",
                self.ladder.last()
            )));
        };
        let uri = message.uri().to_owned();
        match step.ruling.place() {
            Some(place) if (place.port == port || place.also.contains(&port)) && place.has(&uri) => {}
            Some(place) => {
                let meant = self.sockets.who(place.port);
                return Err(Broken(format!(
                    "{method} {uri} reached {who:?}; it was for {meant:?} as {}",
                    place.uri
                )));
            }
            None => return Err(Broken(format!("{method} {uri} reached {who:?}; it was for nobody"))),
        }
        if !step.plan.believed && message.all("P-Asserted-Identity").any(|said| said.contains(SAID)) {
            return Err(Broken(format!("{method} {uri} asserts to {who:?} what its sender may not")));
        }
        let account = format!("username=\"{ACCOUNT}\"");
        let shown = message.all("Proxy-Authorization").any(|value| value.contains(&account));
        if shown && (step.plan.asks.is_none() || who != Who::Cred) {
            return Err(Broken(format!("{method} {uri} shows {who:?} the account of a trunk")));
        }
        step.arrived.push((port, message.clone()));
        let challenges = usize::from(step.plan.asks.is_some() && step.plan.heard == 200);
        if step.arrived.len() > step.ruling.place().map_or(1, Place::times) + challenges {
            return Err(Broken(format!("{method} {uri} reached {who:?} twice")));
        }
        let mut plan = step.plan.clone();
        if let Some(realm) = plan.asks.take().filter(|_| !shown) {
            plan.status = 407;
            plan.more =
                format!("Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"n0\", qop=\"auth\"\r\n");
        }
        self.respond(port, message, &plan);
        Ok(())
    }

    pub fn respond(&mut self, port: Port, message: Message, plan: &Plan) {
        let branch = message.branch().unwrap_or_default().to_owned();
        if let Some(forged) = plan.forged.as_ref().filter(|_| message.method() != "ACK") {
            let bytes = forged_answer(&message, plan, forged);
            self.ladder.sent(self.sockets.who(port), &bytes);
            self.sockets.send(port, &bytes);
        }
        if message.method() == "ACK" {
            self.answer_ack(port, &message);
        }
        let bytes = if message.method() == "ACK" { Vec::new() } else { answer(&message, plan) };
        if !bytes.is_empty() {
            self.ladder.sent(self.sockets.who(port), &bytes);
            self.messages += 1;
            self.sockets.send(port, &bytes);
        }
        self.served.insert(branch, Served { port, message, status: plan.status, answer: bytes });
    }

    /// Nothing answers an ACK: what is made up says nothing of the dialog, neither that it has ended nor that it lives on.
    fn answer_ack(&mut self, port: Port, ack: &Message) {
        let lies = ["BYE", "SUBSCRIBE", "REFER", "INVITE"];
        let lie = lies[self.messages as usize % lies.len()];
        let cseq = format!("{} {lie}", ack.cseq().0);
        let more = "Expires: 4294967295\r\n".into();
        let bytes = answer(&ack.clone().set("CSeq", cseq), &Plan { status: 200, more, ..Plan::default() });
        self.ladder.sent(self.sockets.who(port), &bytes);
        self.sockets.send(port, &bytes);
    }

    /// The exchange takes a request back: 200, and 487 to the request itself if it waits.
    fn take_cancel(&mut self, port: Port, cancel: &Message, branch: &str) -> Play {
        if !self.cancelled.contains(cancel.call_id()) {
            return Err(Broken(format!("{} was cancelled, and not by its caller", cancel.call_id())));
        }
        let bytes = answer(cancel, &Plan { status: 200, tag: "cancelled".into(), ..Plan::default() });
        self.sockets.send(port, &bytes);
        let Some(served) = self.served.get_mut(branch) else { return Ok(()) };
        if served.status == 0 {
            served.status = 487;
            let tag = format!("t{}", served.message.call_id());
            served.answer = answer(&served.message, &Plan { status: 487, tag, ..Plan::default() });
            let bytes = served.answer.clone();
            self.ladder.sent(self.sockets.who(port), &bytes);
            self.sockets.send(port, &bytes);
        }
        Ok(())
    }
}

/// The same in the name of another dialog.
fn forged_answer(request: &Message, plan: &Plan, forged: &Forgery) -> Vec<u8> {
    let mut named = request.clone();
    for (name, value) in [("From", &forged.from), ("To", &forged.to), ("Call-ID", &forged.call_id)] {
        if let Some(value) = value {
            named = named.set(name, value);
        }
    }
    if let Some(cseq) = forged.cseq {
        named = named.set("CSeq", format!("{cseq} {}", request.method()));
    }
    answer(&named, &Plan { contact: Some(forged.contact.clone()), ..plan.clone() })
}

/// A response as bytes.
fn answer(request: &Message, plan: &Plan) -> Vec<u8> {
    let status = if plan.status == 0 { 180 } else { plan.status };
    let mut out = format!("SIP/2.0 {status} Said\r\n");
    for via in request.all("Via") {
        let _ = write!(out, "Via: {via}\r\n");
    }
    let dialog = matches!(request.method(), "INVITE" | "SUBSCRIBE" | "REFER" | "UPDATE" | "NOTIFY");
    if dialog {
        if let Some(own) = &plan.record_route {
            let _ = write!(out, "Record-Route: {own}\r\n");
        }
        let came = || request.all("Record-Route").map(str::to_owned).collect();
        for route in plan.stolen.clone().unwrap_or_else(came) {
            let _ = write!(out, "Record-Route: {route}\r\n");
        }
        if let Some(contact) = &plan.contact {
            let _ = write!(out, "Contact: <{contact}>\r\n");
        }
    }
    let to = request.get("To").unwrap_or_default();
    let tag = if request.tag("To").is_some() || plan.tag.is_empty() {
        String::new()
    } else {
        format!(";tag={}", plan.tag)
    };
    let _ = write!(
        out,
        "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n{}Content-Length: 0\r\n\r\n",
        request.get("From").unwrap_or_default(),
        request.call_id(),
        request.get("CSeq").unwrap_or_default(),
        plan.more
    );
    out.into_bytes()
}
