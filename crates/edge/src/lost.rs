//! What becomes of requests whose connection ends before they have an answer.

use trunkline_sip::{Method, Transport};
use trunkline_transaction::Slot;
use trunkline_transport::Closed;

use crate::context::Limit;
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

impl Edge {
    /// A connection ended: requests that went out on it and have no answer fail.
    pub(crate) fn connection_ended(
        &mut self,
        io: &mut Io<EdgeMail>,
        connection: trunkline_sip::ConnectionId,
        why: Closed,
    ) {
        self.shared.location.connection_lost(connection, io.unix_ms());
        // Looking at every transaction for each connection a stranger opens and closes would stop a busy shard.
        if !self.asked.remove(&connection) {
            return;
        }
        self.counters.asked_ended.add();
        let mut waiting: Vec<(Slot, usize)> = Vec::new();
        for slot in self.contexts.slots() {
            let branches = self.contexts.get(slot).map_or(&[][..], |c| &c.branches);
            let on_it = branches.iter().enumerate().filter(|(_, b)| {
                b.egress.connection == connection && b.egress.transport.is_reliable() && b.code == 0
            });
            waiting.extend(on_it.map(|(fork, _)| (slot, fork)));
        }
        for (slot, fork) in waiting {
            self.branch_lost_connection(io, slot, fork, why);
            self.settle(io, slot);
        }
    }

    /// Nobody takes a large request over TCP there: as the RFC says, UDP then (§18.1.1). Our Via is the first. It stays
    /// one transaction: should it have arrived after all, this is a repetition.
    pub(crate) fn fall_back(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize) {
        let now = io.now();
        let no_answer = self.shared.config.no_answer.as_millis() as u64;
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let no_answer = context.no_answer.map_or(no_answer, |s| u64::from(s) * 1000);
        let method = context.method;
        let Some(branch) = context.branches.get_mut(fork) else { return };
        if !branch.grown {
            return;
        }
        branch.egress = branch.first_egress();
        branch.grown = false;
        branch.client = crate::context::Client::new(method, false, now);
        branch.limit = match (branch.target.silence, method) {
            (Some(ms), _) => Limit::Silence(now + u64::from(ms)),
            (None, Method::Invite) => Limit::Answer(now + no_answer),
            (None, _) => Limit::None,
        };
        if let Some(at) = memchr::memmem::find(&branch.sent, b"Via: SIP/2.0/TCP ")
            && let Some(name) = branch.sent.get_mut(at + 13..at + 16)
        {
            name.copy_from_slice(Transport::Udp.via_name().as_bytes());
        }
        branch.target.held = branch.target.unproven;
        self.send_again(io, slot, fork);
    }

    fn branch_lost_connection(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, why: Closed) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let Some(branch) = context.branches.get_mut(fork) else { return };
        match (branch.grown, why) {
            (true, Closed::Refused) => self.fall_back(io, slot, fork),
            _ => {
                branch.client.terminate();
                self.branch_failed(io, slot, fork, 503);
            }
        }
    }
}
