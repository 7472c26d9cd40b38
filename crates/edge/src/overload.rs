//! New work is turned away before it is looked at closely, while a shard has more than it can do: what would end as a time-out
//! anyway is told at once when to come back, and what is under way goes on.
//!
//! A shard at which things have waited too long for [`LATE_MS`] sheds more and more of what is new: first of sources that have
//! shown nothing, then of those it knows. It sheds by Call-ID, so that a call that was let in is let in again when its digest
//! comes. Requests inside dialogs, CANCEL, ACK, responses, refreshes of registrations, and calls of known callers to the
//! operator's emergency numbers are never turned away.
//!
//! What a source that floods begins is dropped by the kernel alone (`heavy.rs`), as long as it goes on. To say no costs a fifth of what a call costs: three datagrams of thirteen. So when a large share is turned away the kernel
//! drops INVITEs before they are read, but for those to emergency numbers: they come again (RFC 3261 §17.1.1.2).

use trunkline_transaction::timers::Now;

/// A shard that has been late for so many milliseconds has more than it can do.
const LATE_MS: u64 = 100;
/// So often the share is set anew, in milliseconds, and by so much it goes up, as long as it concerns strangers alone and then, and
/// down.
const STEP_MS: u64 = 10;
const UP: u32 = 20;
const UP_FURTHER: u32 = 5;
const DOWN: u32 = 5;
const WHOLE: u32 = 1_000;
/// At least this share of what is new is tried.
const TRIED: u32 = 20;
/// Less than this is a hiccup.
const LEAST: u32 = 40;
/// At this level all strangers are turned away, and beyond the next one others. Above it the level goes up more slowly, whoever sends.
const STRANGERS: u32 = 100;
const OTHERS: u32 = 250;
/// Beyond this level the kernel drops more, below [`CALM`] less.
const MANY: u32 = 350;
const CALM: u32 = 250;
/// So often the kernel's share is set anew, in milliseconds, and by so much it goes up and down, in thousandths.
const KERNEL_MS: u64 = 50;
const KERNEL_UP: u16 = 40;
const KERNEL_DOWN: u16 = 20;
const KERNEL_MOST: u16 = 950;

/// How much of what is new a shard turns away.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// From 0 to [`WHOLE`].
    level: u32,
    next: Now,
    /// The share of INVITEs that the kernel drops, in thousandths.
    dropped: u16,
    next_dropped: Now,
}

impl Overload {
    /// For so many milliseconds things have had to wait too long.
    pub(crate) fn measure(&mut self, late_for: u64, now: Now) {
        if now < self.next {
            return;
        }
        // Several steps at once where the shard had no time for them.
        let steps = if self.next == 0 { 1 } else { ((now - self.next) / STEP_MS + 1).min(20) as u32 };
        self.next = now + STEP_MS;
        self.level = match late_for > LATE_MS {
            true if self.level < STRANGERS => self.level + UP * steps.min(3),
            true => (self.level + UP_FURTHER * steps.min(3)).min(WHOLE),
            false => self.level.saturating_sub(DOWN * steps),
        };
    }

    /// The share of INVITEs that the kernel shall drop from now on, when it is another one than before.
    pub(crate) fn dropped(&mut self, now: Now) -> Option<u16> {
        if now < self.next_dropped || self.level < MANY && self.dropped == 0 {
            return None;
        }
        self.next_dropped = now + KERNEL_MS;
        let before = self.dropped;
        self.dropped = match self.level {
            MANY.. => (before + KERNEL_UP).min(KERNEL_MOST),
            ..CALM => before.saturating_sub(KERNEL_DOWN),
            _ => before,
        };
        (self.dropped != before).then_some(self.dropped)
    }

    /// The share of INVITEs that the kernel drops, in thousandths.
    pub(crate) fn share(&self) -> u16 {
        self.dropped
    }

    /// Is anything turned away?
    pub(crate) fn is_on(&self) -> bool {
        self.level >= LEAST
    }

    pub(crate) fn sheds(&self, known: bool, number: u64) -> bool {
        let share = match known {
            true => self.level.saturating_sub(OTHERS) * (WHOLE - TRIED) / (WHOLE - OTHERS),
            false => self.level * WHOLE / STRANGERS,
        };
        number % u64::from(WHOLE) < u64::from(share)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn strangers_first_then_the_others_and_all_come_back() {
        let mut overload = Overload::default();
        let shed = |o: &Overload, known| (0..1_000).filter(|n| o.sheds(known, *n)).count();
        let now = Cell::new(0);
        let pass = |o: &mut Overload, late_for, ms| {
            for _ in 0..ms / STEP_MS {
                now.set(now.get() + STEP_MS);
                o.measure(late_for, now.get());
            }
        };
        pass(&mut overload, LATE_MS, 1_000);
        assert!(!overload.is_on(), "busy is not overloaded");
        pass(&mut overload, LATE_MS + 1, 50);
        assert_eq!((shed(&overload, false), shed(&overload, true)), (1_000, 0));
        assert_eq!(overload.dropped(now.get()), None);
        pass(&mut overload, 1_000, 300);
        assert_eq!((shed(&overload, false), shed(&overload, true)), (1_000, 0));
        pass(&mut overload, 1_000, 300);
        assert_eq!((shed(&overload, false), shed(&overload, true)), (1_000, 196));
        assert_eq!(overload.dropped(now.get()), Some(KERNEL_UP));
        pass(&mut overload, 1_000, 60_000);
        assert_eq!(shed(&overload, true), 980, "some are always tried");
        for _ in 0..100 {
            pass(&mut overload, 1_000, KERNEL_MS);
            overload.dropped(now.get());
        }
        assert_eq!(overload.dropped, KERNEL_MOST);
        pass(&mut overload, 0, 2_000);
        assert!(!overload.is_on());
        let mut last = None;
        for _ in 0..100 {
            pass(&mut overload, 0, KERNEL_MS);
            last = overload.dropped(now.get()).or(last);
        }
        assert_eq!(last, Some(0));
    }
}
