//! The branches of a request: written, sent, put by for later, counted when they fail.

use arrayvec::ArrayVec;
use memchr::memmem;
use trunkline_proxy::{Branch as BranchName, Mark};
use trunkline_routing::Plan;
use trunkline_sip::{ConnectionId, Method, Transport, Uri};
use trunkline_transaction::Slot;
use trunkline_transport::{Egress, Sent};

use crate::context::{Branch, Cancel, Client, Later, Limit, TargetInfo};
use crate::edge::Edge;
use crate::forward::{self, DroppedRoutes, Edits};
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::trust::Spent;

/// Requests above this go over TCP unless the target says otherwise, RFC 3261 §18.1.1.
const LARGE: usize = 1300;

/// A large request that went over TCP goes over UDP after so many milliseconds without a word.
const GROWN_MS: u32 = 2_000;

/// One target with what sending to it takes.
pub(crate) struct Outgoing<'a> {
    pub(crate) uri: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) headers: &'a [u8],
    pub(crate) drop_routes: DroppedRoutes,
    pub(crate) egress: Egress,
    /// A large request may go to TCP instead, unless this URI insists on a transport; empty: it may not.
    pub(crate) may_grow: &'a [u8],
    pub(crate) mark: Option<Mark>,
    pub(crate) max_breadth: Option<u32>,
    /// A body in the place of the request's own.
    pub(crate) body: Option<&'a [u8]>,
    /// It goes to an address that has not shown that it is there.
    pub(crate) unproven: bool,
    /// By how much CSeq is raised: the other side counts otherwise.
    pub(crate) cseq_added: u8,
    /// Credentials that are spent here.
    pub(crate) spent: Spent,
}

impl Edge {
    /// Builds and sends the request for one target, as a new branch.
    pub(crate) fn start(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        slot: Slot,
        outgoing: &Outgoing<'_>,
        plan: Option<&Plan>,
        mut info: TargetInfo,
    ) {
        let Some(context) = self.contexts.get(slot) else { return };
        let Some(name) = self.branch_name(slot, context.branches.len(), context.loop_mac) else {
            return self.push_dead(slot, 503, info);
        };
        let mut out = std::mem::take(&mut self.scratch.out);
        let (grown, mark_mac) = self.build(inbound, outgoing, plan, &name, &mut out);
        (info.cseq_added, info.mark_mac) = (outgoing.cseq_added, mark_mac);
        self.send_branch(io, slot, (outgoing.egress, grown), &out, info);
        self.scratch.out = out;
    }

    /// Sends a built request and adds its branch to the context. A `grown` one goes over TCP.
    pub(crate) fn send_branch(
        &mut self,
        io: &mut Io<EdgeMail>,
        slot: Slot,
        (mut egress, grown): (Egress, bool),
        request: &[u8],
        mut target: TargetInfo,
    ) {
        self.counters.forwarded.add();
        let unix_ms = io.unix_ms();
        target.unproven = self.is_unproven_by(target.word.as_ref(), &egress, unix_ms);
        target.once = target.unproven && target.word.is_some_and(|w| w.seen_at != Some(egress.remote));
        if grown {
            egress.transport = Transport::Tcp;
        }
        target.held = target.unproven && !grown && !self.may_begin(slot, &egress, request.len(), unix_ms);
        let sent = match target.held {
            // It is sent by its timer.
            true => Sent::Via(ConnectionId::NONE),
            false => io.send(&egress, request),
        };
        let now = io.now();
        let copy = self.pool.copy(request);
        let no_answer = self.shared.config.no_answer.as_millis() as u64;
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let no_answer = context.no_answer.map_or(no_answer, |s| u64::from(s) * 1000);
        let mut client = Client::new(context.method, egress.transport.is_reliable(), now);
        let stillborn = if sent == Sent::NoWay { 503 } else { 0 };
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
        let silence = if grown { Some(silence.unwrap_or(GROWN_MS).min(GROWN_MS)) } else { silence };
        let limit = match (silence, context.method) {
            (Some(ms), _) => Limit::Silence(now + u64::from(ms)),
            (None, Method::Invite) => Limit::Answer(now + no_answer),
            (None, _) => Limit::None,
        };
        context.responses.started();
        context.branches.push(Branch {
            client,
            egress,
            grown,
            sent: copy,
            response: Vec::new(),
            code: 0,
            stillborn,
            cancel: Cancel::No,
            limit,
            target,
        });
    }

