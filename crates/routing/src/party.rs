//! Who talks to whom.

use trunkline_model::{Agent, Domain, Extended, Number, Peer, Ref, Trunk};

/// One end of a call.
#[derive(Clone, Copy, Debug, Default)]
pub enum Party<'s> {
    /// Nobody we know.
    #[default]
    Unknown,
    /// A phone of ours, in its domain.
    Agent(&'s Agent, &'s Domain),
    /// A SIP server of ours.
    Peer(&'s Peer),
    /// The telephone network, through this trunk, under this number of ours.
    Pstn(&'s Trunk, Option<&'s Number>),
    /// Another exchange of ours.
    Sibling,
}

impl<'s> Party<'s> {
    /// The ref of the resource.
    pub fn reference(&self) -> Option<&'s Ref> {
        match *self {
            Party::Agent(agent, _) => Some(&agent.reference),
            Party::Peer(peer) => Some(&peer.reference),
            Party::Pstn(trunk, _) => Some(&trunk.reference),
            Party::Unknown | Party::Sibling => None,
        }
    }

    /// The operator's own data that travels with the call's records; that of the number for the telephone network.
    pub fn extended(&self) -> Option<&'s Extended> {
        match *self {
            Party::Agent(agent, _) => Some(&agent.extended),
            Party::Peer(peer) => Some(&peer.extended),
            Party::Pstn(_, Some(number)) => Some(&number.extended),
            Party::Pstn(trunk, None) => Some(&trunk.extended),
            Party::Unknown | Party::Sibling => None,
        }
    }
}

/// Who calls whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A phone calls a phone.
    AgentToAgent,
    /// A phone calls a server.
    AgentToPeer,
    /// A phone calls out through a trunk.
    AgentToPstn,
    /// A server calls a phone.
    PeerToAgent,
    /// A server calls a server.
    PeerToPeer,
    /// A server calls out through a trunk.
    PeerToPstn,
    /// A call comes in through a trunk.
    FromPstn,
}

impl Direction {
    /// As it stands in the header X-Call-Direction.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::AgentToAgent => "agent-to-agent",
            Direction::AgentToPeer => "agent-to-peer",
            Direction::AgentToPstn => "agent-to-pstn",
            Direction::PeerToAgent => "peer-to-agent",
            Direction::PeerToPeer => "peer-to-peer",
            Direction::PeerToPstn => "peer-to-pstn",
            Direction::FromPstn => "from-pstn",
        }
    }
}
