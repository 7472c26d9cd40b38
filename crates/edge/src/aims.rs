//! The targets of a request with the ways to them. One that leads to this exchange is routed again right here, with the
//! caller known already: sent to ourselves it would come back as anybody's, and be challenged by us.

use std::collections::VecDeque;

use arrayvec::ArrayVec;
use trunkline_proxy::PartyKind;
use trunkline_routing::{Inside, Outcome, Plan, Target};
use trunkline_sip::Uri;
use trunkline_transport::Egress;

use crate::calls::Parties;
use crate::decide::Round;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::{EdgeMail, Io};
use crate::resolver::{Question, Spare};
use crate::trust::marks::PartyRef;
use crate::trust::{Judged, Word};

/// Targets of one request, at most; more contacts are not rung.
pub(crate) const MOST_TARGETS: usize = 32;
/// One request is routed again so often, at most: all its targets that lead to us share them.
const MOST_PASSES: u8 = 16;
/// A target may lead to us whose target leads to us, so deep.
const DEEPEST: usize = 6;

/// The way to a target.
pub(crate) type Open = Option<(Egress, Spare)>;
/// Where a target stands: its group, within it that of the target it came from routing again, and so on.
type Rank = [u8; DEEPEST];

/// One target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    /// 0: a target of the first plan, else of the one before it in [`Aims::inner`].
    plan: u8,
    target: u8,
    /// Targets of one group are tried at once.
    pub(crate) group: u8,
    /// What it counts as where there is no way to it.
    pub(crate) code: u16,
    /// By whose word it is one; `None`: the operator's.
    pub(crate) word: Option<Word>,
}

/// What routing again found.
#[derive(Debug, Default)]
struct Inner {
    plan: Plan,
    parties: Parties,
}

/// The targets of a request, with as many ways.
#[derive(Debug, Default)]
pub(crate) struct Aims {
    pub(crate) list: ArrayVec<Aim, MOST_TARGETS>,
    pub(crate) ways: ArrayVec<Open, MOST_TARGETS>,
    inner: Vec<Inner>,
    /// Who was called by the plan of the request as it came, where somebody else is rung first.
    called: Option<PartyRef>,
}

impl Aims {
    /// The plan that a target stands in; `first` is that of the request as it came.
    pub(crate) fn plan<'p>(&'p self, first: &'p Plan, aim: &Aim) -> &'p Plan {
        match self.inner(aim) {
            Some(inner) => &inner.plan,
            None => first,
        }
    }

    /// The target itself.
    pub(crate) fn target<'p>(&'p self, first: &'p Plan, aim: &Aim) -> Option<&'p Target> {
        self.plan(first, aim).targets.as_slice().get(usize::from(aim.target))
    }

    /// Who is called by it.
    pub(crate) fn callee<'p>(&'p self, rung: &'p Parties, aim: &Aim) -> &'p PartyRef {
        match self.inner(aim) {
            Some(inner) => &inner.parties.callee,
            None => self.called.as_ref().unwrap_or(&rung.callee),
        }
    }

    fn inner(&self, aim: &Aim) -> Option<&Inner> {
        self.inner.get(usize::from(aim.plan).checked_sub(1)?)
    }

    /// How many targets are tried at once, at most.
    pub(crate) fn widest_group(&self, first: &Plan) -> u32 {
        let tried = || self.list.iter().filter(|a| self.target(first, a).is_some_and(|t| !t.alternate));
        let size = |of: &Aim| tried().filter(|a| a.group == of.group).count() as u32;
        tried().map(size).max().unwrap_or(0)
    }
}

/// A target that leads to us.
struct Lead {
    uri: Vec<u8>,
    /// The AOR whose target it is.
    aor: Vec<u8>,
    /// Did the operator name it?
    configured: bool,
    rank: Rank,
    depth: usize,
    /// Its place among what was found.
    place: usize,
}

/// A target as routing again finds it; the ones it makes way for are gone.
type Found = Option<(Rank, Aim, Open)>;

/// The way through this exchange that a request's targets take.
#[derive(Default)]
struct Search {
    caller: PartyRef,
    /// Had the caller shown who it is when the request was routed first?
    proven: bool,
    /// The AORs that were called on the way: whoever comes by again goes round in a circle.
    been: Vec<Vec<u8>>,
    passes: u8,
    leads: VecDeque<Lead>,
    found: Vec<Found>,
    inner: Vec<Inner>,
}

impl Edge {
    /// Finds the ways to the plan's targets; `Err` with a name that has to be known first.
    pub(crate) fn aim(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        plan: &Plan,
        aims: &mut Aims,
    ) -> Result<(), Question> {
        let mut inside = false;
        for (n, target) in (0u8..).zip(plan.targets.as_slice()).take(MOST_TARGETS) {
            let word = self.word_for(target);
            let (way, code) = match self.guarded_way(plan, target, word.as_ref()) {
                Judged::To(egress, spare) => (Some((egress, spare)), 0),
                Judged::Nowhere => (None, 503),
                Judged::Inside => (None, 482),
                Judged::Later(question) => return Err(question),
            };
            inside |= code == 482;
            aims.list.push(Aim { plan: 0, target: n, group: target.group, code, word });
            aims.ways.push(way);
        }
        match inside {
            true => self.route_inside(io, inbound, plan, aims),
            false => Ok(()),
        }
    }

