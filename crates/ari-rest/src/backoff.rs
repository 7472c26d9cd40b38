//! Delays between attempts: doubling, with jitter, up to a bound.

use std::time::Duration;

/// The delays before attempts to reach something again. A cluster that lost the same server does
/// not come back at the same instant: each delay is drawn between half and the whole of its step.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    attempt: u32,
}

impl Backoff {
    /// Delays from `first`, doubling up to `last`.
    #[must_use]
    pub fn new(first: Duration, last: Duration) -> Self {
        Backoff { first, last, attempt: 0 }
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.last);
        self.attempt = self.attempt.saturating_add(1);
        jitter(step)
    }

    /// It was reached: begin again with the first delay.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// Between half of `step` and `step`.
fn jitter(step: Duration) -> Duration {
    let mut random = [0u8; 2];
    let share =
        if getrandom::fill(&mut random).is_ok() { u32::from(u16::from_be_bytes(random)) } else { 1 << 15 };
    step / 2 + (step / 2).saturating_mul(share) / (1 << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_bound_and_begin_again() {
        let (first, last) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(first, last);
        for step in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next_delay();
            let step = Duration::from_millis(step);
            assert!(delay >= step / 2 && delay <= step, "{delay:?} of {step:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= first);
    }
}
