//! Forwarding with a transaction: from the router's plan to branches that run, RFC 3261 §16.6.

use arrayvec::ArrayVec;
use memchr::memmem;
use smallvec::SmallVec;
use trunkline_proxy::{Branch as BranchName, Mark, ResponseContext, StatelessBranch};
use trunkline_routing::{Plan, Target};
use trunkline_sip::response::{self};
use trunkline_sip::{HeaderName, Method, Transport, Uri, seconds};
use trunkline_transaction::{Slot, TransactionKey};
use trunkline_transport::{Egress, Io, Sent};

use crate::calls::{self, Parties};
use crate::context::{Branch, Cancel, Client, Context, Later, Limit, Server, TargetInfo};
use crate::divert::Divertible;
use crate::edge::{Edge, MOST_CONTEXTS};
use crate::forward::{self, Edits};
use crate::inbound::Inbound;
use crate::mail::EdgeMail;
use crate::media::{Offered, refusal};
use crate::resolver::Spare;
use crate::trust::{Judged, SIPS_NOT_ALLOWED, Spent, keep_secure};

/// Targets of one request, at most; more contacts are not rung.
const MOST_TARGETS: usize = 32;
/// Max-Breadth where the request says nothing, RFC 5393 §5.3.3.
const BREADTH: u32 = 60;
/// Requests above this go over TCP unless the target says otherwise, RFC 3261 §18.1.1.
const LARGE: usize = 1300;

/// A large request that went over TCP goes over UDP after so many milliseconds without a word.
const GROWN_MS: u32 = 2_000;

/// One target with what sending to it takes.
pub(crate) struct Outgoing<'a> {
    pub(crate) uri: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) headers: &'a [u8],
    pub(crate) drop_routes: u16,
    pub(crate) egress: Egress,
    /// May a large request go to TCP instead?
    pub(crate) may_grow: bool,
    pub(crate) mark: Option<Mark>,
    pub(crate) max_breadth: Option<u32>,
    /// A body in the place of the request's own.
    pub(crate) body: Option<&'a [u8]>,
    /// By how much CSeq is raised: the other side counts otherwise.
    pub(crate) cseq_added: u8,
    /// Credentials that are spent here.
    pub(crate) spent: Spent,
}

impl Edge {
    /// Forwards a request that begins something, to the plan's targets.
    pub(crate) fn forward(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        plan: &Plan,
    ) {
        self.forward_into(io, inbound, key, plan, None);
    }

