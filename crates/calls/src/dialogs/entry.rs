//! What is known of one first request and the dialogs it began.

use smallvec::SmallVec;
use trunkline_proxy::{FlowToken, Mark, Seen, Side};
use trunkline_sip::Method;

use super::raised::Raised;
use super::subscriptions::{Event, Subscriptions, until};
use super::{Answered, Ends, FIRST_MS, LINGER_MS, OPEN_MS, Origin, Place};
use crate::shares::Owner;

/// A subscription whose responder says nothing of its end, in seconds (RFC 3261 §20.19 leaves it to the package).
const SUBSCRIBED: u32 = 3_600;
/// So long lives one that was asked for without a time, at most: no package has a longer default than RFC 3680 §4.3.
const UNSAID: u32 = 3_761;
/// Before it is accepted a subscription lives for so long.
const ACCEPTED_WITHIN_MS: u64 = 2 * LINGER_MS;

/// There is no such dialog, or it has no use that the request belongs to (RFC 5057): 481.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dialog has ended or does not accept this method")]
pub struct Ended;

/// Where a side is now: its remote target and its way, after a target refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// [`trunkline_proxy::Secret::target`] of its Contact.
    pub target: u64,
    /// Where its packets come from.
    pub seen: Seen,
    /// How it is reached: `None` as before, `Some(None)` where its Contact points.
    pub flow: Option<Option<FlowToken>>,
}

/// A request inside a dialog that its answer gives a meaning: a target refresh (RFC 3261 §12.2) or a SUBSCRIBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Its method.
    pub method: Method,
    /// Its CSeq.
    pub cseq: u32,
    /// Which subscription it is about, of SUBSCRIBE, REFER and NOTIFY.
    pub event: Event,
    /// How long that lasts by what it says, in seconds; 0 where it ends.
    pub expires: Option<u32>,
    /// Where its sender is once it is accepted.
    pub moved: Option<Moved>,
}

/// What the sides of a dialog have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where the other side is since its last accepted target refresh.
    pub moved: Option<Moved>,
    /// Where it will be, if the refresh under way is accepted.
    pub moving: Option<Moved>,
    /// Where the sender proved to be, [`trunkline_proxy::Secret::source`]; 0 for nowhere else than at the beginning.
    pub source: u32,
}

/// The branch that a dialog comes of, where it is known, and its place.
pub(super) type Whose = (Option<u8>, Place);

/// One side of one dialog.
#[derive(Debug, Default)]
pub(super) struct SideState {
    pub(super) source: u32,
    /// CSeq of the last refresh that was accepted.
    accepted: u32,
    /// CSeq of the last INVITE inside the dialog that failed.
    refused: u32,
    changed: Option<Box<Changed>>,
}

/// What few sides have, so that the others are small.
#[derive(Debug, Default)]
struct Changed {
    moved: Option<Moved>,
    raised: Raised,
    /// In the order in which they went on.
    pending: Vec<Pending>,
}

/// Requests of one side under way that its dialog has to remember, at most.
const MOST_PENDING: usize = 8;

/// A target refresh, or what is about a subscription, under way: CSeq of its request says which response is about it.
#[derive(Debug)]
struct Pending {
    cseq: u32,
    /// What it says of a subscription, and for how many seconds.
    said: Option<(Event, Option<u32>)>,
    /// So long nobody is surprised by a request to the new target.
    until: u64,
    /// Where the side will be.
    moved: Option<Moved>,
}

/// One dialog of an entry.
#[derive(Debug, Default)]
pub(super) struct Leg {
    tag: u64,
    /// Who the callee is.
    party: u64,
    /// The branch of the request that it came of, where that is known.
    branch: Option<u8>,
    /// Where the callee's mark that it answered with says that the callee is ([`trunkline_proxy::Holder::source`]); 0 where no answer
    /// told.
    holder: u32,
    /// The callee's remote target, as the caller's mark has it.
    target: u64,
    confirmed: bool,
    /// A 2xx to the request that begins it came. Without a transaction what repeats it says nothing new.
    accepted: bool,
    /// Was it begun before this process? So long its end is remembered, since its mark would open it again.
    remembered: u64,
    /// Did who begins it here show that it is the mark's holder, or was it begun by a response?
    known: bool,
    /// Is it used by an INVITE?
    invite: bool,
    /// When a BYE went on that has no answer yet; 0 for none.
    bye: u64,
    /// The sides that have sent a BYE, and nothing after it.
    caller_left: bool,
    callee_left: bool,
    subscriptions: Subscriptions,
    used: u64,
    caller: SideState,
    callee: SideState,
}

