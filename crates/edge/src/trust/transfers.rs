//! Transfers. A phone that follows a REFER calls with its own account, so whoever reaches the phone by an open number could have it
//! call an expensive one. A carrier that follows one calls on the account of the trunk.

use trunkline_calls::Event;
use trunkline_model::{Agent, Authenticate};
use trunkline_proxy::{PartyKind, Side, Way};
use trunkline_reasons::Reason;
use trunkline_registrar::Named;
use trunkline_routing::{Decision, RoutedKind, ask_for_a_call, may_be_referred_to};
use trunkline_sip::{Address, HeaderName, Message, Method, Uri};

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::{Dialog, Routes};

/// A REFER asks a carrier to call whom the agent may not call.
pub(crate) const BEYOND: Reason = Reason::TransferNumber;

impl Edge {
    /// Refuses the REFER of a party that is no agent, peer or carrier, unless the operator allows it, and one with several
    /// targets (RFC 3515 §2.4.2): each of them would have to be judged. `true` when it was answered.
    pub(crate) fn refuse_transfer(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        from: PartyKind,
    ) -> bool {
        if !inbound.transfers() {
            return false;
        }
        let reason = if from == PartyKind::Stranger && !self.shared.config.strangers_may_refer {
            Reason::TransferStranger
        } else if inbound.message.list(HeaderName::ReferTo).nth(1).is_some() {
            Reason::TransferTargets
        } else {
            return false;
        };
        self.refuse(io, inbound, reason);
        true
    }

    /// Refuses what such a party may not send: outside a dialog all but calls, since phones do as other requests say, and
    /// `inside` one what is no part of a call; `true` when it was answered.
    pub(crate) fn refuse_stranger(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        from: PartyKind,
        inside: bool,
    ) -> bool {
        let m = &inbound.message;
        let open = || self.shared.config.open_methods.iter().any(|name| name.as_bytes() == m.method_name());
        let of_call = match inbound.method {
            Method::Ack | Method::Cancel => true,
            Method::Invite
            | Method::Bye
            | Method::Prack
            | Method::Update
            | Method::Info
            | Method::Options => inside,
            Method::Notify => inside && is_of_call(m.header(HeaderName::Event).unwrap_or_default()),
            _ => false,
        };
        // A REFER has a rule of its own.
        if from != PartyKind::Stranger || of_call || inbound.transfers() || open() {
            return self.refuse_transfer(io, inbound, from);
        }
        self.refuse_beyond_calls(io, inbound)
    }

    fn refuse_beyond_calls(&mut self, io: &mut Io<'_>, inbound: &Inbound<'_>) -> bool {
        self.refuse(io, inbound, Reason::CallerCallsOnly);
        true
    }
}

impl Edge {
    /// Does an agent's REFER go out by a trunk, and name a number that the agent could not call?
    pub(crate) fn refers_beyond(&self, inbound: &Inbound<'_>, decision: &Decision) -> bool {
        let caller = &decision.parties.caller;
        let leaves = || decision.targets.as_slice().iter().any(|target| target.trunk.is_some());
        if !inbound.transfers() || caller.kind != RoutedKind::Agent || !leaves() {
            return false;
        }
        let tables = self.shared.tables.load();
        let agent = caller.reference.as_ref().and_then(|name| tables.agent_by_ref(name.as_str()));
        !agent.is_some_and(|agent| self.may_refer(inbound, agent))
    }

    /// Refuses such a REFER; `true` when it was answered.
    pub(crate) fn refuse_referral(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
    ) -> bool {
        let beyond = self.refers_beyond(inbound, decision);
        if beyond {
            self.refuse(io, inbound, BEYOND);
        }
        beyond
    }

    /// The same inside a dialog with a carrier.
    pub(crate) fn refuse_referral_inside(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
    ) -> bool {
        if self.refuse_claimed_notify(io, inbound, (routes, dialog), way) {
            return true;
        }
        if !inbound.transfers() || way.kind != PartyKind::Trunk {
            return false;
        }
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let holders = std::iter::once(dialog).chain(&routes.inner).map(|dialog| dialog.mark.holder);
        let mut agents = holders.filter(|holder| holder.kind == PartyKind::Agent);
        let may = agents.all(|holder| {
            let account = shared.account(&tables, holder.party);
            account.is_some_and(|(agent, _)| self.may_refer(inbound, agent))
                || self.joins_its_calls(inbound, &holder, way)
        });
        if may {
            return false;
        }
        self.refuse(io, inbound, BEYOND);
        true
    }

    /// Refuses the NOTIFY of an agent that has not shown who it is, unless it is of the subscription that began the dialog or says no
    /// more than how something stands: others have phones restart. `true` when it was answered.
    fn refuse_claimed_notify(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        way: &Way,
    ) -> bool {
        let m = &inbound.message;
        if inbound.method != Method::Notify
            || routes.sender_kind(dialog) != PartyKind::Agent
            || way.kind == PartyKind::Trunk
        {
            return false;
        }
        // Who was subscribed to notifies (RFC 6665 §4.2.2), of what it was subscribed to; but not a phone whose Contact somebody
        // else has put into the SUBSCRIBE.
        let event = m.header(HeaderName::Event).unwrap_or_default();
        let asked = way.flow.is_some() || !way.seen.is_elsewhere();
        let subscribed = dialog.mark.subscription
            && dialog.from == Side::Callee
            && asked
            && self.shared.dialogs.has_subscribed(dialog.place, Side::Caller, Event::of(event), io.unix_ms());
        let open = || self.shared.config.open_methods.contains(&Method::Notify.name());
        if subscribed
            || informs(event)
            || open()
            || self.has_shown_itself(inbound, (routes, dialog), io.unix_ms())
        {
            return false;
        }
        self.refuse_beyond_calls(io, inbound)
    }

