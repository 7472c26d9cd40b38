//! The router's questions answered out of this process.

use trunkline_calls::SessionKey;
use trunkline_location::{Binding as Located, BindingId, Select};
use trunkline_model::{Algorithm as Balance, Tables, Trunk};
use trunkline_proxy::PartyKind;
use trunkline_routing::{
    Answer, Backend, Binding, Diversion, Gruu, Inside, Lookup, Outcome, Party, Plan, Request, Route, Step,
};
use trunkline_sip::{ConnectionId, ParseError, Uri, parse_ip};
use trunkline_transport::Io;

use crate::calls::Parties;
use crate::divert::Fallback;
use crate::edge::Edge;
use crate::gruu::{Named, is_of};
use crate::inbound::Inbound;
use crate::mail::EdgeMail;
use crate::trust::marks::PartyRef;
use crate::ways::{Reach, reach};

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
    /// Runs the router to its end: the decision stands in `plan`.
    pub(crate) fn decide(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        uri: &Uri<'_>,
        round: Round<'_>,
        plan: &mut Plan,
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
        let mut route = Route::default();
        let mut step = route.start(&request, plan);
        while let Step::Need(lookup) = step {
            let answer = self.answer(io, inbound, &tables, &lookup, plan);
            step = route.step(&request, plan, answer);
        }
        let diverted = request.diversion.is_some() || route.was_diverted();
        if plan.outcome == Outcome::reply(480) && named.is_some_and(|n| self.has_ended(io, &plan.aor, &n)) {
            plan.outcome = Outcome::reply(404);
        }
        let callee = route.callee();
        let parties = &mut self.scratch.parties;
        *parties = Parties { caller: party_ref(&route.caller()), ..Parties::default() };
        if let PartyRef { kind: PartyKind::Trunk, reference: Some(trunk) } = &parties.caller
            && !shared.is_carrier(&tables, trunk, inbound.flow.remote.ip())
        {
            parties.caller.kind = PartyKind::Stranger;
        }
        parties.diverted = diverted;
        parties.callee = party_ref(&callee);
        if let Party::Agent(agent, _) = callee {
            parties.no_answer = agent.no_answer_seconds;
            parties.fallback =
                Fallback { busy: agent.fallback_busy.clone(), no_answer: agent.fallback_no_answer.clone() };
        }
        Ok(())
    }

    fn answer<'s>(
        &self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        tables: &'s Tables,
        lookup: &Lookup<'_>,
        plan: &mut Plan,
    ) -> Answer<'s> {
        if let Some(answer) = lookup.answer(tables, plan) {
            return answer;
        }
        match *lookup {
            Lookup::Authenticate { credentials } => {
                Answer::Verdict(self.judge(io, inbound, credentials, plan))
            }
            Lookup::Bindings { call_id, backend: Some(backend), affinity, gruu: None } => {
                Answer::Found(self.chosen(io, plan, call_id, backend, affinity))
            }
            Lookup::Bindings { gruu, .. } => Answer::Found(self.bindings(io, plan, gruu)),
            Lookup::Connection => Answer::Found(self.is_registered_by(io, inbound, &plan.aor)),
            Lookup::TrunkState(trunk) => Answer::Down(self.shared.trunk_down(&trunk.reference)),
            Lookup::TrunkSource { trunk, source } => Answer::Found(self.is_trunk_source(trunk, source)),
            _ => Answer::Unavailable,
        }
    }

    /// Did somebody register under this AOR over the connection the request came by?
    fn is_registered_by(&self, io: &Io<EdgeMail>, inbound: &Inbound<'_>, aor: &[u8]) -> bool {
        let flow = inbound.flow;
        let mut found = false;
        if flow.transport.is_reliable() && flow.connection != ConnectionId::NONE {
            self.shared.location.visit(aor, io.unix_ms(), |b| {
                found |= b.flow.connection == flow.connection;
            });
        }
        found
    }

    pub(crate) fn is_trunk_source(&self, trunk: &Trunk, source: std::net::IpAddr) -> bool {
        trunk.uris.iter().any(|u| {
            parse_ip(u.host.as_bytes()) == Some(source)
                || self.shared.resolver.leads_to(u.host.as_bytes(), u.port, u.transport, source)
        })
    }

    /// Has the phone registered anew since its temporary GRUU was given out (RFC 5627 §3.1.2)?
    fn has_ended(&self, io: &Io<EdgeMail>, aor: &[u8], named: &Named<'_>) -> bool {
        let mut ended = false;
        self.shared.location.visit(aor, io.unix_ms(), |b| {
            ended |= is_of(&b, &named.instance, named.registration, &self.shared.secret).is_err();
        });
        ended
    }

    /// Puts the contacts of the plan's AOR, or those of one phone, among its targets.
    fn bindings(&self, io: &Io<EdgeMail>, plan: &mut Plan, gruu: Option<Gruu<'_>>) -> bool {
        let Plan { aor, targets, .. } = plan;
        let secret = &self.shared.secret;
        let mut found = false;
        self.shared.location.visit(aor, io.unix_ms(), |b| {
            let wanted = gruu.is_none_or(|g| is_of(&b, g.instance, g.registration, secret) == Ok(true));
            if let Some(way) = reach(io, &b).filter(|_| wanted) {
                found = true;
                targets.push_binding(self.target(&b, way));
            }
        });
        found
    }

    /// Puts the one contact of the plan's AOR that is chosen among its targets.
    fn chosen(
        &self,
        io: &Io<EdgeMail>,
        plan: &mut Plan,
        call_id: &[u8],
        backend: Backend<'_>,
        affinity: Option<&[u8]>,
    ) -> bool {
        let Plan { aor, targets, .. } = plan;
        let by = Select {
            call_id,
            algorithm: match backend.algorithm {
                Balance::RoundRobin => trunkline_location::Algorithm::RoundRobin,
                Balance::LeastSessions => trunkline_location::Algorithm::LeastSessions,
            },
            backend: backend.reference.as_str().as_bytes(),
            affinity: affinity.filter(|_| backend.with_session_affinity).unwrap_or_default(),
            labels: &[],
        };
        let sessions = |id: BindingId| self.shared.calls.sessions(SessionKey::binding(id.0));
        let peers = &self.shared.peers;
        let mut choose = |passing_over_the_dead: bool| {
            let fits =
                |b: &Located<'_>| reach(io, b).is_some() && !(passing_over_the_dead && peers.is_down(b.id.0));
            let found = self.shared.location.select(aor, &by, io.unix_ms(), sessions, fits, |b| {
                reach(io, &b).map(|way| targets.push_binding(self.target(&b, way)))
            });
            found.flatten().is_some()
        };
        // Where all are down, one of them is tried all the same, unless the peer's own address answers.
        choose(true) || !peers.answers_at_address(backend.reference) && choose(false)
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

/// What the router's party is to the rules of trust.
fn party_ref(party: &Party<'_>) -> PartyRef {
    let kind = match party {
        Party::Unknown => PartyKind::Stranger,
        Party::Agent(..) => PartyKind::Agent,
        Party::Peer(_) | Party::Sibling => PartyKind::Peer,
        Party::Pstn(..) => PartyKind::Trunk,
    };
    PartyRef { kind, reference: party.reference().cloned() }
}