impl Leg {
    /// A 2xx has confirmed it.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The callee answers with this mark. What it accepts says more than what it said before.
    pub(super) fn answers_with(&mut self, mark: &Mark, success: bool) {
        if self.holder == 0 || success && !self.accepted {
            self.holder = mark.holder.source;
        }
    }

    /// May this mark be used in it? Whoever else was rung for the same account has a mark as well, and only the phone that answered is
    /// in the dialog.
    pub(super) fn is_of(&self, mark: &Mark) -> bool {
        let (own, used) = (self.holder, mark.holder.source);
        mark.side == Side::Caller || own == used || own == 0 || used == 0
    }

    /// A callee was heard of.
    pub(super) fn early((branch, place): Whose, subscription: Option<Event>, target: u64, now: u64) -> Leg {
        let subscribed = |event| Subscriptions::one(event, now + ACCEPTED_WITHIN_MS);
        Leg {
            branch,
            tag: place.tag,
            party: place.party,
            target,
            known: true,
            invite: subscription.is_none(),
            subscriptions: subscription.map(subscribed).unwrap_or_default(),
            used: now,
            ..Leg::default()
        }
    }

    /// A dialog of before this process, which its mark proves.
    pub(super) fn adopted(place: Place, subscription: bool, until: u64, now: u64) -> Leg {
        let subscription = subscription.then(Event::default);
        Leg {
            confirmed: true,
            remembered: until,
            subscriptions: subscription.map(|event| Subscriptions::one(event, until)).unwrap_or_default(),
            ..Leg::early((None, place), subscription, 0, now)
        }
    }

