//! New work is turned away before it is looked at closely, while a shard has more than it can do: what would end as a time-out
//! anyway is told at once when to come back, and what is under way goes on.
//!
//! A shard at which things have waited too long for [`LATE_MS`] sheds more and more of what is new: first of sources that have
//! shown nothing, then of those it knows. It sheds by Call-ID, so that a call that was let in is let in again when its digest
//! comes. Requests inside dialogs, CANCEL, ACK, responses, refreshes of registrations, and calls of known callers to the
//! operator's emergency numbers are never turned away.
//!
//! What a source that floods begins is dropped by the kernel alone (`heavy.rs`), as long as it goes on. To say no costs a fifth of
//! what a call costs: three datagrams of thirteen. So when more is turned away than [`TOLD_MOST`] the kernel drops INVITEs before
//! they are read, but for those to emergency numbers: they come again (RFC 3261 §17.1.1.2).
//!
//! How much is shed follows how long things wait, and whether they wait longer than before (the law of PIE, RFC 8033 §4.2): what
//! waits already takes its time, so that only a change shows whether enough is shed.

use trunkline_transaction::timers::Now;
use trunkline_transport::Late;

/// A shard that has been late for so many milliseconds has more than it can do.
const LATE_MS: u64 = 100;
/// So long things may wait while a shard has more than it can do, in milliseconds.
const WAIT_MS: i64 = 60;
/// So often the level is set anew, in milliseconds.
const STEP_MS: u64 = 10;
/// So much the level goes up or down in a step, for each second that things wait longer or shorter than they may.
const BY_WAIT: i64 = 40;
/// So much it goes up or down for each second that the wait grows or shrinks.
const BY_CHANGE: i64 = 300;
/// So much it goes up at least as long as it concerns strangers alone.
const UP: i64 = 20;
/// So much it goes up at most until it concerns others, where one in [`FEW`] is a stranger: that all strangers are turned away
/// shows only when what waits of them has been read. A shard that gets no time to read must not take that for their fault.
const UP_FURTHER: i64 = 1;
const FEW: u32 = 5;
/// Of so many new requests it is known whose they are; older ones count half.
const COUNTED: u32 = 1_000;
/// So much it goes down at least while nothing waits too long.
const DOWN: i64 = 5;
const WHOLE: i64 = 1_000;
/// Less than this is a hiccup.
const LEAST: i64 = 40;
/// At this level all strangers are turned away, beyond [`OTHERS`] others, and from [`MANY`] on the kernel helps.
const STRANGERS: i64 = 100;
const OTHERS: i64 = 250;
const MANY: i64 = 400;
/// At most this share of what others begin is told to come back, in thousandths.
const TOLD_MOST: i64 = 300;
/// Of INVITEs the kernel lets half through when the level is so much higher.
const HALF: f64 = 100.0;
/// So often the kernel's share is set anew, in milliseconds, and when it is another one by so many thousandths.
const KERNEL_MS: u64 = 50;
const KERNEL_STEP: u16 = 10;

/// How much of what is new a shard turns away.
#[derive(Debug, Default)]
pub(crate) struct Overload {
    /// From 0 to [`WHOLE`].
    level: i64,
    /// How long things waited at the last step.
    wait: i64,
    next: Now,
    /// New requests since it is on, and those of strangers among them.
    new: u32,
    strangers: u32,
    /// The share of INVITEs that the kernel drops, in thousandths.
    dropped: u16,
    next_dropped: Now,
}

impl Overload {
    /// So late the shard is.
    pub(crate) fn measure(&mut self, late: Late, now: Now) {
        if now < self.next {
            return;
        }
        // Several steps at once where the shard had no time for them.
        let steps = if self.next == 0 { 1 } else { ((now - self.next) / STEP_MS + 1).min(20) as i64 };
        self.next = now + STEP_MS;
        // A shard that stood still for long knows no more than one that is a second late.
        let wait = late.wait.min(1_000) as i64;
        let by = (BY_WAIT * (wait - WAIT_MS) * steps + BY_CHANGE * (wait - self.wait)) / 1_000;
        self.wait = wait;
        let by = match late.since > LATE_MS {
            true if self.level < STRANGERS => by.max(UP * steps.min(3)).min(STRANGERS - self.level),
            true if self.level < OTHERS && self.strangers > self.new / FEW => {
                by.min(UP_FURTHER * steps.min(3))
            }
            true => by,
            false => by.min(-DOWN * steps),
        };
        self.level = (self.level + by).clamp(0, WHOLE);
        if self.level < LEAST {
            (self.new, self.strangers) = (0, 0);
        }
    }

    /// The share of INVITEs that the kernel shall drop from now on, when it is another one than before.
    pub(crate) fn dropped(&mut self, now: Now) -> Option<u16> {
        if now < self.next_dropped || self.level <= MANY && self.dropped == 0 {
            return None;
        }
        self.next_dropped = now + KERNEL_MS;
        let share = (WHOLE as f64 * (1.0 - self.let_through())) as u16;
        let differs = share.abs_diff(self.dropped) >= KERNEL_STEP || share == 0;
        differs.then(|| {
            self.dropped = share;
            share
        })
    }

    /// The part of INVITEs that still come through above [`MANY`].
    fn let_through(&self) -> f64 {
        (-((self.level - MANY).max(0) as f64) / HALF).exp2()
    }

