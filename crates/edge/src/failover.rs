//! The next address of a name (RFC 3263 §4.3), before a failure counts.

use std::time::Duration;

use trunkline_proxy::transaction::{Answer, Asked, Failure};
use trunkline_sip::{Limits, Message, Transport};
use trunkline_transaction::Slot;

use crate::branches::grow;
use crate::context::{Context, Hop, first_egress};
use crate::edge::Edge;
use crate::memory::StepMemory;
use crate::readdress::{Readdress, readdress};

impl Edge {
    /// A branch failed: the request for the next address of its name, if there is one.
    pub(crate) fn next_address(
        &mut self,
        memory: &mut StepMemory,
        slot: Slot,
        context: &Context,
        asked: Asked,
        how: Failure,
    ) -> Answer<Hop> {
        let Some(branch) = context.proxy.branch(asked.branch) else { return Answer::Nothing };
        if !context.proxy.may_go_elsewhere(asked.branch) {
            return Answer::Nothing;
        }
        let at_least = match how {
            Failure::Answered(seconds) => Duration::from_secs(u64::from(seconds)),
            Failure::Silent | Failure::Unreachable | Failure::Doubtful => Duration::ZERO,
        };
        let old = first_egress(branch);
        let mut target = branch.target.clone();
        // Of what cannot be delivered too: what belongs to the request, an ACK above all, looks the name up again.
        if how != Failure::Doubtful {
            target.hop.spare.note_failure(&self.shared.resolver.avoided, &old, at_least);
        }
        let next = self.next_spare(target.hop.word.as_ref(), &mut target.hop.spare);
        let name = self.branch_name(slot, context.proxy.branches().len(), context.loop_mac);
        let (Some(egress), Some(name)) = (next, name) else { return Answer::Nothing };
        let egress = self.shared.shown_at(&target.hop, egress);
        // A large request went over TCP, and does so again (RFC 3261 §18.1.1).
        let grown = branch.target.grown && egress.transport == Transport::Udp;
        let StepMemory { index, splices, out, .. } = memory;
        let readable = index.parse(branch.sent(), &Limits::default()).is_ok();
        if readable {
            let change = Readdress {
                uri: None,
                branch: &name,
                from: &old,
                to: &egress,
                via_transport: if grown { Transport::Tcp } else { egress.transport },
                came_by: &context.back(),
            };
            let sent = Message::new(branch.sent(), index);
            readdress(&sent, &change, &self.shared.addresses, splices, out);
        }
        match readable {
            true => {
                target.hop.egress = egress;
                (target.reliable, target.grown) = (egress.transport.is_reliable(), false);
                grow(&mut target, grown);
                target.has_addresses = target.hop.spare.has_more();
                // Another host of the carrier may have a challenge of its own.
                target.has_credentials = target.hop.credentials.is_some();
                Answer::Instead(self.work.buffers.copy(out), target)
            }
            false => Answer::Nothing,
        }
    }
}
