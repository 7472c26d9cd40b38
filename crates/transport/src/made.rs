//! The number of connections that we made: to each source, and at the wish of each party.

use std::net::IpAddr;

use crate::io::Egress;
use crate::per_source::{PerOwner, PerSource};

/// Connections that live, or are being made.
#[derive(Debug, Default)]
pub(crate) struct Made {
    to: PerSource,
    askers: PerOwner<u32>,
}

impl Made {
    /// May one more be made, if each may have `most`? Those that a party asks for in its Contact have a limit. Those that the operator
    /// configured have none.
    pub(crate) fn admits(&self, egress: &Egress, most: u32) -> bool {
        egress.asker == 0
            || self.to.count(egress.remote.ip()) < most && self.askers.count(&egress.asker) < most
    }

    /// One more.
    pub(crate) fn enter(&mut self, egress: &Egress) {
        self.to.enter(egress.remote.ip());
        if egress.asker != 0 {
            self.askers.enter(egress.asker);
        }
    }

    /// One less.
    pub(crate) fn leave(&mut self, remote: IpAddr, asker: u32) {
        self.to.leave(remote);
        self.askers.leave(&asker);
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sip::Transport;

    use super::*;

    #[test]
    fn one_party_and_one_address_have_so_many() {
        let mut made = Made::default();
        let to = |host: u8, asker| Egress {
            asker,
            ..Egress::to(Transport::Tcp, ([192, 0, 2, host], 5060).into())
        };
        made.enter(&to(1, 7));
        made.enter(&to(2, 7));
        // The party has two, and the first address one.
        assert!(!made.admits(&to(3, 7), 2) && made.admits(&to(3, 8), 2));
        assert!(!made.admits(&to(1, 8), 1) && made.admits(&to(1, 0), 1));
        made.leave([192, 0, 2, 1].into(), 7);
        assert!(made.admits(&to(1, 7), 2));
        made.leave([192, 0, 2, 2].into(), 7);
        assert!(made.askers.is_empty() && made.to.count([192, 0, 2, 2].into()) == 0);
    }
}
