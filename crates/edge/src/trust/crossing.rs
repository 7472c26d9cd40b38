//! Dialogs between domains. As outside a dialog, the phones of another domain take calls and messages, and what is part of a call;
//! they do nothing else that somebody says who is not of their domain.

use trunkline_calls::{CallView, Event};
use trunkline_model::{Domain, InterDomain, Tables};
use trunkline_proxy::{Holder, PartyKind, Side, Way};
use trunkline_reasons::Reason;
use trunkline_registrar::Named;
use trunkline_routing::{
    Stay, home_of, may_be_said_by_another, names_replaced, stays_inside, tells_of_diversion,
};
use trunkline_sip::{HeaderName, Message, Method, Scheme, Uri};

use super::joins::is_at;
use super::passing::Between;
use super::transfers::{all_name_calls, all_referred_to, informs, is_of_call};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::{Dialog, Routes};
use crate::shared::Shared;

/// Whose a party is.
enum Home<'t> {
    /// Of this domain.
    Of(&'t Domain),
    /// Of none: a carrier, a stranger, a peer for all domains.
    None,
    /// Nobody knows any more: it was deleted, or another one has the same short name.
    Gone,
}

/// To whom somebody is foreign.
enum Foreign<'t> {
    /// To this domain.
    To(&'t Domain),
    /// To everybody.
    ToAll,
}

impl Shared {
    /// The domain of an agent, or of a peer's AOR.
    fn home<'t>(&self, tables: &'t Tables, (kind, party): (PartyKind, u32)) -> Home<'t> {
        let version = self.tables.version();
        match kind {
            PartyKind::Agent => {
                let name = self.party_names.agent(tables, version, &self.secret, party);
                let Some(agent) = name.and_then(|name| tables.agent_by_ref(name.as_str())) else {
                    return Home::Gone;
                };
                let Some(domain) = &agent.domain else { return Home::None };
                tables.domain_by_ref(domain.as_str()).map_or(Home::Gone, |domain| Home::Of(domain))
            }
            PartyKind::Peer => {
                let name = self.party_names.peer(tables, version, &self.secret, party);
                let Some(peer) = name.and_then(|name| tables.peer_by_ref(name.as_str())) else {
                    return Home::Gone;
                };
                let domain = home_of(peer).and_then(|host| tables.domain_by_uri(host));
                domain.map_or(Home::None, |domain| Home::Of(domain))
            }
            PartyKind::Trunk | PartyKind::Stranger => Home::None,
        }
    }

    /// May this party still begin calls: does it exist, and is it enabled? Asked of agents and peers.
    fn may_call(&self, tables: &Tables, (kind, party): (PartyKind, u32)) -> bool {
        match kind {
            PartyKind::Agent => self.account(tables, party).is_some_and(|(agent, _)| agent.enabled),
            PartyKind::Peer => {
                let name = self.party_names.peer(tables, self.tables.version(), &self.secret, party);
                let peer = name.and_then(|name| tables.peer_by_ref(name.as_str()));
                peer.is_some_and(|peer| peer.enabled)
            }
            PartyKind::Trunk | PartyKind::Stranger => true,
        }
    }

    /// Does somebody of another domain have the caller's phone do more by a redirection than call somebody? It does so under its own name.
    pub(super) fn redirects_to_command(&self, m: &Message<'_>, between: Between) -> bool {
        let from_party = matches!(between.from, PartyKind::Agent | PartyKind::Peer);
        let to_party = matches!(between.to, PartyKind::Agent | PartyKind::Peer);
        if !from_party || !to_party {
            return false;
        }
        let plain = |uri: &Uri<'_>| uri.headers.is_empty() || tells_of_diversion(uri.headers);
        if all_name_calls(m, HeaderName::Contact, plain) {
            return false;
        }
        let tables = self.tables.load();
        let home = |party| self.home(&tables, party);
        match (home((between.from, between.sender)), home((between.to, between.party))) {
            (Home::None, _) | (Home::Of(_), Home::None) => false,
            (Home::Of(from), Home::Of(to)) => {
                to.inter_domain != InterDomain::Open && from.reference != to.reference
            }
            (Home::Gone, _) | (_, Home::Gone) => true,
        }
    }
}