    /// The share of INVITEs that the kernel drops, in thousandths.
    pub(crate) fn share(&self) -> u16 {
        self.dropped
    }

    /// A new request has come, of somebody who is known or not.
    pub(crate) fn saw(&mut self, known: bool) {
        if self.new == COUNTED {
            (self.new, self.strangers) = (self.new / 2, self.strangers / 2);
        }
        self.new += 1;
        self.strangers += u32::from(!known);
    }

    /// Is anything turned away?
    pub(crate) fn is_on(&self) -> bool {
        self.level >= LEAST
    }

    /// Is a new request with this number turned away? `filtered`: the kernel has dropped its share of them.
    pub(crate) fn sheds(&self, known: bool, filtered: bool, number: u64) -> bool {
        let told = ((self.level - OTHERS) * TOLD_MOST / (MANY - OTHERS)).clamp(0, TOLD_MOST);
        let share = match known {
            true if filtered => told,
            true => WHOLE - ((WHOLE - told) as f64 * self.let_through()) as i64,
            false => self.level * WHOLE / STRANGERS,
        };
        ((number % WHOLE as u64) as i64) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shed(overload: &Overload, known: bool, filtered: bool) -> usize {
        (0..1_000).filter(|n| overload.sheds(known, filtered, *n)).count()
    }

    /// So many milliseconds in which things have waited too long for `since`, and wait so long, looked at every `pass`.
    fn pass(overload: &mut Overload, now: &mut Now, ms: u64, (since, wait): (u64, u64), pass: u64) {
        let end = *now + ms;
        while *now < end {
            *now += pass;
            overload.measure(Late { since, wait }, *now);
            overload.dropped(*now);
        }
    }

    #[test]
    fn strangers_first_then_the_others_and_all_come_back() {
        let (mut overload, mut now) = (Overload::default(), 0);
        pass(&mut overload, &mut now, 1_000, (LATE_MS, 200), STEP_MS);
        assert!(!overload.is_on(), "busy is not overloaded");
        pass(&mut overload, &mut now, 50, (LATE_MS + 1, 100), STEP_MS);
        assert_eq!((shed(&overload, false, true), shed(&overload, true, true)), (1_000, 0));
        assert_eq!(overload.share(), 0);
        // Nothing but strangers: a while has to show whether that was enough.
        overload.saw(false);
        pass(&mut overload, &mut now, 700, (LATE_MS + 1, 100), STEP_MS);
        assert_eq!((shed(&overload, false, true), shed(&overload, true, true)), (1_000, 0));
        (0..10).for_each(|_| overload.saw(true));
        pass(&mut overload, &mut now, 1_700, (LATE_MS + 1, 100), STEP_MS);
        assert_eq!((shed(&overload, false, true), overload.share()), (1_000, 0));
        assert!((100..TOLD_MOST as usize).contains(&shed(&overload, true, true)), "{overload:?}");
        // The kernel takes what is more; where it has no say, so many more are told.
        pass(&mut overload, &mut now, 60_000, (LATE_MS + 1, 100), STEP_MS);
        assert_eq!(
            (shed(&overload, true, true), overload.share(), shed(&overload, true, false)),
            (300, 983, 990)
        );
        pass(&mut overload, &mut now, 2_500, (0, 0), STEP_MS);
        assert!(!overload.is_on());
        assert_eq!((shed(&overload, true, true), shed(&overload, true, false), overload.share()), (0, 0, 0));
    }

    /// A shard that is held to a part of its core looks at the clock only now and then.
    #[test]
    fn a_shard_that_passes_seldom_sheds_as_soon() {
        let times = [STEP_MS, 8 * STEP_MS].map(|each| {
            let (mut overload, mut now) = (Overload::default(), 0);
            while overload.level < WHOLE {
                pass(&mut overload, &mut now, each, (LATE_MS + 1, 500), each);
            }
            now
        });
        assert!(times[1] < times[0] * 3 / 2, "{times:?}");
    }

    /// What a shard that can do so much a second makes of calls that it is offered, and how long they wait in the end.
    #[test]
    fn as_much_is_shed_as_is_too_much() {
        for offered in [110.0, 200.0, 500.0, 1_000.0_f64] {
            let (mut overload, mut now, mut queue, mut done) = (Overload::default(), 0, 0.0_f64, 0.0);
            // A call takes 10 ms, to turn one away 2 ms.
            for _ in 0..6_000 {
                now += STEP_MS;
                let read = offered / 100.0 * (1.0 - f64::from(overload.share()) / 1_000.0);
                let told = shed(&overload, true, true) as f64 / 1_000.0;
                queue += read * (10.0 * (1.0 - told) + 2.0 * told);
                queue = (queue - STEP_MS as f64).max(0.0);
                let since = if queue > 20.0 { LATE_MS + 1 } else { 0 };
                overload.measure(Late { since, wait: queue as u64 }, now);
                overload.dropped(now);
                if now > 30_000 {
                    done += read * (1.0 - told);
                }
            }
            assert!(queue < 200.0, "{offered}: waits {queue} ms");
            assert!(done > 0.9 * 30.0 * 100.0, "{offered}: {done} calls in 30 s");
        }
    }
}
