//! Durations by size, for metrics: a fixed table, so that counting allocates nothing.

/// Buckets with a bound, at most; one more has what is longer.
const BOUNDS: usize = 12;

/// Counts of durations, as Prometheus' histograms have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BOUNDS + 1],
    sum_ms: u64,
}

/// Upper bounds of buckets, in milliseconds.
pub type Bounds = [u64; BOUNDS];

/// From the INVITE to the answer, or to the first ringing: people wait for it.
pub const SETUP_MS: Bounds =
    [100, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000, 30_000, 60_000, 120_000];
/// From the answer to the end.
pub const DURATION_MS: Bounds = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000,
    14_400_000,
];

impl Histogram {
    /// One more.
    pub(crate) fn add(&mut self, bounds: &Bounds, ms: u64) {
        let bucket = bounds.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// Those of another table, too.
    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// How many were in each bucket; the last one has no bound.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All durations together, in milliseconds.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_bucket_that_holds_it() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        for ms in [0, 100, 101, 200_000] {
            one.add(&SETUP_MS, ms);
        }
        other.add(&SETUP_MS, 120_000);
        one.merge(&other);
        let counts = one.counts();
        assert_eq!((counts[0], counts[1], counts[11], counts[12]), (2, 1, 1, 1));
        assert_eq!((counts.iter().sum::<u64>(), one.sum_ms()), (5, 320_201));
    }
}