    /// A target there is no way to: a branch that has failed already, with this status.
    pub(crate) fn push_dead(&mut self, slot: Slot, code: u16, target: TargetInfo) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let mut client = Client::new(context.method, true, 0);
        client.terminate();
        context.responses.started();
        context.branches.push(Branch {
            client,
            egress: context.back,
            grown: false,
            sent: Vec::new(),
            response: Vec::new(),
            code: 0,
            stillborn: if code == 0 { 503 } else { code },
            cancel: Cancel::No,
            limit: Limit::None,
            target,
        });
    }

    /// The branches of a new transaction have been started: 100 for an INVITE that is under way. One that went nowhere has
    /// its answer; where the source is not proven nothing of it is kept, and a repetition gets the same (RFC 3261 §8.2.7).
    pub(crate) fn started(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        self.after_start(io, slot);
        let Some(context) = self.contexts.get(slot) else { return };
        if !context.server.is_proceeding() {
            if !context.proven && self.is_unproven(&context.back, io.unix_ms()) {
                self.forget(io, slot);
            }
        } else if context.method == Method::Invite {
            self.send_response_again(io, slot);
        }
    }

    /// Counts the branches that failed while they were started, and lets the context go on.
    pub(crate) fn after_start(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        let mut i = 0;
        while let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) {
            let code = std::mem::take(&mut branch.stillborn);
            if code != 0 {
                self.branch_failed(io, slot, i, code);
            }
            i += 1;
        }
        self.settle(io, slot);
    }

    /// Builds a request for later; `alternate`: for another flow of a phone.
    pub(crate) fn put_off(
        &mut self,
        inbound: &Inbound<'_>,
        slot: Slot,
        outgoing: Option<Outgoing<'_>>,
        plan: &Plan,
        (mut later, alternate): (Later, bool),
    ) {
        let Some(context) = self.contexts.get(slot) else { return };
        // Any name of the right length: its own is written when it is sent.
        let Some(name) = self.branch_name(slot, 0, context.loop_mac) else { return };
        if let Some(o) = outgoing {
            let mut out = std::mem::take(&mut self.scratch.out);
            (later.grown, later.target.mark_mac) = self.build(inbound, &o, Some(plan), &name, &mut out);
            later.target.cseq_added = o.cseq_added;
            later.egress = Some(o.egress);
            later.branch_at = memmem::find(&out, &name).unwrap_or(0);
            later.request = self.pool.copy(&out);
            self.scratch.out = out;
        }
        if let Some(context) = self.contexts.get_mut(slot) {
            let list = if alternate { &mut context.flows } else { &mut context.later };
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
        // What the guard goes by may have changed since the target was put by.
        let may_be_reached = |at: &Egress| self.shared.guard.check(later.target.word.as_ref(), at).is_ok();
        let egress = later.egress.filter(may_be_reached);
        let (Some(egress), Some(name)) = (egress, self.branch_name(slot, fork, loop_mac)) else {
            return self.push_dead(slot, later.code, later.target);
        };
        if let Some(place) = later.request.get_mut(later.branch_at..later.branch_at + name.len()) {
            place.copy_from_slice(&name);
        }
        self.send_branch(io, slot, (egress, later.grown), &later.request, later.target);
        self.pool.give(later.request);
    }

    /// Writes the request for one target. A large one for UDP is written for TCP: then the first answer is true. The
    /// second is the MAC of the mark in it, 0 for none.
    pub(crate) fn build(
        &mut self,
        inbound: &Inbound<'_>,
        o: &Outgoing<'_>,
        plan: Option<&Plan>,
        branch: &[u8],
        out: &mut Vec<u8>,
    ) -> (bool, u64) {
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
        let mac = forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
        if out.len() > LARGE
            && o.egress.transport == Transport::Udp
            && Uri::parse(o.may_grow).is_ok_and(|uri| uri.param("transport").is_none())
            && shared.addresses.has(Transport::Tcp)
        {
            edits.via_transport = Transport::Tcp;
            forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
            return (true, mac);
        }
        (false, mac)
    }

    /// The name of a branch of this transaction. After 256 there are no more: whoever has contacts by name, each with
    /// many addresses that do not answer, gets no further.
    pub(crate) fn branch_name(
        &self,
        slot: Slot,
        fork: usize,
        loop_mac: u64,
    ) -> Option<ArrayVec<u8, { BranchName::LENGTH }>> {
        let name = BranchName {
            shard: self.shard,
            fork: u8::try_from(fork).ok()?,
            generation: slot.generation,
            slot: slot.number,
            loop_mac,
        };
        Some(ArrayVec::from(name.encoded(&self.shared.secret)))
    }
}
