//! New calls, each to one application instance.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, AckKind, consumer};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use trunkline_ari::event::StasisStart;
use trunkline_ari::{Event, EventType, Key, Kind, LISTEN_QUEUE, kinds};

use crate::bus::NatsBus;
use crate::client::{Client, Transport};
use crate::error::Error;
use crate::handle::Channel;

/// A call that entered the application.
pub struct Incoming {
    /// The channel.
    pub channel: Channel,
    /// The event with which it entered.
    pub start: StasisStart,
    /// The event as Asterisk sent it.
    pub raw: Bytes,
    /// Whether it was offered before, to an instance that gave no sign of life.
    pub offered_before: bool,
    lease: Option<Lease>,
}

impl Incoming {
    /// Takes the call for good: from now on no other instance is offered it. Without a lease this
    /// does nothing, the call is ours already.
    ///
    /// # Errors
    /// When the lease ran out, so that another may have the call: leave it alone then.
    pub async fn accept(&mut self) -> Result<(), Error> {
        match self.lease.take() {
            Some(lease) => lease.accept().await,
            None => Ok(()),
        }
    }

    /// Takes the call for good and answers it.
    ///
    /// # Errors
    /// When the lease ran out, or Asterisk or the proxy refuses.
    pub async fn answer(&mut self) -> Result<(), Error> {
        self.accept().await?;
        self.channel.answer().await
    }
}

impl Client {
    /// Hands new calls of this client's application to `handler`, each in a task of its own, until
    /// the client is closed. Of all instances that listen, one gets a call.
    ///
    /// With [`crate::ClientBuilder::durable`] a call is leased: if the instance dies before it
    /// accepts (or its handler ends), another gets it. A handler that panics gives the call up.
    ///
    /// Old listeners of ari-proxy's Go client 5.3.1 do not join the queue group: in a mixed fleet
    /// they get every call besides.
    ///
    /// Calls that the application made itself are offered too, unless
    /// [`crate::ClientBuilder::skip_own_calls`] says otherwise.
    ///
    /// # Errors
    /// When the subscription cannot be made.
    pub async fn listen<F, H>(&self, handler: F) -> Result<(), Error>
    where
        F: Fn(Incoming) -> H + Send + Sync + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let handler = Arc::new(handler);
        match &self.core.transport {
            Transport::Nats(bus) if self.core.durable => self.listen_leased(bus, &handler).await,
            Transport::Nats(bus) => self.listen_queue(bus, &handler).await,
            Transport::Direct(_) => {
                let mut events = self.subscribe(&self.here(), &[EventType::StasisStart]).await?;
                while let Some(received) = events.event().await {
                    if let Some(incoming) = self.incoming(received.raw, false, None) {
                        tokio::spawn(handler(incoming));
                    }
                }
                Ok(())
            }
        }
    }

    async fn listen_queue<F, H>(&self, bus: &NatsBus, handler: &Arc<F>) -> Result<(), Error>
    where
        F: Fn(Incoming) -> H + Send + Sync + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let subject = bus.subjects.events_of(&self.here());
        let queue = LISTEN_QUEUE.to_owned();
        let messages =
            bus.client.queue_subscribe(subject, queue).await.map_err(|e| Error::Bus(e.to_string()))?;
        let mut closed = self.closed();
        let end = async move {
            // The end of the sender is an end too.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        let mut messages = messages.take_until(Box::pin(end));
        while let Some(message) = messages.next().await {
            if let Some(incoming) = self.incoming(message.payload, false, None) {
                tokio::spawn(handler(incoming));
            }
        }
        Ok(())
    }

    async fn listen_leased<F, H>(&self, bus: &NatsBus, handler: &Arc<F>) -> Result<(), Error>
    where
        F: Fn(Incoming) -> H + Send + Sync + 'static,
        H: Future<Output = ()> + Send + 'static,
    {
        let mut closed = self.closed();
        loop {
            let session = async {
                let mut messages = self.offers(bus).await?;
                while let Some(message) = messages.next().await {
                    let message = message.map_err(|e| Error::Bus(e.to_string()))?;
                    let offered_before = message.info().is_ok_and(|info| info.delivered > 1);
                    let (client, bus_client, handler) =
                        (self.clone(), bus.client.clone(), Arc::clone(handler));
                    let lease = self.core.lease;
                    tokio::spawn(async move {
                        client.offer(bus_client, message, offered_before, lease, &*handler).await;
                    });
                }
                Err::<(), Error>(Error::Bus("the stream of calls ended".to_owned()))
            };
            tokio::select! {
                ended = session => if let Err(error) = ended {
                    // NATS restarting, or the stream not made yet: go on when it is there.
                    tracing::debug!(%error, "listening again");
                },
                _ = closed.wait_for(|closed| *closed) => return Ok(()),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The shared consumer from which every instance takes calls one by one.
    async fn offers(&self, bus: &NatsBus) -> Result<consumer::pull::Stream, Error> {
        let failed = |e: String| Error::Bus(e);
        let jetstream = bus.jetstream();
        let app = &self.core.application;
        let filter = bus.subjects.stream_filter(app, "", EventType::StasisStart.name());
        let token: String = app.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name = format!("listen_{token}");
        let config = consumer::pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: filter,
            deliver_policy: consumer::DeliverPolicy::New,
            ack_policy: consumer::AckPolicy::Explicit,
            ack_wait: self.core.lease,
            ..consumer::pull::Config::default()
        };
        let stream = jetstream
            .get_stream_no_info(bus.subjects.stream_name())
            .await
            .map_err(|e| failed(e.to_string()))?;
        let consumer =
            stream.get_or_create_consumer(&name, config).await.map_err(|e| failed(e.to_string()))?;
        // One at a time: what waits here could be taken by another instance.
        consumer
            .stream()
            .max_messages_per_batch(1)
            .heartbeat(Duration::from_millis(500))
            .expires(Duration::from_secs(2))
            .messages()
            .await
            .map_err(|e| failed(e.to_string()))
    }

    async fn offer<F, H>(
        &self,
        nats: async_nats::Client,
        message: jetstream::Message,
        offered_before: bool,
        length: Duration,
        handler: &F,
    ) where
        F: Fn(Incoming) -> H,
        H: Future<Output = ()>,
    {
        let Some(lease) = Lease::begin(nats, &message, length) else { return };
        // A call that was offered before, or long ago, may have ended meanwhile.
        let age = message.info().ok().map(|i| i.published.unix_timestamp());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs() as i64);
        let old = age.is_none_or(|published| now - published > 5);
        let Some(incoming) = self.incoming(message.payload.clone(), offered_before, Some(lease.clone()))
        else {
            let _ = lease.accept().await;
            return;
        };
        if (offered_before || old)
            && let Err(error) = self.call(Kind::ChannelGet, incoming.channel.key()).await
            && error.is_not_found()
        {
            let _ = lease.accept().await;
            return;
        }
        handler(incoming).await;
        // A handler that ended has dealt with the call, accepted or not.
        let _ = lease.accept().await;
    }

    fn incoming(&self, raw: Bytes, offered_before: bool, lease: Option<Lease>) -> Option<Incoming> {
        let Ok(Event::StasisStart(start)) = Event::read(&raw) else { return None };
        if self.core.own.as_ref().is_some_and(|own| own.made(&start.channel.id)) {
            return None;
        }
        let node = start.asterisk_id.clone().unwrap_or_default();
        let key = Key::new(kinds::CHANNEL, start.channel.id.clone()).at(start.application.clone(), node);
        Some(Incoming { channel: Channel::new(self, key), start: *start, raw, offered_before, lease })
    }
}

