//! One request on its way, as the edge knows it: its proxy transaction, and what only the edge has to know of it.

use trunkline_calls::{CallHandle, Place};
use trunkline_model::Ref;
use trunkline_proxy::transaction::{Branch, Target};
use trunkline_proxy::{PartyKind, ProxyTransaction, Side};
use trunkline_reasons::Reason;
use trunkline_routing::PartyName;
use trunkline_sip::{ConnectionId, Flow, Transport};
use trunkline_transaction::TransactionKey;
use trunkline_transport::Egress;

use crate::divertible::Divertible;
use crate::media::Leg;
use crate::resolver::Spare;
use crate::trust::Word;
use crate::trust::budget::Credit;

/// What a request is to dialogs of ours.
#[derive(Clone, Debug, Default)]
pub(crate) enum DialogUse {
    /// Nothing.
    #[default]
    None,
    /// It begins those of this number.
    Begins(u64),
    /// It came inside one, from this side.
    Inside(Place, Side),
    /// It came inside several: those that one spiral began.
    Nested(Box<[(Place, Side)]>),
}

impl DialogUse {
    /// The dialogs that it came inside of.
    pub(crate) fn inside(&self) -> impl Iterator<Item = (Place, Side)> {
        let (one, many) = match self {
            DialogUse::None | DialogUse::Begins(_) => (None, &[][..]),
            DialogUse::Inside(place, side) => (Some((*place, *side)), &[][..]),
            DialogUse::Nested(many) => (None, &**many),
        };
        one.into_iter().chain(many.iter().copied())
    }
}

/// Where a branch's request goes, and what is to be known of its target after the decision is gone.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) egress: Egress,
    /// The trunk, and which of its destinations.
    pub(crate) trunk: Option<Ref>,
    pub(crate) trunk_uri: u8,
    /// Answers the trunk's challenge.
    pub(crate) credentials: Option<Ref>,
    /// Where else its next hop may be.
    pub(crate) spare: Spare,
    /// The contact a call of it counts for.
    pub(crate) binding: u64,
    /// By whose word it is one; `None`: the operator's.
    pub(crate) word: Option<Word>,
    /// The peer that the operator has put there, [`trunkline_proxy::Secret::party`]; else 0.
    pub(crate) peer: u32,
    /// Its address has not shown that it is there: what is sent to it is limited.
    pub(crate) unproven: bool,
    /// Nor does its party send from there: what was sent once is sent again only when something has come back.
    pub(crate) once: bool,
    /// Nothing could be sent yet.
    pub(crate) held: bool,
    /// The MAC of the mark in its Record-Route, 0 for none.
    pub(crate) mark_mac: u64,
    /// No values of others stand behind ours in its Record-Route.
    pub(crate) first_on_route: bool,
    /// From or To went on otherwise than they came.
    pub(crate) renamed: bool,
}

impl Hop {
    /// By this way, by this party's word.
    pub(crate) fn new(egress: Egress, spare: Spare, word: Option<Word>) -> Hop {
        Hop {
            egress,
            trunk: None,
            trunk_uri: 0,
            credentials: None,
            spare,
            binding: 0,
            word,
            peer: 0,
            unproven: false,
            once: false,
            held: false,
            mark_mac: 0,
            first_on_route: false,
            renamed: false,
        }
    }
}

/// A target of the proxy transaction, with its way.
pub(crate) fn target(hop: Hop, patience: u32) -> Target<Hop> {
    let word = hop.word.map(|word| word.kind);
    Target {
        reliable: hop.egress.transport.is_reliable(),
        grown: false,
        trunk: hop.trunk.is_some(),
        carrier: hop.trunk.is_some() || word == Some(PartyKind::Trunk),
        passes_challenges: false,
        has_credentials: hop.credentials.is_some(),
        has_addresses: hop.spare.has_more(),
        silence: None,
        patience,
        phone: 0,
        cseq_added: 0,
        hop,
    }
}

/// The address as its name gave it: of a large request the one that UDP would have gone to.
pub(crate) fn first_egress(branch: &Branch<Hop>) -> Egress {
    let egress = branch.target.hop.egress;
    match branch.target.grown {
        true => Egress { transport: Transport::Udp, connection: ConnectionId::NONE, ..egress },
        false => egress,
    }
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) key: TransactionKey,
    pub(crate) proxy: ProxyTransaction<Hop>,
    /// How the request came.
    pub(crate) from: Flow,
    /// Responses go to this port there.
    pub(crate) back_port: u16,
    /// Of an INVITE, what its CANCEL has in common with it: [`crate::edge::Edge::companion`].
    pub(crate) companion: u64,
    /// What the request pays for.
    pub(crate) credit: Credit,
    /// Bytes that it pays for towards addresses that have not shown that they are there: one sending of it.
    pub(crate) pays: u32,
    /// The source was proven when the request came.
    pub(crate) proven: bool,
    /// Nothing was known of the source when it came, whatever its transport.
    pub(crate) stranger: bool,
    /// Bytes that it holds, counted.
    pub(crate) held: u32,
    /// So long a response may be that is kept: it is among the bytes held.
    pub(crate) answer_paid: u32,
    pub(crate) loop_mac: u64,
    /// What its responses have to repeat: [`crate::edge::Edge::identity`].
    pub(crate) identity: u64,
    /// It has a To tag, which they repeat too.
    pub(crate) tagged: bool,
    /// A final response to it came, be it that of one branch among several.
    pub(crate) heard: bool,
    /// The request is one of our own: nobody waits for its answer.
    pub(crate) own: bool,
    /// Why it could not be sent to a target, or is answered without one.
    pub(crate) refused: Option<Reason>,
    /// An operator ended its call before it was answered.
    pub(crate) hung_up: bool,
    /// Its number among the events.
    pub(crate) request: u64,
    /// Its caller has shown who it is: it may read every reason.
    pub(crate) told: bool,
    /// Another shard received its request.
    pub(crate) from_other_shard: bool,
    /// What it takes to send the call elsewhere.
    pub(crate) divertible: Option<Box<Divertible>>,
    /// How often its call was diverted.
    pub(crate) turns: u8,
    /// What its responses mean to the media relay.
    pub(crate) media: Option<Box<Leg>>,
    /// The call this INVITE begins.
    pub(crate) call: Option<CallHandle>,
    pub(crate) dialog: DialogUse,
    /// What the caller is, and which peer or trunk.
    pub(crate) caller: (PartyKind, u32),
    /// The same as the router has it; nobody inside a dialog.
    pub(crate) party: PartyName,
}

impl Context {
    /// Where responses go.
    pub(crate) fn back(&self) -> Egress {
        let mut back = Egress::back(&self.from);
        back.remote.set_port(self.back_port);
        back
    }

    /// Does an ACK that came by this flow belong to its request? The port may differ, as NATs rebind and clients connect anew;
    /// the address may not.
    pub(crate) fn comes_from(&self, flow: &Flow) -> bool {
        self.from.remote.ip().to_canonical() == flow.remote.ip().to_canonical()
    }
}
