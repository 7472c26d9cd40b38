//! What the network says of requests that it could not deliver (RFC 3261 §18.4). Such a word may be somebody's lie, so it counts
//! only when it repeats the name of a branch, which is sealed, and which has had no response yet; it ends that branch and says
//! nothing of trunks, bindings or dialogs. Among the addresses of a name it comes last for a while.

use std::net::SocketAddr;

use memchr::memmem;
use trunkline_proxy::Branch as BranchName;
use trunkline_proxy::transaction::Input;
use trunkline_sip::canonical_ip;
use trunkline_transaction::Slot;
use trunkline_transport::Mail;

use crate::context::{Context, DialogUse};
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

impl Edge {
    /// A datagram with this beginning did not reach its address.
    pub(crate) fn undelivered(&mut self, io: &mut Io<'_>, to: SocketAddr, quoted: &[u8]) {
        let Some(name) = branch_of(quoted).and_then(|text| BranchName::decode(text, &self.shared.secret))
        else {
            return;
        };
        if name.shard != self.shard {
            let mail = EdgeMail::Undelivered(to, quoted.into());
            io.post(usize::from(name.shard), Mail::User(mail));
            return;
        }
        let slot = Slot { number: name.slot, generation: name.generation };
        let Some(mut context) = self.contexts.take(slot) else { return };
        if context.loop_mac == name.loop_mac && is_request_of(&context, name.fork, to, quoted) {
            self.counters.undelivered.add();
            context.proxy.handle(Input::Unreachable(name.fork), io.now(), &mut self.work);
            self.carry_out(io, slot, &mut context, None);
        }
        self.settle(io, slot, context);
    }
}

/// Is it the request of this branch, outside any dialog, and did it go there?
fn is_request_of(context: &Context, fork: u8, to: SocketAddr, quoted: &[u8]) -> bool {
    let Some(branch) = context.proxy.branch(fork) else { return false };
    let at = branch.target.hop.egress.remote;
    let same_place = (canonical_ip(at.ip()), at.port()) == (canonical_ip(to.ip()), to.port());
    let method = branch.sent().iter().position(|b| *b == b' ').and_then(|end| branch.sent().get(..=end));
    let begins = matches!(context.dialog, DialogUse::None | DialogUse::Begins(_));
    same_place && begins && method.is_some_and(|method| quoted.starts_with(method))
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