    /// Have all agents that hold the marks of a request shown who they are: because all callers of their domain do, by a digest in this
    /// dialog, or by the connection they registered by?
    pub(crate) fn has_shown_itself(
        &self,
        inbound: &Inbound<'_>,
        (routes, dialog): (&Routes<'_>, &Dialog),
        now: u64,
    ) -> bool {
        // The exchange's own are nobody's.
        self.own.is_some()
            || std::iter::once(dialog)
                .chain(&routes.inner)
                .all(|dialog| self.is_shown_in(inbound, dialog, now))
    }

    fn is_shown_in(&self, inbound: &Inbound<'_>, dialog: &Dialog, now: u64) -> bool {
        let (holder, shared, flow) = (&dialog.mark.holder, &self.shared, inbound.flow);
        if holder.kind != PartyKind::Agent {
            return true;
        }
        let tables = shared.tables.load();
        let Some((agent, domain)) = shared.account(&tables, holder.party) else { return false };
        if shared.config.routing.asks_every_caller(domain) {
            return true;
        }
        // A REFER was judged already, by its digest or its connection.
        if inbound.transfers() && !shared.config.strangers_may_refer {
            return true;
        }
        let here = shared.secret.source(flow.transport, flow.remote);
        let standing = shared.dialogs.look(dialog.place, &dialog.mark, inbound.method, now);
        if standing.is_ok_and(|standing| standing.source == here) {
            return true;
        }
        flow.transport.is_reliable()
            && domain.authenticate != Authenticate::Never
            && !inbound.is_relayed()
            && self.registered_at((agent, holder.party), domain, flow, now).is_some()
    }

    /// May this agent call everybody whom the REFER names, from where it comes?
    fn may_refer(&self, inbound: &Inbound<'_>, agent: &Agent) -> bool {
        let tables = self.shared.tables.load();
        let reference = agent.domain.as_ref();
        let Some(domain) = reference.and_then(|name| tables.domain_by_ref(name.as_str())) else {
            return false;
        };
        let source = inbound.flow.remote.ip();
        let list = domain.acl.as_ref().map(|name| tables.acl_by_ref(name.as_str()));
        let admitted = list.is_none_or(|list| list.is_some_and(|list| list.allows(source)));
        let may_call = |uri: &Uri<'_>| {
            let own = self.shared.addresses.is_own(uri);
            // A GRUU of ours stands for its AOR.
            let ours = own || tables.domain_by_uri(uri.host).is_some();
            let named = Named::read(uri, &self.shared.secret).filter(|_| ours);
            let user = named.as_ref().and_then(|named| named.user.as_deref()).or(uri.user);
            let options = &self.shared.config.routing;
            may_be_referred_to(&Uri { user, ..*uri }, own, domain, (&tables, options))
        };
        admitted && all_referred_to(&inbound.message, may_call)
    }
}

/// Can every URI of Refer-To be read, does it name a call, and does it pass?
pub(super) fn all_referred_to(m: &Message<'_>, passes: impl Fn(&Uri<'_>) -> bool) -> bool {
    all_name_calls(m, HeaderName::ReferTo, passes)
}

/// The same of another header. Without brackets the parameters are the header's (RFC 3261 §20), but phones exist that take them for
/// the URI's.
pub(super) fn all_name_calls(m: &Message<'_>, header: HeaderName, passes: impl Fn(&Uri<'_>) -> bool) -> bool {
    m.list(header).all(|value| {
        let Ok(address) = value.and_then(|value| Address::parse(value, "an address")) else { return false };
        let plain = ask_for_a_call(address.params) && !address.params.contains(&b'?');
        plain && address.parsed_uri().is_ok_and(|uri| ask_for_a_call(uri.params) && passes(&uri))
    })
}

/// Is the event one of which a call makes its other side a notifier: the progress of a transfer that the phone asked for, or digits
/// (RFC 3515, RFC 4730)? Others have phones restart or answer by themselves.
pub(super) fn is_of_call(event: &[u8]) -> bool {
    is_of(event, &[b"refer", b"kpml"])
}

/// Does the event tell a state, and no phone to do something (RFC 3680, 3842, 3856, 3857, 4235, 4575)? A phone may have subscribed to it in
/// the call.
pub(super) fn informs(event: &[u8]) -> bool {
    let states: [&[u8]; 6] =
        [b"presence", b"presence.winfo", b"dialog", b"message-summary", b"conference", b"reg"];
    is_of_call(event) || is_of(event, &states)
}

fn is_of(event: &[u8], packages: &[&[u8]]) -> bool {
    let package = event.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    packages.iter().any(|known| package.eq_ignore_ascii_case(known))
}
