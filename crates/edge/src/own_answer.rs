//! Answers that the exchange makes itself, without a transaction (RFC 3261 §8.2.7): their status, and why.

use std::fmt::Write as _;

use trunkline_proxy::Secret;
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Outcome};
use trunkline_sip::response;
use trunkline_sip::{Message, Method, ParseError};

use crate::edge::Edge;
use crate::held::NoMemory;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::media::put_refusal;

/// A final answer of our own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnAnswer<'a> {
    pub(crate) code: u16,
    /// The reason phrase; `None` for that of the status.
    pub(crate) phrase: Option<&'a str>,
    /// Why it is no success.
    pub(crate) reason: Option<Reason>,
    /// The caller has shown who it is, so it is told every reason.
    pub(crate) proven: bool,
}

impl OwnAnswer<'_> {
    pub(crate) const OK: OwnAnswer<'static> =
        OwnAnswer { code: 200, phrase: None, reason: None, proven: false };

    /// Appends the reason as a Warning (RFC 3261 §20.43), where the client may read it.
    pub(crate) fn put_warning(&self, out: &mut Vec<u8>) {
        if let Some(reason) = self.reason.filter(|reason| self.proven || reason.is_public()) {
            put_warning(reason, out);
        }
    }
}

impl From<Reason> for OwnAnswer<'static> {
    fn from(reason: Reason) -> Self {
        OwnAnswer { code: reason.status(), phrase: reason.phrase(), reason: Some(reason), proven: false }
    }
}

impl Edge {
    /// The router's own answer, with the reason of one that is due to the source address.
    pub(crate) fn reply_as_decided(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, decision: &Decision) {
        let Outcome::Reply { code, reason, retry_after } = decision.outcome else { return };
        let mut extra = String::new();
        if let Some(seconds) = retry_after {
            let _ = write!(extra, "Retry-After: {seconds}\r\n");
        }
        if decision.source_refused {
            extra.push_str(SOURCE_REFUSED);
            let why = || decision.facts().last().map(|fact| fact.to_string()).unwrap_or_default();
            tracing::debug!(source = %inbound.flow.remote, method = ?inbound.method, code, "refused: {}", why());
        }
        let answer = OwnAnswer { code, proven: decision.proven, ..OwnAnswer::from(reason) };
        self.reply_with(io, inbound, &answer, |out| out.extend_from_slice(extra.as_bytes()));
    }

    pub(crate) fn refuse_error(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, error: ParseError) {
        let reason = match error {
            ParseError::Version => Reason::RequestVersion,
            ParseError::TooLarge => Reason::RequestTooLarge,
            _ => Reason::RequestMalformed,
        };
        let answer = OwnAnswer { code: error.status(), phrase: Some(&error.to_string()), ..reason.into() };
        self.reply_with(io, inbound, &answer, |_| {});
    }

    /// The rules cannot read a header that they need.
    pub(crate) fn refuse_undecidable(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, error: ParseError) {
        let phrase = error.to_string();
        let answer =
            OwnAnswer { code: error.status(), phrase: Some(&phrase), ..Reason::RequestUndecidable.into() };
        self.reply_with(io, inbound, &answer, |_| {});
    }

    /// What strangers are refused at once is kept up to a bound.
    fn note_own_answer(&mut self, io: &Io<'_>, inbound: &Inbound<'_>, answer: &OwnAnswer<'_>) {
        if answer.reason.is_some() {
            self.note_arrival(io, inbound);
        }
        self.note_told(io, answer.code, answer.reason, true);
        if answer.reason.is_some()
            && !answer.proven
            && !self.looked_up(inbound.flow.remote.ip(), io.unix_ms())
        {
            self.events.refused_stranger(io.unix_ms());
        }
    }

    /// An answer without further headers.
    pub(crate) fn refuse(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, reason: Reason) {
        self.reply(io, inbound, reason, b"");
    }

    /// Answers 200 without further headers.
    pub(crate) fn accept(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) {
        self.reply_with(io, inbound, &OwnAnswer::OK, |_| {});
    }

    /// An answer of our own, without a transaction: a repeated request gets an equal one, with the same To tag
    /// (RFC 3261 §8.2.7). `extra` are header lines.
    pub(crate) fn reply(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, reason: Reason, extra: &[u8]) {
        self.reply_with(io, inbound, &reason.into(), |out| out.extend_from_slice(extra));
    }

