//! The router's questions answered out of this process.

use trunkline_calls::SessionKey;
use trunkline_location::{Binding as Located, BindingId, Select};
use trunkline_model::{Algorithm as Balance, Tables, Trunk};
use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_registrar::{Named, is_of};
use trunkline_routing::{
    Answer, Ask, Backend, Binding, BindingsQuestion, Decision, Diversion, Gruu, Inside, NoAnswer, Outcome,
    Question, Registrant, Request, decide,
};
use trunkline_sip::{ConnectionId, ParseError, Uri, parse_ip};

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::reach::{Reach, reach};
use crate::trust::identity::Demand;

/// How often a request is routed, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Round<'a> {
    /// For the first time.
    First,
    /// Its callee did not take it.
    Diverted(Diversion<'a>),
    /// One of its targets leads back to us.
    Inside(Inside<'a>),
}

impl Edge {
    /// Runs the router to its end: the decision stands in `decision`.
    pub(crate) fn decide(
        &mut self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        uri: &Uri<'_>,
        round: Round<'_>,
        decision: &mut Decision,
    ) -> Result<(), ParseError> {
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let again = matches!(round, Round::Inside(_));
        let back = *uri;
        // A name led here where a target leads back; no table knows it.
        let leads_back = |uri: &Uri<'_>| again && (uri.host, uri.port) == (back.host, back.port);
        let own = |uri: &Uri<'_>| leads_back(uri) || shared.addresses.is_own(uri);
        let ours = || own(uri) || tables.domain_by_uri(uri.host).is_some();
        let named = Named::read(uri, &shared.secret).filter(|_| ours());
        let aor = named.as_ref().and_then(|n| n.user.as_deref());
        let uri = Uri { user: aor.or(uri.user), ..*uri };
        // xorshift: only spreads load.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let mut request = Request::with_uri(
            inbound.message,
            uri,
            *inbound.flow,
            &shared.config.routing,
            &own,
            self.random,
        )?;
        match round {
            Round::First => {}
            Round::Diverted(diversion) => request.diversion = Some(diversion),
            Round::Inside(inside) => request.inside = Some(inside),
        }
        request.gruu = named.as_ref().map(|n| Gruu { instance: &n.instance, registration: n.registration });
        let here = Here { edge: self, io, inbound, tables: &tables };
        // In one process every answer is there.
        if decide(&request, &here, decision).is_err() {
            decision.outcome = Outcome::reply(Reason::ServerUnanswered);
        }
        self.note_decision(io, decision);
        Ok(())
    }

    /// Did this party register under the AOR over the connection the request came by? That of a proxy is everybody's who comes by
    /// it, and shows nothing of who sent the request.
    fn is_registered_by(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        aor: &[u8],
        party: &Registrant<'_>,
        tables: &Tables,
    ) -> bool {
        let flow = inbound.flow;
        let own = flow.transport.is_reliable() && flow.connection != ConnectionId::NONE;
        if !own || inbound.is_relayed() {
            return false;
        }
        let proof = self.shared.proof(tables, party.kind, party.reference);
        let party = self.shared.registrant(party.kind, party.reference);
        let mut found = false;
        self.shared.location.visit(aor, io.unix_ms(), |b| {
            let same = b.flow.connection == flow.connection && b.path.is_empty();
            // What was registered while nobody was asked shows nothing once somebody is, nor does a secret of the past.
            found |= same && b.proven && b.registrant == party && b.proof == proof;
        });
        found
    }

    /// Is this one of the trunk's addresses: one that its names lead to, or led to lately?
    ///
    /// # Errors
    /// [`NoAnswer::Unavailable`] while a name of it was not resolved since the start.
    fn is_trunk_source(&self, trunk: &Trunk, source: std::net::IpAddr) -> Result<bool, NoAnswer> {
        let (shared, kind) = (&self.shared, PartyKind::Trunk);
        let party = shared.secret.party(trunk.reference.as_str().as_bytes());
        let leads_there = trunk.uris.iter().any(|u| {
            parse_ip(u.host.as_bytes()) == Some(source)
                || shared.resolver.leads_to(u.host.as_bytes(), u.port, u.transport, source)
        });
        match leads_there || shared.guard.is_address_of(kind, party, source) {
            false if shared.guard.is_unresolved(kind, party) => Err(NoAnswer::Unavailable),
            leads_there => Ok(leads_there),
        }
    }

    /// Has the phone registered anew since its temporary GRUU was given out (RFC 5627 §3.1.2)?
    fn has_ended(&self, io: &Io<'_>, aor: &[u8], gruu: Gruu<'_>) -> bool {
        let mut ended = false;
        self.shared.location.visit(aor, io.unix_ms(), |b| {
            ended |= is_of(&b, gruu.instance, gruu.registration, &self.shared.secret).is_err();
        });
        ended
    }

    /// Gives the contacts of an AOR, or those of one phone.
    fn bindings(&self, io: &Io<'_>, question: &BindingsQuestion<'_>, found: &mut dyn FnMut(Binding<'_>)) {
        let (secret, gruu) = (&self.shared.secret, question.gruu);
        self.shared.location.visit(question.aor, io.unix_ms(), |b| {
            let wanted = gruu.is_none_or(|g| is_of(&b, g.instance, g.registration, secret) == Ok(true));
            if let Some(way) = reach(io, &b).filter(|_| wanted && self.shared.is_there(&b)) {
                found(self.target(&b, way));
            }
        });
    }

    /// Gives the one contact of an AOR that is chosen.
    fn chosen(
        &self,
        io: &Io<'_>,
        question: &BindingsQuestion<'_>,
        backend: Backend<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) {
        let by = Select {
            call_id: question.call_id,
            algorithm: match backend.algorithm {
                Balance::RoundRobin => trunkline_location::Algorithm::RoundRobin,
                Balance::LeastSessions => trunkline_location::Algorithm::LeastSessions,
            },
            backend: backend.reference.as_str().as_bytes(),
            affinity: question.affinity.filter(|_| backend.with_session_affinity).unwrap_or_default(),
            labels: &[],
        };
        let sessions = |id: BindingId| self.shared.calls.sessions(SessionKey::binding(id.0));
        let known = &self.shared.destinations;
        let mut choose = |passing_over_the_dead: bool| {
            let fits = |b: &Located<'_>| {
                reach(io, b).is_some()
                    && self.shared.is_there(b)
                    && !(passing_over_the_dead && known.is_instance_down(b.id.0))
            };
            let chosen = self.shared.location.select(question.aor, &by, io.unix_ms(), sessions, fits, |b| {
                reach(io, &b).map(|way| found(self.target(&b, way)))
            });
            chosen.flatten().is_some()
        };
        // Where all are down, one of them is tried all the same, unless the peer's own address may answer.
        if !choose(true) && !known.may_answer_at_address(backend.reference) {
            choose(false);
        }
    }

    fn target<'b>(&self, b: &Located<'b>, way: Reach) -> Binding<'b> {
        // The flows of one phone are known by its instance (RFC 5626 §6).
        let is_flow = b.reg_id != 0 && !b.instance.is_empty();
        Binding {
            uri: b.uri,
            q: b.q,
            flow: way.flow,
            flow_only: way.flow_only,
            phone: if is_flow { self.shared.secret.registration(b"", b.instance) | 1 } else { 0 },
            next_hop: None,
            path: b.path,
            id: b.id.0,
            named_from: Some(b.flow.remote),
        }
    }
}

