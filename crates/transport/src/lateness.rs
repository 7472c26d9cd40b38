//! How long what arrives has to wait until it is read.
//!
//! That something always waits says nothing: a busy shard finds new datagrams each time it looks, and has them all read a
//! millisecond later. What counts is how much waits, beside how fast it is read. Both are estimated every few milliseconds while
//! the sockets are not empty: the kernel tells how much memory the datagrams in a socket's buffer take (`SO_MEMINFO`).

use crate::udp::Buffer;

/// Who waits longer, in milliseconds, waits too long. A call passes a shard several times until it is set up.
pub(crate) const PATIENCE: u64 = 20;
/// So often it is estimated, in milliseconds.
const STEP: u64 = 10;
/// How fast things are read is taken from about so many milliseconds.
const WINDOW: u64 = 50;
/// More milliseconds of lateness are not counted, so that it is over soon after its reason.
const MOST: u64 = 150;
/// The memory that the kernel needs for a datagram beside its bytes, at least: with a driver that takes more, fewer wait than
/// estimated.
const OVERHEAD: u64 = 768;

/// Datagrams get lost: that is as bad as a wait of so many milliseconds, however fast they are read.
const LOSS: u64 = 200;

/// How late a shard is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// For how many milliseconds things have waited too long, less those in which they did not.
    pub since: u64,
    /// How long things wait now, in milliseconds.
    pub wait: u64,
}

/// What a shard knows of its lateness. Datagrams and mail are counted alike.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    late: Late,
    estimated: u64,
    next: u64,
    /// How many things were read since nothing was left, as far as they still count, and the bytes of the datagrams among them.
    since: u64,
    read: u64,
    bytes: u64,
    /// How many were read since the last estimate, and how many waited then.
    read_since: u64,
    waited: u64,
}

impl Lateness {
    /// Datagrams were read.
    pub(crate) fn read(&mut self, datagrams: usize, bytes: usize) {
        self.read += datagrams as u64;
        self.read_since += datagrams as u64;
        self.bytes += bytes as u64;
    }

    /// A piece of mail was taken.
    pub(crate) fn took(&mut self) {
        self.read(1, 0);
    }

    /// Nothing is left to read.
    pub(crate) fn emptied(&mut self, now: u64) {
        *self = Lateness { estimated: now, next: now + STEP, since: now, ..Lateness::default() };
    }

    /// Something is left to read in these buffers after a pass over all connections that took so many milliseconds; so much
    /// mail waits.
    pub(crate) fn left(&mut self, now: u64, pass: u64, buffers: impl Iterator<Item = Buffer>, mails: usize) {
        if now < self.next {
            return;
        }
        self.next = now + STEP;
        let length = self.bytes / self.read.max(1);
        let each = OVERHEAD + length;
        let (mut waiting, mut full) = (mails as u64, false);
        for buffer in buffers {
            waiting += u64::from(buffer.used) / each;
            full |= buffer.is_nearly_full();
        }
        // Too much may wait, but of half of what is read nothing comes anew. The kernel notes what was read in portions, so that a
        // buffer may seem to shrink now and then.
        let shrinks = waiting < self.waited && waiting + self.read_since / 2 <= self.waited;
        let waits = waiting * (now - self.since) / self.read.max(1) + pass;
        let step = now - self.estimated;
        self.late.since = match shrinks || !full && waits <= PATIENCE {
            true => self.late.since.saturating_sub(step),
            false => (self.late.since + step).min(MOST),
        };
        self.late.wait = if full { waits.max(LOSS) } else { waits };
        (self.estimated, self.waited, self.read_since) = (now, waiting, 0);
        if now - self.since > 2 * WINDOW {
            self.since += (now - self.since) / 2;
            self.read /= 2;
            self.bytes = length * self.read;
        }
    }

    /// How late the shard is.
    pub(crate) fn late(&self) -> Late {
        self.late
    }

    /// Moves the shard's clock forward.
    pub(crate) fn advance(&mut self, ms: u64) {
        self.estimated += ms;
        self.next += ms;
        self.since += ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 4 << 20;

    /// So many milliseconds in which this much is read in each while this much waits; for how long that is late.
    fn after(lateness: &mut Lateness, now: &mut u64, ms: u64, read: usize, used: u32, mails: usize) -> u64 {
        for _ in 0..ms {
            *now += 1;
            lateness.read(read, read * 500);
            if mails > 0 {
                lateness.took();
            }
            lateness.left(*now, 1, [Buffer { used, size: SIZE }].into_iter(), mails);
        }
        lateness.late().since
    }

    #[test]
    fn a_short_queue_that_is_never_empty_is_in_time() {
        let (mut lateness, mut now) = (Lateness::default(), 0);
        // 64 datagrams of 500 bytes wait, and 200 are read in a millisecond.
        assert_eq!(after(&mut lateness, &mut now, 10_000, 200, 64 * 1_280, 0), 0);
        // The same wait with ten datagrams a millisecond is 6 ms, with one 64 ms.
        assert_eq!(after(&mut lateness, &mut now, 1_000, 10, 64 * 1_280, 0), 0);
        assert_eq!(after(&mut lateness, &mut now, 1_000, 1, 64 * 1_280, 0), MOST);
        assert_eq!(after(&mut lateness, &mut now, 1_000, 200, 64 * 1_280, 0), 0, "the past is forgotten");
    }

    #[test]
    fn a_queue_that_shrinks_is_as_good_as_in_time() {
        let (mut lateness, mut now) = (Lateness::default(), 0);
        let mut used = SIZE;
        assert_eq!(after(&mut lateness, &mut now, 500, 1, used, 0), MOST);
        // One datagram a millisecond is read, and none comes.
        for ms in 0..1_000 {
            used -= 1_268;
            let late_for = after(&mut lateness, &mut now, 1, 1, used, 0);
            assert!(ms < MOST + STEP || late_for == 0, "{late_for} at {now}");
        }
        assert_eq!(after(&mut lateness, &mut now, 500, 1, used, 0), MOST);
    }

    #[test]
    fn a_buffer_that_is_noted_in_portions_does_not_shrink() {
        let (mut lateness, mut now) = (Lateness::default(), 0);
        for _ in 0..20 {
            // What is read in 200 ms leaves the kernel's account at once.
            after(&mut lateness, &mut now, 200, 5, SIZE, 0);
            after(&mut lateness, &mut now, 1, 5, SIZE - 1_268 * 1_000, 0);
            assert!(lateness.late().since >= MOST - 2 * STEP);
        }
    }

    #[test]
    fn a_buffer_that_is_nearly_full_is_late() {
        let (mut lateness, mut now) = (Lateness::default(), 0);
        assert_eq!(after(&mut lateness, &mut now, 100, 1_000, SIZE / 2, 0), 0);
        assert!(after(&mut lateness, &mut now, 120, 1_000, SIZE / 8 * 7, 0) >= 100);
    }

    #[test]
    fn long_passes_and_much_mail_are_late() {
        let (mut lateness, mut now) = (Lateness::default(), 0);
        assert_eq!(after(&mut lateness, &mut now, 1_000, 0, 0, 10), 0);
        assert_eq!(after(&mut lateness, &mut now, 1_000, 0, 0, 100), MOST);
        lateness.emptied(now);
        assert_eq!(lateness.late().since, 0);
        for _ in 0..6 {
            now += PATIENCE + 1;
            lateness.left(now, PATIENCE + 1, [].into_iter(), 0);
        }
        assert_eq!(lateness.late().since, 6 * (PATIENCE + 1));
    }
}
