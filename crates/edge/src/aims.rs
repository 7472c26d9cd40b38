//! The targets of a request with the ways to them. One that leads to this exchange is routed again right here, with the
//! caller known already: sent to ourselves it would come back as anybody's, and be challenged by us.

use std::collections::VecDeque;

use arrayvec::ArrayVec;
use trunkline_proxy::PartyKind;
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Inside, Outcome, Target};
use trunkline_sip::Uri;
use trunkline_transport::Egress;

use crate::decide::Round;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::party::PartyRef;
use crate::resolver::{Question, Spare};
use crate::trust::transfers::BEYOND;
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
    /// 0: a target of the first decision, else of the one before it in [`Aims::inner`].
    decision: u8,
    target: u8,
    /// Targets of one group are tried at once.
    pub(crate) group: u8,
    /// What it counts as where there is no way to it.
    pub(crate) code: u16,
    /// Why there is none.
    pub(crate) reason: Option<Reason>,
    /// By whose word it is one; `None`: the operator's.
    pub(crate) word: Option<Word>,
}

/// The decision that the first of a request's targets stands in: the call is that of whoever is rung first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rung<'a> {
    pub(crate) decision: &'a Decision,
    /// Its callee is not who was called.
    pub(crate) diverted: bool,
}

/// The targets of a request, with as many ways.
#[derive(Debug, Default)]
pub(crate) struct Aims {
    pub(crate) list: ArrayVec<Aim, MOST_TARGETS>,
    pub(crate) ways: ArrayVec<Open, MOST_TARGETS>,
    inner: Vec<Decision>,
}

impl Aims {
    /// The decision that a target stands in; `first` is that of the request as it came.
    pub(crate) fn decision<'p>(&'p self, first: &'p Decision, aim: &Aim) -> &'p Decision {
        self.inner(aim).unwrap_or(first)
    }

    /// That of the first target.
    pub(crate) fn rung<'p>(&'p self, first: &'p Decision) -> Rung<'p> {
        match self.list.first().and_then(|aim| self.inner(aim)) {
            Some(decision) => Rung { decision, diverted: true },
            None => Rung { decision: first, diverted: first.parties.diverted },
        }
    }

    /// The target itself.
    pub(crate) fn target<'p>(&'p self, first: &'p Decision, aim: &Aim) -> Option<&'p Target> {
        self.decision(first, aim).targets.as_slice().get(usize::from(aim.target))
    }

    /// The callee takes no more calls: no target is tried.
    pub(crate) fn make_busy(&mut self, reason: Reason) {
        for aim in &mut self.list {
            (aim.code, aim.reason) = (486, Some(reason));
        }
        self.ways.iter_mut().for_each(|way| *way = None);
    }

    fn inner(&self, aim: &Aim) -> Option<&Decision> {
        self.inner.get(usize::from(aim.decision).checked_sub(1)?)
    }

    /// How many targets are tried at once, at most.
    pub(crate) fn widest_group(&self, first: &Decision) -> u32 {
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
struct Search<'a> {
    caller: PartyRef<'a>,
    /// Had the caller shown who it is when the request was routed first?
    proven: bool,
    /// The AORs that were called on the way: whoever comes by again goes round in a circle.
    been: Vec<Vec<u8>>,
    passes: u8,
    leads: VecDeque<Lead>,
    found: Vec<Found>,
    inner: Vec<Decision>,
}

impl Edge {
    /// Finds the ways to the decision's targets; `Err` with a name that has to be known first.
    pub(crate) fn aim(
        &mut self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        aims: &mut Aims,
    ) -> Result<(), Question> {
        let mut inside = false;
        for (n, target) in (0u8..).zip(decision.targets.as_slice()).take(MOST_TARGETS) {
            let (aim, way) = self.aim_at(decision, (0, n), target)?;
            inside |= aim.code == 482;
            aims.list.push(aim);
            aims.ways.push(way);
        }
        match inside {
            true => self.route_inside(io, inbound, decision, aims),
            false => Ok(()),
        }
    }

    /// One target of the router's, this one of this decision, and the way to it.
    fn aim_at(
        &self,
        decision: &Decision,
        (number, n): (u8, u8),
        target: &Target,
    ) -> Result<(Aim, Option<(Egress, Spare)>), Question> {
        let word = self.word_for(decision, target);
        let (way, code, reason) = match self.guarded_way(decision, target, word.as_ref()) {
            Judged::To(egress, spare) => (Some((egress, spare)), 0, None),
            Judged::Nowhere if target.trunk.is_some() => (None, 503, Some(Reason::TrunkNoWay)),
            Judged::Nowhere => (None, 503, Some(Reason::CalleeForbiddenWay)),
            Judged::Inside => (None, 482, Some(Reason::LoopInside)),
            Judged::Later(question) => return Err(question),
        };
        Ok((Aim { decision: number, target: n, group: target.group, code, reason, word }, way))
    }

