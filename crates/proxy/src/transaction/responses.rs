//! What a response leads to, RFC 3261 §16.7.

use trunkline_sip::{HeaderName, Index, Limits, List, Message, Method, seconds};
use trunkline_transaction::timers::Now;
use trunkline_transaction::{Actions, Class};

use super::branch::{Cancel, Limit, Why};
use super::{Asked, Failure, Heard, Output, Piece, ProxyTransaction, Question, Work};
use crate::companion::put_companion;

/// A challenge that is kept beside the best response is so long at most.
const LONGEST_CHALLENGE: usize = 2048;

impl<H> ProxyTransaction<H> {
    pub(super) fn on_response(&mut self, heard: Heard<'_>, now: Now, work: &mut Work) {
        let code = heard.message.status().unwrap_or(0);
        let class = Class::of(code);
        let Some(b) = self.branches.get_mut(usize::from(heard.branch)) else { return };
        if heard.message.cseq_method() == Method::Cancel {
            if let Cancel::Sent(client, _) = &mut b.cancel {
                client.on_response(class, now);
            }
            return;
        }
        let actions = b.client.on_response(class, now);
        if actions.has(Actions::RESEND) {
            work.put(Output::AckAgain(heard.branch));
        }
        if actions.has(Actions::ACK) {
            self.acknowledge(heard, work);
        }
        if !actions.has(Actions::DELIVER) {
            return;
        }
        match class {
            Class::Provisional => self.on_provisional(heard, code, now, work),
            Class::Success | Class::Failure => self.on_final(heard, code, now, work),
        }
    }

    /// Writes the ACK to a failure. It takes the place of the request, unless that is still needed.
    fn acknowledge(&mut self, heard: Heard<'_>, work: &mut Work) {
        let Some(b) = self.branches.get_mut(usize::from(heard.branch)) else { return };
        if work.index.parse(&b.sent, &Limits::default()).is_err() {
            return;
        }
        let sent = Message::new(&b.sent, &work.index);
        let start = work.bytes.len();
        put_companion(&sent, "ACK", heard.message.header(HeaderName::To), b"", &mut work.bytes);
        let ack = work.bytes.get(start..).unwrap_or_default();
        // A challenge is answered with the request itself, and a 503 may send it elsewhere.
        let needed = match heard.message.status() {
            Some(401 | 407) => b.target.has_credentials,
            Some(503) => b.target.has_addresses,
            Some(300..=399) => self.redirectable,
            _ => false,
        };
        let keeps = if needed { &mut b.ack } else { &mut b.sent };
        work.buffers.replace(keeps, ack);
        let piece = Piece { start: start as u32, end: work.bytes.len() as u32 };
        work.put(Output::Ack(heard.branch, piece));
    }

    /// The request of a branch is not needed any more, but for its ACK.
    pub(super) fn keep_ack(&mut self, branch: u8, work: &mut Work) {
        if let Some(b) = self.branches.get_mut(usize::from(branch)).filter(|b| !b.ack.is_empty()) {
            work.buffers.give(std::mem::replace(&mut b.sent, std::mem::take(&mut b.ack)));
        }
    }

    fn on_provisional(&mut self, heard: Heard<'_>, code: u16, now: Now, work: &mut Work) {
        let (proceeding, invite) = (self.server.is_proceeding(), self.method == Method::Invite);
        let fixed = self.ringing.fixed;
        let Some(b) = self.branches.get_mut(usize::from(heard.branch)) else { return };
        if let Cancel::Wanted(why) = b.cancel {
            return self.cancel_branch(heard.branch, why, now, work);
        }
        // Once it is cancelled, it has 64*T1 for its final response, whatever it says meanwhile (RFC 3261 §9.1).
        if b.code == 0 && !matches!(b.cancel, Cancel::Sent(..)) {
            let ringing = self.ringing.of(b.target.carrier);
            match b.limit {
                // It is not silent: from now on the answer is waited for. Timer C starts again with every provisional response
                // above 100 (RFC 3261 §16.7 step 2).
                Limit::Silence(_) if invite => b.limit = Limit::Answer(now + ringing),
                Limit::Silence(_) => b.limit = Limit::None,
                Limit::Answer(_) if code > 100 && !fixed => b.limit = Limit::Answer(now + ringing),
                Limit::Answer(_) | Limit::None => {}
            }
        }
        // 100 is between neighbours; to a request other than INVITE there are no others (RFC 4320 §4.1).
        if code != 100 && proceeding && invite && goes_on(heard.message) {
            work.put(Output::Forward { branch: heard.branch, code, kept: false });
        }
    }

