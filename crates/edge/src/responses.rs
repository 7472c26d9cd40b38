//! What becomes of a received response, RFC 3261 §16.7.

use trunkline_calls::{Answered, Cause};
use trunkline_proxy::Branch as BranchName;
use trunkline_sip::{Flow, HeaderName, Limits, List, Message, Method, Splices, response, seconds};
use trunkline_transaction::{Actions, Class, Slot};

use crate::calls;
use crate::context::{Branch, Cancel, Context, DialogUse, Limit};
use crate::cseq;
use crate::edge::Edge;
use crate::failover::Failure;
use crate::forward;
use crate::mail::{EdgeMail, Io};
use crate::own::{self, Errand};
use crate::request::local_tag;
use crate::trust::marks::Begun;

impl Edge {
    /// A well-formed response.
    pub(crate) fn on_response(&mut self, io: &mut Io<EdgeMail>, flow: &Flow, m: Message<'_>) {
        self.counters.responses.add();
        let Ok(via) = m.top_via() else { return self.counters.garbage.add() };
        let Some(name) = BranchName::decode(via.branch, &self.shared.secret) else {
            return match own::answered(&self.shared.secret, &m) {
                Some((Errand::Qualify, serial)) => self.on_qualify_response(io, flow, &m, serial),
                Some((Errand::Register, serial)) => self.on_register_response(io, flow, &m, serial),
                None => self.on_stateless_response(io, flow, &m, &via),
            };
        };
        if name.shard != self.shard {
            let shard = usize::from(name.shard);
            if shard >= self.shared.neighbours.len() {
                self.counters.stray_responses.add();
            } else if !self.put_back(io, shard, flow, m.bytes) {
                self.counters.handover_dropped.add();
            }
            return;
        }
        let slot = Slot { number: name.slot, generation: name.generation };
        let fork = usize::from(name.fork);
        let ours = self.contexts.get(slot).is_some_and(|c| {
            let branch = c.branches.get(fork).filter(|b| !b.sent.is_empty() || b.code != 0);
            c.loop_mac == name.loop_mac && branch.is_some_and(|b| self.answers(c, b, &m))
        });
        if ours {
            self.heard(slot, fork, flow.remote.ip(), io.unix_ms());
        }
        let success = m.status().is_some_and(|code| (200..300).contains(&code));
        if !ours || success && m.cseq_method() != Method::Cancel && !goes_on(&m) {
            return self.counters.stray_responses.add();
        }
        if m.cseq_method() == Method::Cancel {
            self.on_cancel_response(io, slot, fork, &m);
        } else {
            if !self.relay_response(io, slot, fork, flow, &m) {
                self.on_branch_response(io, slot, fork, &m);
            }
        }
        self.settle(io, slot);
    }

    /// Does a response that names this branch speak of its request?
    fn answers(&self, context: &Context, branch: &Branch, m: &Message<'_>) -> bool {
        let cseq = m.cseq().wrapping_sub(u32::from(branch.target.cseq_added));
        // Nothing comes of a response to CANCEL, whose To tag is the responder's own (RFC 3261 §9.2).
        m.cseq_method() == Method::Cancel || self.identity(m, cseq, context.tagged) == context.identity
    }

    /// A response from this branch is about to go back: marks it, or notes what it says of the dialog it came in.
    fn mark(&self, context: &Context, fork: usize, m: &Message<'_>, now: u64, splices: &mut Splices) {
        let Some(branch) = context.branches.get(fork) else { return };
        let (from, info) = (branch.egress.remote, &branch.target);
        match context.dialog {
            DialogUse::None => {}
            DialogUse::Begins(number) => {
                let begun = Begun { number, mark_mac: Some(info.mark_mac), sent: &branch.sent, from };
                self.shared.mark_response(m, &begun, now, splices);
            }
            DialogUse::Inside(..) | DialogUse::Nested(_) => {
                let cseq = m.cseq().wrapping_sub(u32::from(info.cseq_added));
                let Some(answered) = self.shared.answer_inside(m, cseq, from) else { return };
                for (place, side) in context.dialog.inside() {
                    self.shared.dialogs.answered(place, side, &answered, now);
                }
            }
        }
    }

