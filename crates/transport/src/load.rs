//! The load of a thread, read from the kernel periodically, not per message.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

/// The share of its time that one thread runs, or would if a core were free.
#[derive(Debug, Default)]
pub struct Load {
    /// This thread's `schedstat`, opened by the thread itself; `None` before the first question, and where the
    /// kernel keeps no such account.
    account: Option<File>,
    /// The last reading and its time.
    before: Option<(u64, Instant)>,
}

impl Load {
    /// How busy the calling thread was since it asked last, in percent. `None` for the first question, and where
    /// the kernel does not say. A thread that waits for a core counts as busy: it has more to do than it gets done.
    pub fn percent(&mut self) -> Option<u8> {
        let now = (self.nanoseconds()?, Instant::now());
        let before = self.before.replace(now)?;
        let passed = now.1.duration_since(before.1).as_nanos().max(1);
        let busy = u128::from(now.0.saturating_sub(before.0));
        Some((busy * 100 / passed).min(100) as u8)
    }

    /// Does the kernel say anything? To be asked after the first [`Load::percent`].
    pub fn is_told(&self) -> bool {
        self.before.is_some()
    }

    /// Time on a core and time spent waiting for one: the first two numbers of `schedstat`.
    fn nanoseconds(&mut self) -> Option<u64> {
        if self.account.is_none() {
            self.account = File::open("/proc/thread-self/schedstat").ok();
        }
        let mut text = [0; 96];
        let n = self.account.as_ref()?.read_at(&mut text, 0).ok()?;
        let mut numbers = text.get(..n)?.split(|b| *b == b' ').map(|digits| {
            digits.iter().filter(|b| b.is_ascii_digit()).fold(0u64, |n, b| n * 10 + u64::from(b - b'0'))
        });
        Some(numbers.next()?.saturating_add(numbers.next()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Only what holds on a machine that does other things as well: working shows, resting shows less.
    #[test]
    fn work_shows_and_rest_does_not() {
        let mut load = Load::default();
        if load.nanoseconds().is_none() {
            return;
        }
        assert_eq!((load.percent(), load.is_told()), (None, true));
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            std::hint::black_box([0u8; 4096]);
        }
        let working = load.percent().unwrap();
        std::thread::park_timeout(Duration::from_millis(300));
        let resting = load.percent().unwrap();
        assert!(working > resting, "working {working} %, resting {resting} %");
    }
}