    /// Puts in the place of targets that lead to us what they lead to.
    fn route_inside(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        plan: &Plan,
        aims: &mut Aims,
    ) -> Result<(), Question> {
        let first = std::mem::take(&mut self.scratch.parties);
        let mut search = Search { caller: first.caller.clone(), proven: plan.proven, ..Search::default() };
        search.been.push(plan.aor.clone());
        for (aim, way) in aims.list.drain(..).zip(aims.ways.drain(..)) {
            search.put(plan, aim, way, ([0; DEEPEST], 0));
        }
        let done = self.follow(io, inbound, &mut search);
        let mut found: Vec<_> = search.found.into_iter().flatten().collect();
        found.sort_by_key(|(rank, ..)| *rank);
        let (mut last, mut group) = (None, 0u8);
        for (rank, aim, way) in found.into_iter().take(MOST_TARGETS) {
            group += u8::from(last.is_some_and(|last| last != rank));
            last = Some(rank);
            aims.list.push(Aim { group, ..aim });
            aims.ways.push(way);
        }
        aims.inner = search.inner;
        // The call is that of whoever is rung first.
        let rung = aims.list.first().and_then(|aim| aims.inner(aim)).map(|inner| inner.parties.clone());
        self.scratch.parties = match rung {
            Some(rung) => {
                aims.called = Some(first.callee);
                Parties { diverted: true, turns: first.turns, ..rung }
            }
            None => first,
        };
        done
    }

    fn follow(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        search: &mut Search,
    ) -> Result<(), Question> {
        while let Some(lead) = search.leads.pop_front() {
            match self.pass(io, inbound, &lead, search) {
                Ok(plan) => {
                    if let Some(place) = search.found.get_mut(lead.place) {
                        *place = None;
                    }
                    let number = search.inner.len() as u8 + 1;
                    let below = (lead.rank, lead.depth + 1);
                    for (n, target) in (0u8..).zip(plan.targets.as_slice()).take(MOST_TARGETS) {
                        let word = self.word_for(target);
                        let (way, code) = match self.guarded_way(&plan, target, word.as_ref()) {
                            Judged::To(egress, spare) => (Some((egress, spare)), 0),
                            Judged::Nowhere => (None, 503),
                            Judged::Inside => (None, 482),
                            Judged::Later(question) => return Err(question),
                        };
                        let aim = Aim { plan: number, target: n, group: target.group, code, word };
                        search.put(&plan, aim, way, below);
                    }
                    let parties = std::mem::take(&mut self.scratch.parties);
                    search.inner.push(Inner { plan, parties });
                }
                Err(code) => {
                    if let Some(Some((_, aim, _))) = search.found.get_mut(lead.place) {
                        aim.code = code;
                    }
                }
            }
        }
        Ok(())
    }

    /// Routes the request again, to where a target of its own leads; `Err` with the status that says why not.
    fn pass(
        &mut self,
        io: &Io<EdgeMail>,
        inbound: &Inbound<'_>,
        lead: &Lead,
        search: &mut Search,
    ) -> Result<Plan, u16> {
        if search.passes >= MOST_PASSES || lead.depth + 1 >= DEEPEST {
            return Err(482);
        }
        search.passes += 1;
        let uri = Uri::parse(&lead.uri).map_err(|error| error.status())?;
        let caller = search.caller.reference.as_ref();
        // Who calls the number of a trunk that asks nobody is a stranger to all else.
        let by_trunk = matches!(search.caller.kind, PartyKind::Trunk | PartyKind::Stranger);
        let inside = Inside {
            caller: caller.filter(|_| !by_trunk),
            trunk: caller.filter(|_| by_trunk),
            by: &lead.aor,
            proven: search.proven,
            may_leave: lead.configured,
        };
        let mut plan = Plan::default();
        let decided = self.decide(io, inbound, &uri, Round::Inside(inside), &mut plan);
        decided.map_err(|error| error.status())?;
        match plan.outcome {
            Outcome::Forward if search.been.contains(&plan.aor) => Err(482),
            Outcome::Forward => {
                search.been.push(plan.aor.clone());
                Ok(plan)
            }
            Outcome::Reply { code, .. } => Err(code),
            // Who calls has been proven, or is nobody who could be.
            Outcome::Challenge { .. } => Err(403),
            Outcome::Register { .. } => Err(404),
        }
    }
}

impl Search {
    /// A target was found, below another one's rank.
    fn put(&mut self, plan: &Plan, aim: Aim, way: Open, (mut rank, depth): (Rank, usize)) {
        if let Some(place) = rank.get_mut(depth) {
            *place = aim.group;
        }
        let target = plan.targets.as_slice().get(usize::from(aim.target));
        // With a Path the next hop is us, and what stands behind it is somebody else's.
        if let Some(target) = target.filter(|t| aim.code == 482 && t.path.is_empty()) {
            let (uri, place) = (plan.targets.text(target.uri).to_vec(), self.found.len());
            self.leads.push_back(Lead {
                uri,
                aor: plan.aor.clone(),
                configured: aim.word.is_none(),
                rank,
                depth,
                place,
            });
        }
        self.found.push(Some((rank, aim, way)));
    }
}
