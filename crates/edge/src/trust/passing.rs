//! What of a message goes no further: the router's filter, told who sends the message to whom.

use trunkline_proxy::{PartyKind, Way};
use trunkline_reasons::Reason;
use trunkline_routing::{Passage, RoutedKind, filter, is_plain_uri};
use trunkline_sip::{Message, Method, Splices, Uri};

use super::Spent;
use crate::context::Context;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::Routes;
use crate::shared::Shared;

/// Who sends a response to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    pub(crate) from: PartyKind,
    pub(crate) to: PartyKind,
    /// Which trunk the receiver is, as in [`Way::party`].
    pub(crate) party: u32,
}

impl Context {
    /// Between whom a response of this branch goes.
    pub(crate) fn between(&self, fork: u8) -> Between {
        let hop = self.proxy.branch(fork).map(|branch| &branch.target.hop);
        let from = hop.map_or(PartyKind::Stranger, |hop| match (&hop.trunk, hop.word) {
            (Some(_), _) => PartyKind::Trunk,
            // Where a peer is the operator has said.
            (None, word) => word.map_or(PartyKind::Peer, |word| word.kind),
        });
        let (to, party) = self.caller;
        Between { from, to, party }
    }
}

impl Edge {
    /// What of a request goes no further from the one to the other, of whom a trunk is this party.
    pub(crate) fn left_out_between(
        &self,
        m: &Message<'_>,
        (from, to): (PartyKind, PartyKind),
        party: u32,
    ) -> Spent {
        let mut out = self.spent_credentials(m, to == PartyKind::Trunk);
        let allows = |name: &[u8]| self.shared.takes(party, name);
        filter(m, &Passage { from: routed(from), to: routed(to), allows: &allows }, |span| out.push(span));
        out
    }

    /// What of a request inside a dialog goes no further, sent by such a party.
    pub(crate) fn left_out(&self, m: &Message<'_>, from: PartyKind, way: &Way) -> Spent {
        let mut out = self.spent_credentials(m, way.kind == PartyKind::Trunk);
        let allows = |name: &[u8]| self.shared.takes(way.party, name);
        let passage = Passage { from: routed(from), to: routed(way.kind), allows: &allows };
        filter(m, &passage, |span| out.push(span));
        out
    }

    /// Refuses a request for a carrier whose Request-URI holds what the carrier is not to be told, where strict routing puts
    /// the Request-URI elsewhere: nothing could be taken out of it there.
    pub(crate) fn refuse_hidden(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        routes: &Routes<'_>,
        way: &Way,
    ) -> bool {
        let m = &inbound.message;
        let strict = |next: &&[u8]| !Uri::parse(next).is_ok_and(|uri| uri.is_loose());
        let moved = match (routes.last, routes.next) {
            (Some(last), _) => last,
            (None, Some(next)) if strict(&next) => m.uri_text(),
            (None, _) => return false,
        };
        let allows = |name: &[u8]| self.shared.takes(way.party, name);
        if matches!(way.kind, PartyKind::Agent | PartyKind::Peer) || is_plain_uri(moved, &allows) {
            return false;
        }
        if inbound.method == Method::Invite {
            self.refusals.note(self.shared.keys.key(m, &inbound.via, Method::Invite));
        }
        self.refuse(io, inbound, Reason::DialogHiddenParameters);
        true
    }
}

impl Shared {
    /// Leaves out what of a response goes no further.
    pub(crate) fn filter_response(&self, m: &Message<'_>, between: Between, splices: &mut Splices) {
        let allows = |name: &[u8]| self.takes(between.party, name);
        let passage = Passage { from: routed(between.from), to: routed(between.to), allows: &allows };
        filter(m, &passage, |span| splices.delete(span));
    }

    /// Does the trunk with this number let callers say this parameter?
    fn takes(&self, party: u32, name: &[u8]) -> bool {
        let tables = self.tables.load();
        let trunk = tables.trunks().find(|t| self.secret.party(t.reference.as_str().as_bytes()) == party);
        trunk
            .is_some_and(|t| t.allowed_parameters.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name)))
    }
}

/// What the party of a dialog is to the router.
fn routed(kind: PartyKind) -> RoutedKind {
    match kind {
        PartyKind::Stranger => RoutedKind::Unknown,
        PartyKind::Agent => RoutedKind::Agent,
        PartyKind::Peer => RoutedKind::Peer,
        PartyKind::Trunk => RoutedKind::Pstn,
    }
}
