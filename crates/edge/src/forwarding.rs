//! Forwarding with a transaction: from the router's decision to branches that run, RFC 3261 §16.6.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use trunkline_calls::Payer;
use trunkline_proxy::transaction::{Target as Proxied, Waiting, callee_unreachable};
use trunkline_proxy::{Mark, PartyKind, ProxyTransaction, StatelessUse};
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, PartyName, Target};
use trunkline_sip::response::{self};
use trunkline_sip::{Method, Transport};
use trunkline_transaction::{Slot, TransactionKey};
use trunkline_transport::Egress;

use crate::aims::{Aim, Aims};
use crate::branches::Outgoing;
use crate::breadth::breadth;
use crate::context::{self, Context, DialogUse, Hop};
use crate::cseq::Raise;
use crate::destinations::KNOWN_DOWN;
use crate::edge::{Edge, MOST_CONTEXTS};
use crate::forward::DroppedRoutes;
use crate::inbound::Inbound;
use crate::known_down::Worth;
use crate::mail::Io;
use crate::media::{Offered, Relaying};
use crate::names::Shown;
use crate::own_answer::OwnAnswer;
use crate::party::PartyRef;
use crate::resolver::Spare;
use crate::shared::Shared;
use crate::stateless::Stateless;
use crate::trust::budget::Credit;
use crate::trust::marks::Beginning;
use crate::trust::{SIPS_NOT_ALLOWED, Spent, keep_secure};

/// What the branches of one request have in common.
struct Sending<'a> {
    decision: &'a Decision,
    beginning: Option<Beginning>,
    relaying: Relaying,
    breadth: Option<u32>,
    /// Who knows which trunks take signalling, where the body holds what others do not.
    cut: Option<Arc<Shared>>,
}

/// The way of a target that there is none to.
fn nowhere() -> Egress {
    Egress::to(Transport::Udp, SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
}

impl Sending<'_> {
    fn outgoing<'o>(
        &'o self,
        (decision, target): (&'o Decision, &Target),
        egress: Egress,
        mark: Option<Mark>,
    ) -> Outgoing<'o> {
        let uri = decision.targets.text(target.uri);
        Outgoing {
            uri,
            path: decision.targets.text(target.path),
            headers: decision.targets.text(target.headers),
            drop_routes: DroppedRoutes::ALL,
            egress,
            may_grow: if target.flow.is_none() && target.next_hop.is_none_or(|hop| hop.transport.is_none()) {
                uri
            } else {
                b""
            },
            mark,
            max_breadth: self.breadth,
            body: self.relaying.body(&egress),
            cut: self.cut.as_ref().zip(target.trunk.as_ref()).is_some_and(|(s, t)| !s.takes_signalling(t)),
            unproven: false,
            raise: Raise::default(),
            spent: Spent::new(),
            shown: Shown::from(decision.targets.text(target.from)),
            stateless: None,
        }
    }
}

