//! The step machine.

use arrayvec::ArrayVec;
use trunkline_model::{
    AccessControlList, Agent, Authenticate, Credentials, Domain, Extended, Number, Ref, Trunk,
};
use trunkline_sip::Method;

use crate::explain::Fact;
use crate::lookup::{Answer, Lookup, Step};
use crate::party::Party;
use crate::plan::{Outcome, Plan};
use crate::request::Request;

/// Which answer is awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum State {
    /// None.
    #[default]
    Ended,
    /// The domain of the Request-URI; `own`: the default domain, because the host is an address of ours.
    TargetDomain {
        own: bool,
    },
    InboundTrunk,
    InboundNumber,
    CallerDomain {
        own: bool,
    },
    CallerAgent,
    CallerPeer,
    StrangerInbound,
    StrangerNumber,
    StrangerTrunk,
    StrangerAcl,
    StrangerSource,
    RegisterAgent,
    RegisterPeer,
    RegisterPeerByAor,
    RegisterIdentity,
    Acl,
    Credentials,
    Verdict,
    CalleeNumber,
    CalleeAgent,
    CalleePeerByAor,
    CalleePeer,
    LinkPeer,
    LinkDomain,
    LinkAgent,
    LinkPeerByName,
    Bindings,
    DodNumber,
    PolicyNumber,
    EgressTrunk,
    Qualified,
}

/// What a caller must pass before anything is done for it.
#[derive(Debug, Default)]
pub(crate) struct Access<'s> {
    /// Lists the source address must pass, in order.
    pub acls: ArrayVec<&'s Ref, 2>,
    /// How many of them it has passed.
    pub passed: usize,
    /// What it authenticates with; `None` for nobody we know.
    pub credentials: Option<&'s Ref>,
    /// The same, found.
    pub secret: Option<&'s Credentials>,
    /// Is a digest due?
    pub digest: bool,
}

/// The most trunks one call tries one after the other.
pub(crate) const MAX_TRUNKS: usize = 4;

/// The most agents a call goes past, one diverting to the next.
pub(crate) const MAX_DIVERSIONS: usize = 3;

/// A call on its way out.
#[derive(Debug, Default)]
pub(crate) struct Egress<'s> {
    /// The policy looked at next.
    pub next_policy: usize,
    pub number: Option<&'s Number>,
    pub trunk: Option<&'s Trunk>,
    pub tried: ArrayVec<&'s Ref, MAX_TRUNKS>,
    /// Do the policies of the called domain say the way, not a number that the caller names?
    pub by_policy: bool,
    /// Has any rule matched?
    pub matched: bool,
    /// Is the caller's number withheld?
    pub private: bool,
}

/// One request on its way to a decision.
///
/// It holds nothing but the resources it was given, so between two steps anything may happen, also an await.
#[derive(Debug, Default)]
pub struct Route<'s> {
    pub(crate) state: State,
    pub(crate) caller: Party<'s>,
    pub(crate) callee: Party<'s>,
    pub(crate) caller_domain: Option<&'s Domain>,
    pub(crate) target_domain: Option<&'s Domain>,
    /// Is the Request-URI's host ours, or has it none (tel)?
    pub(crate) target_is_ours: bool,
    /// Number called; `Some(None)` when none has those digits.
    pub(crate) number: Option<Option<&'s Number>>,
    /// The AOR a number or an agent names.
    pub(crate) link: Option<&'s str>,
    /// Agents the call went past because they have no phone, in order.
    pub(crate) diverted: ArrayVec<(&'s Agent, &'s Domain), MAX_DIVERSIONS>,
    pub(crate) access: Access<'s>,
    pub(crate) egress: Egress<'s>,
    pub(crate) facts: ArrayVec<Fact<'s>, 24>,
}

