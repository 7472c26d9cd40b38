//! REGISTER: whose AOR it is and who may register it, RFC 3261 §10.3.

use trunkline_model::{Authenticate, Domain};
use trunkline_reasons::Reason;
use trunkline_sip::Uri;

use crate::ask::Ask;
use crate::call::Call;
use crate::decision::Outcome;
use crate::explain::Fact;
use crate::party::Party;
use crate::registered_at::is_address;
use crate::request::Request;
use crate::rules::{Rules, Stop};

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// A REGISTER.
    pub(crate) fn register(&mut self) -> Result<(), Stop> {
        let mut call = Call::default();
        let result = self.register_walk(&mut call);
        result.and(self.name_parties(&call))
    }

    fn register_walk(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        let domain = self.find_registrar(call)?;
        let own_name = self.find_registrant(domain, call)?;
        call.callee = call.caller;
        self.check_third_party(domain, own_name, call)?;
        self.admit(call)?;
        self.decision.proven = call.access.proven || call.access.own_list && call.access.listed;
        if let Party::Unknown = call.caller {
            return Err(self.nothing_there(Reason::RegisterUnknownUser));
        }
        let (max_contacts, replaces_oldest, expires) = match call.callee {
            Party::Agent(agent, _) => (agent.max_contacts, agent.replaces_oldest, agent.expires),
            Party::Peer(peer) => (peer.max_contacts, peer.replaces_oldest, peer.expires),
            // Without authentication nobody else stands between a stranger and the registrar.
            Party::Unknown | Party::Pstn(..) => {
                return Err(self.nothing_there(Reason::RegisterNoAccount));
            }
        };
        Err(self.end(Outcome::Register { max_contacts, replaces_oldest, expires }))
    }

    /// The Request-URI's host names the domain; To must lie in it.
    fn find_registrar(&mut self, call: &mut Call<'s, 'x>) -> Result<&'s Domain, Stop> {
        let uri = self.request.uri;
        let Some(domain) = self.domain_or_own(&uri, true)?.0 else {
            self.note(Fact::HostUnknown);
            return Err(self.reply(Reason::RegisterUnknownDomain));
        };
        call.target_domain = Some(domain);
        call.from_domain = Some(domain);
        let named = |to: &&crate::request::To<'_>| !to.user.is_empty();
        let Some(to) = self.request.to.as_ref().filter(named) else {
            return Err(self.nothing_there(Reason::RegisterNoUser));
        };
        if !self.is_of_domain(&to.uri, domain) && !self.is_own_address(&to.uri)? {
            return Err(self.nothing_there(Reason::RegisterOtherDomain));
        }
        call.access.acls.extend(domain.acl.as_ref());
        self.decision.realm.extend_from_slice(domain.domain_uri.as_bytes());
        self.decision.set_aor(&to.user, &domain.domain_uri);
        Ok(domain)
    }

    /// Does the host stand for this domain: its own, or an address of ours?
    fn is_of_domain(&self, uri: &Uri<'_>, domain: &Domain) -> bool {
        uri.host.eq_ignore_ascii_case(domain.domain_uri.as_bytes())
            || domain.domain_uri.eq_ignore_ascii_case(&self.request.options.default_domain)
                && (self.request.own_address)(uri)
    }

    /// Is this a peer without an AOR that names itself by the address it is at?
    fn is_own_address(&self, uri: &Uri<'_>) -> Result<bool, Stop> {
        if !is_address(uri, self.request.flow.remote.ip()) {
            return Ok(false);
        }
        Ok(self.peer(registered(self.request))?.is_some_and(|peer| peer.aor.is_none()))
    }

    /// Whose AOR it is. A peer registers under its user name or under its AOR; either way the binding is its AOR's. True:
    /// From has the peer's user name.
    fn find_registrant(&mut self, domain: &'s Domain, call: &mut Call<'s, 'x>) -> Result<bool, Stop> {
        let user = registered(self.request);
        if let Some(agent) = self.agent(domain, user)? {
            self.note(Fact::CallerAgent(agent, domain));
            call.caller = Party::Agent(agent, domain);
            call.home = Some(domain);
            call.access.credentials = agent.credentials.as_ref();
            call.access.disabled = !agent.enabled;
            return Ok(false);
        }
        let peer = match self.peer(user)? {
            Some(peer) => Some(peer),
            None => self.peer_by_aor(&self.decision.aor)?,
        };
        let Some(peer) = peer else {
            self.note(Fact::CallerUnknown);
            return Ok(false);
        };
        self.note(Fact::CallerPeer(peer));
        call.caller = Party::Peer(peer);
        // As when it calls.
        self.take_lists(peer, [Some(domain), None], &mut call.access)?;
        call.access.credentials = peer.credentials.as_ref();
        call.access.disabled = !peer.enabled;
        if let Some(aor) = &peer.aor {
            self.decision.take_aor(aor);
        }
        Ok(*self.request.caller == *peer.username.as_bytes())
    }

    /// From says who registers. Unless the options allow it that must be the one whose AOR it is; who is not is told so
    /// with its first digest, right or wrong: else it would guess at a secret that is not its own, or learn which AORs
    /// there are. Where it is allowed a third party authenticates as itself.
    fn check_third_party(
        &mut self,
        domain: &'s Domain,
        own_name: bool,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let asks = match domain.authenticate {
            Authenticate::All | Authenticate::Egress | Authenticate::Register => true,
            Authenticate::Never => call.access.disabled || self.request.is_of_foreign_page(),
        };
        call.access.digest = match call.caller {
            // As when it calls, whatever the domain asks of its phones.
            Party::Peer(_) => !call.access.by_list,
            Party::Agent(..) => asks,
            Party::Unknown | Party::Pstn(..) => true,
        };
        let same_name = *self.request.caller == *registered(self.request);
        let from = &self.request.from_uri;
        let of_domain = self.is_of_domain(from, domain);
        let plain = same_name && of_domain;
        call.access.other_name = !(self.request.options.third_party_registration || plain);
        if (own_name || same_name) && (of_domain || self.is_own_address(from)?) {
            return Ok(());
        }
        call.access.third_party = !self.request.options.third_party_registration;
        let agent = self.agent(domain, &self.request.caller)?;
        // With nobody of that name the challenge is one nobody can answer.
        call.access.credentials = agent.and_then(|a| a.credentials.as_ref());
        call.access.digest |= asks || agent.is_none_or(|a| !a.enabled);
        // Nor is the list that of whose AOR it is: it would tell that there is one.
        call.access.acls = domain.acl.iter().collect();
        (call.access.own_list, call.access.by_list) = (false, false);
        call.access.disabled |= agent.is_some_and(|a| !a.enabled);
        call.caller = agent.map_or(Party::Unknown, |agent| Party::Agent(agent, domain));
        Ok(())
    }
}

/// The user whose AOR is to be registered.
fn registered<'x>(request: &'x Request<'_>) -> &'x [u8] {
    request.to.as_ref().map_or(&b""[..], |to| &to.user)
}
