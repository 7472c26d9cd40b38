//! What a subscriber has done so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

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
    /// Why the last attempt failed; `None` after one that did not.
    trouble: Mutex<Option<String>>,
}

impl SinkCounters {
    /// Why the subscriber gets no events now, if so.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    pub(crate) fn publish(&self, events: u64) {
        self.published.fetch_add(events, Ordering::Relaxed);
    }

    pub(crate) fn lose(&self, events: u64) {
        self.lost.fetch_add(events, Ordering::Relaxed);
    }

    /// An attempt failed.
    pub(crate) fn fail(&self, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.trouble.lock() = Some(why.to_owned());
    }

    /// The subscriber gets events.
    pub(crate) fn works(&self) {
        *self.trouble.lock() = None;
    }

    pub(crate) fn wait(&self, events: u64) {
        self.waiting.store(events, Ordering::Relaxed);
    }
}
