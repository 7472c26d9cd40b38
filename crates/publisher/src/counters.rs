//! What a subscriber has done so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of a subscriber.
#[derive(Debug, Default)]
pub struct SinkCounters {
    /// Events that were written, acknowledged or sent.
    pub published: AtomicU64,
    /// Events that were lost.
    pub lost: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Events that wait now.
    pub waiting: AtomicU64,
}

impl SinkCounters {
    pub(crate) fn publish(&self, events: u64) {
        self.published.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn wait(&self, events: u64) {
        self.waiting.store(events, Ordering::Relaxed);
    }
}
