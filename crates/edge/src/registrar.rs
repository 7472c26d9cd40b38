//! A REGISTER for a domain of ours: the router says who may, the registrar does what it asks.

use std::cell::RefCell;
use std::net::SocketAddr;

use smallvec::SmallVec;
use trunkline_model::Tables;
use trunkline_reasons::Reason;
use trunkline_registrar::{Memory, Refusal, Registered, Registrar, Request, Surroundings, check_to};
use trunkline_routing::{Decision, Outcome, RoutedKind};
use trunkline_sip::Uri;

use crate::decide::Round;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::memory::DecisionMemory;
use crate::nat::Arrived;
use crate::own_answer::OwnAnswer;
use crate::resolver::Question;
use crate::shared::Shared;
use crate::trust::{Forbidden, Word};

impl Edge {
    /// A REGISTER for a domain of ours.
    pub(crate) fn on_register(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        uri: &Uri<'_>,
        memory: &mut DecisionMemory,
    ) {
        if let Err(refusal) = check_to(&inbound.message) {
            return self.refuse_registration(io, inbound, refusal, b"");
        }
        let DecisionMemory { decision, registrar, .. } = memory;
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        match self.decide(io, inbound, uri, Round::First, decision) {
            Err(error) => self.refuse_undecidable(io, inbound, error),
            Ok(()) => match decision.outcome {
                Outcome::Register { .. } => {
                    // Were they changed meanwhile, nobody knows which secret was shown.
                    let tables = Some(&**tables).filter(|of| std::ptr::eq(*of, &**shared.tables.load()));
                    self.register(io, inbound, decision, tables, registrar);
                }
                Outcome::Challenge { stale, reason, .. } => {
                    self.challenge(io, inbound, decision, (false, stale), reason)
                }
                Outcome::Reply { .. } => self.reply_as_decided(io, inbound, decision),
                // A REGISTER is never forwarded: the domain is ours.
                Outcome::Forward => self.refuse(io, inbound, Reason::RegisterForward),
            },
        }
    }

    /// Carries a REGISTER out that was decided by these tables.
    fn register(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        tables: Option<&Tables>,
        memory: &mut Memory,
    ) {
        let Outcome::Register { max_contacts, replaces_oldest, expires } = decision.outcome else { return };
        let parties = &decision.parties;
        let (kind, registrant) = (parties.caller.kind, parties.caller.reference.as_ref());
        let request = Request {
            registrant: registrant.map_or(0, |r| self.shared.registrant(kind, r)),
            proof: tables.zip(registrant).map_or(0, |(tables, r)| self.shared.proof(tables, kind, r)),
            proven: decision.proven,
            shown: decision.proven || inbound.flow.transport.is_reliable(),
            max_contacts,
            replaces_oldest,
            expires,
            ..Request::new(inbound.message, inbound.via, inbound.flow, &decision.aor)
        };
        let shared = &*self.shared;
        let registrar = Registrar {
            config: &shared.config.registrar,
            secret: &shared.secret,
            location: &shared.location,
        };
        let word = self.word_of_callee(decision, Some(inbound.flow.remote));
        let here = Here { shared, inbound, word, shown: request.shown, unknown: RefCell::default() };
        match registrar.register(&request, &here, io.unix_ms(), memory) {
            Ok(Registered { changed, longest }) => {
                self.counters.registered.add();
                for question in here.unknown.take() {
                    if self.shared.may_look_up(&question, inbound.flow.remote.ip(), io.unix_ms()) {
                        self.shared.resolver.look_up(question);
                    }
                }
                // A connection lives as long as what is reached by it.
                if inbound.flow.transport.is_reliable() && longest > 0 {
                    let until = io.unix_ms() + u64::from(longest) * 1000;
                    io.keep(inbound.flow.connection, until);
                }
                if changed.added + changed.removed > 0
                    && let (RoutedKind::Peer, Some(peer)) = (parties.callee.kind, &parties.callee.reference)
                {
                    self.shared.arrivals.note(peer, &decision.aor);
                    self.shared.destinations.note_arrival();
                }
                self.reply_with(io, inbound, &OwnAnswer::OK, |out| out.extend_from_slice(&memory.headers));
            }
            Err(refusal) => self.refuse_registration(io, inbound, refusal, &memory.headers),
        }
    }

    fn refuse_registration(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        refusal: Refusal,
        headers: &[u8],
    ) {
        if refusal == Refusal::Unavailable {
            self.counters.unstorable.add();
        }
        let (code, phrase) = (refusal.status(), refusal.phrase());
        let answer = OwnAnswer { code, phrase: phrase.as_deref(), ..refusal.reason().into() };
        self.reply_with(io, inbound, &answer, |out| out.extend_from_slice(headers));
    }
}

/// What the registrar asks of this exchange.
struct Here<'a> {
    shared: &'a Shared,
    inbound: &'a Inbound<'a>,
    word: Word,
    shown: bool,
    /// The names in what is registered that nothing is known of: looked up once it was accepted, before somebody calls.
    unknown: RefCell<SmallVec<[Question; 2]>>,
}

impl Surroundings for Here<'_> {
    fn may_lead_to(&self, uri: &[u8]) -> Result<(), &'static str> {
        let question = self.shared.may_register(&self.word, uri).map_err(|forbidden| forbidden.reason())?;
        self.unknown.borrow_mut().extend(question);
        Ok(())
    }

    fn may_be_there(&self) -> Result<(), &'static str> {
        let claimed = !self.shown && self.shared.claims_anothers(&self.word, self.inbound.flow.remote);
        if claimed { Err(Forbidden::Configured.reason()) } else { Ok(()) }
    }

    fn is_behind_nat(&self, contact: &Uri<'_>) -> bool {
        self.shared.addresses.is_behind_nat(&Arrived::request(self.inbound), contact)
    }

    fn us(&self) -> SocketAddr {
        self.shared.addresses.advertised(&self.inbound.back)
    }
}
