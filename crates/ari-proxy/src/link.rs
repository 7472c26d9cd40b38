//! The link to Asterisk: its event WebSocket and its entity id; it reconnects for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use trunkline_ari::{Method, Object, RestCall, Sighting, is_subject, with_dialog};
use trunkline_ari_rest::{AriError, Backoff, Events};

use crate::bus::Bus;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::proxy::Proxy;

/// How often Asterisk is asked who it is.
const IDENTITY_CHECK: Duration = Duration::from_secs(10);

/// Events that may wait for NATS on the core subjects.
pub(crate) const EVENT_QUEUE: usize = 32_768;

/// Bytes of such events. NATS is slow or away then; what is beyond is lost, and counted.
const EVENT_BYTES: u64 = 64 << 20;

/// A message on its way to the bus.
pub(crate) type Outgoing = (Arc<str>, Bytes);

/// Why the link ended for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The entity id changed and the configuration asks to end then.
    #[error("Asterisk's entity id changed from {0} to {1}")]
    EntityChanged(String, String),
}

/// Keeps the link until `stop` turns true: waits for Asterisk, follows its events, begins again.
pub(crate) async fn keep(
    proxy: Arc<Proxy>,
    events: mpsc::Sender<Outgoing>,
    outbox: Option<Arc<Outbox>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut told = false;
    loop {
        let opened = tokio::select! {
            opened = open(&proxy) => opened,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let delay = match opened {
            Ok((socket, node)) => {
                (told, backoff) = (false, Backoff::new(Duration::from_millis(200), Duration::from_secs(5)));
                check_identity(&proxy, &node)?;
                proxy.metrics.ari_connects.fetch_add(1, Ordering::Relaxed);
                tracing::info!(node, application = proxy.application, "connected to Asterisk");
                proxy.set_up(&node);
                let mut follow = Follow { proxy: &proxy, events: &events, outbox: outbox.as_deref() };
                let end = follow.run(socket, &mut stop).await;
                proxy.set_down();
                proxy.ari.forget_connections();
                match end {
                    End::Stopped => return Ok(()),
                    End::Changed(old, new) => check(&proxy, &old, &new)?,
                    End::Lost(why) => {
                        tracing::warn!(%why, "the connection to Asterisk is lost; reconnecting");
                        if let Some(outbox) = &outbox {
                            let site = proxy.site();
                            outbox.gap(&proxy.subjects.stream(&site.app, &site.node, "Gap"), "asterisk");
                        }
                    }
                }
                Duration::ZERO
            }
            Err(why) => {
                if !told {
                    tracing::warn!(%why, "cannot connect to Asterisk; trying again");
                    told = true;
                }
                backoff.next_delay()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        }
    }
}

/// Why an attempt to reach Asterisk failed.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Ari(#[from] AriError),
    #[error("GET /asterisk/info answered {0} {1}")]
    Status(u16, String),
    #[error("empty Asterisk ID: set entityid in asterisk.conf, or ARI_NODE here")]
    NoEntity,
    #[error(
        "Asterisk's entity id {0:?} cannot be part of a NATS subject: set another in asterisk.conf, or ARI_NODE here"
    )]
    Entity(String),
}

/// The WebSocket first, so that no event is missed, then who Asterisk is.
async fn open(proxy: &Proxy) -> Result<(Events, String), OpenError> {
    let socket = proxy.ari.events(&proxy.application, proxy.config.subscribe_all).await?;
    let node = match &proxy.config.node {
        Some(node) => node.clone(),
        None => entity_id(proxy).await?,
    };
    Ok((socket, node))
}

async fn entity_id(proxy: &Proxy) -> Result<String, OpenError> {
    let call = RestCall { method: Method::Get, path: "/asterisk/info".to_owned(), body: None, file: false };
    let reply = proxy.ari.call(call).await?;
    if !reply.as_rest().is_success() {
        return Err(OpenError::Status(reply.status, reply.reason.into_owned()));
    }
    let info = Object::parse(&reply.body).ok();
    let system = info.and_then(|i| i.object("system"));
    let id = system.map(|s| s.text("entity_id").unwrap_or_default().into_owned());
    let id = id.filter(|id| !id.is_empty()).ok_or(OpenError::NoEntity)?;
    if is_subject(&id) { Ok(id) } else { Err(OpenError::Entity(id)) }
}

/// A new entity id under which Asterisk came back.
fn check_identity(proxy: &Proxy, node: &str) -> Result<(), LinkError> {
    let site = proxy.site();
    if site.node.is_empty() || site.node == node { Ok(()) } else { check(proxy, &site.node, node) }
}

