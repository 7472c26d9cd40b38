//! REGISTER: whose AOR it is and who may register it, RFC 3261 §10.3.

use trunkline_model::{Agent, Authenticate, Domain, Peer};
use trunkline_sip::Uri;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::plan::Outcome;
use crate::request::Request;
use crate::route::State;
use crate::tenants::is_at_home;
use crate::turn::Turn;

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// A REGISTER.
    pub(crate) fn start_register(&mut self) -> Step<'x> {
        self.need(State::TargetDomain { own: false }, Lookup::Domain(self.request.uri.host))
    }

    /// The Request-URI's host names the domain; To must lie in it.
    pub(crate) fn register_domain(&mut self, domain: Option<&'s Domain>, own: bool) -> Step<'x> {
        if domain.is_none() && !own && (self.request.own_address)(&self.request.uri) {
            let default = self.request.options.default_domain.as_bytes();
            return self.need(State::TargetDomain { own: true }, Lookup::Domain(default));
        }
        let Some(domain) = domain else {
            self.note(Fact::HostUnknown);
            return self.reply(404);
        };
        if own {
            self.note(Fact::OwnAddress(domain));
        }
        self.target_domain = Some(domain);
        self.caller_domain = Some(domain);
        let to = self.request.to.as_ref().filter(|to| !to.user.is_empty() && self.is_of_domain(&to.uri));
        let Some(to) = to else {
            self.note(Fact::CalleeUnknown);
            return self.reply(404);
        };
        self.access.acls.extend(domain.acl.as_ref());
        self.plan.realm.extend_from_slice(domain.domain_uri.as_bytes());
        self.plan.set_aor(&to.user, &domain.domain_uri);
        self.need(State::RegisterAgent, Lookup::Agent { domain: &domain.reference, user: &to.user })
    }

    /// Does the host stand for the domain at hand: its own, or an address of ours?
    fn is_of_domain(&self, uri: &Uri<'_>) -> bool {
        let Some(domain) = self.target_domain else { return false };
        uri.host.eq_ignore_ascii_case(domain.domain_uri.as_bytes())
            || domain.domain_uri.eq_ignore_ascii_case(&self.request.options.default_domain)
                && (self.request.own_address)(uri)
    }

    pub(crate) fn register_agent(&mut self, agent: Option<&'s Agent>) -> Step<'x> {
        let (Some(agent), Some(domain)) = (agent, self.target_domain) else {
            return self.need(State::RegisterPeer, Lookup::Peer(registered(self.request)));
        };
        self.note(Fact::CallerAgent(agent, domain));
        self.caller = Party::Agent(agent, domain);
        self.home = Some(domain);
        self.access.credentials = agent.credentials.as_ref();
        self.access.disabled = !agent.enabled;
        self.ask_registrant(false)
    }

    /// A peer registers under its user name or under its AOR; either way the binding is its AOR's.
    pub(crate) fn register_peer(&mut self, peer: Option<&'s Peer>, by_aor: bool) -> Step<'x> {
        let Some(peer) = peer else {
            if !by_aor {
                return self.need(State::RegisterPeerByAor, Lookup::PeerByAor);
            }
            self.note(Fact::CallerUnknown);
            return self.ask_registrant(false);
        };
        self.note(Fact::CallerPeer(peer));
        self.caller = Party::Peer(peer);
        if let Some(own) = &peer.acl {
            // As when it calls: its own list goes before that of the domain.
            self.access.acls.clear();
            self.access.acls.push(own);
            self.access.own_list = true;
        }
        self.access.credentials = peer.credentials.as_ref();
        if let Some(aor) = &peer.aor {
            self.plan.aor.clear();
            self.plan.aor.extend_from_slice(aor.as_bytes());
        }
        let own_name = *self.request.caller == *peer.username.as_bytes();
        self.access.disabled = !peer.enabled;
        self.ask_registrant(own_name)
    }

    /// From says who registers. Unless the options allow it that must be the one whose AOR it is; who is not is told so
    /// once it has shown who it is, so that nobody learns which AORs there are.
    fn ask_registrant(&mut self, own_name: bool) -> Step<'x> {
        let Some(domain) = self.target_domain else { return self.reply(500) };
        self.access.digest = match (domain.authenticate, self.caller) {
            (Authenticate::All | Authenticate::Register, _) => true,
            (Authenticate::Never, _) if self.access.disabled => true,
            // Whoever registers chooses the domain: its rules are not those of a peer that has its home elsewhere, or none.
            (Authenticate::Never, Party::Peer(peer)) => !self.access.own_list && !is_at_home(peer, domain),
            (Authenticate::Never, Party::Agent(..)) => false,
            (Authenticate::Never, Party::Unknown | Party::Pstn(..) | Party::Sibling) => true,
        };
        let same = (own_name || *self.request.caller == *registered(self.request))
            && self.is_of_domain(&self.request.from_uri);
        if same {
            return self.ask_access();
        }
        self.access.third_party = !self.request.options.third_party_registration;
        let user = &self.request.caller;
        self.need(State::RegisterIdentity, Lookup::Agent { domain: &domain.reference, user })
    }

    /// A third party authenticates as itself.
    pub(crate) fn register_identity(&mut self, agent: Option<&'s Agent>) -> Step<'x> {
        // With nobody of that name the challenge is one nobody can answer.
        self.access.credentials = agent.and_then(|a| a.credentials.as_ref());
        self.access.digest |= agent.is_none_or(|a| !a.enabled);
        self.access.disabled |= agent.is_some_and(|a| !a.enabled);
        if agent.is_none() {
            self.caller = Party::Unknown;
        }
        self.ask_access()
    }

    pub(crate) fn finish_register(&mut self) -> Step<'x> {
        let (max_contacts, expires) = match self.caller {
            Party::Agent(agent, _) => (agent.max_contacts, agent.expires),
            Party::Peer(peer) => (peer.max_contacts, peer.expires),
            // Without authentication nobody else stands between a stranger and the registrar.
            Party::Unknown | Party::Pstn(..) | Party::Sibling => {
                self.note(Fact::CalleeUnknown);
                return self.reply(404);
            }
        };
        self.callee = self.caller;
        self.end(Outcome::Register { max_contacts, expires })
    }
}

/// The user whose AOR is to be registered.
fn registered<'x>(request: &'x Request<'_>) -> &'x [u8] {
    request.to.as_ref().map_or(&b""[..], |to| &to.user)
}
