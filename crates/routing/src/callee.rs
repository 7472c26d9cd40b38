//! Who is called, within the exchange.

use trunkline_model::{Agent, Domain, LoadBalancing, Number, Peer};

use crate::explain::Fact;
use crate::lookup::{Backend, Lookup, Step};
use crate::party::{Direction, Party};
use crate::request::Gruu;
use crate::route::{Held, State};
use crate::target::Binding;
use crate::tenants::home_of;
use crate::turn::Turn;

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// The caller is admitted; what does the Request-URI name? Numbers go before agents, agents before peers.
    pub(crate) fn ask_callee(&mut self) -> Step<'x> {
        let unknown_gruu = self.gruu().is_some_and(|g| g.instance.is_empty());
        if self.request.callee.is_empty() || unknown_gruu {
            self.note(Fact::CalleeUnknown);
            return self.reply(404);
        }
        match (self.target_is_ours, self.caller) {
            (true, _) => {}
            // A peer calls out under any host, as the number it names decides the way.
            (false, Party::Peer(_)) => return self.ask_egress(),
            (false, _) => {
                self.note(Fact::CalleeUnknown);
                return self.reply(404);
            }
        }
        match self.number {
            Some(number) => self.callee_number(number),
            None => self.need(State::CalleeNumber, Lookup::Number(&self.request.callee)),
        }
    }

    pub(crate) fn callee_number(&mut self, number: Option<&'s Number>) -> Step<'x> {
        self.number = Some(number);
        match (number, self.target_domain) {
            (Some(number), _) => self.call_number(number),
            (None, Some(domain)) => self.need(
                State::CalleeAgent,
                Lookup::Agent { domain: &domain.reference, user: self.callee_name() },
            ),
            (None, None) => self.ask_egress(),
        }
    }

    /// The name that is called: as it came, since `100-1` may be one.
    fn callee_name(&self) -> &'x [u8] {
        self.request.callee_name.as_deref().unwrap_or(&self.request.callee)
    }

    /// Nobody of that name may be somebody of that number: `10-01` is 1001 then.
    pub(crate) fn callee_agent(&mut self, agent: Option<&'s Agent>, by_number: bool) -> Step<'x> {
        let Some(domain) = self.target_domain else { return self.reply(500) };
        if let Some(agent) = agent {
            return self.call_agent(agent, domain);
        }
        if self.request.callee_name.is_some() && !by_number {
            let user = &self.request.callee;
            return self.need(State::CalleeAgentByNumber, Lookup::Agent { domain: &domain.reference, user });
        }
        self.plan.set_aor(self.callee_name(), &domain.domain_uri);
        self.need(State::CalleePeerByAor, Lookup::PeerByAor)
    }

    pub(crate) fn callee_peer_by_aor(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        match peer {
            Some(peer) => self.call_peer(peer),
            None => self.need(State::CalleePeer, Lookup::Peer(self.callee_name())),
        }
    }

    pub(crate) fn callee_peer(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        match peer {
            Some(peer) => self.call_peer(peer),
            // A phone of ours that is not there is nowhere else either.
            None if self.request.gruu.is_some() => {
                self.note(Fact::CalleeUnknown);
                self.reply(404)
            }
            None => self.ask_egress(),
        }
    }

    pub(crate) fn call_agent(&mut self, agent: &'s Agent, domain: &'s Domain) -> Step<'x> {
        if let Some(step) = self.cross(domain, Held::Agent(agent, domain)) {
            return step;
        }
        self.note(Fact::CalleeAgent(agent, domain));
        self.callee = Party::Agent(agent, domain);
        if !agent.enabled {
            self.note(Fact::CalleeDisabled);
            return self.reply(480);
        }
        self.plan.set_aor(agent.username.as_bytes(), &domain.domain_uri);
        let call_id = self.request.message.call_id();
        let gruu = self.gruu();
        self.need(State::Bindings, Lookup::Bindings { call_id, backend: None, affinity: None, gruu })
    }

    /// A peer is called: whose is it?
    pub(crate) fn call_peer(&mut self, peer: &'s Peer) -> Step<'x> {
        self.callee = Party::Peer(peer);
        let (Some(home), Some(host)) = (self.home, home_of(peer)) else { return self.ring_peer(peer) };
        if host.eq_ignore_ascii_case(home.domain_uri.as_bytes()) {
            return self.ring_peer(peer);
        }
        self.need(State::CalleeHome, Lookup::Domain(host))
    }

    /// The domain the called peer has its AOR in.
    pub(crate) fn callee_home(&mut self, domain: Option<&'s Domain>) -> Step<'x> {
        let Party::Peer(peer) = self.callee else { return self.reply(500) };
        match domain.and_then(|domain| self.cross(domain, Held::Peer(peer))) {
            Some(step) => step,
            None => self.ring_peer(peer),
        }
    }

    pub(crate) fn ring_peer(&mut self, peer: &'s Peer) -> Step<'x> {
        self.note(Fact::CalleePeer(peer));
        self.callee = Party::Peer(peer);
        if !peer.enabled {
            self.note(Fact::CalleeDisabled);
            return self.reply(480);
        }
        match (&peer.aor, self.target_domain) {
            (Some(aor), _) => {
                self.plan.aor.clear();
                self.plan.aor.extend_from_slice(aor.as_bytes());
            }
            (None, Some(domain)) => self.plan.set_aor(peer.username.as_bytes(), &domain.domain_uri),
            (None, None) => return self.peer_address(peer),
        }
        let LoadBalancing { algorithm, with_session_affinity } = peer.load_balancing.unwrap_or_default();
        let backend = Backend { reference: &peer.reference, algorithm, with_session_affinity };
        let affinity = if with_session_affinity { self.affinity() } else { None };
        let call_id = self.request.message.call_id();
        let gruu = self.gruu();
        self.need(State::Bindings, Lookup::Bindings { call_id, backend: Some(backend), affinity, gruu })
    }

    /// The phone that is called, where the Request-URI names one; whom a call goes on to is called as a whole.
    pub(crate) fn gruu(&self) -> Option<Gruu<'x>> {
        self.request.gruu.filter(|_| self.link.is_none() && self.request.diversion.is_none())
    }

    /// What keeps calls to this number on one instance: the header the number names, as the caller sends it or as
    /// the number adds it.
    fn affinity(&self) -> Option<&'x [u8]> {
        let number = self.number.flatten()?;
        let name = number.session_affinity_header.as_deref()?;
        let added = || number.extra_headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        self.request
            .message
            .other_header(name)
            .or_else(|| added().map(|(_, value)| value.as_bytes()))
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn bindings(&mut self, found: bool) -> Step<'x> {
        let found = found && !self.plan.targets.as_slice().is_empty();
        match self.callee {
            Party::Peer(_) if found => {
                // A server's dial plan goes by what was dialled, not by the name it registered with.
                let user = self.user_for_peer();
                if user.is_empty() {
                    self.plan.targets.fill_bulk_contacts(self.request.dialled());
                } else {
                    self.plan.targets.set_user(user);
                }
                self.forward_to_peer()
            }
            Party::Peer(peer) if self.gruu().is_none() => self.peer_address(peer),
            _ if found => {
                self.plan.targets.fill_bulk_contacts(self.request.dialled());
                self.plan.targets.group_by_q();
                let direction = match self.caller {
                    Party::Agent(..) => Direction::AgentToAgent,
                    Party::Peer(_) => Direction::PeerToAgent,
                    Party::Pstn(..) | Party::Unknown | Party::Sibling => Direction::FromPstn,
                };
                self.forward(direction)
            }
            _ => self.nobody_there(),
        }
    }

    fn peer_address(&mut self, peer: &'s Peer) -> Step<'x> {
        let Some(address) = &peer.contact_addr else {
            return self.nobody_there();
        };
        self.note(Fact::PeerAddress(peer));
        let user = match self.user_for_peer() {
            b"" => peer.username.as_bytes(),
            user => user,
        };
        let uri = self.plan.targets.write(|out| {
            out.extend_from_slice(b"sip:");
            out.extend_from_slice(user);
            out.push(b'@');
            out.extend_from_slice(address.as_bytes());
        });
        self.plan.targets.push_uri(uri);
        self.forward_to_peer()
    }

    fn forward_to_peer(&mut self) -> Step<'x> {
        let direction = match self.caller {
            Party::Agent(..) => Direction::AgentToPeer,
            Party::Peer(_) => Direction::PeerToPeer,
            Party::Pstn(..) | Party::Unknown | Party::Sibling => Direction::FromPstn,
        };
        self.forward(direction)
    }

    /// Another exchange of ours has routed it: its Request-URI is the target.
    pub(crate) fn forward_as_is(&mut self) -> Step<'x> {
        let named_from = Some(self.request.flow.remote);
        self.plan
            .targets
            .push_binding(Binding { named_from, ..Binding::new(self.request.message.uri_text(), 0) });
        self.forward_relayed()
    }
}
