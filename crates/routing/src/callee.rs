//! Who is called.

use trunkline_model::{Agent, Domain, LoadBalancing, Number, Peer};
use trunkline_reasons::Reason;
use trunkline_sip::{Method, Scheme, Uri};

use crate::ask::{Ask, Backend, BindingsQuestion};
use crate::call::{Call, Callee};
use crate::explain::Fact;
use crate::party::{Direction, Party};
use crate::registered_at::is_at;
use crate::request::Gruu;
use crate::rules::{Rules, Stop};
use crate::tenants::home_of;

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// The caller is admitted; what does the Request-URI name? Numbers go before agents, agents before peers.
    pub(crate) fn find_callee(&mut self, call: &mut Call<'s, 'x>) -> Result<Callee<'s, 'x>, Stop> {
        let known = matches!(call.caller, Party::Agent(..) | Party::Peer(_) | Party::Pstn(..));
        if let Some(diversion) = self.request.diversion.filter(|_| known) {
            return Ok(Callee::Link(diversion.to));
        }
        match call.caller {
            Party::Agent(..) | Party::Peer(_) => {}
            Party::Pstn(..) if call.comes_back => {}
            Party::Pstn(_, Some(number)) => return Ok(Callee::Number(number)),
            Party::Pstn(_, None) => return Err(self.nothing_there(Reason::NumberUnknown)),
            Party::Unknown => return Err(self.reply(Reason::CallerUnknown)),
        }
        if self.request.callee.is_empty() {
            return Err(self.nothing_there(Reason::CalleeEmpty));
        }
        if self.gruu(call).is_some_and(|g| g.instance.is_empty()) {
            return Err(self.nothing_there(Reason::CalleeUnknownGruu));
        }
        if !call.target_is_ours
            && let Some(peer) = self.find_by_address(self.request.uri, call)?
        {
            return Ok(Callee::Peer(peer));
        }
        match (call.target_is_ours, call.caller) {
            (true, _) => {}
            // A peer calls out under any host, as the number it names decides the way.
            (false, Party::Peer(_)) => return Ok(Callee::Outside),
            (false, _) => return Err(self.nothing_there(Reason::CalleeForeignHost)),
        }
        if let Some(number) = self.number(&self.request.callee)? {
            return Ok(Callee::Number(number));
        }
        // A local number without a context is one of the caller's own domain.
        let domain = call.target_domain.or(call.home.filter(|_| self.request.uri.scheme == Scheme::Tel));
        let named = match domain {
            Some(domain) => self.find_by_name(domain)?,
            None => Callee::Outside,
        };
        if let Callee::Outside = named
            && let Some(number) = self.number_otherwise(&self.request.callee)?
        {
            return Ok(Callee::Number(number));
        }
        Ok(named)
    }

    /// The agent or peer of the called name in a domain of ours.
    fn find_by_name(&mut self, domain: &'s Domain) -> Result<Callee<'s, 'x>, Stop> {
        // The name as it came, since `100-1` may be one; nobody of that name may be somebody of that number: `10-01` is
        // 1001 then.
        let number = &self.request.callee;
        let name = self.request.callee_name.as_deref().unwrap_or(number);
        if let Some(agent) = self.agent(domain, name)? {
            return Ok(Callee::Agent(agent, domain));
        }
        if self.request.callee_name.is_some()
            && let Some(agent) = self.agent(domain, number)?
        {
            return Ok(Callee::Agent(agent, domain));
        }
        self.decision.set_aor(name, &domain.domain_uri);
        if let Some(peer) = self.peer_by_aor(&self.decision.aor)? {
            return Ok(Callee::Peer(peer));
        }
        match self.peer(name)? {
            Some(peer) => Ok(Callee::Peer(peer)),
            // A phone of ours that is not there is nowhere else either.
            None if self.request.gruu.is_some() => Err(self.nothing_there(Reason::CalleeLostGruu)),
            None => Ok(Callee::Outside),
        }
    }

    /// A number of ours is called, from outside or from within: on to what it is linked to.
    pub(crate) fn follow_number(
        &mut self,
        number: &'s Number,
        call: &mut Call<'s, 'x>,
    ) -> Result<Callee<'s, 'x>, Stop> {
        self.note(Fact::CalleeNumber(number));
        call.number = Some(number);
        let Some(link) = &number.aor_link else {
            self.note(Fact::NumberWithoutLink(number));
            return Err(self.reply(Reason::NumberWithoutLink));
        };
        call.link = Some(link);
        Ok(Callee::Link(link))
    }

    /// Goes on to an AOR that something of ours names.
    pub(crate) fn follow_link(
        &mut self,
        aor: &'x str,
        call: &mut Call<'s, 'x>,
    ) -> Result<Callee<'s, 'x>, Stop> {
        self.decision.take_aor(aor);
        if let Some(peer) = self.peer_by_aor(&self.decision.aor)? {
            return Ok(Callee::Peer(peer));
        }
        let Some(uri) = self.link(call) else { return self.nobody_there(call) };
        let (Some(domain), Some(user)) = (self.domain(uri.host)?, uri.user) else {
            return match self.find_by_address(uri, call)? {
                Some(peer) => Ok(Callee::Peer(peer)),
                None => {
                    self.decision.take_aor(aor);
                    self.nobody_there(call)
                }
            };
        };
        call.target_domain = Some(domain);
        if let Some(agent) = self.agent(domain, user)? {
            return Ok(Callee::Agent(agent, domain));
        }
        match self.peer(user)? {
            Some(peer) => Ok(Callee::Peer(peer)),
            None => self.nobody_there(call),
        }
    }

    /// The AOR that something of ours names, read.
    fn link(&self, call: &Call<'s, 'x>) -> Option<Uri<'x>> {
        let link = call.link.or(self.request.diversion.map(|d| d.to))?;
        Uri::parse(link.as_bytes()).ok().filter(|uri| !uri.host.is_empty())
    }

    /// An agent's phones ring. `None`: the decision has them.
    pub(crate) fn ring_agent(
        &mut self,
        agent: &'s Agent,
        domain: &'s Domain,
        call: &mut Call<'s, 'x>,
    ) -> Result<Option<Callee<'s, 'x>>, Stop> {
        if !self.may_reach(domain, call)? {
            return self.go_round(call).map(Some);
        }
        self.note(Fact::CalleeAgent(agent, domain));
        call.callee = Party::Agent(agent, domain);
        self.refuse_own_subscription(call)?;
        if !agent.enabled {
            self.note(Fact::CalleeDisabled);
            return Err(self.reply(Reason::CalleeDisabled));
        }
        self.decision.set_aor(agent.username.as_bytes(), &domain.domain_uri);
        if !self.find_bindings(None, call)? {
            return self.nobody_there(call).map(Some);
        }
        self.decision.targets.fill_bulk_contacts(self.request.dialled());
        self.decision.targets.group_by_q();
        self.forward(Direction::to_agent(call.caller), call)?;
        Ok(None)
    }

    /// Who subscribes to itself, or publishes its own state, asks a service that is not here (RFC 6665 §4.2.1.1, RFC 3903 §6): its
    /// own phones cannot answer for it.
    fn refuse_own_subscription(&mut self, call: &Call<'s, 'x>) -> Result<(), Stop> {
        let method = self.request.message.method();
        let own = call.caller.reference().is_some()
            && (call.caller.kind(), call.caller.reference()) == (call.callee.kind(), call.callee.reference());
        if own && matches!(method, Some(Method::Subscribe | Method::Publish)) {
            self.note(Fact::OwnSubscription);
            return Err(self.reply(Reason::SubscribeSelf));
        }
        Ok(())
    }

    /// A peer is called, by its registered instances, else at its address. `None`: the decision has them.
    pub(crate) fn ring_peer(
        &mut self,
        peer: &'s Peer,
        call: &mut Call<'s, 'x>,
    ) -> Result<Option<Callee<'s, 'x>>, Stop> {
        call.callee = Party::Peer(peer);
        if let Some(host) = home_of(peer).filter(|host| call.may_cross(host))
            && let Some(other) = self.domain(host)?
            && !self.may_reach(other, call)?
        {
            return self.go_round(call).map(Some);
        }
        self.note(Fact::CalleePeer(peer));
        self.refuse_own_subscription(call)?;
        if !peer.enabled {
            self.note(Fact::CalleeDisabled);
            return Err(self.reply(Reason::CalleePeerDisabled));
        }
        match (&peer.aor, call.target_domain) {
            (Some(aor), _) => self.decision.take_aor(aor),
            (None, Some(domain)) => self.decision.set_aor(peer.username.as_bytes(), &domain.domain_uri),
            (None, None) => return self.ring_peer_address(peer, call),
        }
        if self.find_bindings(Some(peer), call)? {
            // A server's dial plan goes by what was dialled, not by the name it registered with.
            match self.user_for_peer(call) {
                b"" => self.decision.targets.fill_bulk_contacts(self.request.dialled()),
                user => self.decision.targets.set_user(user),
            }
            self.forward(Direction::to_peer(call.caller), call)?;
            return Ok(None);
        }
        match self.gruu(call) {
            None => self.ring_peer_address(peer, call),
            Some(_) => self.nobody_there(call).map(Some),
        }
    }

    fn ring_peer_address(
        &mut self,
        peer: &'s Peer,
        call: &mut Call<'s, 'x>,
    ) -> Result<Option<Callee<'s, 'x>>, Stop> {
        let Some(address) = &peer.contact_addr else { return self.nobody_there(call).map(Some) };
        self.note(Fact::PeerAddress(peer));
        let user = match self.user_for_peer(call) {
            b"" => peer.username.as_bytes(),
            user => user,
        };
        let uri = self.decision.targets.write(|out| {
            for part in [b"sip:", user, b"@", address.as_bytes()] {
                out.extend_from_slice(part);
            }
        });
        self.decision.targets.push_uri(uri);
        self.forward(Direction::to_peer(call.caller), call)?;
        Ok(None)
    }

    /// Puts the contacts of the decision's AOR among its targets; of a peer the one that is chosen. False: there is none.
    fn find_bindings(&mut self, peer: Option<&'s Peer>, call: &Call<'s, 'x>) -> Result<bool, Stop> {
        let balancing = |peer: &'s Peer| {
            let LoadBalancing { algorithm, with_session_affinity } = peer.load_balancing.unwrap_or_default();
            Backend { reference: &peer.reference, algorithm, with_session_affinity }
        };
        // Who names an address has chosen the instance.
        let backend = peer.filter(|_| call.address.is_none()).map(balancing);
        let affinity = backend.filter(|b| b.with_session_affinity).and_then(|_| self.affinity(call.number));
        let call_id = self.request.message.call_id();
        let question =
            BindingsQuestion { aor: &self.decision.aor, call_id, backend, affinity, gruu: self.gruu(call) };
        let targets = &mut self.decision.targets;
        self.ask.bindings(&question, &mut |binding| {
            if call.address.is_none_or(|address| is_at(&binding, &address)) {
                targets.push_binding(binding);
            }
        })?;
        Ok(!self.decision.targets.as_slice().is_empty())
    }

    /// What keeps calls to this number on one instance: the header the number names, as the caller sends it or as
    /// the number adds it.
    fn affinity(&self, number: Option<&'s Number>) -> Option<&'x [u8]> {
        let number = number?;
        let name = number.session_affinity_header.as_deref()?;
        let added = || number.extra_headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        self.request
            .message
            .other_header(name)
            .or_else(|| added().map(|(_, value)| value.as_bytes()))
            .filter(|value| !value.is_empty())
    }

    /// The phone that is called, where the Request-URI names one; whom a call goes on to is called as a whole.
    fn gruu(&self, call: &Call<'s, 'x>) -> Option<Gruu<'x>> {
        self.request.gruu.filter(|_| call.link.is_none() && self.request.diversion.is_none())
    }

    /// What a server of ours is to see as the called user: what was dialled, or whom the call was diverted to.
    fn user_for_peer(&self, call: &Call<'s, 'x>) -> &'x [u8] {
        if call.diverted.is_empty() && self.request.diversion.is_none() {
            return self.request.dialled();
        }
        self.link(call).and_then(|uri| uri.user).unwrap_or_default()
    }

    /// No contact: 480, unless the agent has somebody to take its calls then. A call for one phone goes to nobody else
    /// (RFC 5627 §5.1); to a temporary GRUU that has ended, 404.
    fn nobody_there(&mut self, call: &mut Call<'s, 'x>) -> Result<Callee<'s, 'x>, Stop> {
        self.note(Fact::NoBindings);
        if let Party::Agent(agent, domain) = call.callee
            && agent.enabled
            && self.gruu(call).is_none()
            && let Some(to) = agent.fallback_no_answer.as_deref()
            && call.diverted.try_push((agent, domain)).is_ok()
        {
            self.note(Fact::Diverted(agent));
            call.link = Some(to);
            call.callee = Party::Unknown;
            return Ok(Callee::Link(to));
        }
        if let Some(gruu) = self.gruu(call)
            && self.has_ended(gruu)?
        {
            self.note(Fact::GruuEnded);
            return Err(self.reply(Reason::CalleeEndedGruu));
        }
        Err(self.reply(Reason::CalleeNotRegistered))
    }
}
