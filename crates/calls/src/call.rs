//! One call as it is told and as it is shown.

use std::net::IpAddr;

use crate::cause::Cause;
use crate::ending::Ender;
use crate::payer::Payer;
use crate::sessions::SessionKey;

/// Who calls whom, as the router decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Not known.
    Unknown = 0,
    /// Agent to agent.
    AgentToAgent = 1,
    /// Agent to peer.
    AgentToPeer = 2,
    /// Agent out through a trunk.
    AgentToPstn = 3,
    /// Peer to agent.
    PeerToAgent = 4,
    /// Peer out through a trunk.
    PeerToPstn = 5,
    /// In from a trunk, to a number.
    FromPstn = 6,
    /// Peer to peer.
    PeerToPeer = 7,
}

impl Direction {
    const ALL: [Direction; 8] = [
        Direction::Unknown,
        Direction::AgentToAgent,
        Direction::AgentToPeer,
        Direction::AgentToPstn,
        Direction::PeerToAgent,
        Direction::PeerToPstn,
        Direction::FromPstn,
        Direction::PeerToPeer,
    ];

    /// The text in records and in `X-Call-Direction`.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Unknown => "unknown",
            Direction::AgentToAgent => "agent-to-agent",
            Direction::AgentToPeer => "agent-to-peer",
            Direction::AgentToPstn => "agent-to-pstn",
            Direction::PeerToAgent => "peer-to-agent",
            Direction::PeerToPstn => "peer-to-pstn",
            Direction::FromPstn => "from-pstn",
            Direction::PeerToPeer => "peer-to-peer",
        }
    }

    /// Reads a name.
    pub fn from_name(name: &str) -> Option<Direction> {
        Direction::ALL.into_iter().find(|direction| direction.name() == name)
    }

    pub(crate) fn from_number(number: u8) -> Direction {
        Direction::ALL.into_iter().find(|d| *d as u8 == number).unwrap_or(Direction::Unknown)
    }
}

/// How a caller has shown who it is. It decides which calls that fail at once have a record of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerProof {
    /// Not at all.
    #[default]
    None,
    /// By its address, which can be forged over UDP.
    Address,
    /// By a digest or its connection.
    Identity,
}

/// A party whose sessions are counted, and how many it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// The party whose limit counts the call, if any.
    pub key: Option<SessionKey>,
    /// The most calls at once; `None` for no limit.
    pub limit: Option<u32>,
    /// The most new calls in a minute; `None` for no limit.
    pub per_minute: Option<u32>,
}

impl Counted {
    /// This party, without a limit.
    pub fn of(key: SessionKey) -> Counted {
        Counted { key: Some(key), limit: None, per_minute: None }
    }

    /// Counted without a limit.
    pub fn unlimited(self) -> Counted {
        Counted { key: self.key, ..Counted::default() }
    }
}

/// A call that starts: an INVITE without To-tag that was let in and is about to be forwarded.
#[derive(Clone, Copy, Debug)]
pub struct CallStart<'a> {
    /// Its number, which no other call has: that of its dialogs ([`crate::Dialogs::unique`]). Of a refused call whatever its
    /// repetitions have in common.
    pub number: u64,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// The caller's tag.
    pub from_tag: &'a [u8],
    /// URI of From.
    pub from: &'a [u8],
    /// Who is called: what decides where the call goes.
    pub to: &'a [u8],
    /// The URI of To, if it names another user than the callee; for display only.
    pub to_header: &'a [u8],
    /// The lines of its headers whose names begin with `X-`, for whoever watches; not stored.
    pub headers: &'a [u8],
    /// Who calls whom.
    pub direction: Direction,
    /// Ref of the calling agent or peer; empty for none.
    pub caller_ref: &'a [u8],
    /// Ref of the called agent, peer or number; empty for none.
    pub callee_ref: &'a [u8],
    /// Ref of the trunk it leaves by; empty for none. Of a call that came in through a trunk the record shows that one.
    pub trunk_ref: &'a [u8],
    /// The packet's source.
    pub source: IpAddr,
    /// How the caller has shown who it is.
    pub proof: CallerProof,
    /// Who holds its memory; `None` for a call that is never refused for lack of it.
    pub payer: Option<Payer>,
    /// Nobody knows the caller, whatever it says: it is no carrier and has shown nothing.
    pub is_strangers: bool,
    /// Counted for the caller.
    pub caller: Counted,
    /// Counted for the callee, such as the binding of a backend.
    pub callee: Counted,
    /// Counted for the trunk.
    pub trunk: Counted,
    /// Counted for the called agent or peer.
    pub called: Counted,
    /// Counted for the domains of the caller and of the callee; for one that is both only as the first.
    pub domains: [Counted; 2],
    /// The number of the record of the call that it takes the place of (RFC 3891); 0 for none.
    pub replaces: u64,
}