    fn on_final(&mut self, heard: Heard<'_>, code: u16, now: Now, work: &mut Work) {
        let branch = heard.branch;
        let Some(b) = self.branches.get(usize::from(branch)) else { return };
        if b.code == 0 && code >= 300 && matches!(b.cancel, Cancel::Sent(_, Why::Unanswered)) {
            // It rang, and nobody took the call: the failure is that of our CANCEL.
            self.keep_ack(branch, work);
            return self.count_unanswered(branch, now, work);
        }
        if matches!(code, 401 | 407)
            && b.target.has_credentials
            && b.code == 0
            && !self.cancelled
            && self.responses.is_open()
        {
            return work.put(Output::Ask(Asked { branch, code, what: Question::Credentials }));
        }
        if self.redirectable && (300..400).contains(&code) && self.may_go_elsewhere(branch) {
            return work.put(Output::Ask(Asked { branch, code, what: Question::Redirection }));
        }
        if code == 503 && self.may_go_elsewhere(branch) {
            // A 503 speaks for one address (RFC 3263 §4.3).
            let after = heard.message.header(HeaderName::RetryAfter).and_then(leading_number).unwrap_or(0);
            let what = Question::Address(Failure::Answered(after));
            return work.put(Output::Ask(Asked { branch, code, what }));
        }
        // These speak for one flow (RFC 5626 §11.5).
        if matches!(code, 408 | 430) && self.try_flow(branch, code, now, work) {
            return;
        }
        self.count_final(heard, code, now, work);
    }

    /// A final response that is the branch's last word.
    pub(super) fn count_final(&mut self, heard: Heard<'_>, code: u16, now: Now, work: &mut Work) {
        let branch = heard.branch;
        self.keep_ack(branch, work);
        let Some(b) = self.branches.get_mut(usize::from(branch)) else { return };
        let late = b.code != 0;
        // A challenge that the caller is not to see: what it learns is that the call may not go there.
        let refused = matches!(code, 401 | 407) && (heard.for_us || !b.target.passes_challenges);
        let code = if refused { 403 } else { code };
        // The status holds, but the response has to be ours.
        let hidden = refused || !goes_on(heard.message);
        let trunk = b.target.trunk;
        if !late {
            b.code = code;
            b.hides_challenge = refused;
        }
        if (200..300).contains(&code) {
            return self.succeed(branch, code, now, work);
        }
        if late {
            return;
        }
        // A carrier that says no means no; only silence and its own trouble lead to the next way.
        if trunk && !matches!(code, 408 | 500..=599) {
            self.responses.close();
            self.aside.forget_later();
        }
        let after = self.responses.on_final(branch, code);
        let last_word = after.exhausted
            && self.aside.later().is_empty()
            && self.responses.best() == Some((branch, code))
            && !self.divertible;
        // Challenges of several branches go back together (RFC 3261 §16.7 step 7).
        let at_once = last_word && !matches!(code, 401 | 407);
        if !at_once && !hidden {
            self.keep_response(heard, code, work);
        }
        if at_once && !hidden {
            self.forward_failure(branch, code, false, now, work);
        } else {
            self.go_on(after, code, now, work);
        }
    }