    fn on_cancel_response(&mut self, io: &Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>) {
        let class = Class::of(m.status().unwrap_or(0));
        if let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(fork))
            && let Cancel::Sent(client) = &mut branch.cancel
        {
            client.on_response(class, io.now());
        }
    }

    fn on_branch_response(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>) {
        let now = io.now();
        let code = m.status().unwrap_or(0);
        let class = Class::of(code);
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if m.cseq_method() != context.method {
            return self.counters.stray_responses.add();
        }
        let Some(branch) = context.branches.get_mut(fork) else { return };
        let actions = branch.client.on_response(class, now);
        if actions.has(Actions::RESEND) {
            // `sent` is the ACK by now.
            io.send(&branch.egress, &branch.sent);
        }
        if actions.has(Actions::ACK) {
            self.acknowledge(io, slot, fork, m);
        }
        if !actions.has(Actions::DELIVER) {
            return;
        }
        match class {
            Class::Provisional => self.on_provisional(io, slot, fork, m, code),
            Class::Success | Class::Failure => self.on_final(io, slot, fork, m, code),
        }
    }

    /// Puts the ACK to this failure in the place of the request, without sending it again.
    pub(crate) fn keep_ack(&mut self, slot: Slot, fork: usize, m: &Message<'_>) {
        let Some(context) = self.contexts.get_mut(slot).filter(|c| c.method == Method::Invite) else {
            return;
        };
        let Some(branch) = context.branches.get_mut(fork) else { return };
        let (mut index, mut out) =
            (std::mem::take(&mut self.scratch.other), std::mem::take(&mut self.scratch.text));
        if index.parse(&branch.sent, &Limits::default()).is_ok() {
            let sent = Message::new(&branch.sent, &index);
            // It may stand there already.
            if sent.method() == Some(Method::Invite) {
                forward::companion(&sent, "ACK", m.header(HeaderName::To), &mut out);
                self.pool.replace(&mut branch.sent, &out);
            }
        }
        (self.scratch.other, self.scratch.text) = (index, out);
    }

    /// Sends the ACK to a failure and keeps it in the place of the request.
    fn acknowledge(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>) {
        let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(fork)) else { return };
        let (mut index, mut out) =
            (std::mem::take(&mut self.scratch.other), std::mem::take(&mut self.scratch.text));
        if index.parse(&branch.sent, &Limits::default()).is_ok() {
            let sent = Message::new(&branch.sent, &index);
            forward::companion(&sent, "ACK", m.header(HeaderName::To), &mut out);
            io.send(&branch.egress, &out);
            // A challenge is still answered with the request itself, and a 503 may send it elsewhere; the ACK
            // takes its place after that.
            let needed = match m.status() {
                Some(401 | 407) => branch.target.credentials.is_some() && !branch.target.authenticated,
                Some(503) => branch.target.spare.has_more(),
                _ => false,
            };
            if !needed {
                self.pool.replace(&mut branch.sent, &out);
            }
        }
        (self.scratch.other, self.scratch.text) = (index, out);
    }

    fn on_provisional(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>, code: u16) {
        let now = io.now();
        let no_answer = self.shared.config.no_answer.as_millis() as u64;
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let proceeding = context.server.is_proceeding();
        let invite = context.method == Method::Invite;
        // An agent's own time does not begin anew.
        let fixed = context.no_answer;
        let no_answer = fixed.map_or(no_answer, |s| u64::from(s) * 1000);
        let Some(branch) = context.branches.get_mut(fork) else { return };
        if let Cancel::Wanted = branch.cancel {
            return self.cancel_branch(io, slot, fork);
        }
        if branch.code == 0 {
            match branch.limit {
                // It is not silent: from now on the answer is waited for. Timer C starts again with every
                // provisional response above 100 (RFC 3261 §16.7 step 2).
                Limit::Silence(_) if invite => branch.limit = Limit::Answer(now + no_answer),
                Limit::Silence(_) => branch.limit = Limit::None,
                Limit::Answer(_) if code > 100 && fixed.is_none() => {
                    branch.limit = Limit::Answer(now + no_answer)
                }
                Limit::Answer(_) | Limit::None => {}
            }
        }
        // 100 is between neighbours; to a non-INVITE request there are no others (RFC 4320 §4.1).
        if code == 100 || !proceeding || !invite || !goes_on(m) {
            return;
        }
        let mut out = std::mem::take(&mut self.scratch.out);
        self.write_response(io, slot, fork, m, &mut out);
        if let Some(context) = self.contexts.get_mut(slot) {
            self.pool.replace(&mut context.reply, &out);
        }
        self.send_response(io, slot, &out);
        self.scratch.out = out;
    }

    /// Writes a response of this branch as it goes back.
    fn write_response(
        &mut self,
        io: &Io<EdgeMail>,
        slot: Slot,
        fork: usize,
        m: &Message<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut splices = std::mem::take(&mut self.scratch.splices);
        if let Some(context) = self.contexts.get(slot) {
            forward::strip_via(m, context.back.transport, &mut splices, out, |splices| {
                self.shared.filter_response(m, context.between(fork), splices);
                self.mark(context, fork, m, io.unix_ms(), splices);
            });
            cseq::lower(out, m.cseq(), context.branches.get(fork).map_or(0, |b| b.target.cseq_added));
        }
        self.scratch.splices = splices;
    }

    fn on_final(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>, code: u16) {
        if matches!(code, 401 | 407) {
            let retried = self.retry_with_credentials(io, slot, fork, m);
            self.keep_ack(slot, fork, m);
            if retried {
                return;
            }
        }
        if matches!(code, 408 | 430 | 503) {
            let retry_after = m.header(HeaderName::RetryAfter).and_then(leading_number).unwrap_or(0);
            let elsewhere = self.try_elsewhere(io, slot, fork, code, Failure::Answered(retry_after));
            self.keep_ack(slot, fork, m);
            if elsewhere {
                return;
            }
        }
        let ours = self.challenges_for_us(m);
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let Some(branch) = context.branches.get_mut(fork) else { return };
        let late = branch.code != 0;
        // A challenge the caller is not to see: what it learns is that the call may not go there.
        let refused = matches!(code, 401 | 407) && (ours || !branch.target.passes_challenges);
        let code = if refused { 403 } else { code };
        // What it says holds, but we have to say it ourselves.
        let refused = refused || !goes_on(m);
        if branch.code == 0 {
            branch.code = code;
        }
        if (200..300).contains(&code) {
            // A later 2xx of the same branch, or of one that was given up, goes through as well, to INVITE alone (RFC 3261
            // §16.7 step 5).
            if context.method != Method::Invite && !context.server.is_proceeding() {
                return;
            }
            let after = context.responses.on_final(fork as u8, code);
            self.forward_success(io, slot, fork, m);
            if after.cancel_others {
                if let Some(context) = self.contexts.get_mut(slot) {
                    context.later.clear();
                }
                self.cancel_branches(io, slot, Some(fork));
            }
            return;
        }
        if late {
            return;
        }
        // A carrier that says no means no; only silence and its own trouble lead to the next way (issue: 408, 5xx).
        if branch.target.trunk.is_some() && !matches!(code, 408 | 500..=599) {
            context.responses.close();
            context.later.clear();
        }
        let after = context.responses.on_final(fork as u8, code);
        let last_word = after.exhausted
            && context.later.is_empty()
            && context.responses.best() == Some((fork as u8, code));
        let divertible = self.contexts.get(slot).is_some_and(|c| c.divertible.is_some());
        if (!last_word || divertible || matches!(code, 401 | 407)) && !refused {
            let copy = self.pool.copy(m.bytes);
            if let Some(b) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(fork)) {
                b.response = copy;
            }
        }
        if last_word && !refused && !divertible && !matches!(code, 401 | 407) {
            self.forward_failure(io, slot, m, code);
        } else {
            self.go_on(io, slot, after);
        }
    }

    /// A 2xx: to the caller at once.
    fn forward_success(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, m: &Message<'_>) {
        let now = io.now();
        let mut out = std::mem::take(&mut self.scratch.out);
        self.write_response(io, slot, fork, m, &mut out);
        self.send_response(io, slot, &out);
        if let Some(context) = self.contexts.get_mut(slot) {
            if context.server.is_proceeding() {
                context.server.on_respond(Class::Success, now);
                if context.server.keeps_response() {
                    self.pool.replace(&mut context.reply, &out);
                } else {
                    self.pool.give(std::mem::take(&mut context.reply));
                }
            }
            if let Some(branch) = context.branches.get_mut(fork) {
                self.pool.give(std::mem::take(&mut branch.sent));
            }
            if let Some(call) = context.call {
                if let Some(branch) = context.branches.get(fork).filter(|_| fork > 0) {
                    calls::moved(&self.shared.calls, call, &branch.target);
                }
                self.shared.calls.answered(call, m.to_tag(), io.unix_ms());
                // Without a Record-Route nobody tells us of its end: its record ends here.
                if matches!(context.dialog, DialogUse::None) {
                    self.shared.calls.ended_as(call, Cause::Unknown, io.unix_ms());
                }
            }
        }
        self.scratch.out = out;
    }

    /// A branch ended without a response: 408 for silence, 503 for a transport failure (RFC 3261 §16.9).
    pub(crate) fn branch_failed(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, code: u16) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let Some(branch) = context.branches.get_mut(fork) else { return };
        if branch.code != 0 || self.try_elsewhere(io, slot, fork, code, Failure::Silent) {
            return;
        }
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let Some(branch) = context.branches.get_mut(fork) else { return };
        branch.code = code;
        let target = branch.target.clone();
        let after = context.responses.on_final(fork as u8, code);
        if let Some(trunk) = &target.trunk {
            self.shared.trunk_failed(trunk, target.trunk_uri);
        }
        self.go_on(io, slot, after);
    }

    /// A branch rang, and nobody took the call: 408. Where it rang everything works, so that no other address, flow
    /// or carrier is tried to ring the same callee again, and nothing counts as down.
    pub(crate) fn branch_unanswered(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let Some(branch) = context.branches.get_mut(fork).filter(|b| b.code == 0) else { return };
        branch.code = 408;
        if branch.target.trunk.is_some() {
            context.responses.close();
            context.later.clear();
        }
        let phone = branch.target.phone;
        context.flows.retain(|f| phone == 0 || f.target.phone != phone);
        let after = context.responses.on_final(fork as u8, 408);
        self.go_on(io, slot, after);
    }

    /// After a failure: the next targets, or the best answer there is.
    fn go_on(&mut self, io: &mut Io<EdgeMail>, slot: Slot, after: trunkline_proxy::After) {
        if after.cancel_others {
            if let Some(context) = self.contexts.get_mut(slot) {
                context.later.clear();
            }
            self.cancel_branches(io, slot, None);
        }
        if !after.exhausted {
            return;
        }
        let Some(context) = self.contexts.get(slot) else { return };
        if context.responses.is_open() && !context.later.is_empty() {
            return self.next_targets(io, slot);
        }
        self.answer_with_best(io, slot);
    }

    /// No branch runs any more: answers the caller.
    pub(crate) fn answer_with_best(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if !context.server.is_proceeding() {
            return;
        }
        let (fork, code) = context.responses.best().unwrap_or((0, 480));
        if context.cancelled && code < 600 {
            return self.answer_locally(io, slot, 487);
        }
        if self.divert(io, slot, code) {
            return;
        }
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let stored = context.branches.get_mut(usize::from(fork)).map(|b| std::mem::take(&mut b.response));
        let stored = stored.unwrap_or_default();
        if stored.is_empty() {
            // That there is no way to this callee says nothing of us: a 503 would keep the caller away for every other call
            // (RFC 3261 §16.7 step 6).
            let to_carrier = context.branches.get(usize::from(fork)).is_some_and(|b| b.leads_to_carrier());
            let code = if code == 503 { unreachable(to_carrier) } else { code };
            return self.answer_locally(io, slot, code);
        }
        let mut index = std::mem::take(&mut self.scratch.other);
        if index.parse(&stored, &Limits::default()).is_ok() {
            self.forward_failure(io, slot, &Message::new(&stored, &index), code);
        }
        self.scratch.other = index;
        self.pool.give(stored);
    }

    /// A failure goes to the caller: the response of one branch, with what others' challenges add.
    fn forward_failure(&mut self, io: &mut Io<EdgeMail>, slot: Slot, m: &Message<'_>, code: u16) {
        let now = io.now();
        let mut out = std::mem::take(&mut self.scratch.out);
        let best = self.contexts.get(slot).and_then(|c| c.responses.best());
        self.write_response(io, slot, best.map_or(0, |(fork, _)| usize::from(fork)), m, &mut out);
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if let DialogUse::Begins(number) = context.dialog {
            self.shared.dialogs.failed(number);
        }
        if code == 430 {
            // That was about one flow, and there is no other; who called is not to see it (RFC 5626 §11.5).
            replace_status_line(&mut out, b"SIP/2.0 480 Temporarily Unavailable");
        }
        if code == 503 {
            // Only this branch is out of service, not we (RFC 3261 §16.7 step 6).
            replace_status_line(&mut out, b"SIP/2.0 500 Server Internal Error");
        }
        if matches!(code, 401 | 407) {
            add_challenges(context, &mut out);
        }
        context.server.on_respond(Class::Failure, now);
        self.pool.replace(&mut context.reply, &out);
        let call = context.call;
        self.send_response(io, slot, &out);
        self.scratch.out = out;
        if let Some(call) = call {
            self.shared.calls.failed(call, code, io.unix_ms());
        }
        self.end_media(slot);
    }

    /// An answer of our own inside a transaction.
    pub(crate) fn answer_locally(&mut self, io: &mut Io<EdgeMail>, slot: Slot, code: u16) {
        let now = io.now();
        let forged = |c: &Context| !c.proven && self.is_unproven(&c.back, io.unix_ms());
        let unproven = self.contexts.get(slot).is_some_and(forged);
        let Some(context) = self.contexts.get_mut(slot) else { return };
        if let crate::context::Server::NonInvite(s) = &mut context.server
            && code == 408
        {
            // Whoever asked has given up by now; a 408 would only confuse (RFC 4320 §4.1).
            s.terminate();
            return self.counters.timeouts.add();
        }
        let (mut index, mut out) =
            (std::mem::take(&mut self.scratch.index_for_replies), std::mem::take(&mut self.scratch.out));
        if index.parse(&context.reply, &Limits::default()).is_ok() {
            let last = Message::new(&context.reply, &index);
            // The ACK is known by it, and a repeated request without a transaction gets the same.
            let tag = local_tag(&self.shared.secret, last.top_via().map_or(b"", |via| via.branch), &last);
            out.clear();
            response::begin(&last, code, None, &tag, None, &mut out);
            if code == 503 {
                out.extend_from_slice(b"Retry-After: 5\r\n");
            }
            let name = &self.shared.config.server_name;
            if !name.is_empty() {
                out.extend_from_slice(b"Server: ");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            response::finish(&mut out);
            context.server.on_respond(Class::of(code), now);
            if unproven {
                context.server.repeat_no_more();
            }
            if let Some(call) = context.call {
                self.shared.calls.failed(call, code, io.unix_ms());
            }
            if let DialogUse::Begins(number) = context.dialog
                && code >= 300
            {
                self.shared.dialogs.failed(number);
            }
            let (method, cseq) = (context.method, last.cseq());
            let answered = Answered { method, status: code, cseq, contact: None, expires: None };
            for (place, side) in context.dialog.inside() {
                self.shared.dialogs.answered(place, side, &answered, io.unix_ms());
            }
            if code >= 300 {
                self.end_media(slot);
            }
            self.send_response(io, slot, &out);
            if let Some(context) = self.contexts.get_mut(slot) {
                self.pool.replace(&mut context.reply, &out);
            }
        }
        self.counters.answered.add();
        (self.scratch.index_for_replies, self.scratch.out) = (index, out);
    }
}