    pub(super) fn side_mut(&mut self, side: Side) -> &mut SideState {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The 2xx to the request that begins it. The caller may go on with the mark that it got first, so a callee that says
    /// something new in its Contact has moved.
    pub(super) fn confirm(
        &mut self,
        target: u64,
        (answered, asked, from): (&Answered, (Event, u32), Origin),
        now: u64,
    ) {
        if !self.confirmed && answered.method == Method::Invite {
            // A BYE ends an early dialog alone: what the callee accepts all the same is a call.
            (self.invite, self.bye) = (true, 0);
        }
        if self.accepted && from == Origin::Stateless {
            return;
        }
        if let Some(contact) = answered.contact.filter(|_| target != self.target) {
            self.callee.move_to(contact);
        }
        self.used = now;
        if !self.accepted {
            self.subscribed(Side::Caller, answered, asked, now);
        }
        (self.confirmed, self.accepted) = (true, true);
    }

    /// A 2xx to SUBSCRIBE or REFER of this side. The notifier may shorten what was `asked` for, and not lengthen it (RFC 6665
    /// §4.2.1.1).
    fn subscribed(&mut self, side: Side, answered: &Answered, (event, asked): (Event, u32), now: u64) {
        let seconds = match answered.method {
            Method::Refer => SUBSCRIBED,
            Method::Subscribe => answered.expires.unwrap_or(SUBSCRIBED).min(asked),
            _ => return,
        };
        self.subscriptions.grant(side, event, until(seconds, now), now);
    }

    /// A NOTIFY of this side was answered with this status, what it said being `told`. It begins no subscription, and grants no
    /// longer one than the 2xx did (RFC 6665 §4.1.3). As a BYE it counts when it is accepted, or nobody answers it: who refuses it
    /// goes on.
    fn notified(&mut self, side: Side, status: u16, told: Option<(Event, Option<u32>)>, now: u64) {
        let subscriber = other(side);
        match (status, told) {
            (200..=299 | 408, Some((event, Some(seconds)))) => {
                self.subscriptions.ends_by(subscriber, event, until(seconds, now));
            }
            // The subscriber knows of no subscription (RFC 6665 §4.2.2).
            (481, told) => self.subscriptions.denies(subscriber, told.map(|(event, _)| event), now),
            _ => {}
        }
        // It makes a dialog of a subscription too (RFC 6665 §4.4.1).
        self.confirmed |= (200..300).contains(&status);
    }

    pub(super) fn has_subscribed(&self, side: Side, event: Event, now: u64) -> bool {
        self.subscriptions.has(side, event, now)
    }

    /// A BYE from this side goes on. True when both have hung up now, whatever either is answered.
    pub(super) fn leave(&mut self, side: Side, now: u64) -> bool {
        if self.bye == 0 {
            self.bye = now;
        }
        if self.confirmed {
            *self.left_mut(side) = true;
        }
        let both = self.caller_left && self.callee_left;
        self.invite &= !both;
        both
    }

    fn left_mut(&mut self, side: Side) -> &mut bool {
        match side {
            Side::Caller => &mut self.caller_left,
            Side::Callee => &mut self.callee_left,
        }
    }

    /// May a request of this method go on?
    fn takes(&self, method: Method, open: bool, limit: u64, now: u64) -> bool {
        if now.saturating_sub(self.used) > limit || !self.confirmed && !open {
            return false;
        }
        let invited = self.invite && self.bye == 0;
        let leaving = self.bye > 0 && now < self.bye.saturating_add(LINGER_MS);
        match method {
            Method::Invite | Method::Update | Method::Prack | Method::Cancel => invited,
            Method::Bye | Method::Ack => invited || leaving,
            Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Info
            | Method::Message
            | Method::Options
            | Method::Other => invited || self.subscriptions.last(now),
            // Neither belongs to a dialog (RFC 3261 §10.2, RFC 3903 §4).
            Method::Register | Method::Publish => false,
        }
    }

    /// Where the sides are for a request of this one, if it may go on.
    pub(super) fn look(
        &self,
        side: Side,
        method: Method,
        open: bool,
        limit: u64,
        now: u64,
    ) -> Result<Standing, Ended> {
        if !self.takes(method, open, limit, now) {
            return Err(Ended);
        }
        let (own, other) = match side {
            Side::Caller => (&self.caller, &self.callee),
            Side::Callee => (&self.callee, &self.caller),
        };
        let moves = |p: &&Pending| p.moved.is_some() && now < p.until && p.cseq > other.accepted;
        let moving = other.pending().iter().rfind(moves).and_then(|pending| pending.moved);
        Ok(Standing { moved: other.moved(), moving, source: own.source })
    }

    /// A request goes on whose sender is known to be this side.
    pub(super) fn enter(&mut self, side: Side, method: Method, now: u64) {
        (self.used, self.known) = (now, true);
        if !matches!(method, Method::Bye | Method::Ack) {
            *self.left_mut(side) = false;
        }
    }

    /// A response to a request of this side. True when a call has ended by it.
    pub(super) fn answered(&mut self, side: Side, answered: &Answered, now: u64) -> bool {
        let status = answered.status;
        if status < 200 {
            return false;
        }
        let success = status < 300;
        let requester = self.side_mut(side);
        let mut said = None;
        if let Some(at) = requester.pending().iter().position(|pending| pending.cseq == answered.cseq) {
            let pending = requester.changed_mut().pending.remove(at);
            said = pending.said;
            if let Some(moved) = pending.moved.filter(|_| success) {
                requester.accepted = requester.accepted.max(pending.cseq);
                requester.move_to(moved);
            }
        }
        match answered.method {
            Method::Bye if answered.hangs_up() || self.caller_left && self.callee_left => {
                (self.invite, self.bye) = (false, 0);
                return self.confirmed;
            }
            // The other side goes on.
            Method::Bye => self.bye = 0,
            Method::Invite if !success => self.side_mut(side).refused = answered.cseq,
            Method::Invite | Method::Update if success => self.responder_moved(side, answered.contact),
            Method::Subscribe | Method::Refer if success => {
                self.responder_moved(side, answered.contact);
                // A SUBSCRIBE of which nothing is known any more had its answer.
                let refer = (answered.method == Method::Refer).then(|| Event::refer(answered.cseq));
                if let Some((event, asked)) = said.or(refer.map(|event| (event, None))) {
                    self.subscribed(side, answered, (event, asked.unwrap_or(UNSAID)), now);
                }
            }
            Method::Notify => self.notified(side, status, said, now),
            _ => {}
        }
        false
    }

    fn responder_moved(&mut self, requester: Side, contact: Option<Moved>) {
        if let Some(moved) = contact {
            self.side_mut(other(requester)).move_to(moved);
        }
    }

    /// Is there nothing left that uses it?
    fn is_over(&self, now: u64) -> bool {
        // A transaction tells by then what became of it, having tried other addresses before the last one's 64*T1.
        let left = self.bye > 0 && now >= self.bye.saturating_add(2 * LINGER_MS);
        (!self.invite || left) && !self.subscriptions.last(now)
    }
}

impl SideState {
    /// Has the INVITE of this CSeq failed?
    pub(super) fn was_refused(&self, cseq: u32) -> bool {
        self.refused == cseq && cseq != 0
    }

