//! Starting, running and stopping a proxy.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::Event;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use trunkline_ari_client::NatsError;
use trunkline_ari_rest::{Ari, AriError};

use crate::bus::{self, Bus, Login, Servers};
use crate::config::Config;
use crate::link;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::proxy::{Nats, Proxies, Proxy};
use crate::publish::Publisher;
use crate::{http, subscriptions, twins};

/// Why a proxy ended by itself. That Asterisk or NATS are away never ends it.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The NATS settings.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The Asterisk settings.
    #[error(transparent)]
    Ari(#[from] AriError),
    /// The address for metrics and health cannot be had.
    #[error("cannot listen on {0} for metrics and health: {1}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The entity id changed and the configuration asks to end then.
    #[error("{0}")]
    EntityChanged(String),
}

/// Runs a proxy until `shutdown` is ready, then drains: no new requests are taken, those begun are
/// answered, the stream gets what it lacks.
///
/// # Errors
/// When it cannot start, or ends by itself.
pub async fn run(config: Config, shutdown: impl Future<Output = ()> + Send) -> Result<(), ProxyError> {
    run_with(config, Arc::default(), shutdown).await
}

/// As [`run`], counting in `metrics`.
///
/// # Errors
/// As [`run`].
pub async fn run_with(
    config: Config,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ProxyError> {
    let listener = match config.listen {
        Some(address) => Some(http::bind(address).await.map_err(|e| ProxyError::Listen(address, e))?),
        None => None,
    };
    let ari = Arc::new(Ari::new(config.ari.clone())?);
    let (client, connected) = connect(&config, &metrics).await?;
    let nats = Nats { bus: Arc::new(Bus::new()), client };
    let mut helpers = JoinSet::new();
    let mut of_bus = config.nats.clone();
    of_bus.name.push_str("-requests");
    let (login, servers) = (Login::new(&of_bus)?, Servers::new(of_bus.addresses()?));
    helpers.spawn(bus::keep(Arc::clone(&nats.bus), login, servers));
    let config = Arc::new(config);
    let make = |application: &String| {
        let (config, ari, metrics) = (Arc::clone(&config), Arc::clone(&ari), Arc::clone(&metrics));
        Arc::new(Proxy::new(config, application.clone(), ari, nats.clone(), metrics))
    };
    let all: Vec<_> = config.applications.iter().map(make).collect();
    if let Some(listener) = listener {
        let proxies = Proxies { all: all.clone(), metrics: Arc::clone(&metrics) };
        helpers.spawn(http::serve(listener, Arc::new(proxies)));
    }
    let stop = watch::Sender::new(false);
    let mut running = JoinSet::new();
    for proxy in all {
        running.spawn(one(proxy, connected.clone(), stop.subscribe()));
    }
    // A proxy that ends by itself ends the others, too: a supervisor starts them again.
    let first = tokio::select! {
        () = shutdown => None,
        ended = running.join_next() => ended,
    };
    stop.send_replace(true);
    let mut result = first.map_or(Ok(()), |ended| ended.unwrap_or(Ok(())));
    while let Some(ended) = running.join_next().await {
        result = result.and(ended.unwrap_or(Ok(())));
    }
    let sent = async { tokio::join!(nats.bus.flush(), nats.client.flush()) };
    let _ = tokio::time::timeout(Duration::from_secs(2), sent).await;
    helpers.shutdown().await;
    result
}

/// The proxy of one application, until `shutdown` turns true.
async fn one(
    proxy: Arc<Proxy>,
    connected: watch::Receiver<u64>,
    mut shutdown: watch::Receiver<bool>,
) -> Result<(), ProxyError> {
    tracing::info!(
        application = proxy.application,
        asterisk = proxy.config.ari.http_url,
        nats = proxy.config.nats.describe(),
        "proxy starts"
    );
    let nats = proxy.nats.clone();
    // Requests stop first: what has begun still needs Asterisk.
    let (stop, stop_link) = (watch::Sender::new(false), watch::Sender::new(false));
    let (events, queue) = mpsc::channel(link::EVENT_QUEUE);
    let outbox = proxy.config.delivery.map(|delivery| {
        // The bound is for all applications together.
        let bound = delivery.outbox / proxy.config.applications.len().max(1);
        (Arc::new(Outbox::new(bound, Arc::clone(&proxy.metrics))), delivery)
    });
    let mut helpers = JoinSet::new();
    if let Some((outbox, delivery)) = &outbox {
        let (outbox, nats, subjects, delivery) =
            (Arc::clone(outbox), nats.clone(), proxy.subjects.clone(), *delivery);
        let connected = connected.clone();
        helpers.spawn(async move {
            Publisher { outbox: &outbox, nats, subjects, delivery, connected }.run().await;
        });
    }
    helpers.spawn(announcer(Arc::clone(&proxy), connected));
    helpers.spawn(twins::watch(Arc::clone(&proxy)));
    let pump = tokio::spawn(link::pump(Arc::clone(&proxy.bus), Arc::clone(&proxy.metrics), queue));
    let serving = tokio::spawn(subscriptions::serve(Arc::clone(&proxy), stop.subscribe()));
    let keeping = link::keep(
        Arc::clone(&proxy),
        events,
        outbox.as_ref().map(|(o, _)| Arc::clone(o)),
        stop_link.subscribe(),
    );
    let mut keeping = tokio::spawn(keeping);

    let ended = tokio::select! {
        _ = shutdown.wait_for(|stop| *stop) => None,
        ended = &mut keeping => ended.ok(),
    };
    tracing::info!(application = proxy.application, "proxy stops");
    // Nothing new first; the link stays until what has begun is answered.
    let limit = proxy.config.drain;
    proxy.goodbye().await;
    let requests_end = stop_requests(&stop, serving, &proxy);
    if tokio::time::timeout(limit, requests_end).await.is_err() {
        tracing::warn!(pending = proxy.pending.load(Ordering::Relaxed), "requests under way are abandoned");
    }
    stop_link.send_replace(true);
    if ended.is_none() {
        // Closes the socket, which ends the application at Asterisk.
        let _ = tokio::time::timeout(Duration::from_secs(3), keeping).await;
    }
    if let Some((outbox, _)) = &outbox
        && tokio::time::timeout(limit, outbox.emptied()).await.is_err()
    {
        tracing::warn!("events that are not in the stream yet are lost");
    }
    // The link's end closed the queue, so the pump ends when it has sent everything.
    let _ = tokio::time::timeout(Duration::from_secs(2), pump).await;
    helpers.shutdown().await;
    match ended {
        Some(Err(error)) => Err(ProxyError::EntityChanged(error.to_string())),
        Some(Ok(())) | None => Ok(()),
    }
}

async fn stop_requests(stop: &watch::Sender<bool>, serving: tokio::task::JoinHandle<()>, proxy: &Proxy) {
    stop.send_replace(true);
    let _ = serving.await;
    proxy.drained().await;
}

/// The connection to NATS, which need not be there yet, and a signal for each time it is reached.
async fn connect(
    config: &Config,
    metrics: &Arc<Metrics>,
) -> Result<(async_nats::Client, watch::Receiver<u64>), ProxyError> {
    let reached = Arc::new(watch::Sender::new(0));
    let signal = reached.subscribe();
    let metrics = Arc::clone(metrics);
    let options =
        config.nats.options()?.retry_on_initial_connect().subscription_capacity(16_384).event_callback(
            move |event| {
                let (reached, metrics) = (Arc::clone(&reached), Arc::clone(&metrics));
                async move {
                    match event {
                        Event::Connected => {
                            tracing::info!("connected to NATS");
                            metrics.nats_connects.fetch_add(1, Ordering::Relaxed);
                            reached.send_modify(|n| *n += 1);
                        }
                        Event::Disconnected => tracing::warn!("the connection to NATS is lost; reconnecting"),
                        other => tracing::warn!(event = %other, "NATS"),
                    }
                }
            },
        );
    let addresses = config.nats.addresses()?;
    let nats = options
        .connect(addresses)
        .await
        .map_err(|e| NatsError::Connect(config.nats.describe(), e.to_string()))?;
    Ok((nats, signal))
}

/// Announces from time to time and after each connection to NATS. The subscriptions announce when
/// Asterisk is reached, pings are answered there too.
async fn announcer(proxy: Arc<Proxy>, mut connected: watch::Receiver<u64>) {
    let mut reached = proxy.bus.reached();
    let mut interval = tokio::time::interval(proxy.config.announce_interval);
    interval.tick().await;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            changed = connected.changed() => if changed.is_err() { return },
            changed = reached.changed() => if changed.is_err() { return },
        }
        // Whoever hears it may send at once.
        proxy.bus.flush().await;
        proxy.announce().await;
    }
}
