//! The caller's answer, RFC 3261 §16.7 steps 7 to 9: a branch's response as it goes back, or one of our own.

use trunkline_calls::Answered;
use trunkline_proxy::transaction::Branch;
use trunkline_reasons::Reason;
use trunkline_sip::{Index, Limits, Message, Method, Splices, response};

use crate::context::{Context, DialogUse, Hop};
use crate::cseq;
use crate::edge::Edge;
use crate::forward;
use crate::hang_up::contact;
use crate::mail::Io;
use crate::memory::StepMemory;
use crate::names::Shown;
use crate::own_answer::OwnAnswer;
use crate::own_answer::local_tag;
use crate::trust::marks::{Begun, SentMark};

impl Edge {
    /// Passes a branch's response on: the one at hand, or the kept one.
    pub(crate) fn forward_response(
        &mut self,
        io: &mut Io<'_>,
        context: &mut Context,
        (branch, code): (u8, u16),
        at_hand: Option<&Message<'_>>,
    ) {
        let Io { net, memory } = io;
        let StepMemory { index, splices, out, .. } = &mut **memory;
        let unix_ms = net.unix_ms();
        out.clear();
        let reason = (code >= 300).then(|| rejection(context, branch));
        let accepts = (200..300).contains(&code) && context.proxy.method() == Method::Invite;
        match (at_hand, context.proxy.branch(branch)) {
            (Some(m), Some(b)) => {
                self.write_response((context, unix_ms), (branch, b), m, (splices, out));
                self.note_talking(context, b, m);
                self.note_response(context, (branch, b), ((code, reason), Some(m)), unix_ms);
                if accepts {
                    self.note_talkers(context, b, (m, out));
                    self.listen(context, (branch, m), unix_ms);
                }
            }
            (None, Some(b)) if index.parse(b.response(), &Limits::default()).is_ok() => {
                let m = Message::new(b.response(), index);
                self.write_response((context, unix_ms), (branch, b), &m, (splices, out));
                self.note_talking(context, b, &m);
                self.note_response(context, (branch, b), ((code, reason), Some(&m)), unix_ms);
                if accepts {
                    self.note_talkers(context, b, (&m, out));
                }
            }
            (None, Some(b)) => self.note_response(context, (branch, b), ((code, reason), None), unix_ms),
            (_, None) => {}
        }
        if code >= 300 {
            self.counters.count_reason(reason);
            if let DialogUse::Begins(number) = context.dialog {
                self.shared.dialogs.failed(number);
            }
            context.proxy.finish_failure(code, out);
        }
        self.send_response(net, context, out);
        context.proxy.passed_on(branch, code, out, &mut self.work);
        self.note_told(io, code, reason, false);
        if code >= 300 {
            self.end_media(context);
        }
    }

    /// Writes a response of this branch as it goes back.
    fn write_response(
        &mut self,
        (context, unix_ms): (&Context, u64),
        (fork, branch): (u8, &Branch<Hop>),
        m: &Message<'_>,
        (splices, out): (&mut Splices, &mut Vec<u8>),
    ) {
        forward::strip_via(m, context.from.transport, splices, out, |splices| {
            self.shared.filter_response(m, context.between(fork), splices);
            self.mark(context, (fork, branch), m, unix_ms, splices);
            if branch.target.hop.renamed {
                // The 100 says them as the request came.
                Shown::in_bytes(context.proxy.reply()).put(m, splices);
            }
        });
        cseq::lower(out, m.cseq(), branch.target.cseq_added);
    }

    /// A response from this branch is about to go back: marks it, or notes what it says of the dialog it came in.
    fn mark(
        &mut self,
        context: &Context,
        (fork, branch): (u8, &Branch<Hop>),
        m: &Message<'_>,
        now: u64,
        splices: &mut Splices,
    ) {
        let hop = &branch.target.hop;
        match context.dialog {
            DialogUse::None => {}
            DialogUse::Begins(number) => {
                let begun = Begun {
                    number,
                    branch: Some(SentMark { fork, mac: hop.mark_mac, first: hop.first_on_route }),
                    sent: branch.sent(),
                    from: &hop.egress,
                };
                self.shared.mark_response(m, &begun, now, splices);
            }
            DialogUse::Inside(..) | DialogUse::Nested(_) => {
                let cseq = m.cseq().wrapping_sub(branch.target.cseq_added);
                let from = (hop.egress.remote, true);
                let answered = self.shared.take_answer_inside(m, cseq, from, splices);
                let Some(answered) = answered else { return };
                self.note_answer(context, m, &answered, now);
            }
        }
    }

    /// Nobody answered the request, and nobody is told so (RFC 4320 §4.1).
    pub(crate) fn note_silence(&mut self, context: &Context, now: u64) {
        let mut index = Index::default();
        if context.proxy.method() != Method::Bye
            || index.parse(context.proxy.reply(), &Limits::default()).is_err()
        {
            return;
        }
        let m = Message::new(context.proxy.reply(), &index);
        let answered =
            Answered { method: Method::Bye, status: 408, cseq: m.cseq(), contact: None, expires: None };
        self.note_answer(context, &m, &answered, now);
    }