/// Answers the router's questions out of this process.
struct Here<'e, 'i, 's> {
    edge: &'e Edge,
    io: &'e Io<'i>,
    inbound: &'e Inbound<'e>,
    tables: &'s Tables,
}

impl<'s> Ask<'s> for Here<'_, '_, 's> {
    fn answer(&self, question: &Question<'_>) -> Result<Answer<'s>, NoAnswer> {
        if let Some(answer) = question.answer(self.tables) {
            return Ok(answer);
        }
        let Here { edge, io, inbound, .. } = *self;
        Ok(match *question {
            Question::Authenticate { credentials, realm, algorithms, aor, owner } => {
                let demand = Demand { realm, algorithms, aor, begins: true };
                Answer::Verdict(edge.judge_as(io, inbound, credentials, owner, &demand))
            }
            Question::Connection { aor, registrant } => {
                Answer::Yes(edge.is_registered_by(io, inbound, aor, &registrant, self.tables))
            }
            Question::TrunkCarrier { trunk, source } => {
                Answer::Yes(edge.shared.is_carrier(self.tables, trunk, source))
            }
            Question::GruuEnded { aor, gruu } => Answer::Yes(edge.has_ended(io, aor, gruu)),
            Question::TrunkState(trunk) => Answer::Down(edge.shared.trunk_down(&trunk.reference)),
            Question::TrunkSource { trunk, source } => Answer::Yes(edge.is_trunk_source(trunk, source)?),
            _ => return Err(NoAnswer::Unavailable),
        })
    }

    fn bindings(
        &self,
        question: &BindingsQuestion<'_>,
        found: &mut dyn FnMut(Binding<'_>),
    ) -> Result<(), NoAnswer> {
        match (question.backend, question.gruu) {
            (Some(backend), None) => self.edge.chosen(self.io, question, backend, found),
            _ => self.edge.bindings(self.io, question, found),
        }
        Ok(())
    }
}
