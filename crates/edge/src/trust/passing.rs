//! What of a message goes no further: the router's filter, told who sends the message to whom.

use std::cell::OnceCell;
use std::sync::Arc;

use trunkline_model::Trunk;
use trunkline_proxy::{PartyKind, Way};
use trunkline_reasons::Reason;
use trunkline_routing::{Passage, RoutedKind, filter, has_commands, is_plain_uri};
use trunkline_sip::{HeaderName, Message, Method, Splices, Uri};

use super::Spent;
use super::signalling::cut_body;
use crate::context::Context;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::{Dialog, Routes};
use crate::shared::Shared;

/// Who sends a response to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    pub(crate) from: PartyKind,
    /// Which party the sender is, 0 where that is not known.
    pub(crate) sender: u32,
    pub(crate) to: PartyKind,
    /// Which party the receiver is, as in [`Way::party`].
    pub(crate) party: u32,
    /// Do challenges of the sender go on to the receiver?
    pub(crate) asks: bool,
}

impl Context {
    /// Between whom a response of this branch goes.
    pub(crate) fn between(&self, fork: u8) -> Between {
        let target = self.proxy.branch(fork).map(|branch| &branch.target);
        let (hop, asks) = (target.map(|t| &t.hop), target.is_some_and(|t| t.passes_challenges));
        let from = hop.map_or(PartyKind::Stranger, |hop| match (&hop.trunk, hop.word) {
            (Some(_), _) => PartyKind::Trunk,
            // Where a peer is the operator has said.
            (None, word) => word.map_or(PartyKind::Peer, |word| word.kind),
        });
        let sender = hop.map_or(0, |hop| hop.word.map_or(hop.peer, |word| word.party));
        let (to, party) = self.caller;
        Between { from, sender, to, party, asks }
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
        let allows = self.shared.taken_by(party);
        // An ACK: phones do nothing that its headers say.
        let passage =
            Passage { from: routed(from), shown: true, asks: false, to: routed(to), allows: &allows };
        filter(m, &passage, |span| out.push(span));
        out
    }

    /// What of a request inside a dialog goes no further, sent by the least trusted of those who hold its marks.
    pub(crate) fn left_out(
        &self,
        inbound: &Inbound<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
        now: u64,
    ) -> Spent {
        let (m, from) = (&inbound.message, routes.sender_kind(dialog));
        let mut out = self.spent_credentials(m, way.kind == PartyKind::Trunk);
        let allows = self.shared.taken_by(way.party);
        let may_command = || {
            (from != PartyKind::Agent || self.has_shown_itself(inbound, (routes, dialog), now))
                && !self.crosses((routes, dialog), way)
        };
        let shown = !has_commands(m) || may_command();
        let passage =
            Passage { from: routed(from), shown, asks: false, to: routed(way.kind), allows: &allows };
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
        let is_plain = || is_plain_uri(moved, &self.shared.taken_by(way.party));
        if matches!(way.kind, PartyKind::Agent | PartyKind::Peer) || is_plain() {
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
        let allows = self.taken_by(between.party);
        // Nobody answers who was not called: no phone does anything by itself for a response.
        let (from, to) = (routed(between.from), routed(between.to));
        let asks = between.asks && matches!(between.from, PartyKind::Peer | PartyKind::Trunk);
        let passage = Passage { from, shown: true, asks, to, allows: &allows };
        filter(m, &passage, |span| splices.delete(span));
        if self.cuts_body(m, between.from, (between.to, between.party)) {
            cut_body(m, splices);
        }
        let outside = matches!(between.to, PartyKind::Trunk | PartyKind::Stranger);
        // A carrier that follows it calls at the trunk's expense, past all policies.
        let beyond = || outside && between.from == PartyKind::Agent;
        if matches!(m.status(), Some(300..=399 | 485)) && (beyond() || self.redirects_to_command(m, between))
        {
            m.header_lines(HeaderName::Contact).for_each(|line| splices.delete(line.line));
        }
    }

    /// Which parameters the trunk with this number lets callers say. A message may have thousands: the trunk is looked for at
    /// the first of them.
    pub(super) fn taken_by(&self, party: u32) -> impl Fn(&[u8]) -> bool {
        let trunk = OnceCell::new();
        move |name| {
            let trunk: &Option<Arc<Trunk>> = trunk.get_or_init(|| {
                let tables = self.tables.load();
                let version = self.tables.version();
                let reference = self.party_names.trunk(&tables, version, &self.secret, party)?;
                tables.trunk_by_ref(reference.as_str()).cloned()
            });
            let takes = |t: &Arc<Trunk>| {
                t.allowed_parameters.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name))
            };
            trunk.as_ref().is_some_and(takes)
        }
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
