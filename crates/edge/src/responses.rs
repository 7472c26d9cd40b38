//! Received responses on their way to their transaction, RFC 3261 §16.7 steps 1 and 2.

use trunkline_proxy::Branch as BranchName;
use trunkline_proxy::transaction::{Branch, Heard, Input, goes_on};
use trunkline_sip::{Flow, Message, Method};
use trunkline_transaction::Slot;

use crate::context::{Context, DialogUse, Hop};
use crate::edge::Edge;
use crate::hang_up::is_endless;
use crate::mail::Io;
use crate::own::{self, Errand};

impl Edge {
    /// A well-formed response.
    pub(crate) fn on_response(&mut self, io: &mut Io<'_>, flow: &Flow, m: Message<'_>) {
        self.counters.responses.add();
        let Ok(branch) = m.top_branch() else { return self.counters.garbage.add() };
        let Some(name) = BranchName::decode(branch, &self.shared.secret) else {
            return match own::answered(&self.shared.secret, &m, branch) {
                Some((Errand::Qualify, serial)) => self.on_qualify_response(io, flow, &m, serial),
                Some((Errand::Register, serial)) => self.on_register_response(io, flow, &m, serial),
                None => self.on_stateless_response(io, flow, &m, branch),
            };
        };
        if name.shard != self.shard {
            let shard = usize::from(name.shard);
            if shard >= self.shared.neighbours.len() {
                return self.counters.stray_responses.add();
            }
            return self.put_response(io, shard, flow, &m);
        }
        let slot = Slot { number: name.slot, generation: name.generation };
        let Some(mut context) = self.contexts.take(slot) else { return self.counters.stray_responses.add() };
        if self.is_answered_by(&context, name, &m) {
            self.on_answered(io, flow, (slot, &mut context), name.fork, &m);
        } else {
            self.counters.stray_responses.add();
        }
        self.settle(io, slot, context);
    }

    /// Does a response that names this branch speak of its request?
    fn is_answered_by(&self, context: &Context, name: BranchName, m: &Message<'_>) -> bool {
        let branch = context.proxy.branch(name.fork).filter(|b| !b.sent().is_empty() || b.code() != 0);
        context.loop_mac == name.loop_mac && branch.is_some_and(|b| self.speaks_of(context, b, m))
    }

    fn speaks_of(&self, context: &Context, branch: &Branch<Hop>, m: &Message<'_>) -> bool {
        if m.cseq_method() == Method::Cancel {
            // Nothing comes of it, and its To tag is the responder's own (RFC 3261 §9.2).
            return true;
        }
        let cseq = m.cseq().wrapping_sub(branch.target.cseq_added);
        let success = m.status().is_some_and(|code| (200..300).contains(&code));
        self.identity(m, cseq, context.tagged) == context.identity
            && (!success || goes_on(m) && !is_endless(m))
    }

    fn on_answered(
        &mut self,
        io: &mut Io<'_>,
        flow: &Flow,
        (slot, context): (Slot, &mut Context),
        branch: u8,
        m: &Message<'_>,
    ) {
        self.turn_to(context);
        self.note_heard(io, (branch, flow.remote.ip()), m);
        if let Some(b) = context.proxy.branch_mut(branch) {
            // What belongs to the request, and its dialog, goes by the connection that brought the answer.
            if flow.transport.is_reliable() && flow.transport == b.target.hop.egress.transport {
                b.target.hop.egress.connection = flow.connection;
            }
        }
        if let Some(b) = context.proxy.branch(branch) {
            self.heard(&b.target.hop, flow.remote.ip(), io.unix_ms());
            if let Some(trunk) = &b.target.hop.trunk {
                self.shared.destinations.note_voice(trunk, b.target.hop.trunk_uri);
            }
        }
        if m.cseq_method() != Method::Cancel && self.relay_response(io, (slot, context), branch, flow, m) {
            return;
        }
        self.note_failure(context, branch, m);
        context.heard |= m.cseq_method() != Method::Cancel && m.status().is_some_and(|code| code >= 200);
        let carrier = context.proxy.branch(branch).is_some_and(|b| b.target.carrier);
        let may_stay = self.has_room_for(context, m);
        let heard = Heard { branch, message: m, for_us: self.challenges_for_us(m, carrier), may_stay };
        context.proxy.handle(Input::Response(heard), io.now(), &mut self.work);
        self.carry_out(io, slot, context, Some(heard));
    }

    /// May a copy of this response be kept? One as long as the request was paid for with it.
    fn has_room_for(&mut self, context: &mut Context, m: &Message<'_>) -> bool {
        let (length, paid) = (m.bytes.len() as u32, context.answer_paid);
        if length <= paid || m.status().is_some_and(|code| code < 300) {
            return true;
        }
        let paid = self.pay(context, length - paid);
        if paid {
            context.answer_paid = length;
        }
        paid
    }

    /// A branch that had said something failed: its early dialogs have ended, while the request may go on elsewhere.
    fn note_failure(&self, context: &Context, branch: u8, m: &Message<'_>) {
        let failed = m.status().is_some_and(|code| code >= 300) && m.cseq_method() != Method::Cancel;
        if failed
            && let DialogUse::Begins(number) = context.dialog
            && context.proxy.branch(branch).is_some_and(Branch::is_proceeding)
        {
            self.shared.dialogs.branch_failed(number, branch);
        }
    }
}
