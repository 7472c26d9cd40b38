//! What is known of one first request and the dialogs it began.

use smallvec::SmallVec;
use trunkline_proxy::{FlowToken, Holder, PartyKind, Reference, Seen, Side};
use trunkline_sip::Method;

use super::{Answered, LINGER_MS};

/// A subscription whose responder says nothing of its end, in seconds (RFC 3261 §20.19 leaves it to the package).
const SUBSCRIBED: u32 = 3_600;
/// Before it is accepted a subscription lives for so long.
const ACCEPTED_WITHIN_MS: u64 = 2 * LINGER_MS;

/// There is no such dialog, or it has no use that the request belongs to (RFC 5057): 481.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the dialog has ended, or nothing in it takes this method")]
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

/// One side of one dialog.
#[derive(Debug, Default)]
pub(super) struct SideState {
    pub(super) source: u32,
    pub(super) moved: Option<Box<Moved>>,
    pub(super) pending: Option<Box<Moved>>,
}

/// One dialog of an entry.
#[derive(Debug, Default)]
pub(super) struct Leg {
    tag: u64,
    confirmed: bool,
    /// Was it begun before this process? So long its end is remembered, since its mark would open it again.
    remembered: u64,
    /// Is it used by an INVITE?
    invite: bool,
    /// When a BYE went through; 0 for none.
    bye: u64,
    /// Subscriptions in it, and when the last one ends.
    subscriptions: u8,
    subscribed_until: u64,
    used: u64,
    caller: SideState,
    callee: SideState,
}

impl Leg {
    /// A callee was heard of.
    pub(super) fn early(tag: u64, subscription: bool, now: u64) -> Leg {
        Leg {
            tag,
            invite: !subscription,
            subscriptions: u8::from(subscription),
            subscribed_until: if subscription { now + ACCEPTED_WITHIN_MS } else { 0 },
            used: now,
            ..Leg::default()
        }
    }

    /// A dialog of before this process, which its mark proves.
    pub(super) fn adopted(tag: u64, subscription: bool, until: u64, now: u64) -> Leg {
        Leg {
            confirmed: true,
            remembered: until,
            subscribed_until: if subscription { until } else { 0 },
            ..Leg::early(tag, subscription, now)
        }
    }

    pub(super) fn side_mut(&mut self, side: Side) -> &mut SideState {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The 2xx to the request that begins it.
    pub(super) fn confirm(&mut self, answered: &Answered, now: u64) {
        self.confirmed = true;
        self.used = now;
        self.subscribed(answered, now);
    }

    /// A 2xx to SUBSCRIBE or REFER.
    fn subscribed(&mut self, answered: &Answered, now: u64) {
        let seconds = answered.expires.unwrap_or(SUBSCRIBED);
        match answered.method {
            Method::Refer => {
                self.subscriptions = self.subscriptions.saturating_add(u8::from(self.invite)).max(1);
                self.subscribed_until = self.subscribed_until.max(until(SUBSCRIBED, now));
            }
            Method::Subscribe => {
                self.subscriptions = self.subscriptions.max(1);
                self.subscribed_until = until(seconds, now);
            }
            _ => {}
        }
    }

    /// A NOTIFY begins no subscription, and grants no longer one than the 2xx did (RFC 6665 §4.1.3).
    pub(super) fn notified(&mut self, expires: Option<u32>, now: u64) {
        match expires {
            _ if self.subscriptions == 0 => {}
            Some(0) => {
                self.subscriptions = self.subscriptions.saturating_sub(1);
                if self.subscriptions == 0 {
                    self.subscribed_until = until(0, now);
                }
            }
            Some(seconds) => self.subscribed_until = self.subscribed_until.min(until(seconds, now)),
            None => {}
        }
    }

    pub(super) fn leave(&mut self, now: u64) {
        if self.bye == 0 {
            self.bye = now;
        }
    }

    fn is_subscribed(&self, now: u64) -> bool {
        now < self.subscribed_until
    }

    /// May a request of this method go on?
    fn takes(&self, method: Method, open: bool, limit: u64, now: u64) -> bool {
        if now.saturating_sub(self.used) > limit || !self.confirmed && !open {
            return false;
        }
        let invited = self.invite && self.bye == 0;
        let leaving = self.invite && now < self.bye.saturating_add(LINGER_MS);
        match method {
            Method::Invite | Method::Update | Method::Prack | Method::Cancel => invited,
            Method::Bye | Method::Ack => invited || leaving,
            Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Info
            | Method::Message
            | Method::Options
            | Method::Other => invited || self.is_subscribed(now),
            // Neither belongs to a dialog (RFC 3261 §10.2, RFC 3903 §4).
            Method::Register | Method::Publish => false,
        }
    }

    pub(super) fn request(
        &mut self,
        side: Side,
        method: Method,
        open: bool,
        limit: u64,
        now: u64,
    ) -> Result<Standing, Ended> {
        if !self.takes(method, open, limit, now) {
            return Err(Ended);
        }
        self.used = now;
        let source = self.side_mut(side).source;
        let other = match side {
            Side::Caller => &self.callee,
            Side::Callee => &self.caller,
        };
        let copy = |moved: &Option<Box<Moved>>| moved.as_deref().copied();
        Ok(Standing { moved: copy(&other.moved), moving: copy(&other.pending), source })
    }

    /// A response to a request of this side.
    pub(super) fn answered(&mut self, side: Side, answered: &Answered, now: u64) {
        let status = answered.status;
        if status < 200 {
            return;
        }
        let success = status < 300;
        let requester = self.side_mut(side);
        if let Some(pending) = requester.pending.take()
            && success
        {
            requester.move_to(*pending);
        }
        match answered.method {
            // Whoever is challenged asks again.
            Method::Bye if matches!(status, 401 | 407) => self.bye = 0,
            Method::Bye => self.invite = false,
            Method::Invite | Method::Update if success => self.responder_moved(side, answered.contact),
            Method::Subscribe | Method::Refer if success => {
                self.responder_moved(side, answered.contact);
                self.subscribed(answered, now);
            }
            // The subscriber knows of no subscription (RFC 6665 §4.2.2).
            Method::Notify if status == 481 => {
                self.subscriptions = 0;
                self.subscribed_until = now;
            }
            _ => {}
        }
    }

    fn responder_moved(&mut self, requester: Side, contact: Option<Moved>) {
        let responder = match requester {
            Side::Caller => &mut self.callee,
            Side::Callee => &mut self.caller,
        };
        if let Some(moved) = contact {
            responder.move_to(moved);
        }
    }

    /// Is there nothing left that uses it?
    fn is_over(&self, now: u64) -> bool {
        let left = self.bye > 0 && now >= self.bye.saturating_add(LINGER_MS);
        (!self.invite || left) && !self.is_subscribed(now)
    }
}

impl SideState {
    fn move_to(&mut self, moved: Moved) {
        match &mut self.moved {
            Some(before) => **before = Moved { flow: moved.flow.or(before.flow), ..moved },
            None => self.moved = Some(Box::new(moved)),
        }
    }
}

fn until(seconds: u32, now: u64) -> u64 {
    now.saturating_add(u64::from(seconds) * 1000).saturating_add(LINGER_MS)
}

/// One first request and the dialogs it began.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) caller: Holder,
    pub(super) subscription: bool,
    /// Requests that begin a dialog and have no final answer, and until when they are waited for.
    open: u16,
    open_until: u64,
    /// The last of them failed.
    failed: bool,
    legs: SmallVec<[Leg; 1]>,
}

