//! Events for the JetStream stream: numbered, kept until the stream has them, sent again in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::{self, context::PublishAckFuture, message::PublishMessage, stream};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use trunkline_ari::{Subjects, ulid};
use trunkline_ari_client::stream::{EPOCH, GAP, OLDEST, SEQUENCE};
use trunkline_ari_rest::Backoff;

use crate::config::Delivery;
use crate::metrics::Metrics;

/// Events on their way whose storing is not confirmed yet.
const WINDOW: usize = 512;

/// What the headers of an event need of the largest message.
const HEADERS: usize = 512;

/// What an event costs besides its body.
const OVERHEAD: usize = 128;

/// The events that the stream does not have yet. Their numbers begin at 1 with each start of the
/// proxy, which has an epoch of its own; whoever reads the stream sees from them what is missing.
pub(crate) struct Outbox {
    epoch: String,
    bound: usize,
    queue: Mutex<Queue>,
    filled: Notify,
    emptied: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    next: u64,
}

#[derive(Clone)]
struct Item {
    sequence: u64,
    subject: String,
    body: Bytes,
    gap: Option<&'static str>,
}

impl Item {
    fn size(&self) -> usize {
        self.body.len() + self.subject.len() + OVERHEAD
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
        queue.bytes += item.size();
        queue.items.push_back(item);
        while queue.bytes > self.bound {
            let Some(lost) = queue.items.pop_front() else { break };
            queue.bytes -= lost.size();
            let before = self.metrics.stream_dropped.fetch_add(1, Ordering::Relaxed);
            if before.is_power_of_two() || before == 0 {
                tracing::error!(lost = before + 1, "the outbox is full: events will be reported as missing");
            }
        }
        self.metrics.stream_waiting.store(queue.bytes as u64, Ordering::Relaxed);
        drop(queue);
        self.filled.notify_one();
    }

    /// The first event numbered above `after`, and the eldest number that waits.
    fn next_after(&self, after: u64) -> Option<(Item, u64)> {
        let queue = self.queue.lock();
        let oldest = queue.items.front()?.sequence;
        let first = queue.items.partition_point(|i| i.sequence <= after);
        queue.items.get(first).map(|item| (item.clone(), oldest))
    }

    /// The stream has everything up to `sequence`.
    fn confirm(&self, sequence: u64) {
        let mut queue = self.queue.lock();
        while queue.items.front().is_some_and(|i| i.sequence <= sequence) {
            if let Some(item) = queue.items.pop_front() {
                queue.bytes -= item.size();
            }
        }
        self.metrics.stream_waiting.store(queue.bytes as u64, Ordering::Relaxed);
        if queue.items.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Waits until the stream has everything.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.queue.lock().items.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Sends for ever: several at a time, in order; after a failure again from the first that is
    /// not confirmed. The stream drops what it has already by the message id.
    pub(crate) async fn send(&self, nats: async_nats::Client, subjects: Subjects, delivery: Delivery) {
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(2))
            .ack_timeout(Duration::from_secs(2))
            .max_ack_inflight(WINDOW * 2)
            .build(nats.clone());
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            match self.session(&jetstream, &subjects, delivery, (&|| nats.max_payload(), &mut backoff)).await
            {
                Ok(()) => return,
                Err(why) => tracing::warn!(why, "the stream does not take events; trying again"),
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn session(
        &self,
        jetstream: &jetstream::Context,
        subjects: &Subjects,
        delivery: Delivery,
        (limit, backoff): (&(dyn Fn() -> usize + Sync), &mut Backoff),
    ) -> Result<(), String> {
        let config = stream::Config {
            name: subjects.stream_name(),
            subjects: vec![subjects.stream_all()],
            max_age: delivery.max_age,
            max_bytes: delivery.max_bytes,
            num_replicas: delivery.replicas,
            duplicate_window: delivery.max_age.min(Duration::from_secs(120)),
            ..stream::Config::default()
        };
        jetstream.get_or_create_stream(config).await.map_err(|e| e.to_string())?;
        let mut window: VecDeque<(u64, PublishAckFuture)> = VecDeque::with_capacity(WINDOW);
        let mut sent = 0;
        loop {
            // Fill the window first: the acknowledgements come in the order of sending.
            while window.len() < WINDOW {
                let Some((item, oldest)) = self.next_after(sent) else { break };
                sent = item.sequence;
                let item = carried(item, limit());
                let ack = jetstream.send_publish(item.subject.clone(), self.message(item, oldest));
                window.push_back((sent, ack.await.map_err(|e| e.to_string())?));
            }
            match window.pop_front() {
                Some((sequence, ack)) => {
                    ack.await.map_err(|e| e.to_string())?;
                    self.confirm(sequence);
                    self.metrics.stream_published.fetch_add(1, Ordering::Relaxed);
                    backoff.reset();
                }
                None => self.filled.notified().await,
            }
        }
    }

    fn message(&self, item: Item, oldest: u64) -> PublishMessage {
        let number = item.sequence.to_string();
        let mut message = PublishMessage::build()
            .payload(item.body)
            .message_id(format!("{}-{number}", self.epoch))
            .header(EPOCH, self.epoch.as_str())
            .header(SEQUENCE, number.as_str())
            .header(OLDEST, oldest.to_string());
        if let Some(reason) = item.gap {
            message = message.header(GAP, reason);
        }
        message
    }
}

/// The item, or a gap in its place when NATS does not carry it: it would be tried for ever.
fn carried(item: Item, limit: usize) -> Item {
    if item.body.len() + item.subject.len() + HEADERS <= limit {
        return item;
    }
    tracing::warn!(length = item.body.len(), limit, "an event is longer than NATS carries");
    Item { body: Bytes::from_static(b"{}"), gap: Some("too long"), ..item }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_gives_up_the_eldest() {
        let outbox = Outbox::new(4 * (10 + 1 + OVERHEAD), Arc::default());
        for _ in 0..10 {
            outbox.push("s".to_owned(), Bytes::from_static(b"0123456789"));
        }
        let next = |after| outbox.next_after(after).map(|(item, oldest)| (item.sequence, oldest)).unwrap();
        assert_eq!(next(0), (7, 7));
        assert_eq!(next(8), (9, 7));
        outbox.confirm(9);
        assert_eq!(next(0), (10, 10));
        outbox.confirm(10);
        assert!(outbox.next_after(0).is_none());
        assert_eq!(outbox.queue.lock().bytes, 0);
        assert_eq!(outbox.metrics.stream_dropped.load(Ordering::Relaxed), 6);
    }
}