    /// What the answer to a request inside dialogs does to them, and to their calls.
    fn note_answer(&mut self, context: &Context, m: &Message<'_>, answered: &Answered, now: u64) {
        let moves = matches!(answered.method, Method::Invite | Method::Update)
            && matches!(answered.status, 200..=299);
        if answered.status >= 300 {
            self.take_back_offer(context);
        }
        let transfers = answered.method == Method::Refer && matches!(answered.status, 200..=299);
        for (place, side) in context.dialog.inside() {
            if transfers {
                self.shared.calls.transferred(place.number, side);
            }
            if moves {
                let target = contact(m).filter(|_| answered.contact.is_some());
                if !self.shared.calls.moved(place.number, side, (answered.cseq, target)) {
                    self.unkept.push(place.number);
                }
            }
            let ends = self.shared.dialogs.answered(place, side, answered, now);
            self.shared.hung_up(m, (place.number, side), ends, now);
        }
    }

    /// Answers a transaction with a response of our own.
    pub(crate) fn answer_locally(&mut self, io: &mut Io<'_>, context: &mut Context, code: u16) {
        let reason = local_reason(context, code);
        self.counters.count_answer(Some(reason));
        let answer = OwnAnswer { code, proven: context.told, ..reason.into() };
        self.note_told(io, code, Some(reason), true);
        let unproven = !context.proven && self.is_unproven(&context.back(), io.unix_ms());
        let Io { net, memory } = io;
        let StepMemory { index, out, .. } = &mut **memory;
        if index.parse(context.proxy.reply(), &Limits::default()).is_ok() {
            self.write_answer(context.proxy.reply(), index, &answer, out);
            let last = Message::new(context.proxy.reply(), index);
            self.note_answered_locally(context, (code, reason), (&last, net.unix_ms()));
            if let DialogUse::Begins(number) = context.dialog
                && code >= 300
            {
                self.shared.dialogs.failed(number);
            }
            let (method, cseq) = (context.proxy.method(), last.cseq());
            // It may be our word for what somebody said; else nobody was there.
            let status = if context.heard { code } else { 408 };
            let answered = Answered { method, status, cseq, contact: None, expires: None };
            self.note_answer(context, &last, &answered, net.unix_ms());
            if code >= 300 {
                self.end_media(context);
            }
            net.because(code, reason);
            self.send_response(net, context, out);
            context.proxy.answered(out, unproven, &mut self.work);
        }
    }

    /// Writes an answer of ours to the request that the response in `reply` is to.
    fn write_answer(&self, reply: &[u8], index: &Index, answer: &OwnAnswer<'_>, out: &mut Vec<u8>) {
        let last = Message::new(reply, index);
        // The ACK is known by it, and a repeated request without a transaction gets the same.
        let tag = local_tag(&self.shared.secret, last.top_via().map_or(b"", |via| via.branch), &last);
        out.clear();
        response::begin(&last, answer.code, answer.phrase, &tag, None, out);
        if answer.code == 503 {
            out.extend_from_slice(b"Retry-After: 5\r\n");
        }
        answer.put_warning(out);
        self.put_server_name(out);
        response::finish(out);
    }
}

const CANCELLED: Reason = Reason::CallCancelled;

/// Why a request failed whose branch was refused.
fn rejection(context: &Context, branch: u8) -> Reason {
    if context.proxy.is_cancelled() && context.proxy.branch(branch).is_some_and(|b| b.code() == 487) {
        return CANCELLED;
    }
    match context.proxy.branch(branch).is_some_and(|b| b.target.carrier) {
        true => Reason::TrunkRejected,
        false => Reason::CalleeRejected,
    }
}

/// Why a transaction is answered by us.
fn local_reason(context: &Context, code: u16) -> Reason {
    if let (Some(reason), true) = (context.refused, context.hung_up || context.proxy.branches().is_empty()) {
        return reason;
    }
    let hidden = context.proxy.branches().iter().find(|b| code == 403 && b.hides_challenge());
    if let Some(b) = hidden {
        // The caller is not to see that challenge.
        return match (b.target.hop.credentials.is_some(), b.target.carrier) {
            (true, _) => Reason::TrunkRejectedCredentials,
            (false, true) => Reason::TrunkAsksCredentials,
            (false, false) => Reason::CalleeAsksCredentials,
        };
    }
    let best = context.proxy.best().and_then(|best| context.proxy.branch(best));
    let carrier = best.is_some_and(|b| b.target.carrier);
    let sent = best.is_some_and(|b| !b.sent().is_empty());
    match (code, carrier) {
        (487, _) => CANCELLED,
        _ if !sent => context.refused.unwrap_or(Reason::CalleeNoTarget),
        _ if context.heard && code != 408 => {
            if carrier {
                Reason::TrunkBadResponse
            } else {
                Reason::CalleeBadResponse
            }
        }
        (408, true) if best.is_some_and(Branch::is_proceeding) => Reason::TrunkNoAnswer,
        (408, false) if best.is_some_and(Branch::is_proceeding) => Reason::CalleeNoAnswer,
        (408, true) => Reason::TrunkSilent,
        (408, false) => Reason::CalleeSilent,
        (_, true) => Reason::TrunkUnreachable,
        (_, false) => Reason::CalleeUnreachable,
    }
}
