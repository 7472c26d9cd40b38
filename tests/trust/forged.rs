//! What is said in one dialog with the names of another, and what crosses what: forged responses, second calls under the
//! names of one that is up, a fork of somebody before us, refreshes that wait.

use super::bait::Bait;
use super::cast::{Kind, Who};
use super::dialog::{Call, End, Stage};
use super::history::History;
use super::net::{Port, Sockets};
use super::oracle::{Claim, First, Goes, Proof, Target, first};
use super::request::Request;
use super::ruling::{Forgery, Plan, Play, Ruling};
use super::twist::Twist;
use super::within::kind;

/// What a callee says that has overheard another call.
#[derive(Debug, Default)]
pub struct Stolen {
    /// Record-Route values in place of those that came.
    pub routes: Option<Vec<String>>,
    /// A Record-Route value before those.
    pub before: Option<String>,
    pub contact: String,
}

impl History<'_> {
    /// Whoever is asked something in one dialog answers first in the name of another one, then as it should. Then that
    /// other dialog is tried: it leads where it led.
    pub fn forged_response(&mut self, call: &mut Call, end: End) -> Play {
        // Under the same names it would be the answer itself.
        let another = |other: &Call| other.method == "INVITE" && other.id != call.id;
        let Some(n) = self.open.iter().position(another) else { return Ok(()) };
        let bait = Bait::any(&mut self.rng);
        let contact = bait.uri(&self.lane.sockets);
        let named = self.rng.pick(&[End::Caller, End::Callee]);
        let other = self.open[n].side(named);
        let mut forgery = Forgery {
            from: Some(other.local.clone()),
            to: Some(other.remote.clone()),
            call_id: Some(self.open[n].id.clone()),
            cseq: Some(other.cseq),
            contact: contact.clone(),
        };
        // All of its names, or some of them.
        match self.rng.below(5) {
            0 => (forgery.from, forgery.to) = (None, None),
            1 => (forgery.call_id, forgery.cseq) = (None, None),
            2 => forgery.cseq = None,
            _ => {}
        }
        let method = self.rng.pick(&["UPDATE", "INFO", "NOTIFY", "MESSAGE"]);
        let request = call.request(end, method);
        let answers = call.side(end.other()).clone();
        let ruling = self.ruling_within(call, end, Twist::Honest, &request);
        self.table.count(kind(answers.who), "response", "names another dialog");
        self.lane
            .ladder
            .note(format!("{method} in {}, answered in the name of {}", call.id, self.open[n].id));
        let forged = Some(Box::new(forgery));
        let plan = Plan { status: 200, contact: Some(answers.target), forged, ..Plan::default() };
        self.lane.ask(call.side(end).port, request, ruling, plan)?;
        let mut other = self.open.swap_remove(n);
        self.request_within(&mut other, named, "MESSAGE", Twist::Target(bait))?;
        self.request_within(&mut other, named, "INFO", Twist::Honest)?;
        if other.stage == Stage::Up {
            self.open.push(other);
        }
        Ok(())
    }

    /// The name of a call that is up, for one that is begun under it.
    pub fn name_in_use(&mut self) -> Option<String> {
        let open = self.open.iter().filter(|call| call.method == "INVITE").collect::<Vec<_>>();
        let n = self.rng.below(open.len());
        open.get(n).map(|call| call.id.clone())
    }

    /// For a callee under names in use: the mark of the other call's callee in place of its own, or that of the other caller
    /// behind it, and a Contact that mark would lead to.
    pub fn stolen_mark(&mut self, who: Who, by: &[Option<Who>], request: &Request) -> Option<Stolen> {
        let other =
            self.open.iter().find(|call| call.id == request.call_id && call.method == request.method)?;
        let own = [other.caller.who, other.callee.who].contains(&who) || other.callee.routes.is_empty();
        if own || !self.rng.percent(75) {
            return None;
        }
        // Who calls in both has both marks, and so has who is called and calls in the other.
        let same = by.contains(&Some(other.caller.who))
            || by.contains(&other.caller.known_as)
            || other.caller.known_as == Some(who);
        if !same && self.rng.percent(50) {
            let before = Some(other.caller.routes.first()?.clone());
            return Some(Stolen { routes: None, before, contact: other.callee.target.clone() });
        }
        let contact = Bait::At(other.callee.who).uri(&self.lane.sockets);
        Some(Stolen { routes: Some(other.callee.routes.clone()), before: None, contact })
    }

    /// A proxy before us asks another one at once, under all the same names, who is busy: of the call that rings that says
    /// nothing.
    pub fn forked(&mut self, call: &Call) -> Play {
        let who = call.caller.who;
        if who.kind() != Kind::Agent || call.caller.known_as != Some(who) || self.lane.shape.stateless {
            return Ok(());
        }
        let callee = self.rng.pick(&[Who::Ann, Who::Bob, Who::Cleo, Who::Free]);
        let facts = First {
            claim: Claim::Is(who),
            source: who,
            proof: Proof::Right,
            target: Target::Aor(callee),
            invites: true,
            calls: true,
            refers: false,
            asks_state: false,
            commands: false,
        };
        let goes = first(&facts);
        if callee == who || callee == call.callee.who || matches!(goes, Goes::Nowhere) {
            return Ok(());
        }
        self.table.count(kind(who), "INVITE", "forked before us");
        self.lane.ladder.note(format!("{} is forked to {callee:?}", call.id));
        let uri = callee.aor();
        let request = Request { uri, more: Vec::new(), routes: Vec::new(), ..call.first.request.clone() };
        let tag = format!("busy{}", request.call_id);
        let plan = Plan { status: 486, tag, ..Plan::default() };
        let bare = self.ruling(first(&First { proof: Proof::Absent, ..facts }), callee.user());
        let port = call.first.port;
        let (_, answer) = self.lane.ask(port, request.clone(), bare.clone(), plan.clone())?;
        if bare != Ruling::Never {
            return Ok(());
        }
        let Some((name, value)) = self.credentials(&request, &answer, who.login()) else { return Ok(()) };
        let ruling = self.ruling(goes, callee.user());
        self.lane.ask(port, request.with(name, value), ruling, plan).map(drop)
    }

    /// A re-INVITE to another port of one's own waits for its answer while other things are said; then it is accepted.
    pub fn refresh_that_waits(&mut self, call: &mut Call, end: End) -> Play {
        let me = call.side(end).clone();
        let second = Sockets::second(me.who);
        let anywhere = me.doubtful || me.elsewhere || me.is_lodger();
        if self.lane.sockets.is_tcp(me.port) || me.port == second || anywhere {
            return Ok(());
        }
        if me.who.is_on_a_list() && me.known_as != Some(me.who) {
            return Ok(());
        }
        let other = call.side(end.other()).clone();
        if other.doubtful {
            return Ok(());
        }
        let contact = format!("sip:{}@{}", me.who.user(), self.lane.sockets.at(second));
        let mut request = call.request(end, "INVITE");
        request.contact = Some(contact.clone());
        let ruling = Ruling::Must(other.place());
        self.table.count(kind(me.who), "in INVITE", "refresh that waits");
        self.lane.ladder.note(format!("{end:?} of {}: INVITE with Contact {contact}, which waits", call.id));
        let plan = Plan { status: 0, contact: Some(other.target.clone()), ..Plan::default() };
        let tx = self.lane.send(me.port, request, ruling.clone(), plan.clone());
        self.lane.answer(&tx, 180)?;
        for _ in 0..1 + self.rng.below(2) {
            let by = self.rng.pick(&[End::Caller, End::Callee]);
            let method = match by == end {
                true => self.rng.pick(&["INFO", "MESSAGE", "OPTIONS"]),
                false => self.rng.pick(&["INFO", "UPDATE", "NOTIFY", "MESSAGE"]),
            };
            self.request_within(call, by, method, Twist::Honest)?;
        }
        self.lane.respond_later(&tx, Plan { status: 200, ..plan })?;
        self.lane.answer(&tx, 200)?;
        let ack = Request { method: "ACK".into(), contact: None, ..tx.request.clone() };
        self.lane.tell(me.port, ack, ruling)?;
        moved(call, end, contact, second);
        self.request_within(call, end.other(), "INFO", Twist::Honest)
    }
}

/// This side is there now, and still speaks from where it was.
fn moved(call: &mut Call, end: End, contact: String, at: Port) {
    let side = call.side_mut(end);
    side.target = contact;
    side.refreshed = true;
    if !side.behind {
        side.at = vec![at, side.port];
    }
}