/// Is a response for somebody behind us? One without another Via is for nobody but us (RFC 3261 §16.7 step 3); some phones
/// build those to a cancelled INVITE from the CANCEL.
fn goes_on(m: &Message<'_>) -> bool {
    m.is_repeated(HeaderName::Via) || m.list(HeaderName::Via).nth(1).is_some()
}

/// The seconds of a Retry-After, which a comment or parameters may follow (RFC 3261 §20.33).
fn leading_number(value: &[u8]) -> Option<u32> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    seconds(value.get(..digits)?)
}

/// What the caller is told of a callee that cannot be reached.
pub(crate) fn unreachable(carrier: bool) -> u16 {
    if carrier { 500 } else { 480 }
}

pub(crate) fn replace_status_line(out: &mut Vec<u8>, line: &[u8]) {
    if let Some(end) = memchr::memmem::find(out, b"\r\n") {
        out.splice(..end, line.iter().copied());
    }
}

/// Adds the challenges of the other branches, RFC 3261 §16.7 step 7.
fn add_challenges(context: &crate::context::Context, out: &mut Vec<u8>) {
    let Some((best, _)) = context.responses.best() else { return };
    let Some(end) = memchr::memmem::find(out, b"\r\n\r\n") else { return };
    let mut lines = Vec::new();
    for (i, branch) in context.branches.iter().enumerate() {
        if i == usize::from(best) || !matches!(branch.code, 401 | 407) {
            continue;
        }
        let mut index = trunkline_sip::Index::default();
        if index.parse(&branch.response, &Limits::default()).is_err() {
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
    out.splice(end + 2..end + 2, lines);
}
