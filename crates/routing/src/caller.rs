//! Who calls.

use trunkline_model::{AccessControlList, Agent, Domain, Number, Peer, Trunk};
use trunkline_sip::{Scheme, parse_ip};

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::route::{Access, Held, State};
use crate::tenants::{are_isolated, home_of};
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

    /// Which number is called is told only to those who pass the trunk's list and digest.
    pub(crate) fn inbound_number(&mut self, number: Option<&'s Number>) -> Step<'x> {
        let Party::Pstn(trunk, _) = self.caller else { return self.reply(500) };
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
        self.home = Some(domain);
        self.access.acls.extend(domain.acl.as_ref());
        self.access.credentials = agent.credentials.as_ref();
        self.access.disabled = !agent.enabled;
        self.set_realm();
        self.admit_agent(domain)
    }

    /// A peer calls under any host, so the domain whose rules hold for it is that of its AOR, not that of From.
    pub(crate) fn caller_peer(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        let Some(peer) = peer else { return self.ask_stranger() };
        self.note(Fact::CallerPeer(peer));
        self.caller = Party::Peer(peer);
        self.access.credentials = peer.credentials.as_ref();
        self.access.disabled = !peer.enabled;
        self.set_realm();
        let Some(host) = home_of(peer) else { return self.caller_home(None) };
        let is_home = |d: &&Domain| host.eq_ignore_ascii_case(d.domain_uri.as_bytes());
        match [self.caller_domain, self.target_domain].into_iter().flatten().find(is_home) {
            Some(domain) => self.caller_home(Some(domain)),
            None => self.need(State::CallerHome, Lookup::Domain(host)),
        }
    }

    /// The realm of whoever calls, known or not: the domain it calls from, else the one it calls, else the called host.
    /// Were it another for those who exist, it would tell who does.
    fn set_realm(&mut self) {
        let realm = match self.caller_domain.or(self.target_domain) {
            Some(domain) => domain.domain_uri.as_bytes(),
            None => [self.request.uri.host, self.request.options.default_domain.as_bytes()]
                .into_iter()
                .find(|realm| !realm.is_empty())
                .unwrap_or(b"unknown"),
        };
        self.plan.realm.extend_from_slice(realm);
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

    /// Nobody we know is challenged like any user of a domain of ours, whatever that asks of its users: a disabled one,
    /// or a peer with a home elsewhere, is challenged there too; and so where no domain of ours is named, since a peer
    /// calls under any host.
    fn refuse_stranger(&mut self) -> Step<'x> {
        self.note(Fact::CallerUnknown);
        let ours = self.target_is_ours || self.caller_domain.is_some();
        if !ours && self.request.options.reveal_unknown_users {
            return self.reply(403);
        }
        self.set_realm();
        self.treat_as_stranger()
    }

    /// The way of those nobody knows: the list of the domain they call from, then a digest that is never right.
    pub(crate) fn treat_as_stranger(&mut self) -> Step<'x> {
        self.caller = Party::Unknown;
        self.home = None;
        let acls = self.caller_domain.and_then(|d| d.acl.as_ref()).into_iter().collect();
        self.access = Access { acls, digest: true, ..Access::default() };
        self.ask_access()
    }

    /// Everything the caller had to pass is passed.
    pub(crate) fn admitted(&mut self) -> Step<'x> {
        if let Some(fact) = self.refusal_of_admitted() {
            self.note(fact);
            return self.reply(403);
        }
        if self.request.registers() {
            return self.finish_register();
        }
        match self.held.take() {
            Some(Held::Agent(agent, domain)) => return self.call_agent(agent, domain),
            Some(Held::Peer(peer)) => return self.ring_peer(peer),
            None => {}
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

    /// Why somebody goes no further who has passed everything. A stranger is not to learn any of these.
    fn refusal_of_admitted(&self) -> Option<Fact<'s>> {
        if self.access.disabled {
            return Some(Fact::CallerDisabled);
        }
        if self.access.third_party {
            return Some(Fact::ThirdParty);
        }
        match (self.caller, self.home, self.target_domain) {
            (Party::Pstn(trunk, Some(number)), _, _) if number.trunk.as_ref() != Some(&trunk.reference) => {
                Some(Fact::NumberOfOtherTrunk(number))
            }
            // A diverted call asks again for whom it goes on to.
            (_, Some(home), Some(target))
                if self.request.diversion.is_none() && are_isolated(home, target) =>
            {
                Some(Fact::Isolated(target))
            }
            (_, _, _) => None,
        }
    }
}