    /// Puts in the place of targets that lead to us what they lead to.
    fn route_inside(
        &mut self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        aims: &mut Aims,
    ) -> Result<(), Question> {
        let caller = PartyRef::caller(&decision.parties);
        let mut search = Search { caller, proven: decision.proven, ..Search::default() };
        search.been.push(decision.aor.clone());
        for (aim, way) in aims.list.drain(..).zip(aims.ways.drain(..)) {
            search.put(decision, aim, way, ([0; DEEPEST], 0));
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
        done
    }

    fn follow(
        &mut self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        search: &mut Search<'_>,
    ) -> Result<(), Question> {
        while let Some(lead) = search.leads.pop_front() {
            match self.pass(io, inbound, &lead, search) {
                Ok(decision) => {
                    if let Some(place) = search.found.get_mut(lead.place) {
                        *place = None;
                    }
                    let number = search.inner.len() as u8 + 1;
                    let below = (lead.rank, lead.depth + 1);
                    for (n, target) in (0u8..).zip(decision.targets.as_slice()).take(MOST_TARGETS) {
                        let (aim, way) = self.aim_at(&decision, (number, n), target)?;
                        search.put(&decision, aim, way, below);
                    }
                    search.inner.push(decision);
                }
                Err((code, reason)) => {
                    if let Some(Some((_, aim, _))) = search.found.get_mut(lead.place) {
                        (aim.code, aim.reason) = (code, Some(reason));
                    }
                }
            }
        }
        Ok(())
    }

    /// Routes the request again, to where a target of its own leads; `Err` with the status and the reason why not.
    fn pass(
        &mut self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        lead: &Lead,
        search: &mut Search<'_>,
    ) -> Result<Decision, (u16, Reason)> {
        if search.passes >= MOST_PASSES || lead.depth + 1 >= DEEPEST {
            return Err((482, Reason::LoopDepth));
        }
        search.passes += 1;
        let uri = Uri::parse(&lead.uri).map_err(|error| (error.status(), Reason::UriInside))?;
        let caller = search.caller.reference;
        // Who calls the number of a trunk that asks nobody is a stranger to all else.
        let by_trunk = matches!(search.caller.kind, PartyKind::Trunk | PartyKind::Stranger);
        let inside = Inside {
            caller: caller.filter(|_| !by_trunk),
            trunk: caller.filter(|_| by_trunk),
            by: &lead.aor,
            proven: search.proven,
            may_leave: lead.configured,
        };
        let mut decision = Decision::default();
        let decided = self.decide(io, inbound, &uri, Round::Inside(inside), &mut decision);
        decided.map_err(|error| (error.status(), Reason::RequestInside))?;
        match decision.outcome {
            Outcome::Forward if search.been.contains(&decision.aor) => Err((482, Reason::LoopCircle)),
            Outcome::Forward if self.refers_beyond(inbound, &decision) => Err((403, BEYOND)),
            Outcome::Forward => {
                search.been.push(decision.aor.clone());
                Ok(decision)
            }
            Outcome::Reply { code, reason, .. } => Err((code, reason)),
            // Who calls has been proven, or is nobody who could be.
            Outcome::Challenge { .. } => Err((403, Reason::AuthInside)),
            Outcome::Register { .. } => Err((404, Reason::RegisterInside)),
        }
    }
}

impl Search<'_> {
    /// A target was found, below another one's rank.
    fn put(&mut self, decision: &Decision, aim: Aim, way: Open, (mut rank, depth): (Rank, usize)) {
        if let Some(place) = rank.get_mut(depth) {
            *place = aim.group;
        }
        let target = decision.targets.as_slice().get(usize::from(aim.target));
        // With a Path the next hop is us, and what stands behind it is somebody else's.
        if let Some(target) = target.filter(|t| aim.code == 482 && t.path.is_empty()) {
            let (uri, place) = (decision.targets.text(target.uri).to_vec(), self.found.len());
            self.leads.push_back(Lead {
                uri,
                aor: decision.aor.clone(),
                configured: aim.word.is_none(),
                rank,
                depth,
                place,
            });
        }
        self.found.push(Some((rank, aim, way)));
    }
}