/// May a request go on?
enum Prepared {
    Go {
        breadth: Option<u32>,
        relaying: Relaying,
    },
    /// It waits for rtpengine.
    Suspended,
    /// For this reason, with these header lines.
    Refuse(Reason, &'static [u8]),
    /// The media of no target can be had, which makes this status.
    RefuseMedia(u16),
}

impl Edge {
    /// Forwards a request that begins something, to the decision's targets.
    pub(crate) fn forward(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        decision: &Decision,
    ) {
        let mut aims = Aims::default();
        if let Err(question) = self.aim(io, inbound, decision, &mut aims) {
            self.wait_for(io, inbound, key, question);
            return self.keep_decision(key, decision);
        }
        if let Err((reason, extra)) = self.choose_trunks(io, inbound, decision, &mut aims) {
            return self.reply(io, inbound, reason, &extra);
        }
        let (breadth, mut relaying) = match self.prepare(io, inbound, key, (decision, &mut aims), None) {
            Prepared::Go { breadth, relaying } => (breadth, relaying),
            Prepared::Suspended => return self.keep_decision(key, decision),
            Prepared::Refuse(reason, extra) => return self.reply(io, inbound, reason, extra),
            Prepared::RefuseMedia(code) => return self.refuse_media(io, inbound, code, Reason::MediaRefused),
        };
        if self.shared.config.stateless {
            return self.forward_stateless(io, inbound, key, decision, &aims);
        }
        let caller = self.shared.caller(aims.rung(decision).decision);
        let admitted = match self.admit(io, inbound, decision, &mut aims, (relaying.number, caller)) {
            Ok(admitted) => admitted,
            Err((reason, extra)) => {
                self.take_back_media(relaying);
                return self.reply(io, inbound, reason, &extra);
            }
        };
        let Some((slot, mut context)) = self.open(io, inbound, key, (caller, aims.list.len())) else {
            if let Some(call) = admitted.call {
                self.shared.calls.failed(call, 503, io.unix_ms());
            }
            return self.take_back_media(relaying);
        };
        context.party.clone_from(&decision.parties.caller);
        context.call = admitted.call;
        relaying.dialogs = admitted.number;
        match self.begin_all(io, inbound, (slot, &mut context), decision, (breadth, relaying, &mut aims)) {
            Ok(()) => self.started(io, slot, context),
            Err(reason) => {
                self.counters.overloaded.add();
                self.answer_and_settle(io, slot, context, reason);
            }
        }
    }

    /// As [`Edge::forward`], on behalf of a transaction whose callee did not take the call; `false` when nothing was started for
    /// it. `beside_others`: other branches may run still.
    pub(crate) fn forward_again(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        (slot, context): (Slot, &mut Context),
        beside_others: bool,
    ) -> bool {
        let mut aims = Aims::default();
        if let Err(question) = self.aim(io, inbound, decision, &mut aims) {
            // A repetition of the request finds its transaction, so that nothing would go on from here.
            if self.shared.may_look_up(&question, inbound.flow.remote.ip(), io.unix_ms()) {
                self.shared.resolver.look_up(question);
            }
            return false;
        }
        if self.shared.caller(aims.rung(decision).decision) != context.caller {
            // Its mark is who it was.
            return false;
        }
        if self.choose_trunks(io, inbound, decision, &mut aims).is_err() {
            return false;
        }
        match self.prepare(io, inbound, context.key, (decision, &mut aims), Some(&*context)) {
            Prepared::Go { breadth, relaying } => {
                // Copies for further targets.
                let more = aims.list.len() as u32 * inbound.message.bytes.len() as u32;
                if !self.pay(context, more) {
                    self.counters.overloaded.add();
                    self.take_back_media(relaying);
                    return false;
                }
                self.admit_again(io, inbound, context, decision, &mut aims);
                if !beside_others {
                    context.proxy.begin_again();
                }
                self.begin_all(io, inbound, (slot, context), decision, (breadth, relaying, &mut aims)).is_ok()
            }
            Prepared::Suspended | Prepared::Refuse(..) | Prepared::RefuseMedia(_) => false,
        }
    }

    /// Begins what the request begins, a call and its dialogs, and the branches to its targets. An error: why there is no
    /// room for the dialogs.
    fn begin_all(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (slot, context): (Slot, &mut Context),
        decision: &Decision,
        (breadth, relaying, aims): (Option<u32>, Relaying, &mut Aims),
    ) -> Result<(), Reason> {
        if aims.list.is_empty() {
            return Ok(());
        }
        context.told = decision.proven;
        let rung = aims.rung(decision);
        let number = relaying.dialogs.or(relaying.number);
        let beginning = match self.begin_dialogs(io, inbound, context, (rung.decision, number)) {
            Ok(beginning) => beginning,
            Err(reason) => {
                self.take_back_media(relaying);
                return Err(reason);
            }
        };
        if inbound.method == Method::Invite {
            self.prepare_ringing(inbound, context, rung);
            if let Some(leg) = relaying.leg() {
                context.media = Some(leg);
            }
        }
        let sending = Sending { decision, beginning, relaying, breadth, cut: self.cuts(inbound, decision) };
        self.start_all(io, inbound, (slot, context), &sending, aims);
        Ok(())
    }

