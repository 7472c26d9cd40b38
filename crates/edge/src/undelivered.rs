//! What the network says of requests that it could not deliver (RFC 3261 §18.4). Such a word may be somebody's lie, so it counts
//! only when it repeats the name of a branch, which is sealed, and which has had no response yet; it ends that branch and says
//! nothing of trunks, bindings or dialogs. Among the addresses of a name it comes last for a while.

use std::net::SocketAddr;

use memchr::memmem;
use trunkline_events::Failure;
use trunkline_proxy::Branch as BranchName;
use trunkline_proxy::transaction::Input;
use trunkline_sip::{Transport, canonical_ip};
use trunkline_transaction::Slot;
use trunkline_transport::Mail;

use crate::context::Context;
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

/// Errors that show nothing are looked at so often.
const DOUBTS_MS: u64 = 250;
/// Transactions that go elsewhere for one of them.
const MOST_DOUBTED: usize = 64;

impl Edge {
    /// A datagram with this beginning did not reach its address.
    pub(crate) fn undelivered(&mut self, io: &mut Io<'_>, to: SocketAddr, quoted: &[u8]) {
        let Some(text) = branch_of(quoted) else { return self.doubt(io, to, (quoted, true)) };
        let Some(name) = BranchName::decode(text, &self.shared.secret) else { return };
        if name.shard != self.shard {
            let mail = EdgeMail::Undelivered(to, quoted.into());
            io.post(usize::from(name.shard), Mail::User(mail));
            return;
        }
        let slot = Slot { number: name.slot, generation: name.generation };
        let Some(mut context) = self.contexts.take(slot) else { return };
        if context.loop_mac == name.loop_mac && is_request_of(&context, name.fork, to, quoted) {
            self.counters.undelivered.add();
            self.turn_to(&context);
            self.note_failed(io, name.fork, Failure::Unreachable);
            context.proxy.handle(Input::Unreachable(name.fork), io.now(), &mut self.work);
            self.carry_out(io, slot, &mut context, None);
        }
        self.settle(io, slot, context);
    }

    /// A datagram to this address did not arrive, of which too little was quoted to show that it was ours (RFC 792 wants no more than
    /// eight bytes, which are the ports): whoever waits there for a first response tries its next address. `first`: the
    /// other shards do not know it.
    pub(crate) fn doubt(&mut self, io: &mut Io<'_>, to: SocketAddr, (quoted, first): (&[u8], bool)) {
        // The table is searched, and anybody may forge such a word.
        if io.now() < self.next_doubt {
            return;
        }
        self.next_doubt = io.now() + DOUBTS_MS;
        for shard in (0..self.shared.neighbours.len()).filter(|s| first && *s != usize::from(self.shard)) {
            io.post(shard, Mail::User(EdgeMail::Doubtful(to, quoted.into())));
        }
        let waiting = |slot: &Slot| {
            let context = self.contexts.get(*slot)?;
            let mut forks = (0..=u8::MAX).take(context.proxy.branches().len());
            Some((*slot, forks.find(|fork| may_be_of(context, *fork, to, quoted))?))
        };
        let found: Vec<(Slot, u8)> =
            self.contexts.slots().filter_map(|slot| waiting(&slot)).take(MOST_DOUBTED).collect();
        for (slot, fork) in found {
            self.step(io, slot, Input::Doubtful(fork), None);
        }
    }
}

/// May what was quoted be the beginning of this branch's request, which has had no response, and did it go there?
fn may_be_of(context: &Context, fork: u8, to: SocketAddr, quoted: &[u8]) -> bool {
    let Some(branch) = context.proxy.branch(fork) else { return false };
    let at = &branch.target.hop.egress;
    at.transport == Transport::Udp
        && branch.code() == 0
        && (canonical_ip(at.remote.ip()), at.remote.port()) == (canonical_ip(to.ip()), to.port())
        && branch.target.has_addresses | (branch.target.phone != 0)
        && branch.sent().starts_with(quoted)
}

/// Is it the request of this branch, and did it go there?
fn is_request_of(context: &Context, fork: u8, to: SocketAddr, quoted: &[u8]) -> bool {
    let Some(branch) = context.proxy.branch(fork) else { return false };
    let at = branch.target.hop.egress.remote;
    let same_place = (canonical_ip(at.ip()), at.port()) == (canonical_ip(to.ip()), to.port());
    let method = branch.sent().iter().position(|b| *b == b' ').and_then(|end| branch.sent().get(..=end));
    same_place && method.is_some_and(|method| quoted.starts_with(method))
}

/// The branch in our Via, which is the first header field of every request that we forward.
fn branch_of(quoted: &[u8]) -> Option<&[u8]> {
    let (_, via) = quoted.split_at_checked(memmem::find(quoted, b"\r\nVia: SIP/2.0/")?)?;
    let (_, value) = via.split_at_checked(memmem::find(via, b";branch=")? + b";branch=".len())?;
    value.get(..BranchName::LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_via_names_the_branch() {
        let name = "z".repeat(BranchName::LENGTH);
        let text =
            format!("INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch={name}\r\nVia: x;branch=y\r\n");
        assert_eq!(branch_of(text.as_bytes()), Some(name.as_bytes()));
        // Few hosts on the way quote more than a little.
        for end in 0..text.find(&name).unwrap() + BranchName::LENGTH {
            assert_eq!(branch_of(&text.as_bytes()[..end]), None);
        }
        assert_eq!(branch_of(b"SIP/2.0 200 OK\r\nFrom: <sip:a;branch=1>\r\n"), None);
    }
}
