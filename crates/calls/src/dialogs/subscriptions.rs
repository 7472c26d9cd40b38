//! The subscriptions of one dialog (RFC 6665, RFC 3515). Each ends for itself, whatever becomes of the others (RFC 5057 §4.3).

use std::hash::BuildHasher as _;

use smallvec::SmallVec;
use trunkline_proxy::Side;
use trunkline_sip::Params;

use super::LINGER_MS;

/// Subscriptions of one dialog, at most.
const MOST: usize = 8;
const REFER: &[u8] = b"refer";

/// What somebody has subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// A hash of the package's name; 0 where it is not known.
    package: u32,
    /// A hash of `id`; 0 where there is none.
    id: u32,
}

/// A party harms its own dialog alone by two words with one hash.
fn short(text: &[u8]) -> u32 {
    (foldhash::fast::FixedState::default().hash_one(text) as u32).max(1)
}

impl Event {
    /// What an Event header says: package and `id` are compared byte by byte (RFC 6665 §8.2.1).
    pub fn of(value: &[u8]) -> Event {
        let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
        let (package, params) = value.split_at(end);
        let id = Params::new(params).get("id").flatten();
        Event { package: short(package.trim_ascii()), id: id.map_or(0, short) }
    }

    /// What a REFER with this CSeq subscribes to (RFC 3515 §2.4.6).
    pub fn refer(cseq: u32) -> Event {
        Event { package: short(REFER), id: short(cseq.to_string().as_bytes()) }
    }

    /// May both be one subscription's? The first NOTIFY of a REFER may leave its id out, and one of a dialog of before this
    /// process is not known.
    fn may_be(self, other: Event) -> bool {
        let same_id = self.id == other.id || self.id == 0 || other.id == 0 || self.package == short(REFER);
        self.package == 0 || other.package == 0 || self.package == other.package && same_id
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    /// Who is told.
    side: Side,
    event: Event,
    until: u64,
}

/// All of one dialog.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(SmallVec<[Subscription; 1]>);

impl Subscriptions {
    /// The one that begins a dialog.
    pub(super) fn one(event: Event, until: u64) -> Subscriptions {
        Subscriptions(SmallVec::from_iter([Subscription { side: Side::Caller, event, until }]))
    }

    /// Does any last?
    pub(super) fn last(&self, now: u64) -> bool {
        self.0.iter().any(|s| now < s.until)
    }

    /// Has this side one that lasts, and is known to be this?
    pub(super) fn has(&self, side: Side, event: Event, now: u64) -> bool {
        let is = |s: &Subscription| s.side == side && s.event.package != 0 && s.event.may_be(event);
        event.package != 0 && self.0.iter().any(|s| now < s.until && is(s))
    }

    /// A 2xx says how long one lasts.
    pub(super) fn grant(&mut self, side: Side, event: Event, until: u64, now: u64) {
        self.0.retain(|s| now < s.until || s.event == event);
        let known = |s: &Subscription| s.side == side && (s.event == event || s.event == Event::default());
        let place = match self.0.iter().position(known) {
            None if self.0.len() < MOST => return self.0.push(Subscription { side, event, until }),
            Some(known) => self.0.get_mut(known),
            // It takes the place of the one that ends first.
            None => self.0.iter_mut().min_by_key(|s| s.until).filter(|s| s.until < until),
        };
        if let Some(place) = place {
            *place = Subscription { side, event, until };
        }
    }

    /// What this side has been told of one is accepted: it ends by then, and no later than it did.
    pub(super) fn ends_by(&mut self, side: Side, event: Event, until: u64) {
        let exact = self.0.iter().position(|s| s.side == side && s.event == event);
        let may_be = || self.0.iter().position(|s| s.side == side && s.event.may_be(event));
        if let Some(found) = exact.or_else(may_be).and_then(|at| self.0.get_mut(at)) {
            found.until = found.until.min(until);
        }
    }

    /// This side knows of no subscription to what it was told (RFC 6665 §4.2.2). `None`: what that was is not known.
    pub(super) fn denies(&mut self, side: Side, event: Option<Event>, now: u64) {
        let only = || self.0.iter().filter(|s| s.side == side).count() == 1;
        match event {
            Some(event) => self.ends_by(side, event, now),
            None if only() => self.ends_by(side, Event::default(), now),
            None => {}
        }
    }
}

/// When one ends that lasts so many seconds, its repetitions included.
pub(super) fn until(seconds: u32, now: u64) -> u64 {
    now.saturating_add(u64::from(seconds) * 1000).saturating_add(LINGER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ends_for_itself() {
        let (a, b) = (Event::of(b"presence;id=1"), Event::of(b" presence ; id=2"));
        assert!(a != b && a == Event::of(b"presence;x=y;id=1"));
        let mut all = Subscriptions::one(Event::default(), 100);
        all.grant(Side::Caller, a, 1_000, 1);
        assert_eq!(all.0.len(), 1, "the first, now that it is known");
        all.grant(Side::Caller, b, 2_000, 1);
        all.grant(Side::Callee, a, 3_000, 1);
        all.ends_by(Side::Caller, b, 10);
        assert_eq!(all.0.iter().map(|s| s.until).collect::<Vec<_>>(), [1_000, 10, 3_000]);
        // It is refreshed, and the other one stays as it is.
        all.grant(Side::Caller, a, 50, 5);
        all.grant(Side::Caller, b, 20, 5);
        assert!(all.last(2_999) && !all.last(3_000));
        all.denies(Side::Callee, None, 6);
        assert!(all.last(49) && !all.last(50));
        for n in 0..100 {
            all.grant(Side::Caller, Event::refer(n), 1_000 + u64::from(n), 6);
        }
        assert_eq!(all.0.len(), MOST);
    }

    #[test]
    fn reports_of_a_transfer_may_leave_its_number_out() {
        let mut all = Subscriptions::default();
        all.grant(Side::Caller, Event::refer(7), 1_000, 1);
        all.ends_by(Side::Callee, Event::of(b"refer"), 5);
        all.ends_by(Side::Caller, Event::of(b"presence"), 5);
        assert!(all.last(999));
        all.ends_by(Side::Caller, Event::of(b"refer"), 5);
        assert!(!all.last(5));
        // The number is that which the other side was sent.
        all.grant(Side::Caller, Event::refer(8), 1_000, 6);
        all.ends_by(Side::Caller, Event::of(b"refer;id=9"), 7);
        assert!(!all.last(7));
    }
}