impl<'a> CallStart<'a> {
    /// The trunk it leaves by, else the one it came in through, which is its caller then.
    pub(crate) fn trunk(&self) -> &'a [u8] {
        match (self.trunk_ref, self.direction) {
            (b"", Direction::FromPstn) => self.caller_ref,
            (trunk, _) => trunk,
        }
    }
}

impl CallStart<'_> {
    /// A call of which only direction and source are known.
    pub fn new(direction: Direction, source: IpAddr) -> CallStart<'static> {
        CallStart {
            number: 0,
            call_id: b"",
            from_tag: b"",
            from: b"",
            to: b"",
            to_header: b"",
            headers: b"",
            direction,
            caller_ref: b"",
            callee_ref: b"",
            trunk_ref: b"",
            source,
            proof: CallerProof::None,
            payer: Some(Payer::Source(trunkline_sip::source_of(source))),
            is_strangers: true,
            caller: Counted::default(),
            callee: Counted::default(),
            trunk: Counted::default(),
            called: Counted::default(),
            domains: [Counted::default(); 2],
            replaces: 0,
        }
    }
}

/// A call, borrowed while its shard is locked.
#[derive(Clone, Copy, Debug)]
pub struct CallView<'a> {
    /// Number of its record: greater for calls that started later.
    pub id: u64,
    /// Call-ID.
    pub call_id: &'a [u8],
    /// The caller's tag.
    pub from_tag: &'a [u8],
    /// The callee's tag; empty before the answer.
    pub to_tag: &'a [u8],
    /// URI of From.
    pub from: &'a [u8],
    /// Who was called; of a diverted call whom it went on to.
    pub to: &'a [u8],
    /// The URI of To, if it named another user than the callee; otherwise empty.
    pub to_header: &'a [u8],
    /// Of a diverted call: who was called first; else empty.
    pub first_called: &'a [u8],
    /// Who calls whom.
    pub direction: Direction,
    /// Ref of the calling agent or peer.
    pub caller_ref: &'a [u8],
    /// Ref of the called agent, peer or number.
    pub callee_ref: &'a [u8],
    /// Ref of the trunk it left by or came in through.
    pub trunk_ref: &'a [u8],
    /// The packet's source.
    pub source: IpAddr,
    /// When it started.
    pub started: u64,
    /// When it was answered.
    pub answered: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// Why; of a call that has ended.
    pub cause: Option<Cause>,
    /// The final status of an INVITE that failed, 200 of one that was answered, 0 before.
    pub status: u16,
    /// When it first rang: the first 180 to 199.
    pub rang: Option<u64>,
    /// Who ended it.
    pub ended_by: Ender,
    /// The code of the reason why it failed, e.g. `callee.not-registered`; else empty.
    pub reason: &'a [u8],
    /// The `Reason` header of the BYE, CANCEL or response that ended it.
    pub sip_reason: &'a [u8],
    /// The codec of the answer; empty when it is not known.
    pub codec: &'a [u8],
    /// Who transferred the call: the sender of a REFER that was accepted.
    pub transferred_by: Ender,
    /// The number of the record of the call that it takes the place of (RFC 3891); 0 for none.
    pub replaces: u64,
    /// How many calls it stands for: more than one where refused calls of one source were summed up.
    pub count: u32,
    /// The calls are those of many sources.
    pub many_sources: bool,
    /// Nobody knows the caller; not stored.
    pub is_strangers: bool,
}
