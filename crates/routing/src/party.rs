//! Who talks to whom.

use trunkline_model::{Agent, Domain, Number, Peer, Ref, Trunk};

/// One end of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Party<'s> {
    /// Nobody we know.
    #[default]
    Unknown,
    /// A phone of ours, in its domain.
    Agent(&'s Agent, &'s Domain),
    /// A SIP server of ours.
    Peer(&'s Peer),
    /// The telephone network, through this trunk, under this number of ours.
    Pstn(&'s Trunk, Option<&'s Number>),
}

impl<'s> Party<'s> {
    /// What it is.
    pub(crate) fn kind(&self) -> RoutedKind {
        match self {
            Party::Unknown => RoutedKind::Unknown,
            Party::Agent(..) => RoutedKind::Agent,
            Party::Peer(_) => RoutedKind::Peer,
            Party::Pstn(..) => RoutedKind::Pstn,
        }
    }

    /// Is it the one of this name?
    pub(crate) fn is(&self, name: &PartyName) -> bool {
        self.kind() == name.kind && self.reference() == name.reference.as_ref()
    }

    /// The name that an agent was given; empty where it is called like its user. That of a peer is none of its callers.
    pub(crate) fn name(&self) -> &'s str {
        match *self {
            Party::Agent(agent, _) if agent.name != agent.username => &agent.name,
            Party::Agent(..) | Party::Peer(_) | Party::Pstn(..) | Party::Unknown => "",
        }
    }

    /// The ref of the resource.
    pub(crate) fn reference(&self) -> Option<&'s Ref> {
        match *self {
            Party::Agent(agent, _) => Some(&agent.reference),
            Party::Peer(peer) => Some(&peer.reference),
            Party::Pstn(trunk, _) => Some(&trunk.reference),
            Party::Unknown => None,
        }
    }
}

impl<'s> Party<'s> {
    /// How it registers, if it is one that does.
    pub(crate) fn registrant(&self) -> Option<Registrant<'s>> {
        let (kind, reference, user, aor) = match *self {
            Party::Agent(agent, _) => (RoutedKind::Agent, &agent.reference, &agent.username, None),
            Party::Peer(peer) => (RoutedKind::Peer, &peer.reference, &peer.username, peer.aor.as_deref()),
            Party::Pstn(..) | Party::Unknown => return None,
        };
        Some(Registrant { kind, reference, user, aor })
    }
}

/// An agent or peer, as it registers.
#[derive(Clone, Copy, Debug)]
pub struct Registrant<'x> {
    /// What it is.
    pub kind: RoutedKind,
    /// The ref of the resource.
    pub reference: &'x Ref,
    /// Its user name.
    pub user: &'x str,
    /// The AOR that it registers under wherever it does; `None` for that of its user name.
    pub aor: Option<&'x str>,
}

/// One end of a call by its name, as a decision keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartyName {
    /// What it is.
    pub kind: RoutedKind,
    /// The ref of the resource, where there is one.
    pub reference: Option<Ref>,
}

/// Who takes part in a request, as a decision keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    /// Who calls, or registers.
    pub caller: PartyName,
    /// May the caller be taken for the carrier of its trunk ([`crate::Question::TrunkCarrier`])?
    pub is_carrier: bool,
    /// Who is called, as far as that was found out, or whose bindings are registered.
    pub callee: PartyName,
    /// The number that is called, where it is one of ours.
    pub number: Option<Ref>,
    /// The callee is not who was called: that one has no phone, or did not take the call.
    pub diverted: bool,
    /// How long the called agent rings, in seconds, where it says so.
    pub no_answer_seconds: Option<u32>,
    /// Where the called agent's calls go when it does not take them.
    pub fallback: Fallback,
}

/// Where an agent's calls go when it does not take them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// An AOR, when it is busy.
    pub busy: Option<String>,
    /// An AOR, when it does not answer.
    pub no_answer: Option<String>,
}

impl Fallback {
    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.busy.is_none() && self.no_answer.is_none()
    }
}

/// What a party is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutedKind {
    /// Nobody we know.
    #[default]
    Unknown,
    /// A phone account.
    Agent,
    /// A SIP server of ours.
    Peer,
    /// The telephone network.
    Pstn,
}

impl RoutedKind {
    pub(crate) const ALL: [RoutedKind; 4] =
        [RoutedKind::Unknown, RoutedKind::Agent, RoutedKind::Peer, RoutedKind::Pstn];
}

impl From<Party<'_>> for PartyName {
    fn from(party: Party<'_>) -> PartyName {
        PartyName { kind: party.kind(), reference: party.reference().cloned() }
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
    pub(crate) const ALL: [Direction; 7] = [
        Direction::AgentToAgent,
        Direction::AgentToPeer,
        Direction::AgentToPstn,
        Direction::PeerToAgent,
        Direction::PeerToPeer,
        Direction::PeerToPstn,
        Direction::FromPstn,
    ];

    /// A call of this party to a phone.
    pub(crate) fn to_agent(caller: Party<'_>) -> Direction {
        match caller {
            Party::Agent(..) => Direction::AgentToAgent,
            Party::Peer(_) => Direction::PeerToAgent,
            Party::Pstn(..) | Party::Unknown => Direction::FromPstn,
        }
    }

    /// A call of this party to a server.
    pub(crate) fn to_peer(caller: Party<'_>) -> Direction {
        match caller {
            Party::Agent(..) => Direction::AgentToPeer,
            Party::Peer(_) => Direction::PeerToPeer,
            Party::Pstn(..) | Party::Unknown => Direction::FromPstn,
        }
    }

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
