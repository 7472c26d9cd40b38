//! The next address of a name (RFC 3263 §4.3) and the next flow of a phone (RFC 5626 §5.3), before a failure counts.

use std::time::Duration;

use trunkline_sip::{Limits, Message, Method, Transport};
use trunkline_transaction::Slot;

use crate::context::Cancel;
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};
use crate::readdress::{Readdress, readdress};

/// How a branch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was answered with this status, and the wish to be left alone for so many seconds (Retry-After).
    Answered(u32),
    /// Nobody answered, or the transport failed.
    Silent,
}

impl Edge {
    /// A branch failed with this status: if its next hop has another address, or its phone another flow, the request
    /// goes there in a client transaction of its own, and the failure does not count; `true` then.
    pub(crate) fn try_elsewhere(
        &mut self,
        io: &mut Io<EdgeMail>,
        slot: Slot,
        fork: usize,
        code: u16,
        how: Failure,
    ) -> bool {
        let Some(context) = self.contexts.get_mut(slot) else { return false };
        if context.cancelled || !context.responses.is_open() || !context.server.is_proceeding() {
            return false;
        }
        let Some(branch) = context.branches.get(fork).filter(|b| b.code == 0) else { return false };
        // A 503 speaks for one address (RFC 3263 §4.3); 408 and 430 speak for one flow (RFC 5626 §11.5).
        let (address, flow) = match how {
            Failure::Silent => (true, true),
            Failure::Answered(_) => (code == 503, matches!(code, 408 | 430)),
        };
        if address {
            let at_least = match how {
                Failure::Answered(seconds) => Duration::from_secs(u64::from(seconds)),
                Failure::Silent => Duration::ZERO,
            };
            let egress = branch.first_egress();
            branch.target.spare.note_failure(&self.shared.resolver, &egress, at_least);
        }
        (address && self.try_address(io, slot, fork, code)) || (flow && self.try_flow(io, slot, fork, code))
    }

    /// Sends the request to the next address of the name.
    fn try_address(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, code: u16) -> bool {
        let Some(context) = self.contexts.get(slot) else { return false };
        let Some(branch) = context.branches.get(fork) else { return false };
        let mut info = branch.target.clone();
        // Another host of the carrier may have a challenge of its own.
        info.authenticated = false;
        let Some(egress) = self.next_spare(info.word.as_ref(), &mut info.spare) else { return false };
        // A large request went over TCP, and does so again (RFC 3261 §18.1.1).
        let (old, grown) = (branch.first_egress(), branch.grown && egress.transport == Transport::Udp);
        let back = context.back;
        let Some(name) = self.branch_name(slot, context.branches.len(), context.loop_mac) else {
            return false;
        };
        let (mut index, mut out) =
            (std::mem::take(&mut self.scratch.other), std::mem::take(&mut self.scratch.out));
        let readable = index.parse(&branch.sent, &Limits::default()).is_ok();
        if readable {
            let change = Readdress {
                branch: &name,
                from: &old,
                to: &egress,
                via_transport: if grown { Transport::Tcp } else { egress.transport },
                came_by: &back,
            };
            let sent = Message::new(&branch.sent, &index);
            readdress(&sent, &change, &self.shared.addresses, &mut self.scratch.splices, &mut out);
        }
        self.scratch.other = index;
        if readable {
            self.give_up(slot, fork, code);
            self.send_branch(io, slot, (egress, grown), &out, info);
        }
        self.scratch.out = out;
        if readable {
            self.after_start(io, slot);
        }
        readable
    }

    /// Sends the request down the next flow of the phone.
    fn try_flow(&mut self, io: &mut Io<EdgeMail>, slot: Slot, fork: usize, code: u16) -> bool {
        let Some(context) = self.contexts.get_mut(slot) else { return false };
        let Some(phone) = context.branches.get(fork).map(|b| b.target.phone).filter(|p| *p != 0) else {
            return false;
        };
        let Some(place) = context.flows.iter().rposition(|f| f.target.phone == phone) else { return false };
        let next = context.flows.remove(place);
        self.give_up(slot, fork, code);
        self.start_later(io, slot, next);
        self.after_start(io, slot);
        true
    }

    /// Another branch takes this one's place. Should it wake up after all, it is cancelled.
    fn give_up(&mut self, slot: Slot, fork: usize, code: u16) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let invite = context.method == Method::Invite;
        context.responses.replaced();
        let Some(branch) = context.branches.get_mut(fork) else { return };
        branch.code = code;
        if invite {
            branch.cancel = Cancel::Wanted;
        } else {
            // Its repetitions would only have it done twice.
            branch.client.terminate();
        }
    }
}