impl<'s> Route<'s> {
    /// Begins. The plan is cleared first, whatever it holds.
    pub fn start<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan) -> Step<'x>
    where
        's: 'x,
    {
        *self = Route::default();
        plan.clear();
        let admitted = |list: &AccessControlList| list.allows(request.flow.remote.ip());
        if request.options.access.as_ref().is_some_and(|list| !admitted(list)) {
            self.note(Fact::SourceRefused);
            return self.reply(plan, 403);
        }
        if request.message.method() == Some(Method::Register) {
            return self.need(State::TargetDomain { own: false }, Lookup::Domain(request.uri.host));
        }
        self.start_call(request, plan)
    }

    /// Goes on with the answer to what was needed.
    ///
    /// An answer of another kind than asked for ends in 500.
    pub fn step<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan, answer: Answer<'s>) -> Step<'x>
    where
        's: 'x,
    {
        let state = std::mem::take(&mut self.state);
        match (state, answer) {
            // What qualifies and resolves trunks only refines a choice, so a route goes on without it.
            (State::StrangerSource, Answer::Unavailable) => {
                return self.stranger_source(request, plan, false);
            }
            (State::Qualified, Answer::Unavailable) => return self.trunk_state(request, plan, 0),
            (_, Answer::Unavailable) => {
                self.note(Fact::StoreUnavailable);
                return self.reply(plan, 503);
            }
            (_, _) => {}
        }
        let registers = request.message.method() == Some(Method::Register);
        match (state, answer) {
            (State::TargetDomain { own }, Answer::Domain(d)) if registers => {
                self.register_domain(request, plan, d, own)
            }
            (State::TargetDomain { own }, Answer::Domain(d)) => self.target_domain(request, plan, d, own),
            (State::CallerDomain { own }, Answer::Domain(d)) => self.caller_domain(request, plan, d, own),
            (State::LinkDomain, Answer::Domain(d)) => self.link_domain(request, plan, d),
            (State::CallerAgent, Answer::Agent(a)) => self.caller_agent(request, plan, a),
            (State::RegisterAgent, Answer::Agent(a)) => self.register_agent(request, plan, a),
            (State::RegisterIdentity, Answer::Agent(a)) => self.register_identity(request, plan, a),
            (State::CalleeAgent, Answer::Agent(a)) => self.callee_agent(request, plan, a),
            (State::LinkAgent, Answer::Agent(a)) => self.link_agent(request, plan, a),
            (State::CallerPeer, Answer::Peer(p)) => self.caller_peer(request, plan, p),
            (State::RegisterPeer, Answer::Peer(p)) => self.register_peer(request, plan, p, false),
            (State::RegisterPeerByAor, Answer::Peer(p)) => self.register_peer(request, plan, p, true),
            (State::CalleePeerByAor, Answer::Peer(p)) => self.callee_peer_by_aor(request, plan, p),
            (State::CalleePeer, Answer::Peer(p)) => self.callee_peer(request, plan, p),
            (State::LinkPeer, Answer::Peer(p)) => self.link_peer(request, plan, p),
            (State::LinkPeerByName, Answer::Peer(p)) => self.link_peer_by_name(request, plan, p),
            (State::InboundTrunk, Answer::Trunk(t)) => self.inbound_trunk(request, plan, t),
            (State::StrangerInbound, Answer::Trunk(t)) => self.stranger_inbound(request, plan, t),
            (State::StrangerTrunk, Answer::Trunk(t)) => self.stranger_trunk(request, plan, t),
            (State::EgressTrunk, Answer::Trunk(t)) => self.egress_trunk(request, plan, t),
            (State::InboundNumber, Answer::Number(n)) => self.inbound_number(request, plan, n),
            (State::StrangerNumber, Answer::Number(n)) => self.stranger_number(plan, n, request),
            (State::CalleeNumber, Answer::Number(n)) => self.callee_number(request, plan, n),
            (State::DodNumber, Answer::Number(n)) => self.dod_number(plan, n),
            (State::PolicyNumber, Answer::Number(n)) => self.policy_number(request, plan, n),
            (State::Acl, Answer::Acl(l)) => self.acl(request, plan, l),
            (State::StrangerAcl, Answer::Acl(l)) => self.stranger_acl(request, plan, l),
            (State::Credentials, Answer::Credentials(c)) => self.credentials(plan, c),
            (State::Verdict, Answer::Verdict(v)) => self.verdict(request, plan, v),
            (State::StrangerSource, Answer::Found(found)) => self.stranger_source(request, plan, found),
            (State::Bindings, Answer::Found(found)) => self.bindings(request, plan, found),
            (State::Qualified, Answer::Down(down)) => self.trunk_state(request, plan, down),
            // The driver answered another question, or nothing was asked.
            (_, _) => self.reply(plan, 500),
        }
    }

    /// Who calls.
    pub fn caller(&self) -> Party<'s> {
        self.caller
    }

    /// Who is called.
    pub fn callee(&self) -> Party<'s> {
        self.callee
    }

    /// Did the call go on to the fallback of whom it was for, since no phone of theirs is registered?
    pub fn was_diverted(&self) -> bool {
        !self.diverted.is_empty()
    }

    /// The operator's own data that travels with the call's records: the caller's, or that of the number for a
    /// call from outside.
    pub fn metadata(&self) -> Option<&'s Extended> {
        match (self.caller, self.number) {
            (Party::Pstn(..), Some(Some(number))) => Some(&number.extended),
            (caller, _) => caller.extended(),
        }
    }

    /// What was found out on the way, in order.
    pub fn facts(&self) -> &[Fact<'s>] {
        &self.facts
    }

    /// Which requests the caller's domain, else the called one, wants authenticated; with neither all.
    pub(crate) fn authenticate(&self) -> Authenticate {
        self.caller_domain.or(self.target_domain).map_or(Authenticate::All, |d| d.authenticate)
    }

    pub(crate) fn need<'x>(&mut self, state: State, lookup: Lookup<'x>) -> Step<'x> {
        self.state = state;
        Step::Need(lookup)
    }

    pub(crate) fn note(&mut self, fact: Fact<'s>) {
        // What does not fit is lost: no route is that long.
        let _ = self.facts.try_push(fact);
    }

    pub(crate) fn reply<'x>(&mut self, plan: &mut Plan, code: u16) -> Step<'x> {
        self.end(plan, Outcome::reply(code))
    }

    pub(crate) fn end<'x>(&mut self, plan: &mut Plan, outcome: Outcome) -> Step<'x> {
        self.state = State::Ended;
        plan.outcome = outcome;
        Step::Done
    }
}