    /// Keeps a failure that the caller may get later: the best one so far, and the short challenges of others, which go back with
    /// it. Of the others the status is enough.
    fn keep_response(&mut self, heard: Heard<'_>, code: u16, work: &mut Work) {
        let bytes = heard.message.bytes;
        let is_challenge =
            |code: u16, length: usize| matches!(code, 401 | 407) && length <= LONGEST_CHALLENGE;
        let is_best = self.responses.best() == Some((heard.branch, code));
        if !(is_best && heard.may_stay || is_challenge(code, bytes.len())) {
            return;
        }
        for (n, other) in self.branches.iter_mut().enumerate() {
            if is_best && n != usize::from(heard.branch) && !is_challenge(other.code, other.response.len()) {
                work.buffers.give(std::mem::take(&mut other.response));
            }
        }
        if let Some(b) = self.branches.get_mut(usize::from(heard.branch)) {
            b.response = work.buffers.copy(bytes);
        }
    }

    /// A 2xx goes to the caller at once. A later one of the same branch, or of one that was given up, does as well, to INVITE
    /// alone (RFC 3261 §16.7 step 5).
    fn succeed(&mut self, branch: u8, code: u16, now: Now, work: &mut Work) {
        if self.method != Method::Invite && !self.server.is_proceeding() {
            return;
        }
        let after = self.responses.on_final(branch, code);
        self.server.on_respond(Class::Success, now);
        work.put(Output::Forward { branch, code, kept: false });
        if after.cancel_others {
            self.aside.forget_later();
            self.cancel_branches(Some(branch), Why::Decided(200), now, work);
        }
    }

    pub(super) fn forward_failure(&mut self, branch: u8, code: u16, kept: bool, now: Now, work: &mut Work) {
        if code == 408 && self.method != Method::Invite {
            // Nobody sends one (RFC 4320 §4.1): it is as if nothing had come.
            return self.answer(408, now, work);
        }
        self.server.on_respond(Class::Failure, now);
        work.put(Output::Forward { branch, code, kept });
    }

    /// Finishes the text of a failure that goes to the caller.
    pub fn finish_failure(&self, code: u16, text: &mut Vec<u8>) {
        match code {
            // That was about one flow, and there is no other; who called is not to see it (RFC 5626 §11.5).
            430 => replace_status_line(text, b"SIP/2.0 480 Temporarily Unavailable"),
            // Only this branch is out of service, not we (RFC 3261 §16.7 step 6).
            503 => replace_status_line(text, b"SIP/2.0 500 Server Internal Error"),
            401 | 407 => self.add_challenges(text),
            _ => {}
        }
    }

    /// Adds the challenges of the other branches, RFC 3261 §16.7 step 7.
    fn add_challenges(&self, text: &mut Vec<u8>) {
        let Some(best) = self.best() else { return };
        let Some(end) = memchr::memmem::find(text, b"\r\n\r\n") else { return };
        let mut lines = Vec::new();
        let mut index = Index::default();
        for (_, branch) in self.branches.iter().enumerate().filter(|(n, _)| *n != usize::from(best)) {
            let challenges = matches!(branch.code, 401 | 407);
            if !challenges || index.parse(&branch.response, &Limits::default()).is_err() {
                continue;
            }
            for h in index.headers() {
                if matches!(h.name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate)
                    && List::new(h.value.of(&branch.response)).all(|e| e.is_ok())
                {
                    lines.extend_from_slice(h.line.of(&branch.response));
                }
            }
        }
        text.splice(end + 2..end + 2, lines);
    }
}

/// A response is for somebody behind us: one without another Via is for nobody but us (RFC 3261 §16.7 step 3). Some phones
/// build those to a cancelled INVITE from the CANCEL.
pub fn goes_on(m: &Message<'_>) -> bool {
    m.is_repeated(HeaderName::Via) || m.list(HeaderName::Via).nth(1).is_some()
}

/// Gives a response another status line.
pub fn replace_status_line(text: &mut Vec<u8>, line: &[u8]) {
    if let Some(end) = memchr::memmem::find(text, b"\r\n") {
        text.splice(..end, line.iter().copied());
    }
}

/// The seconds of a Retry-After, which a comment or parameters may follow (RFC 3261 §20.33).
fn leading_number(value: &[u8]) -> Option<u32> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    seconds(value.get(..digits)?)
}
