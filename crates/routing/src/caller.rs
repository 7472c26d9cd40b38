//! Who calls.

use trunkline_model::{Agent, Domain, Peer, Ref, Trunk};
use trunkline_reasons::Reason;
use trunkline_sip::{Scheme, parse_ip};

use crate::ask::Ask;
use crate::call::Access;
use crate::call::Call;
use crate::explain::Fact;
use crate::party::{Party, RoutedKind};
use crate::request::Diversion;
use crate::rules::{Rules, Stop};
use crate::tenants::home_of;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// What the Request-URI's host is. A host that is none of ours may be the one a carrier calls us by: its trunk.
    pub(crate) fn find_target(&mut self, call: &mut Call<'s, 'x>) -> Result<Option<&'s Trunk>, Stop> {
        if self.request.uri.scheme == Scheme::Tel {
            self.find_context(call)?;
            return Ok(None);
        }
        let uri = self.request.uri;
        (call.target_domain, call.target_is_ours) = self.domain_or_own(&uri, true)?;
        if call.target_is_ours {
            return Ok(None);
        }
        let trunk = self.trunk_by_inbound(uri.host)?;
        if trunk.is_none() {
            self.note(Fact::HostUnknown);
        }
        Ok(trunk)
    }

    /// Who calls, and what it must pass: a carrier, an agent of the domain in From, a peer, or a stranger.
    pub(crate) fn identify(
        &mut self,
        carrier: Option<&'s Trunk>,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let carried = self.request.diversion.filter(|d| d.caller.kind == RoutedKind::Pstn);
        if let Some(reference) = carried.and_then(|d| d.caller.reference.as_ref()) {
            return self.carrier_called(reference, call);
        }
        if let Some(trunk) = carrier {
            return match self.may_call_for(trunk) {
                true => self.carrier_calls(trunk, call),
                false => self.stranger_calls(call),
            };
        }
        if let Some(reference) = self.request.inside.and_then(|inside| inside.trunk) {
            return self.carrier_called(reference, call);
        }
        call.from_domain = self.find_from_domain(call)?;
        if let Some(diversion) = self.request.diversion.filter(|d| d.account.is_some()) {
            return self.account_calls(&diversion, call);
        }
        let caller = &self.request.caller;
        if caller.is_empty() {
            return self.stranger_calls(call);
        }
        if let Some(domain) = call.from_domain
            && let Some(agent) = self.agent(domain, caller)?
        {
            self.agent_calls(agent, domain, call);
            return Ok(());
        }
        match self.peer(caller)? {
            Some(peer) => self.peer_calls(peer, call),
            None => self.stranger_calls(call),
        }
    }

    /// Who was found the first time calls still, whatever the request shows of it.
    fn account_calls(&mut self, diversion: &Diversion<'x>, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        let Some((user, host)) = diversion.account else { return Ok(()) };
        match diversion.caller.kind {
            RoutedKind::Agent => {
                if let Some(domain) = self.domain(host)?
                    && let Some(agent) = self.agent(domain, user)?
                {
                    self.agent_calls(agent, domain, call);
                }
            }
            RoutedKind::Peer => {
                if let Some(peer) = self.peer(user)? {
                    self.peer_calls(peer, call)?;
                }
            }
            // These have no account.
            RoutedKind::Pstn | RoutedKind::Unknown => {}
        }
        Ok(())
    }

    pub(crate) fn agent_calls(&mut self, agent: &'s Agent, domain: &'s Domain, call: &mut Call<'s, 'x>) {
        self.note(Fact::CallerAgent(agent, domain));
        call.caller = Party::Agent(agent, domain);
        call.home = Some(domain);
        call.access.acls.extend(domain.acl.as_ref());
        call.access.credentials = agent.credentials.as_ref();
        call.access.disabled = !agent.enabled;
        self.set_realm(call);
        call.access.digest = self.wants_all(domain)
            || call.access.disabled
            || call.must_show()
            || self.request.is_of_foreign_page();
    }

    /// What the number of a `tel` URI is local to (RFC 3966 §5.1.5): a domain of ours makes it a name there, one of others is
    /// none of ours. A global number has no context, and that of a local one may be missing or a prefix.
    fn find_context(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        call.target_is_ours = true;
        let context = self.request.uri.param("phone-context").flatten();
        if let Some(host) = context.filter(|c| !c.starts_with(b"+") && !self.request.callee.starts_with(b"+"))
        {
            call.target_domain = self.domain(host)?;
            call.target_is_ours = call.target_domain.is_some();
        }
        Ok(())
    }

    /// May this trunk's carrier call by the connection the request came by? A foreign web page has the address of a browser
    /// that may be on the trunk's list, so that it is asked for the trunk's credentials or may not.
    fn may_call_for(&self, trunk: &Trunk) -> bool {
        trunk.inbound_credentials.is_some() || !self.request.is_of_foreign_page()
    }

    fn find_from_domain(&mut self, call: &Call<'s, 'x>) -> Result<Option<&'s Domain>, Stop> {
        let from = self.request.from_uri;
        if from.host.is_empty() {
            return Ok(None);
        }
        if call.target_domain.is_some() && from.host.eq_ignore_ascii_case(self.request.uri.host) {
            return Ok(call.target_domain);
        }
        Ok(self.domain_or_own(&from, false)?.0)
    }

    /// A call through a trunk. Which number is called is told only to those who pass the trunk's list and digest.
    fn carrier_calls(&mut self, trunk: &'s Trunk, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        self.note(Fact::CallerTrunk(trunk));
        call.number = self.number_in_any_form(&self.request.callee)?;
        call.caller = Party::Pstn(trunk, call.number);
        let realm = trunk.inbound_uri.as_deref().map_or(self.request.uri.host, str::as_bytes);
        self.decision.realm.extend_from_slice(realm);
        call.access = Access {
            acls: trunk.acl.iter().collect(),
            credentials: trunk.inbound_credentials.as_ref(),
            digest: trunk.inbound_credentials.is_some(),
            ..Access::default()
        };
        Ok(())
    }

    /// The trunk by which the call came in before one of its targets led back.
    fn carrier_called(&mut self, reference: &Ref, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        let Some(trunk) = self.trunk(reference)? else { return Err(self.reply(Reason::TrunkGone)) };
        self.note(Fact::CallerTrunk(trunk));
        call.caller = Party::Pstn(trunk, None);
        call.comes_back = true;
        Ok(())
    }

    /// A peer calls under any host, so the domain whose rules hold for it is that of its AOR, not that of From.
    pub(crate) fn peer_calls(&mut self, peer: &'s Peer, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        self.note(Fact::CallerPeer(peer));
        call.caller = Party::Peer(peer);
        call.access.credentials = peer.credentials.as_ref();
        call.access.disabled = !peer.enabled;
        self.set_realm(call);
        call.home = self.find_home(peer, call)?;
        let home = call.home;
        self.take_lists(peer, [home, call.from_domain], &mut call.access)?;
        let rules = home.or(call.from_domain).or(call.target_domain);
        // Whatever a domain asks of its phones: by its name alone anybody would call out by any number of the peer's.
        call.access.digest = !call.access.by_list;
        let wants_digest = rules.is_none_or(|d| self.wants_all(d)) || call.must_show();
        if let (true, false, Some(at)) = (call.access.digest, wants_digest, rules) {
            self.prove_by_connection(peer, at, call)?;
        }
        Ok(())
    }

    /// The lists a peer must pass: its own, else those of these domains. It calls under any host, so a list that holds for
    /// everybody who names the domain in From holds for it: else it would be seen from elsewhere that there is the peer.
    pub(crate) fn take_lists(
        &mut self,
        peer: &'s Peer,
        domains: [Option<&'s Domain>; 2],
        access: &mut Access<'s>,
    ) -> Result<(), Stop> {
        access.acls.clear();
        access.own_list = peer.acl.is_some();
        if let Some(own) = &peer.acl {
            access.acls.push(own);
            let source = self.request.flow.remote.ip();
            let names = self.acl(own)?.is_some_and(|list| list.names(source));
            access.by_list = names && peer.credentials.is_none() && !self.request.is_of_foreign_page();
            return Ok(());
        }
        for list in domains.into_iter().flatten().filter_map(|d| d.acl.as_ref()) {
            if !access.acls.contains(&list) {
                access.acls.push(list);
            }
        }
        Ok(())
    }

    /// Does every caller of this domain show who it is?
    fn wants_all(&self, domain: &Domain) -> bool {
        self.request.options.asks_every_caller(domain)
    }

    fn find_home(&mut self, peer: &Peer, call: &Call<'s, 'x>) -> Result<Option<&'s Domain>, Stop> {
        let Some(host) = home_of(peer) else { return Ok(None) };
        let is_home = |d: &&Domain| host.eq_ignore_ascii_case(d.domain_uri.as_bytes());
        match [call.from_domain, call.target_domain].into_iter().flatten().find(is_home) {
            Some(domain) => Ok(Some(domain)),
            None => self.domain(host),
        }
    }

    /// A peer that calls over the connection it registered by has shown who it is there.
    fn prove_by_connection(&mut self, peer: &Peer, at: &Domain, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        match &peer.aor {
            Some(aor) => self.decision.take_aor(aor),
            None => self.decision.set_aor(peer.username.as_bytes(), &at.domain_uri),
        }
        let Some(registrant) = call.caller.registrant() else { return Ok(()) };
        if self.is_registered_by_connection(&self.decision.aor, registrant)? {
            self.note(Fact::KnownConnection);
            call.access.proven = true;
            call.access.digest = call.access.disabled;
        }
        Ok(())
    }

    /// The realm of whoever calls, known or not: the domain it calls from, else the one it calls, else the called host.
    /// Were it another for those who exist, it would tell who does.
    fn set_realm(&mut self, call: &Call<'s, 'x>) {
        let realm = match call.from_domain.or(call.target_domain) {
            Some(domain) => domain.domain_uri.as_bytes(),
            None => [self.request.uri.host, self.request.options.default_domain.as_bytes()]
                .into_iter()
                .find(|realm| !realm.is_empty())
                .unwrap_or(b"unknown"),
        };
        self.decision.realm.extend_from_slice(realm);
    }

    /// Somebody who is neither agent nor peer may still be a carrier that calls us by a host or address of ours. Else it
    /// is challenged like any user of a domain of ours, whatever that asks of its users: a disabled one, or a peer with a
    /// home elsewhere, is challenged there too; and so where no domain of ours is named, since a peer calls under any host.
    fn stranger_calls(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        if call.target_is_ours
            && !self.request.callee.is_empty()
            && let Some(trunk) = self.find_carrier(call)?.filter(|trunk| self.may_call_for(trunk))
        {
            return self.carrier_calls(trunk, call);
        }
        if self.withheld_calls(call)? {
            return Ok(());
        }
        if call.unresolved {
            self.note(Fact::CallerUnknown);
            return Err(self.reply(Reason::TrunkUnresolved));
        }
        self.note(Fact::CallerUnknown);
        let ours = call.target_is_ours || call.from_domain.is_some();
        if !ours && self.request.options.reveal_unknown_users {
            return Err(self.reply(Reason::CallerUnknownRevealed));
        }
        self.set_realm(call);
        call.treat_as_stranger();
        Ok(())
    }

    /// The trunk of the called number, if the call comes from where that trunk calls from; or the one whose carrier calls
    /// us by a host of ours.
    fn find_carrier(&mut self, call: &mut Call<'s, 'x>) -> Result<Option<&'s Trunk>, Stop> {
        if !self.request.uri.host.is_empty()
            && let Some(trunk) = self.trunk_by_inbound(self.request.uri.host)?
        {
            return Ok(Some(trunk));
        }
        let number = self.number_in_any_form(&self.request.callee)?;
        let Some(reference) = number.and_then(|n| n.trunk.as_ref()) else { return Ok(None) };
        let Some(trunk) = self.trunk(reference)? else { return Ok(None) };
        if self.lets_call(trunk)? {
            return Ok(Some(trunk));
        }
        let comes_from = self.comes_from(trunk)?;
        call.unresolved = comes_from.is_none();
        Ok(Some(trunk).filter(|_| comes_from == Some(true)))
    }

    /// Does the trunk's list let this source call its numbers, be it as one of everybody? One that only denies says nothing of it.
    fn lets_call(&mut self, trunk: &'s Trunk) -> Result<bool, Stop> {
        let Some(list) = &trunk.acl else { return Ok(false) };
        let source = self.request.flow.remote.ip();
        Ok(self.acl(list)?.is_some_and(|list| !list.allow.is_empty() && list.allows(source)))
    }

    /// Does the call come from one of the trunk's own addresses? A list that allows everybody says nothing of whose they are. `None`:
    /// it may, and nobody knows where a name of the trunk leads.
    fn comes_from(&mut self, trunk: &'s Trunk) -> Result<Option<bool>, Stop> {
        let source = self.request.flow.remote.ip().to_canonical();
        if let Some(list) = &trunk.acl
            && self.acl(list)?.is_some_and(|list| list.names(source))
        {
            return Ok(Some(true));
        }
        let address = |host: &str| parse_ip(host.as_bytes()).map(|ip| ip.to_canonical());
        if trunk.uris.iter().any(|u| address(&u.host) == Some(source)) {
            return Ok(Some(true));
        }
        let has_names = trunk.uris.iter().any(|u| address(&u.host).is_none());
        if has_names { self.resolves_to_source(trunk) } else { Ok(Some(false)) }
    }
}

impl Call<'_, '_> {
    /// The way of those nobody knows: the list of the domain they call from, then a digest that is never right.
    pub(crate) fn treat_as_stranger(&mut self) {
        self.caller = Party::Unknown;
        self.home = None;
        let acls = self.from_domain.and_then(|d| d.acl.as_ref()).into_iter().collect();
        self.access = Access { acls, digest: true, ..Access::default() };
    }
}