    /// A request that moves this side, or is about a subscription, goes on. One that changes neither is not remembered.
    pub(super) fn refreshing(&mut self, refresh: Refresh, now: u64) {
        let Refresh { method, cseq, event, expires, moved } = refresh;
        if let Some(changed) = &mut self.changed {
            let stays = |p: &Pending| p.cseq != cseq && now < p.until.saturating_add(OPEN_MS);
            changed.pending.retain(stays);
        }
        let says = match method {
            Method::Subscribe => true,
            // Of others nothing is known but their CSeq, by which a REFER is found anyway.
            Method::Notify => expires.is_some(),
            _ => false,
        };
        let said = says.then_some((event, expires));
        let moves = moved.is_some_and(|m| !self.pending().is_empty() || self.moved() != Some(m));
        if !moves && said.is_none() {
            return;
        }
        let pending = &mut self.changed_mut().pending;
        if pending.len() >= MOST_PENDING {
            pending.remove(0);
        }
        // Every request but INVITE has its answer within 64*T1 (RFC 3261 §17.1.2).
        let until = now + if method == Method::Invite { OPEN_MS } else { LINGER_MS };
        pending.push(Pending { cseq, said, until, moved });
    }

    fn move_to(&mut self, moved: Moved) {
        let place = &mut self.changed_mut().moved;
        let flow = moved.flow.or(place.and_then(|before| before.flow));
        *place = Some(Moved { flow, ..moved });
    }

    fn changed_mut(&mut self) -> &mut Changed {
        self.changed.get_or_insert_default()
    }

    fn moved(&self) -> Option<Moved> {
        self.changed.as_ref().and_then(|changed| changed.moved)
    }

    fn pending(&self) -> &[Pending] {
        self.changed.as_ref().map_or(&[], |changed| &changed.pending)
    }

    /// By how much the request of this CSeq is raised.
    pub(super) fn raised(&self, cseq: u32) -> u32 {
        self.changed.as_ref().map_or(0, |changed| changed.raised.of(cseq))
    }

    /// A challenge of the request of this CSeq was answered.
    pub(super) fn raise(&mut self, cseq: u32) {
        self.changed_mut().raised.raise(cseq);
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Caller => Side::Callee,
        Side::Callee => Side::Caller,
    }
}

/// One first request and the dialogs it began.
#[derive(Debug, Default)]
pub(super) struct Entry {
    used: bool,
    /// Who began it.
    pub(super) owner: Owner,
    pub(super) subscription: bool,
    /// A transaction has the request, and will tell its end.
    held: bool,
    /// The subscription that it asks for, and for how many seconds.
    pub(super) asked: (Event, u32),
    /// Without one: until when responses are waited for.
    open_until: u64,
    /// Without one: so long the entry stays, since a repeated response would begin it again.
    remembered: u64,
    /// A final response came.
    answered: bool,
    /// The request failed.
    failed: bool,
    legs: SmallVec<[Leg; 1]>,
}

impl Entry {
    pub(super) fn new(subscription: bool, held: bool, born: u64, now: u64) -> Entry {
        let remembered = if held { 0 } else { born + FIRST_MS };
        let (open_until, asked) = (now + OPEN_MS, (Event::default(), UNSAID));
        Entry { used: true, subscription, held, asked, open_until, remembered, ..Entry::default() }
    }

    /// One of a request that begins a subscription, and asks for so many seconds.
    pub(super) fn subscribing((event, expires): (Event, Option<u32>), held: bool, now: u64) -> Entry {
        Entry { asked: (event, expires.unwrap_or(UNSAID)), ..Entry::new(true, held, now, now) }
    }

    /// The subscription that its dialogs begin with, if it is none of a call.
    pub(super) fn begins(&self) -> Option<Event> {
        self.subscription.then_some(self.asked.0)
    }

    /// One of before this process.
    pub(super) fn adopted(subscription: bool) -> Entry {
        Entry { used: true, subscription, ..Entry::default() }
    }

    /// The same, begun by this one.
    pub(super) fn of(self, owner: Owner) -> Entry {
        Entry { owner, ..self }
    }

    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// A response to the request: after a final one only repetitions come, and those of other callees of a fork.
    pub(super) fn heard(&mut self, answered: &Answered, now: u64) {
        match answered.status {
            _ if self.answered => {}
            ..200 => self.open_until = now + OPEN_MS,
            _ => (self.answered, self.open_until) = (true, now + LINGER_MS),
        }
    }

    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.open_until = 0;
    }

    /// May a dialog that no 2xx has confirmed take requests?
    pub(super) fn is_open(&self, now: u64) -> bool {
        !self.failed && self.is_awaited(now)
    }

    /// May there be responses to the request still?
    pub(super) fn is_awaited(&self, now: u64) -> bool {
        self.held || now < self.open_until
    }

