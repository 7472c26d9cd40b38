//! Who is called, within the exchange.

use trunkline_model::{Agent, Domain, LoadBalancing, Number, Peer};

use crate::explain::Fact;
use crate::lookup::{Backend, Lookup, Step};
use crate::party::{Direction, Party};
use crate::plan::Plan;
use crate::request::{Gruu, Request};
use crate::route::{Route, State};
use crate::target::Binding;

impl<'s> Route<'s> {
    /// The caller is admitted; what does the Request-URI name? Numbers go before agents, agents before peers.
    pub(crate) fn ask_callee<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        let unknown_gruu = self.gruu(request).is_some_and(|g| g.instance.is_empty());
        if request.callee.is_empty() || unknown_gruu {
            self.note(Fact::CalleeUnknown);
            return self.reply(plan, 404);
        }
        match (self.target_is_ours, self.caller) {
            (true, _) => {}
            // A peer calls out under any host, as the number it names decides the way.
            (false, Party::Peer(_)) => return self.ask_egress(request, plan),
            (false, _) => {
                self.note(Fact::CalleeUnknown);
                return self.reply(plan, 404);
            }
        }
        match self.number {
            Some(number) => self.callee_number(request, plan, number),
            None => self.need(State::CalleeNumber, Lookup::Number(&request.callee)),
        }
    }

    pub(crate) fn callee_number<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        number: Option<&'s Number>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        self.number = Some(number);
        match (number, self.target_domain) {
            (Some(number), _) => self.call_number(plan, number),
            (None, Some(domain)) => self
                .need(State::CalleeAgent, Lookup::Agent { domain: &domain.reference, user: &request.callee }),
            (None, None) => self.ask_egress(request, plan),
        }
    }

    pub(crate) fn callee_agent<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        agent: Option<&'s Agent>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        let Some(domain) = self.target_domain else { return self.reply(plan, 500) };
        if let Some(agent) = agent {
            return self.call_agent(request, plan, agent, domain);
        }
        plan.set_aor(&request.callee, &domain.domain_uri);
        self.need(State::CalleePeerByAor, Lookup::PeerByAor)
    }

    pub(crate) fn callee_peer_by_aor<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        peer: Option<&'s Peer>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        match peer {
            Some(peer) => self.call_peer(request, plan, peer),
            None => self.need(State::CalleePeer, Lookup::Peer(&request.callee)),
        }
    }

    pub(crate) fn callee_peer<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        peer: Option<&'s Peer>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        match peer {
            Some(peer) => self.call_peer(request, plan, peer),
            // A phone of ours that is not there is nowhere else either.
            None if request.gruu.is_some() => {
                self.note(Fact::CalleeUnknown);
                self.reply(plan, 404)
            }
            None => self.ask_egress(request, plan),
        }
    }

    pub(crate) fn call_agent<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        agent: &'s Agent,
        domain: &'s Domain,
    ) -> Step<'x>
    where
        's: 'x,
    {
        self.note(Fact::CalleeAgent(agent, domain));
        self.callee = Party::Agent(agent, domain);
        if !agent.enabled {
            self.note(Fact::CalleeDisabled);
            return self.reply(plan, 480);
        }
        plan.set_aor(agent.username.as_bytes(), &domain.domain_uri);
        let call_id = request.message.call_id();
        let gruu = self.gruu(request);
        self.need(State::Bindings, Lookup::Bindings { call_id, backend: None, affinity: None, gruu })
    }

    pub(crate) fn call_peer<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        peer: &'s Peer,
    ) -> Step<'x>
    where
        's: 'x,
    {
        self.note(Fact::CalleePeer(peer));
        self.callee = Party::Peer(peer);
        if !peer.enabled {
            self.note(Fact::CalleeDisabled);
            return self.reply(plan, 480);
        }
        match (&peer.aor, self.target_domain) {
            (Some(aor), _) => {
                plan.aor.clear();
                plan.aor.extend_from_slice(aor.as_bytes());
            }
            (None, Some(domain)) => plan.set_aor(peer.username.as_bytes(), &domain.domain_uri),
            (None, None) => return self.peer_address(request, plan, peer),
        }
        let LoadBalancing { algorithm, with_session_affinity } = peer.load_balancing.unwrap_or_default();
        let backend = Backend { reference: &peer.reference, algorithm, with_session_affinity };
        let affinity = if with_session_affinity { self.affinity(request) } else { None };
        let call_id = request.message.call_id();
        let gruu = self.gruu(request);
        self.need(State::Bindings, Lookup::Bindings { call_id, backend: Some(backend), affinity, gruu })
    }

    /// The phone that is called, where the Request-URI names one; whom a call goes on to is called as a whole.
    pub(crate) fn gruu<'x>(&self, request: &'x Request<'_>) -> Option<Gruu<'x>>
    where
        's: 'x,
    {
        request.gruu.filter(|_| self.link.is_none() && request.diversion.is_none())
    }

    /// What keeps calls to this number on one instance: the header the number names, as the caller sends it or as
    /// the number adds it.
    fn affinity<'x>(&self, request: &'x Request<'_>) -> Option<&'x [u8]>
    where
        's: 'x,
    {
        let number = self.number.flatten()?;
        let name = number.session_affinity_header.as_deref()?;
        let added = || number.extra_headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        request
            .message
            .other_header(name)
            .or_else(|| added().map(|(_, value)| value.as_bytes()))
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn bindings<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan, found: bool) -> Step<'x>
    where
        's: 'x,
    {
        let found = found && !plan.targets.as_slice().is_empty();
        match self.callee {
            Party::Peer(_) if found => {
                // A server's dial plan goes by what was dialled, not by the name it registered with.
                let user = self.user_for_peer(request);
                if user.is_empty() {
                    plan.targets.fill_bulk_contacts(request.dialled());
                } else {
                    plan.targets.set_user(user);
                }
                self.forward_to_peer(request, plan)
            }
            Party::Peer(peer) if self.gruu(request).is_none() => self.peer_address(request, plan, peer),
            _ if found => {
                plan.targets.fill_bulk_contacts(request.dialled());
                plan.targets.group_by_q();
                let direction = match self.caller {
                    Party::Agent(..) => Direction::AgentToAgent,
                    Party::Peer(_) => Direction::PeerToAgent,
                    Party::Pstn(..) | Party::Unknown | Party::Sibling => Direction::FromPstn,
                };
                self.forward(request, plan, direction)
            }
            _ => self.nobody_there(request, plan),
        }
    }

    fn peer_address<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan, peer: &'s Peer) -> Step<'x>
    where
        's: 'x,
    {
        let Some(address) = &peer.contact_addr else {
            return self.nobody_there(request, plan);
        };
        self.note(Fact::PeerAddress(peer));
        let user = match self.user_for_peer(request) {
            b"" => peer.username.as_bytes(),
            user => user,
        };
        let uri = plan.targets.write(|out| {
            out.extend_from_slice(b"sip:");
            out.extend_from_slice(user);
            out.push(b'@');
            out.extend_from_slice(address.as_bytes());
        });
        plan.targets.push_uri(uri);
        self.forward_to_peer(request, plan)
    }

    fn forward_to_peer<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        let direction = match self.caller {
            Party::Agent(..) => Direction::AgentToPeer,
            Party::Peer(_) => Direction::PeerToPeer,
            Party::Pstn(..) | Party::Unknown | Party::Sibling => Direction::FromPstn,
        };
        self.forward(request, plan, direction)
    }

    /// Another exchange of ours has routed it: its Request-URI is the target.
    pub(crate) fn forward_as_is<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        plan.targets.push_binding(Binding::new(request.message.uri_text(), 0));
        self.forward_relayed(request, plan)
    }
}