    /// The same; `extra` writes the header lines.
    pub(crate) fn reply_with(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        answer: &OwnAnswer<'_>,
        extra: impl FnOnce(&mut Vec<u8>),
    ) {
        if inbound.method == Method::Ack {
            return;
        }
        if self.own.is_some() {
            // The party in whose name it is has sent nothing, so that it gets no answer either.
            self.own_refused = true;
            return;
        }
        let code = answer.code;
        self.counters.count_answer(answer.reason);
        self.note_refused(io, inbound, answer);
        self.note_own_answer(io, inbound, answer);
        if inbound.method == Method::Invite && code >= 300 && !inbound.message.to_tag().is_empty() {
            // Its ACK goes no further than the answer came from, whatever the Route of a dialog says.
            self.refusals.note(self.shared.keys.key(&inbound.message, &inbound.via, Method::Invite));
        }
        if let Some(reason) = answer.reason {
            io.because(code, reason);
        }
        let tag = self.local_tag(inbound);
        let Io { net, memory } = io;
        let out = &mut memory.out;
        out.clear();
        response::begin(&inbound.message, code, answer.phrase, &tag, inbound.fill.as_ref(), out);
        // What we can do is told as long as it costs nobody anything (RFC 3261 §11.2).
        let head = out.len();
        extra(out);
        let spare = inbound.method == Method::Options && code == 200
            || out.get(head..) == Some(SOURCE_REFUSED.as_bytes());
        let needed = if spare { head } else { out.len() };
        answer.put_warning(out);
        self.put_server_name(out);
        response::finish(out);
        self.send_reply(net, inbound, out, needed);
    }

    pub(crate) fn put_server_name(&self, out: &mut Vec<u8>) {
        let name = &self.shared.config.server_name;
        if !name.is_empty() {
            out.extend_from_slice(b"Server: ");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The To tag of our answers to this request.
    pub(crate) fn local_tag(&self, inbound: &Inbound<'_>) -> [u8; LOCAL_TAG] {
        local_tag(&self.shared.secret, inbound.via.branch, &inbound.message)
    }

    /// The media of a call cannot be relayed.
    pub(crate) fn refuse_media(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, code: u16, reason: Reason) {
        let answer = OwnAnswer { code, ..reason.into() };
        self.reply_with(io, inbound, &answer, |out| put_refusal(code, out));
    }

    /// There is no room for what this request begins.
    pub(crate) fn overloaded(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) {
        self.out_of_memory(io, inbound, NoMemory::Full);
    }

    /// There is no memory for it, of all or of the sender's share.
    pub(crate) fn out_of_memory(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>, why: NoMemory) {
        self.counters.overloaded.add();
        let reason = match why {
            NoMemory::Full => Reason::OverloadFull,
            NoMemory::Share => Reason::OverloadShare,
        };
        self.reply(io, inbound, reason, b"Retry-After: 5\r\n");
    }
}

/// RFC 3261 §20.43. Which list it was is the operator's business.
pub(crate) const SOURCE_REFUSED: &str =
    "Warning: 399 trunkline \"Source Address Refused by Access Control List\"\r\n";

/// How long our To tags are.
pub(crate) const LOCAL_TAG: usize = 16;

/// The To tag of our answers to a request with this branch, of which `m` has the rest.
pub(crate) fn local_tag(secret: &Secret, branch: &[u8], m: &Message<'_>) -> [u8; LOCAL_TAG] {
    let mut tag = secret.tag(branch, m.call_id(), m.from_tag());
    let mut digits = [0u8; LOCAL_TAG];
    for d in digits.iter_mut().rev() {
        *d = b"0123456789abcdef"[(tag & 15) as usize];
        tag >>= 4;
    }
    digits
}

/// Appends `reason` as a Warning line.
pub(crate) fn put_warning(reason: Reason, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Warning: 399 trunkline \"");
    out.extend_from_slice(reason.code().as_bytes());
    out.extend_from_slice(b"\"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_read_public_reasons_only() {
        let told = |reason: Reason, proven| {
            let mut out = Vec::new();
            OwnAnswer { proven, ..reason.into() }.put_warning(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(told(Reason::LoopDetected, false), "Warning: 399 trunkline \"loop.detected\"\r\n");
        assert_eq!(told(Reason::CalleeNotRegistered, false), "");
        assert!(told(Reason::CalleeNotRegistered, true).contains("callee.not-registered"));
    }
}