    /// The transaction is over; true when nothing is left.
    pub(super) fn close(&mut self, now: u64) -> bool {
        self.held = false;
        self.open_until = 0;
        self.legs.retain(|leg| leg.confirmed);
        self.is_over(now)
    }

    pub(super) fn leg_mut(&mut self, place: Place) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| (leg.tag, leg.party) == (place.tag, place.party))
    }

    /// The dialog that this mark would begin here: one of a subscriber that is notified before its 2xx, or one of `before` this
    /// process, until when it is remembered. `known`: its sender has shown that it is the mark's holder.
    pub(super) fn new_leg(
        &self,
        place: Place,
        mark: &Mark,
        (before, known): (Option<u64>, bool),
        now: u64,
    ) -> Option<Leg> {
        if self.subscription && self.is_open(now) && mark.side == Side::Callee {
            return Some(Leg { known, ..Leg::early((None, place), self.begins(), 0, now) });
        }
        // A callee's mark says nothing of its tag: the first one holds, unless somebody else may have made it up.
        let taken = || self.legs.iter().any(|leg| leg.party == place.party && (leg.known || !known));
        let leg = Leg::adopted(place, mark.subscription, before?, now);
        (mark.side == Side::Caller || !taken()).then_some(Leg { known, ..leg })
    }

    /// Forgets dialogs with this callee under other tags that others than it may have made up.
    pub(super) fn drop_unknown(&mut self, place: Place) {
        self.legs.retain(|leg| leg.known || leg.party != place.party);
    }

    /// What the end of one dialog means to the call: others that took it may be up still.
    pub(super) fn ends(&self, ended: bool) -> Ends {
        match ended {
            false => Ends::Nothing,
            true if self.legs.iter().any(|leg| leg.confirmed && leg.invite) => Ends::Dialog,
            true => Ends::Call,
        }
    }

    /// The dialog with the callee of this tag.
    pub(super) fn place_of(&self, number: u64, tag: u64) -> Option<Place> {
        self.legs.iter().find(|leg| leg.tag == tag).map(|leg| Place { number, tag, party: leg.party })
    }

    /// The branch that led to the callee of this tag, whose call goes on.
    pub(super) fn accepted_by(&self, tag: u64) -> Option<u8> {
        self.legs.iter().find(|leg| leg.tag == tag && leg.confirmed && leg.invite)?.branch
    }

    pub(super) fn add(&mut self, leg: Leg) -> Option<&mut Leg> {
        self.legs.push(leg);
        self.legs.last_mut()
    }

    /// Makes room for one more dialog. The oldest early one gives way of the branch that has the most of them, so that nobody
    /// takes another's room; a 2xx has its room unless its own branch took it all.
    pub(super) fn make_room(&mut self, (branch, place): Whose, most: usize, success: bool) -> bool {
        if self.legs.len() < most {
            return true;
        }
        let whose = |leg: &Leg| (leg.branch, leg.party);
        let early = || self.legs.iter().filter(|leg| !leg.confirmed).map(whose);
        // The new one counts as there already, and among equals its own branch gives way.
        let own = (branch, place.party);
        let share =
            |of: &(Option<u8>, u64)| early().filter(|other| other == of).count() + usize::from(*of == own);
        let fullest = early().max_by_key(|of| (share(of), *of == own));
        let oldest = self.legs.iter().position(|leg| !leg.confirmed && Some(whose(leg)) == fullest);
        if let Some(oldest) = oldest {
            self.legs.remove(oldest);
            return true;
        }
        success && self.legs.iter().filter(|leg| whose(leg) == (branch, place.party)).count() < most
    }

    /// Forgets the early dialogs of a branch.
    pub(super) fn drop_early(&mut self, branch: u8) {
        self.legs.retain(|leg| leg.confirmed || leg.branch != Some(branch));
    }

    /// Has every dialog of it ended? Its end is remembered where a mark would open it again.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let over = |leg: &Leg| leg.is_over(now) && leg.remembered <= now;
        !self.is_awaited(now) && self.remembered <= now && self.legs.iter().all(over)
    }

    /// As [`Entry::is_over`], and ends what has been silent for too long.
    pub(super) fn has_ended(&mut self, limit: u64, now: u64) -> bool {
        if self.is_awaited(now) || now < self.remembered {
            return false;
        }
        self.legs.retain(|leg| leg.confirmed);
        let silent = |leg: &Leg| now.saturating_sub(leg.used) > limit;
        self.legs.iter().all(|leg| leg.remembered <= now && (leg.is_over(now) || silent(leg)))
    }
}