fn check(proxy: &Proxy, old: &str, new: &str) -> Result<(), LinkError> {
    tracing::warn!(old, new, "Asterisk's entity id changed");
    if proxy.config.exit_on_entity_change {
        return Err(LinkError::EntityChanged(old.to_owned(), new.to_owned()));
    }
    Ok(())
}

/// Waits until Asterisk tells another entity id. Forgets old dialog bindings on the way.
async fn changed_identity(proxy: &Proxy, node: &str) -> String {
    loop {
        tokio::time::sleep(IDENTITY_CHECK).await;
        proxy.dialogs.lock().expire(proxy.config.dialog_age, Instant::now());
        if proxy.config.node.is_none()
            // A failed question is no answer: the socket tells when Asterisk is gone.
            && let Ok(now) = entity_id(proxy).await
            && now != node
        {
            return now;
        }
    }
}

/// How following the events ended.
enum End {
    Stopped,
    Lost(AriError),
    Changed(String, String),
}

/// Takes frames from Asterisk and hands them to the bus.
struct Follow<'p> {
    proxy: &'p Proxy,
    events: &'p mpsc::Sender<Outgoing>,
    outbox: Option<&'p Outbox>,
}

impl Follow<'_> {
    async fn run(&mut self, mut socket: Events, stop: &mut watch::Receiver<bool>) -> End {
        let site = self.proxy.site();
        let subject = Arc::from(self.proxy.subjects.event(&site.app, &site.node));
        let changed = changed_identity(self.proxy, &site.node);
        let stopped = async {
            // The end of the sender is a stop too.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::pin!(changed, stopped);
        let end = loop {
            tokio::select! {
                biased;
                frame = socket.next() => match frame {
                    Ok(frame) => self.take(&subject, frame),
                    Err(error) => break End::Lost(error),
                },
                () = &mut stopped => break End::Stopped,
                node = &mut changed => break End::Changed(site.node.clone(), node),
            }
        };
        if let End::Stopped = end {
            socket.close().await;
        }
        end
    }

    /// One frame: as it is to the application, a copy to each dialog, and to the stream.
    fn take(&mut self, subject: &Arc<str>, frame: Bytes) {
        let metrics = &self.proxy.metrics;
        let sighting = match Sighting::read(&frame) {
            Ok(sighting) => sighting,
            Err(error) => {
                metrics.frames_unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "a WebSocket message from Asterisk is not an event");
                return;
            }
        };
        metrics.events.fetch_add(1, Ordering::Relaxed);
        if sighting.event_type == "ApplicationReplaced" {
            metrics.replaced.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                application = self.proxy.application,
                "another client took this application at Asterisk: only one can have it"
            );
        }
        self.publish(Arc::clone(subject), frame.clone());
        let copies = {
            let mut dialogs = self.proxy.dialogs.lock();
            if dialogs.is_empty() {
                Vec::new()
            } else {
                let now = Instant::now();
                let copies = dialogs.of_any(&sighting.things, now);
                if let Some((kind, id)) = sighting.ended() {
                    dialogs.end(kind, id, now);
                }
                metrics.dialogs.store(dialogs.len() as u64, Ordering::Relaxed);
                copies
            }
        };
        for dialog in copies {
            metrics.dialog_events.fetch_add(1, Ordering::Relaxed);
            let subject = self.proxy.subjects.dialog_event(&dialog);
            self.publish(subject.into(), with_dialog(&frame, &dialog).into());
        }
        if let Some(outbox) = self.outbox {
            let site = self.proxy.site();
            let subject = self.proxy.subjects.stream(&site.app, &site.node, &sighting.event_type);
            outbox.push(subject, frame);
        }
    }

    fn publish(&self, subject: Arc<str>, body: Bytes) {
        let waiting = &self.proxy.metrics.events_waiting;
        let size = body.len() as u64;
        let room = waiting.fetch_add(size, Ordering::Relaxed) + size <= EVENT_BYTES;
        if !room || self.events.try_send((subject, body)).is_err() {
            waiting.fetch_sub(size, Ordering::Relaxed);
            let lost = self.proxy.metrics.events_dropped.fetch_add(1, Ordering::Relaxed);
            if lost.is_power_of_two() || lost == 0 {
                tracing::error!(lost = lost + 1, "events are lost: NATS does not accept them");
            }
        }
    }
}

/// Hands queued events to NATS, in order.
pub(crate) async fn pump(bus: Arc<Bus>, metrics: Arc<Metrics>, mut events: mpsc::Receiver<Outgoing>) {
    while let Some((subject, body)) = events.recv().await {
        let length = body.len();
        let sent = bus.publish(&subject, None, &body).await;
        metrics.events_waiting.fetch_sub(length as u64, Ordering::Relaxed);
        if let Err(error) = sent {
            metrics.events_too_long.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, length, "event not sent");
        }
    }
}
