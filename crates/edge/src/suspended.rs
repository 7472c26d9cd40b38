//! Messages that wait for an answer from elsewhere: the addresses of a name, or the media relay.
//!
//! All of them wait here, under a ticket, until the answer comes as mail; the shard goes on meanwhile. Their repetitions are
//! absorbed, and a CANCEL ends them. A request that was routed goes on with the router's decision, so that nothing is asked
//! twice; another message is taken up again as if it had just come in.

use std::net::IpAddr;

use hashbrown::HashMap;
use trunkline_proxy::PartyKind;
use trunkline_routing::Plan;
use trunkline_sip::{Flow, Method, response, source_of};
use trunkline_transaction::timers::{Now, T1_64};
use trunkline_transaction::{Slot, TransactionKey};

use crate::calls::Parties;
use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::{EdgeMail, Io};
use crate::media::Awaited;
use crate::resolver::Question;
use crate::trust::cancels;

/// Messages of one shard that wait, at most; what comes beyond is answered 503.
const MOST: usize = 10_000;
/// Those of one source (IPv6: one /64), and the bytes of them all.
const MOST_OF_SOURCE: u32 = 1_000;
const MOST_BYTES: usize = 64 << 20;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Waiting {
    Request(TransactionKey),
    /// Of this transaction and branch, with this status.
    Response(Slot, u8, u16),
}

/// What it waits for.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The addresses of a name.
    Name,
    Media(Awaited),
}

/// What the router has decided of a request.
#[derive(Debug)]
pub(crate) struct Decided {
    plan: Plan,
    parties: Parties,
}

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Suspended {
    pub(crate) what: Waiting,
    pub(crate) cause: Cause,
    pub(crate) flow: Flow,
    pub(crate) bytes: Box<[u8]>,
    /// Of an INVITE, what its CANCEL has in common with it, and where it is about to go.
    pub(crate) companion: u64,
    pub(crate) bound_for: Box<[IpAddr]>,
    /// Answers still to come.
    pub(crate) left: usize,
    pub(crate) decided: Option<Box<Decided>>,
    /// By when its sender has given up.
    pub(crate) until: Now,
}

impl Suspended {
    /// A message that waits for so much.
    pub(crate) fn new(what: Waiting, cause: Cause, flow: &Flow, bytes: &[u8], now: Now) -> Suspended {
        Suspended {
            what,
            cause,
            flow: *flow,
            bytes: bytes.into(),
            companion: 0,
            bound_for: Box::default(),
            left: 1,
            decided: None,
            until: now + T1_64,
        }
    }
}

/// The messages of one shard that wait, by the numbers of their tickets.
#[derive(Default)]
pub(crate) struct Suspensions {
    next: u64,
    waiting: HashMap<u64, Suspended>,
    by_message: HashMap<Waiting, u64>,
    by_source: HashMap<IpAddr, u32>,
    bytes: usize,
    /// By when the sender of the request at hand gives up, which has waited before.
    again: Option<Now>,
}

/// A ticket: the shard in the first byte, then a number, then which of several answers it is for.
const NUMBER: u64 = (1 << 55) - 1;

/// The number of a ticket.
pub(crate) fn number_of(ticket: u64) -> u64 {
    ticket >> 1 & NUMBER
}

