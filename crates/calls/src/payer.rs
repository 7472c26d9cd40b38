//! Who holds the memory of a call or a transaction.

use std::net::IpAddr;

use trunkline_proxy::PartyKind;
use trunkline_sip::source_of;

/// Whose share something is of.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Payer {
    /// An account, peer or trunk.
    Party(PartyKind, u32),
    /// Where somebody is that nobody knows; an IPv6 /64 counts as one.
    Source(IpAddr),
}

impl Payer {
    /// The party of this short name, or where it is if it has none.
    pub fn new((kind, party): (PartyKind, u32), source: IpAddr) -> Payer {
        match kind {
            PartyKind::Agent | PartyKind::Peer | PartyKind::Trunk if party != 0 => Payer::Party(kind, party),
            PartyKind::Stranger | PartyKind::Agent | PartyKind::Peer | PartyKind::Trunk => {
                Payer::Source(source_of(source))
            }
        }
    }
}
