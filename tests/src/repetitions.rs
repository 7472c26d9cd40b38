//! What a phone has taken already: over UDP the exchange says it again where the test is slow to answer (timers A, E and G
//! of RFC 3261 §17), and a repetition must not be taken for another message.

use crate::message::Message;

/// Names of the messages that were taken.
#[derive(Debug, Default)]
pub struct Repetitions(Vec<Name>);

/// Branch, method, number and status: what a repetition has in common with its first.
#[derive(Debug, PartialEq)]
struct Name {
    branch: String,
    method: String,
    number: u32,
    status: u16,
}

impl Name {
    /// Requests are repeated, and so are failures of an INVITE until their ACK. Any other response answers a request of
    /// ours that came twice.
    fn of(message: &Message) -> Option<Name> {
        let (number, method) = message.cseq();
        let status = message.status();
        if status != 0 && (status < 300 || method != "INVITE") {
            return None;
        }
        // An ACK and a CANCEL share branch and number with their INVITE.
        let method = if status == 0 { message.method() } else { method };
        Some(Name { branch: message.branch()?.to_owned(), method: method.to_owned(), number, status })
    }
}

impl Repetitions {
    /// From now on this message is known.
    pub fn take(&mut self, message: &Message) {
        if let Some(name) = Name::of(message).filter(|name| !self.0.contains(name)) {
            self.0.push(name);
        }
    }

    /// Was it taken before?
    pub fn has(&self, message: &Message) -> bool {
        Name::of(message).is_some_and(|name| self.0.contains(&name))
    }

    /// We send this request, perhaps once more: its answer is news.
    pub fn asked(&mut self, request: &Message) {
        let branch = request.branch().unwrap_or_default();
        self.0.retain(|name| name.status == 0 || name.branch != branch);
    }
}

#[cfg(test)]
mod tests {
    use super::Repetitions;
    use crate::message::Message;

    fn message(start: &str, cseq: &str) -> Message {
        Message { start: start.into(), headers: Vec::new(), body: Vec::new() }
            .with("Via", "SIP/2.0/UDP a;branch=z9hG4bK1")
            .with("CSeq", cseq)
    }

    #[test]
    fn what_was_taken_is_known_by_its_transaction() {
        let mut taken = Repetitions::default();
        let invite = message("INVITE sip:a SIP/2.0", "1 INVITE");
        let busy = message("SIP/2.0 486 Busy Here", "1 INVITE");
        for message in [&invite, &busy, &message("SIP/2.0 200 OK", "1 INVITE")] {
            assert!(!taken.has(message));
            taken.take(message);
        }
        assert!(taken.has(&invite) && taken.has(&busy));
        for news in [
            message("ACK sip:a SIP/2.0", "1 ACK"),
            message("INVITE sip:a SIP/2.0", "2 INVITE"),
            message("SIP/2.0 487 Request Terminated", "1 INVITE"),
            message("SIP/2.0 200 OK", "1 INVITE"),
            message("SIP/2.0 486 Busy Here", "1 MESSAGE"),
        ] {
            assert!(!taken.has(&news), "{}", news.start);
        }
        taken.asked(&invite);
        assert!(taken.has(&invite) && !taken.has(&busy));
    }
}
