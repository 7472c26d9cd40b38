//! Events for the JetStream stream: numbered, kept until the stream has them and for a while after.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use trunkline_ari::ulid;

use crate::metrics::Metrics;

/// What an event costs besides its body.
const OVERHEAD: usize = 128;

/// How long events are kept that the stream has confirmed: a server that dies may take one with it.
/// Readers wait for a number that is missing for as long.
const KEPT: Duration = Duration::from_secs(30);

/// Bytes of events that are kept so at most.
const KEPT_BYTES: usize = 8 << 20;

/// The events that the stream does not have yet, and those it got lately. Their numbers begin at 1
/// with each start of the proxy, which has an epoch of its own; whoever reads the stream sees from
/// them what is missing.
pub(crate) struct Outbox {
    pub epoch: String,
    bound: usize,
    queue: Mutex<Queue>,
    /// Something waits.
    pub filled: Notify,
    emptied: Notify,
    pub metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// When the first items of all were confirmed, one for each that was.
    confirmed: VecDeque<Instant>,
    /// Bytes of the items that are not confirmed.
    waiting: usize,
    /// Bytes of those that are.
    kept: usize,
    next: u64,
}

/// An event on its way.
#[derive(Clone)]
pub(crate) struct Item {
    pub sequence: u64,
    pub subject: String,
    pub body: Bytes,
    pub gap: Option<&'static str>,
}

impl Item {
    pub(crate) fn size(&self) -> usize {
        self.body.len() + self.subject.len() + OVERHEAD
    }
}

impl Queue {
    /// Forgets the eldest item. Returns whether it was waiting.
    fn forget(&mut self) -> bool {
        let Some(item) = self.items.pop_front() else { return false };
        let waited = self.confirmed.pop_front().is_none();
        *(if waited { &mut self.waiting } else { &mut self.kept }) -= item.size();
        waited
    }

    /// Forgets what was kept for long enough: while the stream confirms, that is. A stream without a
    /// leader may be without one for longer.
    fn forget_old(&mut self, now: Instant) {
        while self.confirmed.front().is_some_and(|since| now.saturating_duration_since(*since) >= KEPT) {
            self.forget();
        }
    }

    /// Forgets what is kept in the room of what waits.
    fn make_room(&mut self, bound: usize) {
        while !self.confirmed.is_empty() && (self.kept > KEPT_BYTES || self.kept + self.waiting > bound) {
            self.forget();
        }
    }
}

impl Outbox {
    pub(crate) fn new(bound: usize, metrics: Arc<Metrics>) -> Self {
        Outbox {
            epoch: ulid(),
            bound,
            queue: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            metrics,
        }
    }

    /// Takes an event. Beyond the bound the eldest are given up; their numbers are missed later.
    pub(crate) fn push(&self, subject: String, body: Bytes) {
        self.add(subject, body, None);
    }

    /// Notes that events of unknown number were lost, and where.
    pub(crate) fn gap(&self, subject: &str, reason: &'static str) {
        self.add(subject.to_owned(), Bytes::from_static(b"{}"), Some(reason));
    }

    fn add(&self, subject: String, body: Bytes, gap: Option<&'static str>) {
        let mut queue = self.queue.lock();
        queue.next += 1;
        let item = Item { sequence: queue.next, subject, body, gap };
        queue.waiting += item.size();
        queue.items.push_back(item);
        queue.make_room(self.bound);
        while queue.waiting > self.bound && queue.forget() {
            let before = self.metrics.stream_dropped.fetch_add(1, Ordering::Relaxed);
            if before.is_power_of_two() || before == 0 {
                tracing::error!(lost = before + 1, "the outbox is full: events are lost");
            }
        }
        self.metrics.stream_waiting.store(queue.waiting as u64, Ordering::Relaxed);
        drop(queue);
        self.filled.notify_one();
    }

    /// The first event numbered above `after`, and the eldest number that is held.
    pub(crate) fn next_after(&self, after: u64) -> Option<(Item, u64)> {
        let queue = self.queue.lock();
        let oldest = queue.items.front()?.sequence;
        let first = queue.items.partition_point(|i| i.sequence <= after);
        queue.items.get(first).map(|item| (item.clone(), oldest))
    }

    /// Everything that is held is about to be sent again: what is kept is kept anew.
    pub(crate) fn again(&self) {
        let now = Instant::now();
        self.queue.lock().confirmed.iter_mut().for_each(|since| *since = now);
    }

    /// The stream has everything up to `sequence`.
    pub(crate) fn confirm(&self, sequence: u64) {
        let (mut queue, now) = (self.queue.lock(), Instant::now());
        while let Some(next) = queue.items.get(queue.confirmed.len())
            && next.sequence <= sequence
        {
            let size = next.size();
            queue.waiting -= size;
            queue.kept += size;
            queue.confirmed.push_back(now);
        }
        queue.forget_old(now);
        queue.make_room(self.bound);
        self.metrics.stream_waiting.store(queue.waiting as u64, Ordering::Relaxed);
        if queue.waiting == 0 {
            self.emptied.notify_waiters();
        }
    }

    /// Waits until the stream has everything.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.queue.lock().waiting == 0 {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(events: usize) -> Outbox {
        Outbox::new(events * (10 + 1 + OVERHEAD), Arc::default())
    }

    fn next(outbox: &Outbox, after: u64) -> Option<(u64, u64)> {
        outbox.next_after(after).map(|(item, oldest)| (item.sequence, oldest))
    }

    fn push(outbox: &Outbox, events: usize) {
        for _ in 0..events {
            outbox.push("s".to_owned(), Bytes::from_static(b"0123456789"));
        }
    }

    #[test]
    fn the_bound_gives_up_the_eldest() {
        let outbox = outbox(4);
        push(&outbox, 10);
        assert_eq!(next(&outbox, 0), Some((7, 7)));
        assert_eq!(next(&outbox, 8), Some((9, 7)));
        assert_eq!(outbox.metrics.stream_dropped.load(Ordering::Relaxed), 6);
        outbox.confirm(9);
        assert_eq!(next(&outbox, 9), Some((10, 7)), "the confirmed are kept");
        outbox.confirm(10);
        assert_eq!(next(&outbox, 10), None);
        assert_eq!(outbox.metrics.stream_waiting.load(Ordering::Relaxed), 0);
        let queue = outbox.queue.lock();
        assert_eq!((queue.waiting, queue.confirmed.len()), (0, 4));
    }

    #[test]
    fn what_waits_takes_the_room_of_what_is_kept() {
        let outbox = outbox(4);
        push(&outbox, 4);
        outbox.confirm(4);
        assert_eq!(next(&outbox, 0), Some((1, 1)), "sent again when the stream lost it");
        push(&outbox, 3);
        assert_eq!(next(&outbox, 0), Some((4, 4)));
        assert_eq!(outbox.metrics.stream_dropped.load(Ordering::Relaxed), 0, "it has it");
        let later = Instant::now() + KEPT;
        outbox.queue.lock().forget_old(later);
        let queue = outbox.queue.lock();
        assert_eq!((queue.items.len(), queue.kept), (3, 0));
    }
}
