//! Dialogs between domains. As outside a dialog, the phones of another domain take calls and messages, and what is part of a call;
//! they do nothing else that somebody says who is not of their domain.

use trunkline_calls::Event;
use trunkline_model::{Domain, InterDomain, Tables};
use trunkline_proxy::{PartyKind, Side, Way};
use trunkline_reasons::Reason;
use trunkline_registrar::Named;
use trunkline_routing::{home_of, stays_inside};
use trunkline_sip::{HeaderName, Method, Uri};

use super::transfers::{all_referred_to, informs, is_of_call};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::{Dialog, Routes};
use crate::shared::Shared;

impl Shared {
    /// The domain of an agent, or of a peer's AOR.
    fn home<'t>(&self, tables: &'t Tables, (kind, party): (PartyKind, u32)) -> Option<&'t Domain> {
        match kind {
            PartyKind::Agent => self.account(tables, party).map(|(_, domain)| domain),
            PartyKind::Peer => {
                let name = self.party_names.peer(tables, self.tables.version(), &self.secret, party)?;
                let peer = tables.peer_by_ref(name.as_str())?;
                tables.domain_by_uri(home_of(peer)?).map(|domain| &**domain)
            }
            PartyKind::Trunk | PartyKind::Stranger => None,
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
}

impl Edge {
    /// The domain of the other side, where a holder of the marks is of another one and may not command its phones.
    fn foreign_domain<'t>(
        &self,
        tables: &'t Tables,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
    ) -> Option<&'t Domain> {
        let shared = &self.shared;
        let to = shared.home(tables, (way.kind, way.party))?;
        let mut holders = std::iter::once(dialog).chain(&routes.inner).map(|dialog| dialog.mark.holder);
        let foreign = holders.any(|holder| {
            let home = shared.home(tables, (holder.kind, holder.party));
            home.is_some_and(|home| home.reference != to.reference)
        });
        (foreign && to.inter_domain != InterDomain::Open).then_some(to)
    }

    /// Does the request go to a domain whose phones the sender may not command?
    pub(super) fn crosses(&self, parties: (&Routes<'_>, &Dialog), way: &Way) -> bool {
        !self.own && self.foreign_domain(&self.shared.tables.load(), parties, way).is_some()
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
        if is_part_of_call || self.own {
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
            return self
                .foreign_domain(&tables, (routes, dialog), way)
                .map(|_| Reason::DomainCallsOnlyInside);
        }
        let mut holders = std::iter::once(dialog).chain(&routes.inner).map(|dialog| dialog.mark.holder);
        if !holders.all(|holder| self.shared.may_call(&tables, (holder.kind, holder.party))) {
            // Whoever follows it calls at the expense of an account or trunk.
            return Some(Reason::TransferDisabled);
        }
        let to = self.foreign_domain(&tables, (routes, dialog), way)?;
        (!self.refers_inside(inbound, to, &tables)).then_some(Reason::TransferDomain)
    }

    /// Would a phone of this domain that follows the REFER call somebody of ours, and not outside at its domain's expense?
    fn refers_inside(&self, inbound: &Inbound<'_>, to: &Domain, tables: &Tables) -> bool {
        all_referred_to(&inbound.message, |uri: &Uri<'_>| {
            let own = self.shared.addresses.is_own(uri);
            let ours = own || tables.domain_by_uri(uri.host).is_some();
            let named = Named::read(uri, &self.shared.secret).filter(|_| ours);
            let user = named.as_ref().and_then(|named| named.user.as_deref()).or(uri.user);
            stays_inside(&Uri { user, ..*uri }, own, to, (tables, &self.shared.config.routing))
        })
    }
}