    /// As [`Edge::forward`], or on behalf of a transaction that runs already; `false` when nothing was started
    /// for that one.
    pub(crate) fn forward_into(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        plan: &Plan,
        running: Option<Slot>,
    ) -> bool {
        let targets = plan.targets.as_slice();
        let targets = targets.get(..MOST_TARGETS.min(targets.len())).unwrap_or_default();
        let mut ways: ArrayVec<Option<(Egress, Spare)>, MOST_TARGETS> = ArrayVec::new();
        for target in targets {
            match self.guarded_way(plan, target) {
                Judged::To(egress, spare) => ways.push(Some((egress, spare))),
                Judged::Nowhere | Judged::Inside => ways.push(None),
                // The request is looked at again when the name is known; its repetitions are too, and find the
                // transaction of the first.
                Judged::Later(question) => {
                    if running.is_some() {
                        self.shared.resolver.look_up(question);
                        return false;
                    }
                    self.wait_for(io, inbound, key, question);
                    return true;
                }
            }
        }
        let Some(first) = targets.first() else {
            if running.is_none() {
                self.refuse(io, inbound, 480, None);
            }
            return false;
        };
        if !keep_secure(&inbound.message, &mut ways) {
            if running.is_none() {
                self.reply(io, inbound, 480, None, SIPS_NOT_ALLOWED);
            }
            return false;
        }
        // Before the media is offered, which a refusal would leave behind.
        let breadth = match self.breadth(inbound, widest_group(targets)) {
            Ok(breadth) => breadth,
            Err(()) => {
                if running.is_none() {
                    self.refuse(io, inbound, 440, None);
                }
                return false;
            }
        };
        let relaying = match self.offer_media(io, inbound, key, &mut ways, running.is_some()) {
            Offered::Go(relaying) => relaying,
            Offered::Parked => return true,
            Offered::Refuse(code) => {
                if running.is_none() {
                    self.reply(io, inbound, code, None, &refusal(code));
                }
                return false;
            }
        };
        let outgoing =
            |target: &'_ Target, egress: Egress, breadth: Option<u32>, mark: Option<Mark>| Outgoing {
                uri: plan.targets.text(target.uri),
                path: plan.targets.text(target.path),
                headers: plan.targets.text(target.headers),
                drop_routes: u16::MAX,
                egress,
                may_grow: target.flow.is_none()
                    && target.next_hop.is_none_or(|hop| hop.transport.is_none())
                    && may_grow(plan.targets.text(target.uri)),
                mark,
                max_breadth: breadth,
                body: relaying.body(&egress),
                cseq_added: 0,
                spent: Spent::new(),
            };
        if self.shared.config.stateless {
            match ways.first() {
                Some(Some((egress, _))) => {
                    let beginning = plan.record_route.then(|| self.beginning(inbound, io.unix_ms()));
                    let begun = beginning.as_ref().is_none_or(|b| self.begin_dialog(inbound, b).is_some());
                    if !begun {
                        self.overloaded(io, inbound);
                        return true;
                    }
                    let mark = beginning.as_ref().map(|b| self.callee_mark(b, first, egress));
                    self.send_stateless(io, inbound, &outgoing(first, *egress, None, mark), Some(plan))
                }
                _ => self.refuse(io, inbound, 503, None),
            }
            return true;
        }
        let slot = match running {
            Some(slot) => slot,
            None => match self.open(io, inbound, key) {
                Some(slot) => slot,
                None => {
                    self.take_back_media(relaying);
                    return false;
                }
            },
        };
        let beginning = plan.record_route.then(|| self.beginning(inbound, io.unix_ms()));
        if let Some(beginning) = &beginning
            && self.contexts.get(slot).is_some_and(|c| c.dialog.is_none())
        {
            let dialog = self.begin_dialog(inbound, beginning);
            if dialog.is_none() {
                self.counters.overloaded.add();
                self.take_back_media(relaying);
                self.answer_locally(io, slot, 503);
                self.settle(slot);
                return false;
            }
            if let Some(context) = self.contexts.get_mut(slot) {
                context.dialog = dialog;
            }
        }
        if inbound.method == Method::Invite {
            let call = calls::begin(&self.shared.calls, inbound, plan, &self.scratch.parties, io.unix_ms());
            self.counters.calls.add();
            let Parties { fallback, no_answer, turns, .. } = &mut self.scratch.parties;
            let divertible = Divertible::new(std::mem::take(fallback), inbound, plan, *turns);
            if let Some(context) = self.contexts.get_mut(slot) {
                context.call = call;
                context.media = relaying.leg();
                context.no_answer = *no_answer;
                context.divertible = divertible;
            }
        }
        let failover = self.shared.config.failover.as_millis() as u32;
        let last_group = targets.iter().map(|t| t.group).max().unwrap_or(0);
        if let Some(context) = self.contexts.get_mut(slot) {
            context.flows.clear();
        }
        // A phone's further flows are put by first: whether there are any says how patient the first one is.
        let alternates = targets.iter().enumerate().filter(|(_, t)| t.alternate);
        let in_order = alternates.chain(targets.iter().enumerate().filter(|(_, t)| !t.alternate));
        for (i, target) in in_order {
            let (egress, spare) = ways.get_mut(i).and_then(Option::take).unzip();
            let info = TargetInfo {
                trunk: target.trunk.clone(),
                trunk_uri: target.trunk_uri,
                credentials: target.credentials.clone(),
                authenticated: false,
                // Patience is short only while there is another way.
                silence: target.timeout_ms.filter(|_| last_group > target.group),
                patience: target.timeout_ms.unwrap_or(failover),
                spare: spare.unwrap_or_default(),
                phone: target.phone,
                binding: target.binding_id,
                word: self.word_for(target),
            };
            if !target.alternate && target.group == first.group {
                match egress {
                    Some(egress) => {
                        let mark = beginning.as_ref().map(|b| self.callee_mark(b, target, &egress));
                        let out = outgoing(target, egress, breadth, mark);
                        self.start(io, inbound, slot, &out, Some(plan), info);
                    }
                    None => self.push_dead(slot, info),
                }
            } else {
                let later = egress.map(|way| {
                    let mark = beginning.as_ref().map(|b| self.callee_mark(b, target, &way));
                    outgoing(target, way, breadth, mark)
                });
                self.put_off(inbound, slot, later, plan, target, info);
            }
        }
        self.after_start(io, slot);
        true
    }

    /// There is no room for what this request begins.
    fn overloaded(&mut self, io: &mut Io<EdgeMail>, inbound: &Inbound<'_>) {
        self.counters.overloaded.add();
        self.reply(io, inbound, 503, None, b"Retry-After: 5\r\n");
    }

    /// Begins a transaction for this request: 100 for an INVITE, a context in the table.
    pub(crate) fn open(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
    ) -> Option<Slot> {
        if self.contexts.len() >= MOST_CONTEXTS {
            self.overloaded(io, inbound);
            return None;
        }
        let mut out = std::mem::take(&mut self.scratch.out);
        out.clear();
        response::begin(&inbound.message, 100, None, b"", inbound.fill.as_ref(), &mut out);
        response::finish(&mut out);
        if inbound.method == Method::Invite {
            io.send(&inbound.back, &out);
        }
        let context = Context {
            key,
            method: inbound.method,
            server: Server::new(inbound.method, inbound.flow.transport.is_reliable()),
            back: inbound.back,
            reply: self.pool.copy(&out),
            loop_mac: self.shared.secret.loop_mac(&inbound.message),
            responses: ResponseContext::default(),
            branches: SmallVec::new(),
            later: Vec::new(),
            flows: Vec::new(),
            cancelled: false,
            guest: self.handover.guest,
            call: None,
            dialog: None,
            no_answer: None,
            divertible: None,
            media: None,
        };
        self.scratch.out = out;
        Some(self.enter(context))
    }

    /// Builds and sends the request for one target, as a new branch.
    pub(crate) fn start(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        slot: Slot,
        outgoing: &Outgoing<'_>,
        plan: Option<&Plan>,
        info: TargetInfo,
    ) {
        let Some(context) = self.contexts.get(slot) else { return };
        let Some(name) = self.branch_name(slot, context.branches.len(), context.loop_mac) else {
            return self.push_dead(slot, info);
        };
        let mut out = std::mem::take(&mut self.scratch.out);
        let fallback = self.build(inbound, outgoing, plan, &name, &mut out);
        let egress = match fallback {
            Some(_) => Egress { transport: Transport::Tcp, ..outgoing.egress },
            None => outgoing.egress,
        };
        self.send_branch(io, slot, egress, fallback, &out, info);
        if let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.last_mut()) {
            branch.cseq_added = outgoing.cseq_added;
        }
        self.scratch.out = out;
    }

    /// Sends a built request and adds its branch to the context.
    pub(crate) fn send_branch(
        &mut self,
        io: &mut Io<EdgeMail>,
        slot: Slot,
        mut egress: Egress,
        fallback: Option<Egress>,
        request: &[u8],
        target: TargetInfo,
    ) {
        self.counters.forwarded.add();
        let sent = io.send(&egress, request);
        let now = io.now();
        let copy = self.pool.copy(request);
        let no_answer = self.shared.config.no_answer.as_millis() as u64;
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let no_answer = context.no_answer.map_or(no_answer, |s| u64::from(s) * 1000);
        let mut client = Client::new(context.method, egress.transport.is_reliable(), now);
        let stillborn = sent == Sent::NoWay;
        match sent {
            Sent::Via(connection) => {
                egress.connection = connection;
                if egress.transport.is_reliable() {
                    self.asked.insert(connection);
                }
            }
            Sent::NoWay => client.terminate(),
        }
        let elsewhere =
            target.spare.has_more() || context.flows.iter().any(|f| f.target.phone == target.phone);
        let silence = target.silence.or(elsewhere.then_some(target.patience));
        // A firewall that swallows what opens a connection must not cost the call.
        let silence =
            if fallback.is_some() { Some(silence.unwrap_or(GROWN_MS).min(GROWN_MS)) } else { silence };
        let limit = match (silence, context.method) {
            (Some(ms), _) => Limit::Silence(now + u64::from(ms)),
            (None, Method::Invite) => Limit::Answer(now + no_answer),
            (None, _) => Limit::None,
        };
        context.responses.started();
        context.branches.push(Branch {
            client,
            egress,
            fallback,
            sent: copy,
            response: Vec::new(),
            code: 0,
            stillborn,
            cancel: Cancel::No,
            limit,
            target,
            cseq_added: 0,
        });
    }

    /// A target there is no way to: a branch that has failed already.
    fn push_dead(&mut self, slot: Slot, target: TargetInfo) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let mut client = Client::new(context.method, true, 0);
        client.terminate();
        context.responses.started();
        context.branches.push(Branch {
            client,
            egress: context.back,
            fallback: None,
            sent: Vec::new(),
            response: Vec::new(),
            code: 0,
            stillborn: true,
            cancel: Cancel::No,
            limit: Limit::None,
            target,
            cseq_added: 0,
        });
    }

    /// Counts the branches that failed while they were started, and lets the context go on.
    pub(crate) fn after_start(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        let mut i = 0;
        while let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) {
            if std::mem::take(&mut branch.stillborn) {
                self.branch_failed(io, slot, i, 503);
            }
            i += 1;
        }
        self.settle(slot);
    }

    /// Builds a request for later.
    fn put_off(
        &mut self,
        inbound: &Inbound<'_>,
        slot: Slot,
        outgoing: Option<Outgoing<'_>>,
        plan: &Plan,
        of: &Target,
        target: TargetInfo,
    ) {
        let Some(context) = self.contexts.get(slot) else { return };
        // Any name of the right length: its own is written when it is sent.
        let Some(name) = self.branch_name(slot, 0, context.loop_mac) else { return };
        let mut later = Later {
            request: Vec::new(),
            branch_at: 0,
            egress: None,
            fallback: None,
            group: of.group,
            target,
        };
        if let Some(o) = outgoing {
            let mut out = std::mem::take(&mut self.scratch.out);
            later.fallback = self.build(inbound, &o, Some(plan), &name, &mut out);
            later.egress = Some(match later.fallback {
                Some(_) => Egress { transport: Transport::Tcp, ..o.egress },
                None => o.egress,
            });
            later.branch_at = memmem::find(&out, &name).unwrap_or(0);
            later.request = self.pool.copy(&out);
            self.scratch.out = out;
        }
        if let Some(context) = self.contexts.get_mut(slot) {
            let list = if of.alternate { &mut context.flows } else { &mut context.later };
            list.insert(0, later);
        }
    }

    /// Starts the next group of targets; what there is of them may fail at once.
    pub(crate) fn next_targets(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        let Some(group) = self.contexts.get(slot).and_then(|c| c.later.last()).map(|l| l.group) else {
            return;
        };
        while let Some(context) = self.contexts.get_mut(slot) {
            if context.later.last().is_none_or(|l| l.group != group) {
                break;
            }
            let Some(later) = context.later.pop() else { break };
            self.start_later(io, slot, later);
        }
        self.after_start(io, slot);
    }

    /// Sends a request that was put off.
    pub(crate) fn start_later(&mut self, io: &mut Io<EdgeMail>, slot: Slot, mut later: Later) {
        let Some((fork, loop_mac)) = self.contexts.get(slot).map(|c| (c.branches.len(), c.loop_mac)) else {
            return;
        };
        let (Some(egress), Some(name)) = (later.egress, self.branch_name(slot, fork, loop_mac)) else {
            return self.push_dead(slot, later.target);
        };
        if let Some(place) = later.request.get_mut(later.branch_at..later.branch_at + name.len()) {
            place.copy_from_slice(&name);
        }
        self.send_branch(io, slot, egress, later.fallback, &later.request, later.target);
        self.pool.give(later.request);
    }

    /// Writes the request for one target. A large one for UDP is written for TCP; the answer is then the way to
    /// fall back to.
    fn build(
        &mut self,
        inbound: &Inbound<'_>,
        o: &Outgoing<'_>,
        plan: Option<&Plan>,
        branch: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<Egress> {
        let mut edits = Edits {
            uri: o.uri,
            path: o.path,
            headers: o.headers,
            plan,
            drop_routes: o.drop_routes,
            record_route: o.mark.as_ref(),
            egress: &o.egress,
            via_transport: o.egress.transport,
            branch,
            max_breadth: o.max_breadth,
            body: o.body,
            cseq_added: o.cseq_added,
            spent: &o.spent,
        };
        let shared = self.shared.clone();
        let splices = &mut self.scratch.splices;
        forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
        if out.len() > LARGE
            && o.egress.transport == Transport::Udp
            && o.may_grow
            && shared.addresses.has(Transport::Tcp)
        {
            edits.via_transport = Transport::Tcp;
            forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
            return Some(o.egress);
        }
        None
    }

    /// Forwards without a transaction, RFC 3261 §16.11.
    pub(crate) fn send_stateless(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        outgoing: &Outgoing<'_>,
        plan: Option<&Plan>,
    ) {
        let (secret, m) = (&self.shared.secret, &inbound.message);
        let back = (
            inbound.flow.remote.ip(),
            match inbound.via.rport {
                Some(_) => inbound.flow.remote.port(),
                None => inbound.via.sent_by_port(),
            },
        );
        let request_mac = secret.stateless_mac(inbound.via.branch, back, m);
        let loop_mac = secret.stateless_loop_mac(m);
        let mut name = std::mem::take(&mut self.scratch.text);
        name.clear();
        StatelessBranch { request_mac, loop_mac }.encode(&mut name);
        let mut out = std::mem::take(&mut self.scratch.out);
        let fallback = self.build(inbound, outgoing, plan, &name, &mut out);
        let egress = match fallback {
            Some(_) => Egress { transport: Transport::Tcp, ..outgoing.egress },
            None => outgoing.egress,
        };
        self.counters.forwarded.add();
        io.send(&egress, &out);
        self.scratch.out = out;
        self.scratch.text = name;
    }

    /// The name of a branch of this transaction. After 256 there are no more: whoever has contacts by name, each with
    /// many addresses that do not answer, gets no further.
    pub(crate) fn branch_name(&self, slot: Slot, fork: usize, loop_mac: u64) -> Option<ArrayVec<u8, 40>> {
        let name = BranchName {
            shard: self.shard,
            fork: u8::try_from(fork).ok()?,
            generation: slot.generation,
            slot: slot.number,
            loop_mac,
        };
        Some(ArrayVec::from(name.encoded()))
    }

    /// Breadth for each branch (RFC 5393 §5.3.3.1); `None` when nothing needs to be said, `Err` when there is
    /// not enough.
    fn breadth(&self, inbound: &Inbound<'_>, branches: u32) -> Result<Option<u32>, ()> {
        let given = inbound.message.header(HeaderName::MaxBreadth);
        // Nobody is given more than who says nothing.
        let given = given.map(|v| seconds(v).map_or(BREADTH, |given| given.min(BREADTH)));
        match given {
            None if branches <= 1 => Ok(None),
            _ => {
                let breadth = given.unwrap_or(BREADTH);
                if breadth < branches || breadth == 0 { Err(()) } else { Ok(Some(breadth / branches.max(1))) }
            }
        }
    }
}

/// How many targets are tried at once, at most: later groups have no more than their share either.
fn widest_group(targets: &[Target]) -> u32 {
    let tried = || targets.iter().filter(|t| !t.alternate);
    let size = |of: &Target| tried().filter(|t| t.group == of.group).count() as u32;
    tried().map(size).max().unwrap_or(0)
}

/// May a large request to this URI go over TCP? Not when the URI insists on a transport.
fn may_grow(uri: &[u8]) -> bool {
    Uri::parse(uri).is_ok_and(|u| u.param("transport").is_none())
}
