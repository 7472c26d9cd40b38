//! A request out of dialog, from top to bottom. Each rule is a function that asks what it has to know; `?` leaves with the
//! question that has no answer yet, and the same rules run again once there is one.

use arrayvec::ArrayVec;
use trunkline_model::{AccessControlList, Agent, Credentials, Domain, Number, Peer, Ref, Trunk};
use trunkline_reasons::Reason;
use trunkline_sip::{Method, Scheme, Uri};

use crate::ask::{Answer, Ask, NoAnswer, Question, Verdict};
use crate::call::{Call, Callee};
use crate::decision::{Decision, Outcome};
use crate::explain::Fact;
use crate::party::{Party, Registrant, RoutedKind};
use crate::request::{Gruu, Request};

/// Digits of a global number (ITU-T E.164).
const LONGEST_NUMBER: usize = 15;

/// An answer has to be fetched before the request can be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing;

/// Decides what becomes of a request out of dialog. The decision is cleared first, whatever it holds.
///
/// # Errors
/// [`Missing`] when whoever is asked has no answer yet: fetch it, then decide again with all answers kept. The same answers
/// always give the same decision.
pub fn decide<'s>(request: &Request<'_>, ask: &impl Ask<'s>, decision: &mut Decision) -> Result<(), Missing> {
    decision.clear();
    let mut rules = Rules { request, ask, decision };
    match rules.decide() {
        Ok(()) | Err(Stop::Ended) => Ok(()),
        Err(Stop::Missing) => Err(Missing),
        Err(Stop::Unavailable) => {
            rules.note(Fact::StoreUnavailable);
            rules.decision.outcome = Outcome::reply(Reason::StoreUnavailable);
            Ok(())
        }
    }
}

/// Why the rules are left before their last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The outcome stands in the decision.
    Ended,
    /// An answer has to be fetched.
    Missing,
    /// Whoever knows cannot be asked.
    Unavailable,
}

impl From<NoAnswer> for Stop {
    fn from(why: NoAnswer) -> Stop {
        match why {
            NoAnswer::Missing => Stop::Missing,
            NoAnswer::Unavailable => Stop::Unavailable,
        }
    }
}

/// What the rules work with. They are written on it, a file for each part of the way.
pub(crate) struct Rules<'r, 'x, A> {
    pub(crate) request: &'x Request<'x>,
    pub(crate) ask: &'r A,
    pub(crate) decision: &'r mut Decision,
}

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    fn decide(&mut self) -> Result<(), Stop> {
        if !self.request.options.admits(self.request.flow.remote.ip()) {
            self.note(Fact::SourceRefused);
            return Err(self.refuse_source(Reason::AclSource));
        }
        if self.request.registers() { self.register() } else { self.route_call() }
    }

    /// Everything but REGISTER.
    fn route_call(&mut self) -> Result<(), Stop> {
        let mut call = Call::default();
        let result = self.walk(&mut call);
        if let Outcome::Reply { .. } = self.decision.outcome {
            self.decision.proven = call.access.proven;
        }
        self.decision.known = call.access.proven || call.access.listed;
        result.and(self.name_parties(&call))
    }

    /// Keeps who takes part.
    pub(crate) fn name_parties(&mut self, call: &Call<'s, 'x>) -> Result<(), Stop> {
        let is_carrier = match call.caller {
            Party::Pstn(trunk, _) if self.decision.outcome == Outcome::Forward => self.is_carrier(trunk)?,
            _ => false,
        };
        let parties = &mut self.decision.parties;
        parties.caller = call.caller.into();
        parties.is_carrier = is_carrier;
        parties.callee = call.callee.into();
        parties.number = call.number.map(|n| n.reference.clone());
        parties.diverted = self.request.diversion.is_some() || !call.diverted.is_empty();
        if let Party::Agent(agent, _) = call.callee {
            parties.no_answer_seconds = agent.no_answer_seconds;
            parties.fallback.busy.clone_from(&agent.fallback_busy);
            parties.fallback.no_answer.clone_from(&agent.fallback_no_answer);
        }
        Ok(())
    }

    fn walk(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        if self.request.uri.scheme == Scheme::Other {
            return Err(self.reply(Reason::UriUnroutable));
        }
        let carrier = self.find_target(call)?;
        self.identify(carrier, call)?;
        self.admit(call)?;
        self.refuse_inside_name(call)?;
        self.show_to_command(call)?;
        if let Some(host) = self.request.sent_on_by() {
            call.sent_on_by = self.domain(host)?;
        }
        let mut callee = self.find_callee(call)?;
        // Each turn goes on to another party; the agents passed bound their number.
        loop {
            callee = match callee {
                Callee::Number(number) => self.follow_number(number, call)?,
                Callee::Link(aor) => self.follow_link(aor, call)?,
                Callee::Agent(agent, domain) => match self.ring_agent(agent, domain, call)? {
                    Some(next) => next,
                    None => return Ok(()),
                },
                Callee::Peer(peer) => match self.ring_peer(peer, call)? {
                    Some(next) => next,
                    None => return Ok(()),
                },
                Callee::Outside => return self.leave(call),
            };
        }
    }

    /// Is it a request that cannot be challenged (RFC 3261 §22.1), since it is about an INVITE that was?
    pub(crate) fn follows(&self) -> bool {
        matches!(self.request.message.method(), Some(Method::Ack | Method::Cancel))
    }

    /// Ends in the answer of this reason.
    pub(crate) fn reply(&mut self, reason: Reason) -> Stop {
        self.end(Outcome::reply(reason))
    }

    /// Ends in 403, because of where the request came from.
    pub(crate) fn refuse_source(&mut self, reason: Reason) -> Stop {
        self.decision.source_refused = true;
        self.reply(reason)
    }

    /// Ends.
    pub(crate) fn end(&mut self, outcome: Outcome) -> Stop {
        self.decision.outcome = outcome;
        Stop::Ended
    }

    pub(crate) fn note(&mut self, fact: Fact<'_>) {
        self.decision.note(fact);
    }

    /// Ends in 404, since nothing has the called name.
    pub(crate) fn nothing_there(&mut self, reason: Reason) -> Stop {
        self.note(Fact::CalleeUnknown);
        self.reply(reason)
    }
}