impl Suspensions {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How the messages came.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.waiting.values().map(|suspended| &suspended.flow)
    }

    /// The number of the next ticket, for a message that came this way; `None`: there is no room for one.
    pub(crate) fn number(&mut self, from: &Flow) -> Option<u64> {
        self.next = (self.next + 1) & NUMBER;
        let of_source = self.by_source.get(&source_of(from.remote.ip())).copied().unwrap_or(0);
        let room = self.waiting.len() < MOST && of_source < MOST_OF_SOURCE && self.bytes < MOST_BYTES;
        room.then_some(self.next)
    }

    pub(crate) fn insert(&mut self, number: u64, mut suspended: Suspended) {
        // Whoever waits a second time has waited since the first.
        suspended.until = self.again.take().unwrap_or(suspended.until);
        *self.by_source.entry(source_of(suspended.flow.remote.ip())).or_default() += 1;
        self.bytes += suspended.bytes.len();
        self.by_message.insert(suspended.what, number);
        self.waiting.insert(number, suspended);
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Suspended> {
        self.waiting.get_mut(&number)
    }

    /// Does this message wait?
    pub(crate) fn has(&self, what: Waiting) -> bool {
        !self.by_message.is_empty() && self.by_message.contains_key(&what)
    }

    pub(crate) fn take(&mut self, number: u64) -> Option<Suspended> {
        let suspended = self.waiting.remove(&number)?;
        if self.by_message.get(&suspended.what) == Some(&number) {
            self.by_message.remove(&suspended.what);
        }
        let source = source_of(suspended.flow.remote.ip());
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        self.bytes -= suspended.bytes.len();
        Some(suspended)
    }

    fn by_message(&self, what: Waiting) -> Option<(u64, &Suspended)> {
        let number = *self.by_message.get(&what)?;
        Some((number, self.waiting.get(&number)?))
    }
}

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
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        question: Question,
    ) {
        if self.suspensions.again.is_some_and(|until| until <= io.now()) {
            self.counters.suspended_lost.add();
            return self.refuse(io, inbound, 504, None);
        }
        let Some(number) = self.suspensions.number(inbound.flow) else {
            return self.overloaded(io, inbound);
        };
        let (what, bytes) = (Waiting::Request(key), inbound.message.bytes);
        let suspended = Suspended {
            companion: self.companion(inbound),
            ..Suspended::new(what, Cause::Name, inbound.flow, bytes, io.now())
        };
        if !self.shared.resolver.ask(question, self.shard, self.ticket(number, 0)) {
            return self.overloaded(io, inbound);
        }
        self.suspend(io, inbound, number, suspended);
    }

    /// Lets a request wait. An INVITE gets a 100, so that it is not repeated meanwhile.
    pub(crate) fn suspend(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        number: u64,
        suspended: Suspended,
    ) {
        self.counters.suspended.add();
        let told = self.has_waited();
        self.suspensions.insert(number, suspended);
        if inbound.method != Method::Invite || told {
            return;
        }
        let mut out = std::mem::take(&mut self.scratch.out);
        out.clear();
        response::begin(&inbound.message, 100, None, b"", inbound.fill.as_ref(), &mut out);
        response::finish(&mut out);
        // The request goes on to pay for what comes after it.
        if self.may_send(&inbound.back, out.len(), io.unix_ms()) {
            io.send(&inbound.back, &out);
        }
        self.scratch.out = out;
    }

    /// The router has decided about a request that waits now: it goes on with that.
    pub(crate) fn keep_decision(&mut self, key: TransactionKey, plan: &Plan) {
        let parties = self.scratch.parties.clone();
        if let Some(number) = self.suspensions.by_message(Waiting::Request(key)).map(|(number, _)| number)
            && let Some(suspended) = self.suspensions.get_mut(number)
        {
            suspended.decided = Some(Box::new(Decided { plan: plan.clone(), parties }));
        }
    }

    /// A name is known, or is not to be found: the request goes on.
    pub(crate) fn on_named(&mut self, io: &mut Io<EdgeMail>, ticket: u64) {
        // Unknown: it was cancelled in the meantime.
        if let Some(suspended) = self.suspensions.take(number_of(ticket)) {
            self.resume(io, suspended);
        }
    }

    /// A request goes on at the stage where it stood.
    pub(crate) fn resume(&mut self, io: &mut Io<EdgeMail>, suspended: Suspended) {
        self.suspensions.again = Some(suspended.until);
        self.go_on_with(io, suspended);
        self.suspensions.again = None;
    }

    fn go_on_with(&mut self, io: &mut Io<EdgeMail>, suspended: Suspended) {
        let (Some(decided), Waiting::Request(key)) = (suspended.decided, suspended.what) else {
            return self.take_message(io, &suspended.flow, &suspended.bytes);
        };
        // Its repetitions belong here.
        self.handover.guest = true;
        let shared = self.shared.clone();
        read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
            // It is none: it was looked at. Whether it is a spiral is noted again.
            self.is_loop(inbound);
            self.scratch.parties = decided.parties;
            self.forward(io, inbound, key, &decided.plan);
        });
    }

    /// Somebody cancels an INVITE that waits: it has gone nowhere yet, and is answered 487. Whether that was its caller; `None`
    /// when none waits.
    pub(crate) fn cancel_suspended(
        &mut self,
        io: &mut Io<EdgeMail>,
        cancel: &Inbound<'_>,
        key: TransactionKey,
    ) -> Option<bool> {
        let what = Waiting::Request(key);
        let (number, suspended) = self.suspensions.by_message(what).filter(|(_, s)| s.companion != 0)?;
        let same = suspended.companion == self.companion(cancel);
        let rung = |ip: IpAddr| suspended.bound_for.iter().any(|bound| bound.to_canonical() == ip);
        if !cancels::is_callers(&suspended.flow, cancel.flow, same, rung) {
            return Some(false);
        }
        let suspended = self.suspensions.take(number)?;
        if let Cause::Media(awaited) = &suspended.cause {
            self.end_awaited(awaited);
        }
        let shared = self.shared.clone();
        read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
            if let Some((slot, context)) = self.open(io, inbound, key, (PartyKind::Stranger, 0)) {
                self.answer_and_settle(io, slot, context, 487);
            }
        });
        Some(true)
    }

    /// Answers what has waited longer than whoever sent it waits for an answer.
    pub(crate) fn sweep_suspended(&mut self, io: &mut Io<EdgeMail>) {
        let now = io.now();
        let late = self.suspensions.waiting.iter().filter(|(_, suspended)| suspended.until <= now);
        let late: Vec<u64> = late.map(|(number, _)| *number).collect();
        for number in late {
            let Some(suspended) = self.suspensions.take(number) else { continue };
            self.counters.suspended_lost.add();
            if let Cause::Media(awaited) = &suspended.cause {
                self.end_awaited(awaited);
            }
            if let Waiting::Request(_) = suspended.what {
                let shared = self.shared.clone();
                read_again(&shared.guard, &suspended.flow, &suspended.bytes, |inbound| {
                    self.refuse(io, inbound, 504, None);
                });
            }
        }
    }
}