    /// Is everything there that it takes to send the request on?
    fn prepare(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        (decision, aims): (&Decision, &mut Aims),
        running: Option<&Context>,
    ) -> Prepared {
        if aims.list.is_empty() {
            return Prepared::Refuse(Reason::CalleeNoWay, b"");
        }
        if !keep_secure(&inbound.message, &mut aims.ways) {
            return Prepared::Refuse(Reason::CalleeInsecure, SIPS_NOT_ALLOWED);
        }
        if inbound.spiral {
            // Whoever sends back what we sent gets one address of each target, and not for ever.
            aims.ways.iter_mut().flatten().for_each(|(_, spare)| *spare = Spare::default());
            let request = self.shared.secret.tag(b"", inbound.message.call_id(), inbound.message.from_tag());
            let caller = self.shared.caller(aims.rung(decision).decision);
            let payer = Payer::new(caller, inbound.flow.remote.ip());
            if !self.shared.spirals.admit(request, payer, aims.list.len(), io.unix_ms()) {
                return Prepared::Refuse(Reason::LoopSpiral, b"");
            }
        }
        // Before the media is offered, which a refusal would leave behind.
        let Ok(breadth) = breadth(inbound, aims.widest_group(decision)) else {
            return Prepared::Refuse(Reason::LoopBreadth, b"");
        };
        // Whoever the call is diverted to may be of either sort.
        let any_sort = !aims.rung(decision).decision.parties.fallback.is_empty();
        match self.offer_media(io, inbound, (key, any_sort), &mut aims.ways, running) {
            Offered::Go(relaying) => Prepared::Go { breadth, relaying },
            Offered::Suspended => Prepared::Suspended,
            Offered::Refuse(code) => Prepared::RefuseMedia(code),
        }
    }

    /// Starts the first group of targets and puts the others by.
    fn start_all(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (slot, context): (Slot, &mut Context),
        sending: &Sending<'_>,
        aims: &mut Aims,
    ) {
        let last_group = aims.list.iter().map(|a| a.group).max().unwrap_or(0);
        let first_group = aims.list.first().map_or(0, |a| a.group);
        let mut tries = false;
        // A phone's further flows are put by first: whether there are any says how patient the first one is.
        for alternate in [true, false] {
            for n in 0..aims.list.len() {
                let Some(aim) = aims.list.get(n).copied() else { continue };
                let is_now = |t: &&Target| t.alternate == alternate;
                if aims.target(sending.decision, &aim).filter(is_now).is_none() {
                    continue;
                }
                let way = aims.ways.get_mut(n).and_then(Option::take);
                let Some(target) = aims.target(sending.decision, &aim) else { continue };
                let decision = aims.decision(sending.decision, &aim);
                let callee = PartyRef::callee(&decision.parties);
                let mut worth = self.shared.worth(target, callee, (io.now(), tries));
                tries |= worth == Worth::Trying;
                if worth == Worth::Nothing && self.is_emergency(inbound) {
                    worth = Worth::Trying;
                }
                let (egress, spare) = way.filter(|_| worth != Worth::Nothing).unzip();
                let way = (egress.unwrap_or(nowhere()), spare.unwrap_or_default());
                // Patience is short only while there is another way.
                let others = (last_group > aim.group, worth == Worth::Trying);
                let mut proxied = self.proxied(target, &aim, way, others);
                if aim.word.is_none() && target.trunk.is_none() {
                    proxied.hop.peer = self.shared.party(&callee);
                }
                let out = egress.map(|egress| {
                    let callee = (callee, aim.word.as_ref());
                    let mark =
                        sending.beginning.as_ref().map(|b| self.callee_mark(b, callee, target, &egress));
                    sending.outgoing((decision, target), egress, mark)
                });
                let code = if aim.code == 0 { 503 } else { aim.code };
                if out.is_none() {
                    context.refused = context.refused.or(aim.reason);
                }
                match out {
                    _ if alternate || aim.group != first_group => {
                        let dead = out.is_none().then_some(code);
                        let group = aim.group;
                        let waiting =
                            Waiting { request: Vec::new(), name_at: 0, dead, group, target: proxied };
                        let to = (slot, &mut *context);
                        self.put_off(io.memory, (inbound, to), out.as_ref(), decision, (waiting, alternate));
                    }
                    Some(out) => self.start(io, inbound, (slot, context), &out, (Some(decision), proxied)),
                    None => context.proxy.start_dead(code, proxied, &mut self.work),
                }
            }
        }
    }