/// A question whose answer is of one kind.
macro_rules! asks {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $Arg:ty),*) -> $Variant:ident($Type:ty) = $question:expr;)*) => {
        impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
            $($(#[$doc])* pub(crate) fn $name(&self, $($arg: $Arg),*) -> Result<$Type, Stop> {
                match self.ask.answer(&$question)? {
                    Answer::$Variant(answer) => Ok(answer),
                    // Whoever answers another question than was asked knows nothing.
                    _ => Err(Stop::Unavailable),
                }
            })*
        }
    };
}

asks! {
    domain(host: &[u8]) -> Domain(Option<&'s Domain>) = Question::Domain(host);
    agent(domain: &Domain, user: &[u8]) -> Agent(Option<&'s Agent>) = Question::Agent { domain: &domain.reference, user };
    peer(user: &[u8]) -> Peer(Option<&'s Peer>) = Question::Peer(user);
    peer_by_aor(aor: &[u8]) -> Peer(Option<&'s Peer>) = Question::PeerByAor(aor);
    number(digits: &[u8]) -> Number(Option<&'s Number>) = Question::Number(digits);
    number_by_ref(reference: &Ref) -> Number(Option<&'s Number>) = Question::NumberByRef(reference);
    trunk(reference: &Ref) -> Trunk(Option<&'s Trunk>) = Question::Trunk(reference);
    trunk_by_inbound(host: &[u8]) -> Trunk(Option<&'s Trunk>) = Question::TrunkByInbound(host);
    credentials(reference: &Ref) -> Credentials(Option<&'s Credentials>) = Question::Credentials(reference);
    acl(reference: &Ref) -> Acl(Option<&'s AccessControlList>) = Question::Acl(reference);
    is_registered_by_connection(aor: &[u8], registrant: Registrant<'_>) -> Yes(bool) =
        Question::Connection { aor, registrant };
    number_serves(number: &Number, domain: &Domain) -> Yes(bool) =
        Question::NumberServes { number, domain: &domain.reference };
}

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// How the digest of the request is judged, by the decision's realm and algorithms.
    pub(crate) fn authenticate(
        &self,
        credentials: Option<&Credentials>,
        owner: Option<Registrant<'_>>,
    ) -> Result<Verdict, Stop> {
        let Decision { realm, algorithms, aor, .. } = &*self.decision;
        match self.ask.answer(&Question::Authenticate { credentials, realm, algorithms, aor, owner })? {
            Answer::Verdict(verdict) => Ok(verdict),
            _ => Err(Stop::Unavailable),
        }
    }

    /// The domain with this host; an address of ours stands for the default domain. With it: is the host ours at all?
    pub(crate) fn domain_or_own(
        &mut self,
        uri: &Uri<'_>,
        tell: bool,
    ) -> Result<(Option<&'s Domain>, bool), Stop> {
        if let Some(domain) = self.domain(uri.host)? {
            return Ok((Some(domain), true));
        }
        if !(self.request.own_address)(uri) {
            return Ok((None, false));
        }
        let domain = self.domain(self.request.options.default_domain.as_bytes())?;
        if let Some(domain) = domain.filter(|_| tell) {
            self.note(Fact::OwnAddress(domain));
        }
        Ok((domain, true))
    }

    /// The number of ours with these digits: as they stand, else [`Rules::number_otherwise`].
    pub(crate) fn number_in_any_form(&self, digits: &[u8]) -> Result<Option<&'s Number>, Stop> {
        match self.number(digits)? {
            Some(number) => Ok(Some(number)),
            None => self.number_otherwise(digits),
        }
    }

    /// The same number with a plus, or without one: carriers write it either way, and so do those who wrote the resources.
    pub(crate) fn number_otherwise(&self, digits: &[u8]) -> Result<Option<&'s Number>, Stop> {
        if let Some(bare) = digits.strip_prefix(b"+") {
            return self.number(bare);
        }
        let mut global = ArrayVec::<u8, { LONGEST_NUMBER + 1 }>::from_iter([b'+']);
        if digits.is_empty()
            || !digits.iter().all(u8::is_ascii_digit)
            || global.try_extend_from_slice(digits).is_err()
        {
            return Ok(None);
        }
        self.number(&global)
    }

    /// Which destinations of the trunk are down. What watches trunks only refines a choice, so a call goes on without it.
    pub(crate) fn destinations_down(&self, trunk: &Trunk) -> Result<u64, Stop> {
        match self.ask.answer(&Question::TrunkState(trunk)) {
            Ok(Answer::Down(down)) => Ok(down),
            Ok(_) | Err(NoAnswer::Unavailable) => Ok(0),
            Err(NoAnswer::Missing) => Err(Stop::Missing),
        }
    }

    /// May the caller be taken for the trunk's carrier? Without an answer it may not.
    fn is_carrier(&self, trunk: &Trunk) -> Result<bool, Stop> {
        let source = self.request.flow.remote.ip();
        self.yes(&Question::TrunkCarrier { trunk, source })
    }

    /// What the caller is to those who are told what it says: who calls a trunk's number without being its carrier is nobody.
    pub(crate) fn believed_kind(&self, call: &Call<'s, 'x>) -> Result<RoutedKind, Stop> {
        Ok(match call.caller {
            Party::Pstn(trunk, _) if !self.is_carrier(trunk)? => RoutedKind::Unknown,
            caller => caller.kind(),
        })
    }

    /// Has this phone registered anew since its temporary GRUU was given out? Without an answer it has not.
    pub(crate) fn has_ended(&self, gruu: Gruu<'_>) -> Result<bool, Stop> {
        match gruu.registration {
            Some(_) => self.yes(&Question::GruuEnded { aor: &self.decision.aor, gruu }),
            None => Ok(false),
        }
    }

    /// Does one of the trunk's destinations resolve to the source of the packet? `None`: that is not known now.
    pub(crate) fn resolves_to_source(&self, trunk: &Trunk) -> Result<Option<bool>, Stop> {
        let source = self.request.flow.remote.ip().to_canonical();
        match self.ask.answer(&Question::TrunkSource { trunk, source }) {
            Ok(Answer::Yes(yes)) => Ok(Some(yes)),
            Ok(_) | Err(NoAnswer::Unavailable) => Ok(None),
            Err(NoAnswer::Missing) => Err(Stop::Missing),
        }
    }

    /// Whoever cannot be asked says no.
    fn yes(&self, question: &Question<'_>) -> Result<bool, Stop> {
        match self.ask.answer(question) {
            Ok(Answer::Yes(yes)) => Ok(yes),
            Ok(_) | Err(NoAnswer::Unavailable) => Ok(false),
            Err(NoAnswer::Missing) => Err(Stop::Missing),
        }
    }
}
