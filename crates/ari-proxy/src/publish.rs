//! Events on their way to the stream: in order, again after a failure, again when the stream has a
//! new leader.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::{self, context::PublishAckFuture, message::PublishMessage, stream};
use async_nats::{Client, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use trunkline_ari::Subjects;
use trunkline_ari_client::stream::{EPOCH, GAP, OLDEST, SEQUENCE};
use trunkline_ari_rest::Backoff;

use crate::config::Delivery;
use crate::outbox::{Item, Outbox};

/// Events on their way whose storing is not confirmed yet.
const WINDOW: usize = 512;

/// Bytes of such events. The NATS library holds them while a server does not take them, besides what
/// the outbox holds.
const WINDOW_BYTES: usize = 4 << 20;

/// The bytes of the largest message that the headers of an event need.
const HEADERS: usize = 512;

/// Publishes an outbox.
pub(crate) struct Publisher<'o> {
    pub outbox: &'o Outbox,
    pub nats: Client,
    pub subjects: Subjects,
    pub delivery: Delivery,
    /// Changes each time NATS is reached.
    pub connected: watch::Receiver<u64>,
}

/// What is on its way.
#[derive(Default)]
struct Window {
    items: VecDeque<(u64, usize, PublishAckFuture)>,
    bytes: usize,
}

impl Window {
    fn has_room(&self) -> bool {
        self.items.len() < WINDOW && self.bytes < WINDOW_BYTES
    }

    fn push(&mut self, sequence: u64, size: usize, ack: PublishAckFuture) {
        self.items.push_back((sequence, size, ack));
        self.bytes += size;
    }

    fn pop(&mut self) -> Option<(u64, PublishAckFuture)> {
        let (sequence, size, ack) = self.items.pop_front()?;
        self.bytes -= size;
        Some((sequence, ack))
    }
}

impl Publisher<'_> {
    /// Publishes for ever; after a failure again from the first that the outbox holds. The stream
    /// drops what it has already by the message id.
    pub(crate) async fn run(mut self) {
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(Duration::from_secs(2))
            .ack_timeout(Duration::from_secs(2))
            .max_ack_inflight(WINDOW * 2)
            .build(self.nats.clone());
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        loop {
            match self.session(&jetstream, &mut backoff).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(why, "the stream does not accept events; trying again"),
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn session(&mut self, jetstream: &jetstream::Context, backoff: &mut Backoff) -> Result<(), String> {
        // What the last session handed to the library must have left: while a server takes nothing,
        // every attempt would add to it.
        self.nats.flush().await.map_err(|e| e.to_string())?;
        let mut leaders = self.leaders().await?;
        jetstream.get_or_create_stream(self.config()).await.map_err(|e| e.to_string())?;
        let mut window = Window::default();
        let mut sent = self.before_first();
        loop {
            // A leader that died may have confirmed what its followers do not have, and a server what
            // its disk does not have: what the outbox still holds is sent again.
            let reached = self.connected.has_changed().unwrap_or_default();
            if reached || leaders.next().now_or_never().is_some() {
                self.connected.mark_unchanged();
                sent = self.before_first();
            }
            // Fill the window first: the acknowledgements come in the order of sending.
            while window.has_room() {
                let Some((item, oldest)) = self.outbox.next_after(sent) else { break };
                sent = item.sequence;
                let (size, item) = (item.size(), carried(item, self.nats.max_payload()));
                let ack = jetstream.send_publish(item.subject.clone(), self.message(item, oldest));
                window.push(sent, size, ack.await.map_err(|e| e.to_string())?);
            }
            match window.pop() {
                Some((sequence, ack)) => {
                    ack.await.map_err(|e| e.to_string())?;
                    self.outbox.confirm(sequence);
                    self.outbox.metrics.stream_published.fetch_add(1, Ordering::Relaxed);
                    backoff.reset();
                }
                None => tokio::select! {
                    () = self.outbox.filled.notified() => {}
                    _ = leaders.next() => sent = self.before_first(),
                    Ok(()) = self.connected.changed() => sent = self.before_first(),
                },
            }
        }
    }

    /// The position before everything that the outbox holds, which is sent again from there.
    fn before_first(&self) -> u64 {
        self.outbox.again();
        0
    }

    /// Tells when the stream's servers chose a leader. Without the permission it tells nothing.
    async fn leaders(&self) -> Result<Subscriber, String> {
        let subject = format!("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.{}", self.subjects.stream_name());
        self.nats.subscribe(subject).await.map_err(|e| e.to_string())
    }

    fn config(&self) -> stream::Config {
        stream::Config {
            name: self.subjects.stream_name(),
            subjects: vec![self.subjects.stream_all()],
            max_age: self.delivery.max_age,
            max_bytes: self.delivery.max_bytes,
            num_replicas: self.delivery.replicas,
            duplicate_window: self.delivery.max_age.min(Duration::from_secs(120)),
            ..stream::Config::default()
        }
    }

    fn message(&self, item: Item, oldest: u64) -> PublishMessage {
        let number = item.sequence.to_string();
        let mut message = PublishMessage::build()
            .payload(item.body)
            .message_id(format!("{}-{number}", self.outbox.epoch))
            .header(EPOCH, self.outbox.epoch.as_str())
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
    tracing::warn!(length = item.body.len(), limit, "an event is longer than a NATS message may be");
    Item { body: Bytes::from_static(b"{}"), gap: Some("too long"), ..item }
}
