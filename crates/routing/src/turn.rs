//! One turn of the step machine: the route with what it works on.

use std::ops::{Deref, DerefMut};

use crate::explain::Fact;
use crate::lookup::{Answer, Lookup, Step};
use crate::plan::{Outcome, Plan};
use crate::request::Request;
use crate::route::{Route, State};

/// A route between an answer and the next question. The rules are written on it, a file for each part of the way;
/// what they remember stands in the [`Route`].
pub(crate) struct Turn<'t, 's, 'x> {
    pub(crate) route: &'t mut Route<'s>,
    pub(crate) request: &'x Request<'x>,
    pub(crate) plan: &'t mut Plan,
}

impl<'s> Deref for Turn<'_, 's, '_> {
    type Target = Route<'s>;

    fn deref(&self) -> &Route<'s> {
        self.route
    }
}

impl<'s> DerefMut for Turn<'_, 's, '_> {
    fn deref_mut(&mut self) -> &mut Route<'s> {
        self.route
    }
}

impl<'x, 's: 'x> Turn<'_, 's, 'x> {
    /// Gives an answer to the rule that waits for it.
    pub(crate) fn take(&mut self, answer: Answer<'s>) -> Step<'x> {
        let state = std::mem::take(&mut self.state);
        match (state, answer) {
            // What qualifies and resolves trunks only refines a choice, so a route goes on without it.
            (State::StrangerSource, Answer::Unavailable) => return self.stranger_source(false),
            (State::Qualified, Answer::Unavailable) => return self.trunk_state(0),
            (_, Answer::Unavailable) => {
                self.note(Fact::StoreUnavailable);
                return self.reply(503);
            }
            (_, _) => {}
        }
        let registers = self.request.registers();
        match (state, answer) {
            (State::TargetDomain { own }, Answer::Domain(d)) if registers => self.register_domain(d, own),
            (State::TargetDomain { own }, Answer::Domain(d)) => self.target_domain(d, own),
            (State::CallerDomain { own }, Answer::Domain(d)) => self.caller_domain(d, own),
            (State::CallerHome, Answer::Domain(d)) => self.caller_home(d),
            (State::CalleeHome, Answer::Domain(d)) => self.callee_home(d),
            (State::LinkDomain, Answer::Domain(d)) => self.link_domain(d),
            (State::CallerAgent, Answer::Agent(a)) => self.caller_agent(a),
            (State::RegisterAgent, Answer::Agent(a)) => self.register_agent(a),
            (State::RegisterIdentity, Answer::Agent(a)) => self.register_identity(a),
            (State::CalleeAgent, Answer::Agent(a)) => self.callee_agent(a, false),
            (State::CalleeAgentByNumber, Answer::Agent(a)) => self.callee_agent(a, true),
            (State::LinkAgent, Answer::Agent(a)) => self.link_agent(a),
            (State::CallerPeer, Answer::Peer(p)) => self.caller_peer(p),
            (State::RegisterPeer, Answer::Peer(p)) => self.register_peer(p, false),
            (State::RegisterPeerByAor, Answer::Peer(p)) => self.register_peer(p, true),
            (State::CalleePeerByAor, Answer::Peer(p)) => self.callee_peer_by_aor(p),
            (State::CalleePeer, Answer::Peer(p)) => self.callee_peer(p),
            (State::LinkPeer, Answer::Peer(p)) => self.link_peer(p),
            (State::LinkPeerByName, Answer::Peer(p)) => self.link_peer_by_name(p),
            (State::InboundTrunk, Answer::Trunk(t)) => self.inbound_trunk(t),
            (State::StrangerInbound, Answer::Trunk(t)) => self.stranger_inbound(t),
            (State::StrangerTrunk, Answer::Trunk(t)) => self.stranger_trunk(t),
            (State::InsideTrunk, Answer::Trunk(t)) => self.inside_trunk(t),
            (State::EgressTrunk, Answer::Trunk(t)) => self.egress_trunk(t),
            (State::InboundNumber, Answer::Number(n)) => self.inbound_number(n),
            (State::StrangerNumber, Answer::Number(n)) => self.stranger_number(n),
            (State::CalleeNumber, Answer::Number(n)) => self.callee_number(n),
            (State::DodNumber, Answer::Number(n)) => self.dod_number(n),
            (State::PolicyNumber, Answer::Number(n)) => self.policy_number(n),
            (State::Acl, Answer::Acl(l)) => self.acl(l),
            (State::StrangerAcl, Answer::Acl(l)) => self.stranger_acl(l),
            (State::Credentials, Answer::Credentials(c)) => self.credentials(c),
            (State::Verdict, Answer::Verdict(v)) => self.verdict(v),
            (State::StrangerSource, Answer::Found(found)) => self.stranger_source(found),
            (State::CallerConnection, Answer::Found(found)) => self.caller_connection(found),
            (State::DodOwner, Answer::Found(found)) => self.dod_owner(found),
            (State::Bindings, Answer::Found(found)) => self.bindings(found),
            (State::Qualified, Answer::Down(down)) => self.trunk_state(down),
            // The driver answered another question, or nothing was asked.
            (_, _) => self.reply(500),
        }
    }

    /// Waits, in this state, for the answer to this question.
    pub(crate) fn need(&mut self, state: State, lookup: Lookup<'x>) -> Step<'x> {
        self.state = state;
        Step::Need(lookup)
    }

    /// Ends in a status.
    pub(crate) fn reply(&mut self, code: u16) -> Step<'x> {
        self.end(Outcome::reply(code))
    }

    /// Ends.
    pub(crate) fn end(&mut self, outcome: Outcome) -> Step<'x> {
        self.state = State::Ended;
        self.plan.outcome = outcome;
        Step::Done
    }
}
