//! Who calls.

use trunkline_model::{AccessControlList, Agent, Authenticate, Domain, Number, Peer, Trunk};
use trunkline_sip::{Scheme, Uri, parse_ip};

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::route::{Access, State};
use crate::turn::Turn;

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// Everything but REGISTER.
    pub(crate) fn start_call(&mut self) -> Step<'x> {
        match self.request.uri.scheme {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel => {
                self.target_is_ours = true;
                return self.ask_caller_domain();
            }
            Scheme::Other => return self.reply(416),
        }
        if self.request.from_sibling && self.request.message.other_header("X-Edgeport-Ref").is_some() {
            self.note(Fact::FromSibling);
            self.caller = Party::Sibling;
            return self.forward_as_is();
        }
        self.need(State::TargetDomain { own: false }, Lookup::Domain(self.request.uri.host))
    }

    /// The domain of the Request-URI. An address of ours stands for the default domain.
    pub(crate) fn target_domain(&mut self, domain: Option<&'s Domain>, own: bool) -> Step<'x> {
        if let Some(domain) = domain {
            if own {
                self.note(Fact::OwnAddress(domain));
            }
            self.target_domain = Some(domain);
            self.target_is_ours = true;
            return self.ask_caller_domain();
        }
        if !own && (self.request.own_address)(&self.request.uri) {
            self.target_is_ours = true;
            let default = self.request.options.default_domain.as_bytes();
            return self.need(State::TargetDomain { own: true }, Lookup::Domain(default));
        }
        if own {
            return self.ask_caller_domain();
        }
        self.need(State::InboundTrunk, Lookup::TrunkByInbound(self.request.uri.host))
    }

    /// A host that is none of ours may be the one a carrier calls us by.
    pub(crate) fn inbound_trunk(&mut self, trunk: Option<&'s Trunk>) -> Step<'x> {
        let Some(trunk) = trunk else {
            self.note(Fact::HostUnknown);
            return self.ask_caller_domain();
        };
        self.note(Fact::CallerTrunk(trunk));
        self.caller = Party::Pstn(trunk, None);
        self.need(State::InboundNumber, Lookup::Number(&self.request.callee))
    }

    /// The number must belong to the trunk it is called through. One that does not exist is told only to those
    /// who pass the trunk's list and digest.
    pub(crate) fn inbound_number(&mut self, number: Option<&'s Number>) -> Step<'x> {
        let Party::Pstn(trunk, _) = self.caller else { return self.reply(500) };
        if let Some(number) = number.filter(|n| n.trunk.as_ref() != Some(&trunk.reference)) {
            self.note(Fact::NumberOfOtherTrunk(number));
            return self.reply(403);
        }
        self.number = Some(number);
        self.caller = Party::Pstn(trunk, number);
        let realm = trunk.inbound_uri.as_deref().map_or(self.request.uri.host, str::as_bytes);
        self.plan.realm.extend_from_slice(realm);
        self.access = Access {
            acls: trunk.acl.iter().collect(),
            credentials: trunk.inbound_credentials.as_ref(),
            digest: trunk.inbound_credentials.is_some(),
            ..Access::default()
        };
        self.ask_access()
    }

    fn ask_caller_domain(&mut self) -> Step<'x> {
        if let Some(trunk) = self.request.inside.and_then(|inside| inside.trunk) {
            return self.need(State::InsideTrunk, Lookup::Trunk(trunk));
        }
        let host = self.request.from_uri.host;
        if host.is_empty() {
            return self.ask_caller();
        }
        if self.target_domain.is_some() && host.eq_ignore_ascii_case(self.request.uri.host) {
            self.caller_domain = self.target_domain;
            return self.ask_caller();
        }
        self.need(State::CallerDomain { own: false }, Lookup::Domain(host))
    }

    pub(crate) fn caller_domain(&mut self, domain: Option<&'s Domain>, own: bool) -> Step<'x> {
        if domain.is_none() && !own && (self.request.own_address)(&self.request.from_uri) {
            let default = self.request.options.default_domain.as_bytes();
            return self.need(State::CallerDomain { own: true }, Lookup::Domain(default));
        }
        self.caller_domain = domain;
        self.ask_caller()
    }

    fn ask_caller(&mut self) -> Step<'x> {
        match self.caller_domain {
            _ if self.request.caller.is_empty() => self.ask_stranger(),
            Some(domain) => self.need(
                State::CallerAgent,
                Lookup::Agent { domain: &domain.reference, user: &self.request.caller },
            ),
            None => self.need(State::CallerPeer, Lookup::Peer(&self.request.caller)),
        }
    }

    pub(crate) fn caller_agent(&mut self, agent: Option<&'s Agent>) -> Step<'x> {
        let (Some(agent), Some(domain)) = (agent, self.caller_domain) else {
            return self.need(State::CallerPeer, Lookup::Peer(&self.request.caller));
        };
        self.note(Fact::CallerAgent(agent, domain));
        self.caller = Party::Agent(agent, domain);
        self.access.acls.extend(domain.acl.as_ref());
        self.access.credentials = agent.credentials.as_ref();
        self.plan.realm.extend_from_slice(domain.domain_uri.as_bytes());
        self.admit(agent.enabled)
    }

    /// A peer calls under any host.
    pub(crate) fn caller_peer(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        let Some(peer) = peer else { return self.ask_stranger() };
        self.note(Fact::CallerPeer(peer));
        self.caller = Party::Peer(peer);
        // A peer's own list goes before that of the domain it calls from.
        let acl = peer.acl.as_ref().or(self.caller_domain.and_then(|d| d.acl.as_ref()));
        self.access.acls.extend(acl);
        self.access.credentials = peer.credentials.as_ref();
        self.set_realm();
        self.admit(peer.enabled)
    }

    /// Do the rules of the domain at hand hold for this peer? One with an AOR in another domain is not let in without a
    /// digest because this one asks for none: whoever calls chooses the domain by what stands in From.
    pub(crate) fn is_at_home(&self, peer: &Peer) -> bool {
        let home = peer.aor.as_deref().and_then(|aor| Uri::parse(aor.as_bytes()).ok()).map(|uri| uri.host);
        let Some(home) = home.filter(|host| !host.is_empty()) else { return true };
        let domain = self.caller_domain.or(self.target_domain);
        domain.is_none_or(|d| home.eq_ignore_ascii_case(d.domain_uri.as_bytes()))
    }

    /// The realm of a caller that is no agent: the domain at hand, else the host that was called.
    fn set_realm(&mut self) {
        let realm = match self.target_domain.or(self.caller_domain) {
            Some(domain) => domain.domain_uri.as_bytes(),
            None => [self.request.uri.host, self.request.from_uri.host]
                .into_iter()
                .find(|host| !host.is_empty())
                .unwrap_or(self.request.options.default_domain.as_bytes()),
        };
        self.plan.realm.extend_from_slice(realm);
    }

    /// A caller we know: the lists, then a digest where the domain wants one.
    fn admit(&mut self, enabled: bool) -> Step<'x> {
        if !enabled {
            self.note(Fact::CallerDisabled);
            return self.reply(403);
        }
        self.access.digest = match (self.authenticate(), self.caller) {
            (Authenticate::All, _) => true,
            (_, Party::Peer(peer)) => !self.is_at_home(peer),
            (Authenticate::Register | Authenticate::Never, _) => false,
        };
        self.ask_access()
    }

    /// Somebody who is neither agent nor peer may still be a carrier that calls us by a host or address of ours.
    fn ask_stranger(&mut self) -> Step<'x> {
        if !self.target_is_ours || self.request.callee.is_empty() {
            return self.refuse_stranger();
        }
        if self.request.uri.host.is_empty() {
            return self.need(State::StrangerNumber, Lookup::Number(&self.request.callee));
        }
        self.need(State::StrangerInbound, Lookup::TrunkByInbound(self.request.uri.host))
    }

    pub(crate) fn stranger_inbound(&mut self, trunk: Option<&'s Trunk>) -> Step<'x> {
        match trunk {
            Some(_) => self.inbound_trunk(trunk),
            None => self.need(State::StrangerNumber, Lookup::Number(&self.request.callee)),
        }
    }

    pub(crate) fn stranger_number(&mut self, number: Option<&'s Number>) -> Step<'x> {
        self.number = Some(number);
        match number.and_then(|n| n.trunk.as_ref()) {
            Some(trunk) => self.need(State::StrangerTrunk, Lookup::Trunk(trunk)),
            None => self.refuse_stranger(),
        }
    }

    /// The trunk by which the call came in before one of its targets led back.
    pub(crate) fn inside_trunk(&mut self, trunk: Option<&'s Trunk>) -> Step<'x> {
        let Some(trunk) = trunk else { return self.reply(404) };
        self.note(Fact::CallerTrunk(trunk));
        self.note(Fact::AdmittedBefore);
        self.caller = Party::Pstn(trunk, None);
        self.ask_callee()
    }

    /// Does the call come from where the number's trunk calls from?
    pub(crate) fn stranger_trunk(&mut self, trunk: Option<&'s Trunk>) -> Step<'x> {
        let Some(trunk) = trunk else { return self.refuse_stranger() };
        self.egress.trunk = Some(trunk);
        match &trunk.acl {
            Some(acl) => self.need(State::StrangerAcl, Lookup::Acl(acl)),
            None => self.stranger_acl(None),
        }
    }

    pub(crate) fn stranger_acl(&mut self, acl: Option<&'s AccessControlList>) -> Step<'x> {
        let Some(trunk) = self.egress.trunk else { return self.reply(500) };
        let source = self.request.flow.remote.ip().to_canonical();
        // A list that only denies says nothing about who the carrier is.
        let listed = acl.is_some_and(|l| !l.allow.is_empty() && l.allows(source));
        let address = |host: &str| parse_ip(host.as_bytes()).map(|ip| ip.to_canonical());
        if listed || trunk.uris.iter().any(|u| address(&u.host) == Some(source)) {
            return self.stranger_source(true);
        }
        if trunk.uris.iter().any(|u| address(&u.host).is_none()) {
            return self.need(State::StrangerSource, Lookup::TrunkSource { trunk, source });
        }
        self.stranger_source(false)
    }

    pub(crate) fn stranger_source(&mut self, found: bool) -> Step<'x> {
        let (Some(trunk), Some(number)) = (self.egress.trunk.take(), self.number) else {
            return self.reply(500);
        };
        if !found {
            return self.refuse_stranger();
        }
        self.note(Fact::CallerTrunk(trunk));
        self.caller = Party::Pstn(trunk, None);
        self.inbound_number(number)
    }

    /// Nobody we know is challenged like any user of a domain of ours; with no such domain it is told to go.
    fn refuse_stranger(&mut self) -> Step<'x> {
        self.note(Fact::CallerUnknown);
        let challenges = matches!(self.authenticate(), Authenticate::All);
        if self.caller_domain.or(self.target_domain).is_none() && !self.target_is_ours || !challenges {
            return self.reply(403);
        }
        let acl = self.caller_domain.and_then(|d| d.acl.as_ref());
        self.access.acls.extend(acl);
        self.access.digest = true;
        self.set_realm();
        self.ask_access()
    }

    /// Everything the caller had to pass is passed.
    pub(crate) fn admitted(&mut self) -> Step<'x> {
        if self.request.registers() {
            return self.finish_register();
        }
        if let (Party::Agent(..) | Party::Peer(_) | Party::Pstn(..), Some(diversion)) =
            (self.caller, self.request.diversion)
        {
            return self.call_link(diversion.to);
        }
        match self.caller {
            Party::Agent(..) | Party::Peer(_) => self.ask_callee(),
            Party::Pstn(_, Some(number)) => self.call_number(number),
            Party::Pstn(_, None) => {
                self.note(Fact::CalleeUnknown);
                self.reply(404)
            }
            Party::Unknown | Party::Sibling => self.reply(403),
        }
    }
}
