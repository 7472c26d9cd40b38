//! Subscriptions: streams of events, typed, with the frame beside.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{broadcast, watch};
use trunkline_ari::{Event, EventType, Key, Sighting, Subjects};

use crate::bus::NatsBus;
use crate::copies::Copies;
use crate::direct::Direct;
use crate::error::Error;
use crate::sequence::{Gap, Numbered, Sequencer, Sorted};
use crate::stream::{EPOCH, GAP, OLDEST, SEQUENCE};

/// An event as it arrived.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// The event, typed; [`Event::Unknown`] when its type is not known here.
    pub event: Event,
    /// The frame as Asterisk sent it, with `dialog` added on copies for a dialog.
    pub raw: Bytes,
}

/// An item of a subscription.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivered {
    /// An event.
    Event(Received),
    /// Something was missed, as far as this can be known.
    Gap(Gap),
}

/// Which events are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub key: Key,
    pub types: Vec<EventType>,
}

impl Filter {
    /// The event in a frame, if it is wanted.
    fn pass(&self, frame: Bytes) -> Option<Delivered> {
        let sighting = Sighting::read(&frame).ok()?;
        if !self.types.is_empty() && !self.types.iter().any(|t| t.name() == sighting.event_type) {
            return None;
        }
        if !self.key.id.is_empty() {
            let hit = |(kind, id): &(&str, std::borrow::Cow<'_, str>)| {
                *id == self.key.id && (self.key.kind.is_empty() || self.key.kind == *kind)
            };
            if !sighting.things.iter().chain(&sighting.target).any(hit) {
                return None;
            }
        }
        drop(sighting);
        // What cannot be typed is still an event.
        let event = Event::read(&frame).unwrap_or_else(|_| Event::Unknown(frame.clone()));
        Some(Delivered::Event(Received { event, raw: frame }))
    }
}

/// Events of a key. Dropping it ends it; so does closing the client it came from.
pub struct Subscription {
    inner: Pin<Box<dyn Stream<Item = Delivered> + Send>>,
}

impl Subscription {
    /// The next event, passing over gaps; `None` at the end. Cancellation-safe.
    pub async fn event(&mut self) -> Option<Received> {
        loop {
            match self.next().await? {
                Delivered::Event(event) => return Some(event),
                Delivered::Gap(gap) => tracing::warn!(?gap, "events were missed"),
            }
        }
    }

    fn until_closed(
        stream: impl Stream<Item = Delivered> + Send + 'static,
        mut closed: watch::Receiver<bool>,
    ) -> Self {
        let end = async move {
            // The end of the sender is an end too.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        Subscription { inner: Box::pin(stream.take_until(Box::pin(end))) }
    }

    /// From the core subjects: at most once.
    pub(crate) async fn core(
        bus: &NatsBus,
        filter: Filter,
        closed: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let subject = bus.subjects.events_of(&filter.key);
        let messages = bus.client.subscribe(subject).await.map_err(|e| Error::Bus(e.to_string()))?;
        // A node without an application is no part of the subject: it is looked for in each.
        let node = &filter.key.node;
        let of_node = filter.key.dialog.is_empty() && filter.key.app.is_empty() && !node.is_empty();
        let end = of_node.then(|| format!(".{node}"));
        let mut copies = (!filter.key.dialog.is_empty()).then(Copies::default);
        let messages = messages.filter_map(move |message| {
            let here = end.as_ref().is_none_or(|end| message.subject.as_str().ends_with(end));
            let again = copies.as_mut().is_some_and(|copies| copies.again(&message.payload, Instant::now()));
            let passed = if here && !again { filter.pass(message.payload) } else { None };
            async move { passed }
        });
        Ok(Self::until_closed(messages, closed))
    }

    /// From one Asterisk.
    pub(crate) fn direct(direct: &Direct, filter: Filter, closed: watch::Receiver<bool>) -> Self {
        let frames = stream::unfold(direct.frames(), move |mut frames| {
            let filter = filter.clone();
            async move {
                loop {
                    match frames.recv().await {
                        Ok(frame) => {
                            let dialog = frame.dialog.as_deref().unwrap_or("");
                            if dialog == filter.key.dialog
                                && let Some(delivered) = filter.pass(frame.body)
                            {
                                return Some((delivered, frames));
                            }
                        }
                        Err(broadcast::error::RecvError::Lagged(missing)) => {
                            let reason = "this reader was too slow".to_owned();
                            let gap = Gap { node: String::new(), missing: Some(missing), reason };
                            return Some((Delivered::Gap(gap), frames));
                        }
                        Err(broadcast::error::RecvError::Closed) => return None,
                    }
                }
            }
        });
        Self::until_closed(frames, closed)
    }

    /// From the JetStream stream: in order and without loss, or with the loss told. Begins with
    /// what comes now, or with what the stream still has.
    pub(crate) async fn durable(
        bus: &NatsBus,
        filter: Filter,
        everything: bool,
        closed: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let mut reader = Reader {
            jetstream: bus.jetstream(),
            subjects: bus.subjects.clone(),
            filter: bus.subjects.stream_filter(&filter.key.app, &filter.key.node, ""),
            messages: None,
            begin: if everything { Begin::First } else { Begin::Now },
            sequencer: Sequencer::default(),
            ready: VecDeque::new(),
            due: None,
            looked: None,
        };
        // The first opening tells whether there is a stream at all.
        let opened = reader.open().await;
        reader.messages =
            Some(opened.map_err(|e| Error::Bus(format!("{e}: is a proxy with delivery `stream` running?")))?);
        let sorted = stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) });
        let delivered = sorted.filter_map(move |sorted| {
            let delivered = match sorted {
                Sorted::Event(frame) => filter.pass(frame),
                Sorted::Gap(gap) => Some(Delivered::Gap(gap)),
            };
            async move { delivered }
        });
        Ok(Self::until_closed(delivered, closed))
    }
}

