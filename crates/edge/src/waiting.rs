//! Suspends messages, and takes them up again: what waits is in `suspended.rs`.

use std::net::IpAddr;

use trunkline_events::Event;
use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_routing::Decision;
use trunkline_sip::{Method, response};
use trunkline_transaction::TransactionKey;
use trunkline_transaction::timers::{E_AT_T2, Now, T1_64};

use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::Io;
use crate::memory::MessageMemory;
use crate::party::PartyRef;
use crate::resolver::Question;
use crate::suspended::{Cause, Suspended, Waiting, number_of};
use crate::trust::cancels;
use crate::visit::Visit;

impl Edge {
    /// The ticket of this number, for the first or the second answer.
    pub(crate) fn ticket(&self, number: u64, answer: usize) -> u64 {
        u64::from(self.shard) << 56 | number << 1 | answer as u64 & 1
    }

    /// Does this request wait?
    pub(crate) fn is_suspended(&self, key: TransactionKey) -> bool {
        self.suspensions.has(Waiting::Request(key))
    }

    /// Has the request at hand waited before, so that whoever sent an INVITE had its 100?
    pub(crate) fn has_waited(&self) -> bool {
        self.suspensions.again.is_some()
    }

    /// Lets a request wait until a name is known.
    pub(crate) fn wait_for(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        question: Question,
    ) {
        if self.suspensions.again.is_some_and(|until| until <= io.now()) {
            self.counters.suspended_lost.add();
            return self.refuse(io, inbound, Reason::WaitDns);
        }
        let room = self.suspensions.number(inbound.flow);
        let Some(number) =
            room.filter(|_| self.shared.may_look_up(&question, inbound.flow.remote.ip(), io.unix_ms()))
        else {
            return self.overloaded(io, inbound);
        };
        let (what, bytes) = (Waiting::Request(key), inbound.message.bytes);
        let suspended = Suspended {
            companion: self.companion(inbound),
            ..Suspended::new(what, Cause::Name, inbound.flow, bytes, io.now())
        };
        self.events.note(io.unix_ms(), Event::Waits(question.host.as_bytes()));
        if !self.shared.resolver.ask(question, self.shard, self.ticket(number, 0)) {
            return self.overloaded(io, inbound);
        }
        self.suspend(io, inbound, number, suspended);
    }

    /// Lets a request wait. An INVITE gets a 100, so that it is not repeated meanwhile.
    pub(crate) fn suspend(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        number: u64,
        suspended: Suspended,
    ) {
        self.counters.suspended.add();
        if let Cause::Media(_) = &suspended.cause {
            self.note_relay(io);
        }
        let told = self.has_waited();
        let suspended = Suspended { request: self.events.request(), own: self.own, ..suspended };
        self.suspensions.insert(number, suspended);
        if inbound.method == Method::Invite && !told {
            self.tell_trying(io, inbound);
        }
    }

    /// Tells the sender of a request that waits that it has arrived.
    fn tell_trying(&self, io: &mut Io<'_>, inbound: &Inbound<'_>) {
        let Io { net, memory } = io;
        let out = &mut memory.out;
        out.clear();
        response::begin(&inbound.message, 100, None, b"", inbound.fill.as_ref(), out);
        response::finish(out);
        // The request goes on to pay for what comes after it.
        if self.may_send(&inbound.back, out.len(), net.unix_ms()) {
            net.send(&inbound.back, out);
        }
    }

    /// The router has decided about a request that waits now: it goes on with that.
    pub(crate) fn keep_decision(&mut self, key: TransactionKey, decision: &Decision) {
        if let Some(number) = self.suspensions.by_message(Waiting::Request(key)).map(|(number, _)| number)
            && let Some(suspended) = self.suspensions.get_mut(number)
        {
            suspended.decided = Some(Box::new(decision.clone()));
        }
    }

    /// A name is known, or is not to be found: the request goes on.
    pub(crate) fn on_named(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, ticket: u64) {
        // Unknown: it was cancelled in the meantime.
        if let Some(suspended) = self.suspensions.take(number_of(ticket)) {
            self.resume(io, memory, suspended);
        }
    }

