//! Busy, or nobody answers: the call goes on to the agent's fallback, with Diversion (RFC 5806) and History-Info
//! (RFC 7044) written by the router.

use trunkline_proxy::transaction::Answer;
use trunkline_routing::{Decision, Diversion, Outcome};
use trunkline_transaction::Slot;

use crate::aims::MOST_TARGETS;
use crate::context::{Context, Hop};
use crate::decide::Round;
use crate::divertible::{Divertible, account_of, fallback_for};
use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::Io;
use crate::visit::Visit;

impl Edge {
    /// The call ends with this status: if its callee has a fallback for that, the call goes there.
    pub(crate) fn divert(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        context: &mut Context,
        code: u16,
    ) -> Answer<Hop> {
        let Some(divertible) = context.divertible.take() else { return Answer::Nothing };
        let Some(to) = fallback_for(&divertible.fallback, code) else { return Answer::Nothing };
        if !context.proxy.has_room(MOST_TARGETS) {
            return Answer::Nothing;
        }
        let Divertible { aor, caller, proven, .. } = &*divertible;
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let account = account_of(&tables, caller);
        let diversion =
            Diversion { from: aor, to, cause: code, caller, account, proven: *proven, by_phone: false };
        let forwarded = read_again(&shared.guard, &divertible.flow, &divertible.request, |inbound| {
            let Ok(uri) = inbound.message.uri() else { return false };
            let uri = self.without_account(inbound, uri);
            // It is no loop: it was forwarded. What it spent as a spiral goes on counting.
            let inbound = &Inbound { spiral: self.visit(inbound) == Visit::Spiral, ..*inbound };
            self.note_diverted(io, to);
            let mut decision = Decision::default();
            let decided = self.decide(io, inbound, &uri, Round::Diverted(diversion), &mut decision);
            if decided.is_err() || decision.outcome != Outcome::Forward {
                return false;
            }
            context.turns = context.turns.saturating_add(1);
            self.forward_again(io, inbound, &decision, (slot, &mut *context), false)
        });
        match forwarded {
            Some(true) => Answer::Started,
            Some(false) | None => Answer::Nothing,
        }
    }
}
