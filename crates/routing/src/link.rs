//! Calls that go on to an AOR something of ours names: what a number is linked to, who takes the calls of an agent
//! that does not.

use trunkline_model::{Agent, Domain, Number, Peer};
use trunkline_sip::Uri;

use crate::explain::Fact;
use crate::lookup::{Lookup, Step};
use crate::party::Party;
use crate::route::State;
use crate::turn::Turn;

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// A number of ours is called, from outside or from within: on to what it is linked to.
    pub(crate) fn call_number(&mut self, number: &'s Number) -> Step<'x> {
        self.note(Fact::CalleeNumber(number));
        self.number = Some(Some(number));
        let Some(link) = &number.aor_link else {
            self.note(Fact::NumberWithoutLink(number));
            return self.reply(404);
        };
        self.link = Some(link);
        self.call_link(link)
    }

    /// Goes on to an AOR that something of ours names.
    pub(crate) fn call_link(&mut self, aor: &str) -> Step<'x> {
        self.plan.aor.clear();
        self.plan.aor.extend_from_slice(aor.as_bytes());
        self.need(State::LinkPeer, Lookup::PeerByAor)
    }

    pub(crate) fn link_peer(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        match (peer, self.link()) {
            (Some(peer), _) => self.call_peer(peer),
            (None, Some(uri)) => self.need(State::LinkDomain, Lookup::Domain(uri.host)),
            (None, None) => self.nobody_there(),
        }
    }

    pub(crate) fn link_domain(&mut self, domain: Option<&'s Domain>) -> Step<'x> {
        let user = self.link().and_then(|uri| uri.user);
        let (Some(domain), Some(user)) = (domain, user) else { return self.nobody_there() };
        self.target_domain = Some(domain);
        self.need(State::LinkAgent, Lookup::Agent { domain: &domain.reference, user })
    }

    pub(crate) fn link_agent(&mut self, agent: Option<&'s Agent>) -> Step<'x> {
        match (agent, self.target_domain, self.link().and_then(|uri| uri.user)) {
            (Some(agent), Some(domain), _) => self.call_agent(agent, domain),
            (_, _, Some(user)) => self.need(State::LinkPeerByName, Lookup::Peer(user)),
            (_, _, None) => self.nobody_there(),
        }
    }

    pub(crate) fn link_peer_by_name(&mut self, peer: Option<&'s Peer>) -> Step<'x> {
        match peer {
            Some(peer) => self.call_peer(peer),
            None => self.nobody_there(),
        }
    }

    /// The AOR that something of ours names, read.
    fn link(&self) -> Option<Uri<'x>> {
        let link = self.link.or(self.request.diversion.map(|d| d.to))?;
        Uri::parse(link.as_bytes()).ok().filter(|uri| !uri.host.is_empty())
    }

    /// What a server of ours is to see as the called user: what was dialled, or whom the call was diverted to.
    pub(crate) fn user_for_peer(&self) -> &'x [u8] {
        if self.diverted.is_empty() && self.request.diversion.is_none() {
            return self.request.dialled();
        }
        self.link().and_then(|uri| uri.user).unwrap_or_default()
    }

    /// No contact: 480, unless the agent has somebody to take its calls then. A call for one phone goes to nobody else
    /// (RFC 5627 §5.1).
    pub(crate) fn nobody_there(&mut self) -> Step<'x> {
        self.note(Fact::NoBindings);
        let taker = match self.callee {
            Party::Agent(agent, _) if agent.enabled && self.gruu().is_none() => {
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
                self.call_link(to)
            }
            (_, _) => self.reply(480),
        }
    }
}