    /// A request goes on at the stage where it stood.
    pub(crate) fn resume(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, suspended: Suspended) {
        self.suspensions.again = Some(suspended.until);
        self.suspensions.request = suspended.request;
        self.events.resume(suspended.request);
        self.events.note(io.unix_ms(), Event::GoesOn);
        self.own = suspended.own;
        self.go_on_with(io, memory, suspended);
        self.own = None;
        self.suspensions.again = None;
        self.suspensions.request = 0;
    }

    fn go_on_with(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory, suspended: Suspended) {
        let (Some(decided), Waiting::Request(key)) = (suspended.decided, suspended.what) else {
            return self.take_message(io, memory, &suspended.flow, &suspended.bytes);
        };
        // Its repetitions belong here.
        self.rebalancing.from_other_shard = true;
        let shared = self.shared.clone();
        read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
            // It is no loop: it was looked at.
            let inbound =
                Inbound { spiral: self.visit(inbound) == Visit::Spiral, decided: Some(&decided), ..*inbound };
            self.forward(io, &inbound, key, &decided);
        });
    }

    /// Somebody cancels an INVITE that waits: it has gone nowhere yet, and is answered 487. Whether that was its caller; `None`
    /// when none waits.
    pub(crate) fn cancel_suspended(
        &mut self,
        io: &mut Io<'_>,
        cancel: &Inbound<'_>,
        key: TransactionKey,
    ) -> Option<bool> {
        let what = Waiting::Request(key);
        let (number, suspended) = self.suspensions.by_message(what).filter(|(_, s)| s.companion != 0)?;
        let same = suspended.companion == self.companion(cancel);
        let rung = |ip: IpAddr| suspended.bound_for.iter().any(|bound| bound.to_canonical() == ip);
        // Who sent it is known once it was routed.
        let caller = suspended.decided.as_ref().map(|decided| {
            let caller = PartyRef::caller(&decided.parties);
            (caller.kind, self.shared.party(&caller))
        });
        let own = cancels::is_callers(&suspended.flow, cancel.flow, same, rung);
        let own = own || same && caller.is_some_and(|c| self.is_on_anew(io, c, cancel.flow, rung));
        if !own {
            return Some(false);
        }
        let suspended = self.suspensions.take(number)?;
        if let Cause::Media(awaited) = &suspended.cause {
            self.end_awaited(awaited);
        }
        let shared = self.shared.clone();
        read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
            if let Some((slot, context)) = self.open(io, inbound, key, ((PartyKind::Stranger, 0), 1)) {
                self.answer_and_settle(io, slot, context, Reason::CallCancelledEarly);
            }
        });
        Some(true)
    }

    /// Sends the 100 of requests other than INVITE that are due (RFC 4320 §4.1).
    fn tell_late(&mut self, io: &mut Io<'_>, now: Now) {
        let due = |s: &&mut Suspended| {
            if s.own.is_some() {
                return false;
            }
            let since = (s.until + E_AT_T2).saturating_sub(T1_64);
            !s.told && since <= now && matches!(s.what, Waiting::Request(_)) && s.companion == 0
        };
        let shared = self.shared.clone();
        let mut late = Vec::new();
        for suspended in self.suspensions.waiting.values_mut().filter(due) {
            suspended.told = true;
            late.push((suspended.flow, suspended.bytes.clone()));
        }
        for (flow, bytes) in late {
            read_again(&shared.guard, &flow, &bytes, |inbound| {
                if !matches!(inbound.method, Method::Invite | Method::Ack) {
                    self.tell_trying(io, inbound);
                }
            });
        }
    }

    /// Answers what has waited longer than whoever sent it waits for an answer.
    pub(crate) fn sweep_suspended(&mut self, io: &mut Io<'_>) {
        let now = io.now();
        self.tell_late(io, now);
        let late = self.suspensions.waiting.iter().filter(|(_, suspended)| suspended.until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in late {
            let Some(suspended) = self.suspensions.take(number) else { continue };
            self.counters.suspended_lost.add();
            if let Cause::Media(awaited) = &suspended.cause {
                self.end_awaited(awaited);
            }
            if let (Waiting::Request(_), None) = (suspended.what, suspended.own) {
                let shared = self.shared.clone();
                read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
                    self.refuse(io, inbound, Reason::WaitTooLong);
                });
            }
        }
    }
}