impl Default for Entry {
    fn default() -> Entry {
        let nobody =
            Holder { kind: PartyKind::Stranger, party: 0, agent: Reference::NONE, source: 0, flow: None };
        Entry {
            caller: nobody,
            subscription: false,
            open: 0,
            open_until: 0,
            failed: false,
            legs: SmallVec::new(),
        }
    }
}

impl Entry {
    pub(super) fn new(caller: Holder, subscription: bool, open_until: u64) -> Entry {
        Entry { caller, subscription, open: 1, open_until, ..Entry::default() }
    }

    pub(super) fn adopted(subscription: bool) -> Entry {
        Entry { subscription, ..Entry::default() }
    }

    pub(super) fn open(&mut self, caller: Holder, until: u64) {
        self.caller = caller;
        self.open = self.open.saturating_add(1);
        self.failed = false;
        self.open_until = until;
    }

    pub(super) fn heard(&mut self, until: u64) {
        self.open_until = until;
    }

    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    pub(super) fn is_open(&self, now: u64) -> bool {
        self.open > 0 && !self.failed && now < self.open_until
    }

    /// One request that begins a dialog is over; true when nothing is left.
    pub(super) fn close(&mut self) -> bool {
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.legs.retain(|leg| {
                leg.confirmed && (leg.invite || leg.subscribed_until > 0 || leg.remembered > 0)
            });
        }
        self.open == 0 && self.legs.is_empty()
    }

    pub(super) fn has_leg(&self, tag: u64) -> bool {
        self.legs.iter().any(|leg| leg.tag == tag)
    }

    pub(super) fn leg_mut(&mut self, tag: u64) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.tag == tag)
    }

    pub(super) fn leg_or_new(
        &mut self,
        tag: u64,
        most: usize,
        make: impl FnOnce() -> Leg,
    ) -> Option<&mut Leg> {
        if !self.has_leg(tag) && self.legs.len() < most {
            self.legs.push(make());
        }
        self.leg_mut(tag)
    }

    /// Has every dialog of it ended? Its end is remembered where a mark would open it again.
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.open == 0 && self.legs.iter().all(|leg| leg.is_over(now) && leg.remembered <= now)
    }

    /// As [`Entry::is_over`], and ends what has been silent for too long.
    pub(super) fn has_ended(&mut self, limit: u64, now: u64) -> bool {
        if self.open > 0 && now >= self.open_until {
            self.open = 0;
            self.legs.retain(|leg| leg.confirmed);
        }
        let silent = |leg: &Leg| now.saturating_sub(leg.used) > limit;
        self.open == 0
            && self.legs.iter().all(|leg| leg.remembered <= now && (leg.is_over(now) || silent(leg)))
    }
}