    /// What the proxy transaction, and later the edge, have to know of a target.
    fn proxied(
        &self,
        target: &Target,
        aim: &Aim,
        (egress, spare): (Egress, Spare),
        (others, known_down): (bool, bool),
    ) -> Proxied<Hop> {
        let failover = self.shared.config.failover.as_millis() as u32;
        let hop = Hop {
            trunk: target.trunk.clone(),
            trunk_uri: target.trunk_uri,
            credentials: target.credentials.clone(),
            binding: target.binding_id,
            ..Hop::new(egress, spare, aim.word)
        };
        Proxied {
            passes_challenges: self.shared.config.pass_challenges.of(target),
            silence: known_down.then_some(KNOWN_DOWN).or(target.timeout_ms.filter(|_| others)),
            phone: target.phone,
            ..context::target(hop, target.timeout_ms.unwrap_or(failover))
        }
    }

    /// To the first target, without a transaction.
    fn forward_stateless(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        decision: &Decision,
        aims: &Aims,
    ) {
        let way = aims.list.first().zip(aims.ways.first().and_then(Option::as_ref));
        let aimed = way.and_then(|(aim, way)| Some((aim, aims.target(decision, aim)?, way.0)));
        let Some((aim, target, egress)) = aimed else {
            let aim = aims.list.first();
            let carrier = aim.and_then(|aim| aims.target(decision, aim)).is_some_and(|t| t.trunk.is_some());
            let code = aim.map_or(0, |aim| aim.code);
            let code = if matches!(code, 0 | 503) { callee_unreachable(carrier) } else { code };
            let reason = aim.and_then(|aim| aim.reason).unwrap_or(Reason::CalleeStateless);
            return self.reply_with(io, inbound, &OwnAnswer { code, ..reason.into() }, |_| {});
        };
        let rung = aims.decision(decision, aim);
        let (caller, callee) = (PartyRef::caller(&rung.parties), PartyRef::callee(&rung.parties));
        // The same for the request's repetitions, its CANCEL and its ACK, which have one branch (RFC 3261 §16.11).
        let loop_mac = self.shared.secret.stateless_loop_mac(&inbound.message);
        let number = self.shared.dialogs.number_of(loop_mac);
        let id = self.shared.party(&caller);
        let beginning = rung.record_route.then(|| self.beginning(inbound, (rung, id), number, io.unix_ms()));
        if beginning.is_some() {
            self.shared.note_beginning(inbound, (rung, number), false, io.unix_ms());
        }
        let mark =
            beginning.as_ref().map(|b| self.callee_mark(b, (callee, aim.word.as_ref()), target, &egress));
        let (relaying, cut) = (Relaying::default(), self.cuts(inbound, rung));
        let sending = Sending { decision: rung, beginning, relaying, breadth: None, cut };
        let mut outgoing = sending.outgoing((rung, target), egress, mark);
        outgoing.unproven = self.is_unproven_by(aim.word.as_ref(), &egress, io.unix_ms());
        let passage = Stateless {
            key,
            loop_mac,
            dialog: StatelessUse::Begins(number),
            unanswered: false,
            caller: (caller.kind, id),
            callee: if target.trunk.is_some() { PartyKind::Trunk } else { callee.kind },
        };
        self.send_stateless(io, inbound, &mut outgoing, Some(rung), &passage);
    }

