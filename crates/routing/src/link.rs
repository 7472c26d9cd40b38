//! Calls that go on to an AOR something of ours names: what a number is linked to, who takes the calls of an agent
//! that does not.

use trunkline_model::{Agent, Domain, Number, Peer};
use trunkline_sip::Uri;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::plan::Plan;
use crate::request::Request;
use crate::route::{Route, State};

impl<'s> Route<'s> {
    /// A number of ours is called, from outside or from within: on to what it is linked to.
    pub(crate) fn call_number<'x>(&mut self, plan: &mut Plan, number: &'s Number) -> Step<'x>
    where
        's: 'x,
    {
        self.note(Fact::CalleeNumber(number));
        self.number = Some(Some(number));
        let Some(link) = &number.aor_link else {
            self.note(Fact::NumberWithoutLink(number));
            return self.reply(plan, 404);
        };
        self.link = Some(link);
        self.call_link(plan, link)
    }

    /// Goes on to an AOR that something of ours names.
    pub(crate) fn call_link<'x>(&mut self, plan: &mut Plan, aor: &str) -> Step<'x>
    where
        's: 'x,
    {
        plan.aor.clear();
        plan.aor.extend_from_slice(aor.as_bytes());
        self.need(State::LinkPeer, Lookup::PeerByAor)
    }

    pub(crate) fn link_peer<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        peer: Option<&'s Peer>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        match (peer, self.link(request)) {
            (Some(peer), _) => self.call_peer(request, plan, peer),
            (None, Some(uri)) => self.need(State::LinkDomain, Lookup::Domain(uri.host)),
            (None, None) => self.nobody_there(request, plan),
        }
    }

    pub(crate) fn link_domain<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        domain: Option<&'s Domain>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        let user = self.link(request).and_then(|uri| uri.user);
        let (Some(domain), Some(user)) = (domain, user) else { return self.nobody_there(request, plan) };
        self.target_domain = Some(domain);
        self.need(State::LinkAgent, Lookup::Agent { domain: &domain.reference, user })
    }

    pub(crate) fn link_agent<'x>(
        &mut self,
        request: &'x Request<'_>,
        plan: &mut Plan,
        agent: Option<&'s Agent>,
    ) -> Step<'x>
    where
        's: 'x,
    {
        match (agent, self.target_domain, self.link(request).and_then(|uri| uri.user)) {
            (Some(agent), Some(domain), _) => self.call_agent(request, plan, agent, domain),
            (_, _, Some(user)) => self.need(State::LinkPeerByName, Lookup::Peer(user)),
            (_, _, None) => self.nobody_there(request, plan),
        }
    }

    pub(crate) fn link_peer_by_name<'x>(
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
            None => self.nobody_there(request, plan),
        }
    }

    /// The AOR that something of ours names, read.
    fn link<'x>(&self, request: &'x Request<'_>) -> Option<Uri<'x>>
    where
        's: 'x,
    {
        let link = self.link.or(request.diversion.map(|d| d.to))?;
        Uri::parse(link.as_bytes()).ok().filter(|uri| !uri.host.is_empty())
    }

    /// What a server of ours is to see as the called user: what was dialled, or whom the call was diverted to.
    pub(crate) fn user_for_peer<'x>(&self, request: &'x Request<'_>) -> &'x [u8]
    where
        's: 'x,
    {
        if self.diverted.is_empty() && request.diversion.is_none() {
            return request.dialled();
        }
        self.link(request).and_then(|uri| uri.user).unwrap_or_default()
    }

    /// No contact: 480, unless the agent has somebody to take its calls then. A call for one phone goes to nobody else
    /// (RFC 5627 §5.1).
    pub(crate) fn nobody_there<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        self.note(Fact::NoBindings);
        let taker = match self.callee {
            Party::Agent(agent, _) if agent.enabled && self.gruu(request).is_none() => {
                agent.fallback_no_answer.as_deref()
            }
            Party::Agent(..) | Party::Peer(_) | Party::Pstn(..) | Party::Unknown | Party::Sibling => None,
        };
        match (taker, self.callee) {
            (Some(to), Party::Agent(agent, domain)) if !self.diverted.is_full() => {
                self.note(Fact::Diverted(agent));
                self.diverted.push((agent, domain));
                self.link = Some(to);
                self.callee = Party::Unknown;
                self.call_link(plan, to)
            }
            (_, _) => self.reply(plan, 480),
        }
    }
}
