//! Busy, or nobody answers: the call goes on to the agent's fallback, with Diversion (RFC 5806) and History-Info
//! (RFC 7044) written by the router.

use trunkline_proxy::transaction::Answer;
use trunkline_routing::{Diversion, Outcome, Plan};
use trunkline_sip::{Flow, Method};
use trunkline_transaction::Slot;

use crate::aims::MOST_TARGETS;
use crate::context::{Context, Hop};
use crate::decide::Round;
use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::{EdgeMail, Io};

/// Where an agent's calls go when it does not take them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fallback {
    pub(crate) busy: Option<String>,
    pub(crate) no_answer: Option<String>,
}

/// What is kept of a call that may be diverted. Only agents with a fallback have one, so others cost nothing.
#[derive(Clone, Debug)]
pub(crate) struct Divertible {
    fallback: Fallback,
    /// The AOR that was called.
    aor: String,
    /// The INVITE as it came.
    request: Vec<u8>,
    flow: Flow,
    /// Had the caller shown who it is?
    proven: bool,
    /// How often the call was diverted before.
    turns: u8,
}

/// A call is diverted so often at most.
const MOST_TURNS: u8 = 5;

impl Fallback {
    fn target(&self, code: u16) -> Option<&str> {
        match code {
            486 | 600 | 603 => self.busy.as_deref(),
            408 | 480 | 487 => self.no_answer.as_deref(),
            _ => None,
        }
    }
}

impl Divertible {
    /// For the INVITE that is being forwarded by this plan.
    pub(crate) fn new(
        fallback: Fallback,
        inbound: &Inbound<'_>,
        plan: &Plan,
        turns: u8,
    ) -> Option<Box<Divertible>> {
        if inbound.method != Method::Invite || fallback == Fallback::default() || turns >= MOST_TURNS {
            return None;
        }
        Some(Box::new(Divertible {
            fallback,
            aor: String::from_utf8_lossy(&plan.aor).into_owned(),
            request: inbound.message.bytes.to_vec(),
            flow: *inbound.flow,
            proven: plan.proven,
            turns,
        }))
    }
}

impl Edge {
    /// The call ends with this status: if its callee has a fallback for that, the call goes there.
    pub(crate) fn divert(
        &mut self,
        io: &mut Io<EdgeMail>,
        slot: Slot,
        context: &mut Context,
        code: u16,
    ) -> Answer<Hop> {
        let Some(divertible) = context.divertible.take() else { return Answer::Nothing };
        let Some(to) = divertible.fallback.target(code) else { return Answer::Nothing };
        if !context.proxy.has_room(MOST_TARGETS) {
            return Answer::Nothing;
        }
        let diversion = Diversion { from: &divertible.aor, to, cause: code, proven: divertible.proven };
        let shared = self.shared.clone();
        let forwarded = read_again(&shared.guard, &divertible.flow, &divertible.request, |inbound| {
            let Ok(uri) = inbound.message.uri() else { return false };
            // It is none: it was forwarded. What it spent as a spiral goes on counting.
            self.is_loop(inbound);
            let mut plan = Plan::default();
            let decided = self.decide(io, inbound, &uri, Round::Diverted(diversion), &mut plan);
            if decided.is_err() || plan.outcome != Outcome::Forward {
                return false;
            }
            self.scratch.parties.turns = divertible.turns + 1;
            self.forward_diverted(io, inbound, &plan, (slot, &mut *context))
        });
        match forwarded {
            Some(true) => Answer::Started,
            Some(false) | None => Answer::Nothing,
        }
    }
}
