//! What a proxy transaction wants done, carried out: each message through the budget to its socket, each question to whoever
//! knows the answer. Where a target leads the guard has judged before; it judges again one that has waited for its turn. A
//! repetition, a CANCEL and an ACK to a failure go where their request went.

use trunkline_proxy::transaction::{Answer, Asked, Heard, Input, Output, Question};
use trunkline_sip::{ConnectionId, Method, Transport};
use trunkline_transaction::Slot;
use trunkline_transport::{Egress, Sent};

use crate::context::{Context, DialogUse, Hop, first_egress};
use crate::edge::Edge;
use crate::mail::Io;

impl Edge {
    /// Something happened to a transaction: tells it, and does what it wants done.
    pub(crate) fn step(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        input: Input<'_, Hop>,
        heard: Option<Heard<'_>>,
    ) {
        let Some(mut context) = self.contexts.take(slot) else { return };
        self.turn_to(&context);
        context.proxy.handle(input, io.now(), &mut self.work);
        self.carry_out(io, slot, &mut context, heard);
        self.settle(io, slot, context);
    }

    /// Does what a transaction wants done. `heard` is the response at hand.
    pub(crate) fn carry_out(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        context: &mut Context,
        heard: Option<Heard<'_>>,
    ) {
        while let Some(output) = self.work.outputs.pop_front() {
            match output {
                Output::Request(branch) => self.send_first(io, slot, context, branch),
                Output::Repeat(branch) => self.send_again(io, context, branch),
                Output::FallBack(branch) => self.fall_back(io, context, branch),
                Output::AckAgain(branch) => {
                    if let Some(b) = context.proxy.branch(branch) {
                        io.send(&b.target.hop.egress, b.sent());
                    }
                }
                Output::Ack(branch, piece) | Output::Cancel(branch, piece) => {
                    let text = self.work.bytes.get(piece.range()).unwrap_or_default();
                    if let Some(b) = context.proxy.branch(branch) {
                        let hop = &b.target.hop;
                        let paid = matches!(output, Output::Ack(..)) || !hop.unproven;
                        if paid || self.may_send(&hop.egress, text.len(), io.unix_ms()) {
                            io.send(&hop.egress, text);
                        }
                    }
                }
                Output::Reply => self.send_response_again(io, context),
                Output::Forward { branch, code, kept } => {
                    let heard = heard.filter(|_| !kept).map(|heard| heard.message);
                    self.forward_response(io, context, (branch, code), heard);
                    if let (200..300, DialogUse::Begins(_)) = (code, &context.dialog)
                        && context.proxy.method() == Method::Invite
                    {
                        self.accepted.note(context.identity, slot);
                    }
                }
                Output::Answer(code) => self.answer_locally(io, context, code),
                Output::Ask(asked) => {
                    if let Question::Address(how) = asked.what {
                        let sent = context.proxy.branch(asked.branch).is_some_and(|b| !b.sent().is_empty());
                        self.note_ended(io, (asked.branch, sent), how);
                    }
                    let answer = self.find_out(io, slot, context, asked, heard);
                    context.proxy.handle(Input::Answer(asked, answer, heard), io.now(), &mut self.work);
                }
                Output::TimedOut => {
                    self.counters.timeouts.add();
                    self.note_silence(context, io.unix_ms());
                }
                Output::Silent(branch) => {
                    if let Some(b) = context.proxy.branch(branch)
                        && let Some(trunk) = &b.target.hop.trunk
                    {
                        self.shared.destinations.note_silence(trunk, b.target.hop.trunk_uri, io.now());
                    }
                }
            }
        }
        self.work.bytes.clear();
    }

    fn find_out(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        context: &mut Context,
        asked: Asked,
        heard: Option<Heard<'_>>,
    ) -> Answer<Hop> {
        match (asked.what, heard) {
            (Question::Address(how), _) => self.next_address(io.memory, slot, context, asked, how),
            (Question::Credentials, Some(heard)) => self.with_credentials(io.memory, slot, context, heard),
            (Question::Credentials, None) => Answer::Nothing,
            (Question::Redirection, Some(heard)) => {
                let branch = context.proxy.branch(heard.branch);
                match branch.is_some_and(|branch| branch.target.hop.trunk.is_some()) {
                    true => self.redirect_at_carrier(io.memory, slot, context, heard),
                    false => self.redirect(io, slot, context, heard),
                }
            }
            (Question::Redirection, None) => Answer::Nothing,
            (Question::Diversion, _) => self.divert(io, slot, context, asked.code),
        }
    }

    /// Sends a branch's request. What goes to an address that has not shown that it is there has to be paid for.
    fn send_first(&mut self, io: &mut Io<'_>, slot: Slot, context: &mut Context, branch: u8) {
        self.counters.forwarded.add();
        let (now, unix_ms) = (io.now(), io.unix_ms());
        let name = || self.branch_name(slot, usize::from(branch), context.loop_mac);
        let Some(b) = context.proxy.branch_mut(branch) else { return };
        if b.waited() {
            // What the guard goes by may have changed since the target was put by.
            let name = name().filter(|_| self.may_be_reached(&b.target.hop));
            match (name, b.name_place(trunkline_proxy::Branch::LENGTH)) {
                (Some(name), Some(place)) => place.copy_from_slice(&name),
                (None, _) | (_, None) => {
                    return context.proxy.handle(Input::Unsent(branch, 503), now, &mut self.work);
                }
            }
        }
        let egress = first_egress(b);
        let hop = &mut b.target.hop;
        hop.unproven = self.is_unproven_by(hop.word.as_ref(), &egress, unix_ms);
        hop.once = hop.unproven && hop.word.is_some_and(|w| w.seen_at != Some(egress.remote));
        let bytes = b.sent().len();
        let limited = b.target.hop.unproven && !b.target.grown;
        let held = limited && !self.may_begin(context, &egress, bytes, unix_ms);
        let Some(b) = context.proxy.branch_mut(branch) else { return };
        b.target.hop.held = held;
        self.note_sent(io, branch, &b.target.hop, b.sent());
        if held {
            // It is sent by its timer.
            return;
        }
        match io.send(&b.target.hop.egress, b.sent()) {
            Sent::Via(connection) => {
                b.target.hop.egress.connection = connection;
                if b.target.hop.egress.transport.is_reliable() {
                    self.asked.insert(connection);
                }
            }
            Sent::NoWay => context.proxy.handle(Input::Unsent(branch, 503), now, &mut self.work),
        }
    }

    fn may_be_reached(&self, hop: &Hop) -> bool {
        self.shared.guard.check(hop.word.as_ref(), &hop.egress).is_ok()
    }

    /// Sends a branch's request again.
    fn send_again(&mut self, io: &mut Io<'_>, context: &mut Context, branch: u8) {
        if self.may_repeat(context, branch, io.unix_ms())
            && let Some(b) = context.proxy.branch(branch)
        {
            io.send(&b.target.hop.egress, b.sent());
        }
    }

    fn fall_back(&mut self, io: &mut Io<'_>, context: &mut Context, branch: u8) {
        if let Some(b) = context.proxy.branch_mut(branch) {
            let hop = &mut b.target.hop;
            hop.egress = Egress { transport: Transport::Udp, connection: ConnectionId::NONE, ..hop.egress };
            hop.held = hop.unproven;
        }
        self.send_again(io, context, branch);
    }
}