impl Edge {
    /// To whom a holder of the marks is foreign and may not command the other side's phone. Who is gone is foreign to all.
    fn foreign<'t>(
        &self,
        tables: &'t Tables,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
    ) -> Option<Foreign<'t>> {
        let shared = &self.shared;
        let to = shared.home(tables, (way.kind, way.party));
        let mut is_other = false;
        for holder in holders(routes, dialog) {
            match (shared.home(tables, (holder.kind, holder.party)), &to) {
                (Home::Gone, _) => return Some(Foreign::ToAll),
                (Home::Of(home), Home::Of(to)) => is_other |= home.reference != to.reference,
                (Home::Of(_) | Home::None, _) => {}
            }
        }
        match to {
            Home::Of(to) => (is_other && to.inter_domain != InterDomain::Open).then_some(Foreign::To(to)),
            Home::None => None,
            Home::Gone => Some(Foreign::ToAll),
        }
    }

    /// Does the request go to a domain whose phones the sender may not command?
    pub(super) fn crosses(&self, parties: (&Routes<'_>, &Dialog), way: &Way) -> bool {
        self.own.is_none() && self.foreign(&self.shared.tables.load(), parties, way).is_some()
    }

    /// Refuses what phones of another domain do not do for the sender, and the REFER of a party that may call nobody any more;
    /// `true` when it was answered.
    pub(crate) fn refuse_command_inside(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        parties: (&Routes<'_>, &Dialog),
        way: &Way,
    ) -> bool {
        let reason = self.command_refused(inbound, parties, way, io.unix_ms());
        if let Some(reason) = reason {
            self.refuse(io, inbound, reason);
        }
        reason.is_some()
    }

    fn command_refused(
        &self,
        inbound: &Inbound<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
        now: u64,
    ) -> Option<Reason> {
        let event = || inbound.message.header(HeaderName::Event).unwrap_or_default();
        let is_part_of_call = match inbound.method {
            Method::Ack
            | Method::Cancel
            | Method::Invite
            | Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Options
            | Method::Message => true,
            Method::Notify => informs(event()),
            Method::Subscribe => is_of_call(event()),
            Method::Refer | Method::Register | Method::Publish | Method::Other => false,
        };
        if is_part_of_call || self.own.is_some() {
            return None;
        }
        // Who has subscribed to something, in a domain that lets others, is told of it.
        let subscribed = dialog.mark.subscription
            && dialog.from == Side::Callee
            && self.shared.dialogs.has_subscribed(dialog.place, Side::Caller, Event::of(event()), now);
        if subscribed && inbound.method == Method::Notify {
            return None;
        }
        let tables = self.shared.tables.load();
        if !inbound.transfers() {
            let foreign = self.foreign(&tables, (routes, dialog), way);
            return foreign.map(|_| Reason::DomainCallsOnlyInside);
        }
        if !holders(routes, dialog).all(|holder| self.shared.may_call(&tables, (holder.kind, holder.party))) {
            // Whoever follows it calls at the expense of an account or trunk.
            return Some(Reason::TransferDisabled);
        }
        let stays = match self.foreign(&tables, (routes, dialog), way)? {
            Foreign::To(to) => self.refers_inside(inbound, holders(routes, dialog), to, &tables),
            Foreign::ToAll => false,
        };
        (!stays).then_some(Reason::TransferDomain)
    }

    /// Would a phone of this domain that follows the REFER call somebody of ours, not outside at its domain's expense, and command
    /// nobody of its domain? Which call it replaces there is for a party of that call to say.
    fn refers_inside<'h>(
        &self,
        inbound: &Inbound<'_>,
        senders: impl Iterator<Item = &'h Holder> + Clone,
        to: &Domain,
        tables: &Tables,
    ) -> bool {
        let shared = &self.shared;
        let is_of_domain = |far: &[u8]| {
            let far = shared.secret.party(far);
            let home = |kind| matches!(shared.home(tables, (kind, far)), Home::Of(at) if at.reference == to.reference);
            home(PartyKind::Agent) || home(PartyKind::Peer)
        };
        let passes = |call: &CallView<'_>, far: &[u8]| call.trunk_ref.is_empty() && is_of_domain(far);
        all_referred_to(&inbound.message, |uri: &Uri<'_>| {
            let own = shared.addresses.is_own(uri);
            let is_domain =
                || shared.addresses.has_port(uri.port) && tables.domain_by_uri(uri.host).is_some();
            let ours = own || uri.scheme == Scheme::Tel || is_domain();
            let far_end = || senders.clone().find_map(|sender| self.far_end(uri, sender, passes));
            if !may_be_said_by_another(uri.headers) {
                return false;
            }
            if !ours {
                return far_end().is_some_and(|far| is_at(&far, &Uri { headers: b"", ..*uri }));
            }
            let named = Named::read(uri, &shared.secret);
            let user = named.as_ref().and_then(|named| named.user.as_deref()).or(uri.user);
            match stays_inside(&Uri { user, ..*uri }, own, to, (tables, &shared.config.routing)) {
                Some(Stay::Within) => !names_replaced(uri.headers) || far_end().is_some(),
                Some(Stay::Elsewhere) => true,
                None => false,
            }
        })
    }
}

/// Who holds the marks of a request.
fn holders<'r>(routes: &'r Routes<'_>, dialog: &'r Dialog) -> impl Iterator<Item = &'r Holder> + Clone {
    std::iter::once(dialog).chain(&routes.inner).map(|dialog| &dialog.mark.holder)
}