/// A call that is ours as long as we give signs of life.
#[derive(Clone)]
struct Lease {
    inner: Arc<LeaseInner>,
}

struct LeaseInner {
    nats: async_nats::Client,
    acker: async_nats::Subject,
    /// Until when the server holds it for us, by what it confirmed.
    until: Mutex<Instant>,
    accepted: Mutex<bool>,
    beat: Mutex<Option<AbortHandle>>,
}

impl Lease {
    fn begin(nats: async_nats::Client, message: &jetstream::Message, length: Duration) -> Option<Self> {
        let acker = message.reply.clone()?;
        let inner = Arc::new(LeaseInner {
            nats,
            acker,
            until: Mutex::new(Instant::now() + length),
            accepted: Mutex::new(false),
            beat: Mutex::default(),
        });
        // The task must not keep the lease alive when everybody else has dropped it.
        let weak = Arc::downgrade(&inner);
        let beat = tokio::spawn(async move {
            loop {
                tokio::time::sleep(length / 3).await;
                let Some(inner) = weak.upgrade() else { return };
                let asked = Instant::now();
                if inner.tell(AckKind::Progress, length / 3).await {
                    *inner.until.lock() = asked + length;
                }
            }
        });
        *inner.beat.lock() = Some(beat.abort_handle());
        Some(Lease { inner })
    }

    /// The call is ours for good. Once is enough.
    async fn accept(&self) -> Result<(), Error> {
        if *self.inner.accepted.lock() {
            return Ok(());
        }
        let left = self.inner.until.lock().saturating_duration_since(Instant::now());
        if left.is_zero() || !self.inner.tell(AckKind::Ack, left).await {
            return Err(Error::LeaseLost);
        }
        *self.inner.accepted.lock() = true;
        self.inner.stop();
        Ok(())
    }
}

impl LeaseInner {
    /// Tells the server and waits until it confirms.
    async fn tell(&self, kind: AckKind, limit: Duration) -> bool {
        let asked = self.nats.request(self.acker.clone(), Bytes::from(kind));
        matches!(tokio::time::timeout(limit, asked).await, Ok(Ok(_)))
    }

    fn stop(&self) {
        if let Some(beat) = self.beat.lock().take() {
            beat.abort();
        }
    }
}

impl Drop for LeaseInner {
    fn drop(&mut self) {
        self.stop();
    }
}
