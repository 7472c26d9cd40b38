//! The step machine.

use arrayvec::ArrayVec;
use trunkline_model::{Agent, Credentials, Domain, Extended, Number, Peer, Ref, Trunk};

use crate::explain::Fact;
use crate::lookup::{Answer, Step};
use crate::party::Party;
use crate::plan::Plan;
use crate::request::Request;
use crate::turn::Turn;

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
    CallerHome,
    CallerConnection,
    StrangerInbound,
    StrangerNumber,
    StrangerTrunk,
    StrangerAcl,
    StrangerSource,
    InsideTrunk,
    RegisterAgent,
    RegisterPeer,
    RegisterPeerByAor,
    RegisterIdentity,
    Acl,
    Credentials,
    Verdict,
    CalleeNumber,
    CalleeAgent,
    CalleeAgentByNumber,
    CalleePeerByAor,
    CalleePeer,
    CalleeHome,
    LinkPeer,
    LinkDomain,
    LinkAgent,
    LinkPeerByName,
    Bindings,
    DodNumber,
    DodOwner,
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
    /// Is the first list the caller's own, so that it shows who calls?
    pub own_list: bool,
    /// Has the caller shown who it is: by a digest, by its own list, by its connection?
    pub proven: bool,
    /// Is the caller switched off? It learns that once it has shown who it is.
    pub disabled: bool,
    /// Does it register another's AOR? It learns that it may not likewise.
    pub third_party: bool,
}

/// A callee that waits until the caller has shown who it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'s> {
    Agent(&'s Agent, &'s Domain),
    Peer(&'s Peer),
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
    /// The domain whose policies say the way.
    pub policies_of: Option<&'s Domain>,
    /// What the trunks on the way let callers say, each.
    pub allowed: ArrayVec<&'s [String], MAX_TRUNKS>,
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
    /// The domain of From's host, which the caller wrote.
    pub(crate) caller_domain: Option<&'s Domain>,
    /// The domain whose rules and ways out are the caller's: an agent's, or that of a peer's AOR.
    pub(crate) home: Option<&'s Domain>,
    pub(crate) target_domain: Option<&'s Domain>,
    /// Who is called once the caller has shown who it is.
    pub(crate) held: Option<Held<'s>>,
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
        let mut turn = Turn { route: self, request, plan };
        if !request.options.admits(request.flow.remote.ip()) {
            turn.note(Fact::SourceRefused);
            return turn.reply(403);
        }
        if request.registers() { turn.start_register() } else { turn.start_call() }
    }

    /// Goes on with the answer to what was needed.
    ///
    /// An answer of another kind than asked for ends in 500.
    pub fn step<'x>(&mut self, request: &'x Request<'_>, plan: &mut Plan, answer: Answer<'s>) -> Step<'x>
    where
        's: 'x,
    {
        Turn { route: self, request, plan }.take(answer)
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

    pub(crate) fn note(&mut self, fact: Fact<'s>) {
        // What does not fit is lost: no route is that long.
        let _ = self.facts.try_push(fact);
    }
}