    /// Begins a transaction for this request of this caller, to so many targets. Its 100 is made, and sent by [`Edge::started`].
    pub(crate) fn open(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        (caller, targets): ((PartyKind, u32), usize),
    ) -> Option<(Slot, Box<Context>)> {
        if self.contexts.len() >= MOST_CONTEXTS {
            self.overloaded(io, inbound);
            return None;
        }
        let source = inbound.flow.remote.ip();
        let stranger = !self.looked_up(source, io.unix_ms());
        // A copy of the request for each target, and an answer as long; what is kept beyond that is paid for when it comes.
        let held = (targets + 1) as u32 * inbound.message.bytes.len() as u32;
        let (payer, limits) = (Payer::new(caller, source), &self.shared.config.memory);
        if let Err(full) = self.held.take(stranger.then_some(source), payer, held, limits) {
            self.out_of_memory(io, inbound, full);
            return None;
        }
        let out = &mut io.memory.out;
        out.clear();
        response::begin(&inbound.message, 100, None, b"", inbound.fill.as_ref(), out);
        response::finish(out);
        let trying = self.work.buffers.copy(out);
        let context = Context {
            key,
            proxy: ProxyTransaction::new(
                inbound.method,
                inbound.flow.transport.is_reliable(),
                trying,
                self.pool.branches(),
                self.shared.config.no_answer.as_millis() as u64,
            ),
            back_port: inbound.back.remote.port(),
            from: *inbound.flow,
            companion: self.companion(inbound),
            credit: Credit::new(inbound.message.bytes.len(), io.now()),
            pays: inbound.message.bytes.len() as u32,
            proven: inbound.flow.transport.is_reliable() || self.proven.is_proven(source, io.unix_ms()),
            stranger,
            held,
            answer_paid: inbound.message.bytes.len() as u32,
            loop_mac: self.shared.secret.loop_mac(&inbound.message),
            identity: self.identity(&inbound.message, inbound.message.cseq(), true),
            tagged: !inbound.message.to_tag().is_empty(),
            heard: false,
            own: self.own.is_some(),
            refused: None,
            hung_up: false,
            request: self.events.request(),
            told: false,
            from_other_shard: self.rebalancing.from_other_shard,
            call: None,
            dialog: DialogUse::None,
            caller,
            party: PartyName::default(),
            divertible: None,
            turns: 0,
            media: None,
        };
        self.enter(context)
    }

    /// The branches of a new transaction have been started: sends their requests, and 100 for an INVITE that is under way. One
    /// that went nowhere has its answer; where the source is not proven nothing of it is kept, and a repetition gets the
    /// same (RFC 3261 §8.2.7).
    pub(crate) fn started(&mut self, io: &mut Io<'_>, slot: Slot, mut context: Box<Context>) {
        self.carry_out(io, slot, &mut context, None);
        if !context.proxy.is_proceeding() {
            if !context.proven && self.is_unproven(&context.back(), io.unix_ms()) {
                return self.forget(io, slot, context);
            }
        } else if context.proxy.method() == Method::Invite && !self.has_waited() {
            self.send_response_again(io, &mut context);
        }
        self.settle(io, slot, context);
    }

    /// Answers a transaction that was taken out, and puts it back.
    pub(crate) fn answer_and_settle(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        mut context: Box<Context>,
        reason: Reason,
    ) {
        context.refused = Some(reason);
        context.proxy.answer(reason.status(), io.now(), &mut self.work);
        self.carry_out(io, slot, &mut context, None);
        self.settle(io, slot, context);
    }
}
