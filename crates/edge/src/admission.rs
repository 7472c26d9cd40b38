//! A call begins, or goes on to another callee: its limits are asked and its record is begun before anything goes out.

use trunkline_calls::{CallHandle, LimitReached, Payer, Refused};
use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, RoutedKind, called_uri};
use trunkline_sip::Method;

use crate::aims::{Aim, Aims, Rung};
use crate::calls::{self, Beginning};
use crate::context::Context;
use crate::divertible::Divertible;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::limits;
use crate::mail::Io;

/// Why no target is tried of a callee that takes no more calls.
const BUSY: Reason = Reason::LimitCallee;

/// A call that may begin.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Admitted {
    /// Its record.
    pub(crate) call: Option<CallHandle>,
    /// Its number, which its dialogs have.
    pub(crate) number: Option<u64>,
}

/// Why one may not, with header lines.
pub(crate) type Kept = (Reason, Vec<u8>);

impl Edge {
    /// Leaves out the targets of an INVITE whose trunk takes no more calls; an error where none is left.
    pub(crate) fn choose_trunks(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        aims: &mut Aims,
    ) -> Result<(), Kept> {
        let shared = &self.shared;
        let limited = |target: &Aim| aims.target(decision, target).is_some_and(|t| t.trunk.is_some());
        let concerned = inbound.method == Method::Invite && !shared.config.stateless;
        if !concerned || !aims.list.iter().any(limited) || self.is_emergency(inbound) {
            return Ok(());
        }
        let with = (&*shared.calls, &**shared.tables.load());
        match limits::pass_over_full_trunks(with, decision, aims, io.unix_ms()) {
            true => Ok(()),
            false => Err(limits::refusal(Refused { who: LimitReached::Trunk, wait: None }, false)),
        }
    }

    /// The call of an INVITE that is about to go out begins, to the first target first. It may have its `number`. A callee that takes
    /// no more calls is busy: none of its targets is tried. `caller` holds its memory.
    pub(crate) fn admit(
        &self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        aims: &mut Aims,
        (number, caller): (Option<u64>, (PartyKind, u32)),
    ) -> Result<Admitted, Kept> {
        let Some(first) = aims.list.first().copied().filter(|_| inbound.method == Method::Invite) else {
            return Ok(Admitted { call: None, number });
        };
        let shared = &self.shared;
        let (number, now) = (number.unwrap_or_else(|| shared.dialogs.unique()), io.unix_ms());
        let named = called_uri(&inbound.message, &shared.config.routing);
        let emergency = self.is_emergency_call(named.as_ref());
        let tables = shared.tables.load();
        let mut busy = false;
        let call = {
            let rung = aims.rung(decision);
            let Some(target) = aims.target(decision, &first) else { return Ok(Admitted::default()) };
            let mut counts = limits::parties(&tables, rung, emergency);
            let trunk = target.trunk.as_ref().map(|trunk| limits::trunk(&tables, trunk, emergency));
            let called = calls::called(&inbound.message, named.as_ref(), &mut io.memory.text);
            let payer = Payer::new(caller, inbound.flow.remote.ip());
            let payer = (!emergency).then_some(payer);
            let begin = |counts| {
                let beginning = Beginning { rung, target, number, called, payer, counts, trunk };
                calls::begin(&shared.calls, inbound, &beginning, now)
            };
            match begin(counts) {
                Err(refused) if limits::is_busy(&refused) => {
                    busy = true;
                    (counts.called, counts.domains[1]) = Default::default();
                    begin(counts)
                }
                other => other,
            }
        };
        if busy {
            aims.make_busy(BUSY);
        }
        let from_carrier = decision.parties.caller.kind == RoutedKind::Pstn;
        let call = call.map_err(|refused| limits::refusal(refused, from_carrier))?;
        Ok(Admitted { call, number: Some(number) })
    }

    /// The call goes on to another callee, which is busy where it takes no more calls.
    pub(crate) fn admit_again(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        context: &Context,
        decision: &Decision,
        aims: &mut Aims,
    ) {
        let (Some(call), now) = (context.call, io.unix_ms()) else { return };
        let emergency = self.is_emergency(inbound);
        let counts = limits::parties(&self.shared.tables.load(), aims.rung(decision), emergency);
        match self.shared.calls.recount(call, [counts.called, counts.domains[1]], now) {
            Ok(()) => calls::divert(&self.shared.calls, call, aims.rung(decision)),
            Err(_) => aims.make_busy(BUSY),
        }
    }

    /// What the transaction of an INVITE has to know of its callee.
    pub(crate) fn prepare_ringing(&mut self, inbound: &Inbound<'_>, context: &mut Context, rung: Rung<'_>) {
        self.counters.calls.add();
        let parties = &rung.decision.parties;
        match parties.no_answer_seconds {
            Some(seconds) => context.proxy.ring_for(u64::from(seconds) * 1000, true),
            None => context.proxy.ring_for(self.shared.config.no_answer.as_millis() as u64, false),
        }
        context.divertible = Divertible::new(inbound, rung.decision, context.turns);
        let copy = context.divertible.as_ref().map_or(0, |divertible| divertible.request.len() as u32);
        if copy > 0 && !self.pay(context, copy) {
            context.divertible = None;
        }
        context.proxy.set_divertible(context.divertible.is_some());
        let follows = matches!(parties.callee.kind, RoutedKind::Agent | RoutedKind::Pstn);
        context.proxy.set_redirectable(follows);
    }
}