impl Stream for Subscription {
    type Item = Delivered;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivered>> {
        self.inner.as_mut().poll_next(cx)
    }
}

/// How long a number may be missing until the stream is read again for it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How far back it is read then. A leader that dies may take the end of the stream with it; its place
/// is given to other events then, behind the position of whoever had read so far.
const LOOK_BACK: u64 = 1024;

/// Where reading begins.
#[derive(Clone, Copy)]
enum Begin {
    First,
    Now,
    /// After the message of this number in the stream.
    After(u64),
}

/// Reads the stream and puts it in order. Its consumer is made anew where it was whenever the
/// server forgot it, as after a restart.
struct Reader {
    jetstream: jetstream::Context,
    subjects: Subjects,
    filter: String,
    messages: Option<consumer::pull::Stream>,
    begin: Begin,
    sequencer: Sequencer,
    ready: VecDeque<Sorted>,
    /// When to ask the sequencer again.
    due: Option<Instant>,
    /// The hole that was looked for already, by its time.
    looked: Option<Instant>,
}

impl Reader {
    async fn open(&mut self) -> Result<consumer::pull::Stream, String> {
        let stream =
            self.jetstream.get_stream(self.subjects.stream_name()).await.map_err(|e| e.to_string())?;
        // A reader of what comes now must know where now is, to go on from there.
        if let Begin::Now = self.begin {
            self.begin = Begin::After(stream.cached_info().state.last_sequence);
        }
        let config = consumer::pull::Config {
            filter_subject: self.filter.clone(),
            deliver_policy: match self.begin {
                Begin::After(sequence) => {
                    consumer::DeliverPolicy::ByStartSequence { start_sequence: sequence.saturating_add(1) }
                }
                Begin::First | Begin::Now => consumer::DeliverPolicy::All,
            },
            ack_policy: consumer::AckPolicy::None,
            inactive_threshold: Duration::from_secs(30),
            memory_storage: true,
            ..consumer::pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await.map_err(|e| e.to_string())?;
        let messages =
            consumer.stream().heartbeat(Duration::from_millis(500)).expires(Duration::from_secs(5));
        messages.messages().await.map_err(|e| e.to_string())
    }

    async fn next(&mut self) -> Option<Sorted> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            let Some(messages) = &mut self.messages else {
                match self.open().await {
                    Ok(messages) => self.messages = Some(messages),
                    Err(error) => {
                        tracing::debug!(error, "the stream cannot be read yet");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
                continue;
            };
            let wake = async {
                match self.due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = messages.next() => match message {
                    Some(Ok(message)) => self.take(&message),
                    ended => {
                        if let Some(Err(error)) = ended {
                            tracing::debug!(%error, "reading the stream again");
                        }
                        self.messages = None;
                    }
                },
                () = wake => {}
            }
            let now = Instant::now();
            self.due = self.sequencer.expire(now, &mut self.ready);
            self.look_again(now);
        }
    }

    /// Reads the stream again from some way back when a number is missing for long: once for each.
    fn look_again(&mut self, now: Instant) {
        let Some(since) = self.sequencer.hole() else { return };
        if self.looked == Some(since) {
            return;
        }
        if now < since + LOOK_AGAIN {
            let soon = since + LOOK_AGAIN;
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
            return;
        }
        self.looked = Some(since);
        if let Begin::After(sequence) = self.begin {
            tracing::debug!("a number is missing: the stream is read again");
            self.begin = Begin::After(sequence.saturating_sub(LOOK_BACK));
            self.messages = None;
        }
    }

    fn take(&mut self, message: &jetstream::Message) {
        if let Ok(info) = message.info() {
            self.begin = Begin::After(info.stream_sequence);
        }
        let Some(headers) = &message.headers else { return };
        let header = |name: &str| headers.get(name).map(|v| v.as_str());
        let (Some(epoch), Some(sequence)) = (header(EPOCH), header(SEQUENCE).and_then(|s| s.parse().ok()))
        else {
            return;
        };
        // `P stream.app.node.type`: application and node count as one place.
        let place = message.subject.as_str().strip_prefix(self.subjects.prefix()).unwrap_or_default();
        let node = place.rsplit_once('.').map_or(place, |(node, _)| node);
        let node = node.strip_prefix("stream.").unwrap_or(node);
        let oldest = header(OLDEST).and_then(|s| s.parse().ok());
        let body = message.payload.clone();
        let numbered = Numbered { node, epoch, sequence, oldest, gap: header(GAP), body };
        self.sequencer.take(numbered, Instant::now(), &mut self.ready);
    }
}
