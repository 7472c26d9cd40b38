//! The requests of branches: written for each target, named, put by for later.

use arrayvec::ArrayVec;
use memchr::memmem;
use trunkline_proxy::transaction::{Target, Waiting};
use trunkline_proxy::{Branch as BranchName, Mark};
use trunkline_routing::Decision;
use trunkline_sip::{HeaderName, Splices, Transport, Uri};
use trunkline_transaction::Slot;
use trunkline_transport::Egress;

use crate::context::{Context, Hop};
use crate::cseq::Raise;
use crate::edge::Edge;
use crate::forward::{self, DroppedRoutes, Edits};
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::memory::StepMemory;
use crate::names::Shown;
use crate::trust::Spent;

/// Requests above this go over TCP unless the target says otherwise, RFC 3261 §18.1.1.
const LARGE: usize = 1300;

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
    /// Nothing but the SDP of the body goes on.
    pub(crate) cut: bool,
    /// It goes to an address that has not shown that it is there.
    pub(crate) unproven: bool,
    /// By how much its numbers are raised: the other side counts otherwise.
    pub(crate) raise: Raise,
    /// Credentials that are spent here.
    pub(crate) spent: Spent,
    /// What From and To say.
    pub(crate) shown: Shown<'a>,
    /// It goes without a transaction, and has this MAC in its branch.
    pub(crate) stateless: Option<u64>,
}

/// What was built.
pub(crate) struct Built {
    /// It is large, and goes over TCP.
    pub(crate) grown: bool,
    /// The MAC of the mark in it, 0 for none.
    mark_mac: u64,
    /// From or To go on otherwise than they came.
    renamed: bool,
}

impl Built {
    fn note(&self, inbound: &Inbound<'_>, target: &mut Target<Hop>) {
        let hop = &mut target.hop;
        (hop.mark_mac, hop.renamed, hop.first_on_route) =
            (self.mark_mac, self.renamed, is_first_on_route(inbound));
        grow(target, self.grown);
    }
}

/// A large request goes over TCP.
pub(crate) fn grow(target: &mut Target<Hop>, grown: bool) {
    if grown {
        (target.grown, target.reliable) = (true, true);
        target.hop.egress.transport = Transport::Tcp;
    }
}

/// Did no proxy before us put itself into the dialog's way?
fn is_first_on_route(inbound: &Inbound<'_>) -> bool {
    inbound.message.header_line(HeaderName::RecordRoute).is_none()
}

impl Edge {
    /// Builds the request for one target and starts its branch.
    pub(crate) fn start(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (slot, context): (Slot, &mut Context),
        outgoing: &Outgoing<'_>,
        (decision, mut target): (Option<&Decision>, Target<Hop>),
    ) {
        let Some(name) = self.branch_name(slot, context.proxy.branches().len(), context.loop_mac) else {
            return;
        };
        let StepMemory { splices, out, .. } = &mut *io.memory;
        target.cseq_added = outgoing.raise.cseq;
        self.build(inbound, outgoing, decision, &name, (splices, out)).note(inbound, &mut target);
        let request = self.work.buffers.copy(out);
        context.proxy.start(request, target, io.now(), &mut self.work);
    }

    /// Builds a request for later; `alternate`: for another flow of a phone. Without `outgoing` there is no way to the target,
    /// which counts as `dead`.
    pub(crate) fn put_off(
        &mut self,
        memory: &mut StepMemory,
        (inbound, (slot, context)): (&Inbound<'_>, (Slot, &mut Context)),
        outgoing: Option<&Outgoing<'_>>,
        decision: &Decision,
        (mut waiting, alternate): (Waiting<Hop>, bool),
    ) {
        // Any name of the right length: its own is written when it is sent.
        let Some(name) = self.branch_name(slot, 0, context.loop_mac) else { return };
        if let Some(o) = outgoing {
            let StepMemory { splices, out, .. } = memory;
            waiting.target.cseq_added = o.raise.cseq;
            self.build(inbound, o, Some(decision), &name, (splices, out)).note(inbound, &mut waiting.target);
            waiting.name_at = memmem::find(out, &name).and_then(|at| u16::try_from(at).ok()).unwrap_or(0);
            waiting.request = self.work.buffers.copy(out);
        }
        context.proxy.put_off(waiting, alternate);
    }

    /// Writes the request for one target. A large one for UDP is written for TCP.
    pub(crate) fn build(
        &self,
        inbound: &Inbound<'_>,
        o: &Outgoing<'_>,
        decision: Option<&Decision>,
        branch: &[u8],
        (splices, out): (&mut Splices, &mut Vec<u8>),
    ) -> Built {
        let mut edits = Edits {
            uri: o.uri,
            path: o.path,
            headers: o.headers,
            decision,
            drop_routes: o.drop_routes,
            record_route: o.mark.as_ref(),
            egress: &o.egress,
            via_transport: o.egress.transport,
            branch,
            max_breadth: o.max_breadth,
            body: o.body,
            cut: o.cut,
            raise: o.raise,
            spent: &o.spent,
            shown: &o.shown,
            stateless: o.stateless,
        };
        let shared = &*self.shared;
        let (mark_mac, renamed) =
            forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
        if out.len() > LARGE
            && o.egress.transport == Transport::Udp
            && Uri::parse(o.may_grow).is_ok_and(|uri| uri.param("transport").is_none())
            && shared.addresses.has(Transport::Tcp)
        {
            edits.via_transport = Transport::Tcp;
            forward::build(inbound, &edits, &shared.addresses, &shared.secret, splices, out);
            return Built { grown: true, mark_mac, renamed };
        }
        Built { grown: false, mark_mac, renamed }
    }

    /// The name of a branch of this transaction.
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
