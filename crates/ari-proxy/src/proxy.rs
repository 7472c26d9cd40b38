//! The state that the parts of a running proxy share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_nats::connection::State;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, watch};
use trunkline_ari::{Announcement, Dialogs, Site, Subjects};
use trunkline_ari_rest::Ari;

use crate::bus::Bus;
use crate::config::Config;
use crate::lanes::Lanes;
use crate::metrics::Metrics;

/// The state of a running proxy.
pub(crate) struct Proxy {
    pub config: Arc<Config>,
    /// The one of the configured applications that this is for.
    pub application: String,
    pub subjects: Subjects,
    pub ari: Arc<Ari>,
    /// For requests, answers and events.
    pub bus: Arc<Bus>,
    /// For all else.
    pub nats: async_nats::Client,
    pub dialogs: Mutex<Dialogs>,
    pub lanes: Arc<Lanes>,
    pub room: Semaphore,
    pub metrics: Arc<Metrics>,
    /// Requests accepted and not finished, for the bound and for draining.
    pub pending: AtomicU64,
    pub idle: Notify,
    /// Where we stand; the node is empty until Asterisk told it.
    site: RwLock<Arc<Site>>,
    up: AtomicBool,
    /// Other proxies for the same application and node.
    pub twins: AtomicU64,
    /// Whether we are in the queue groups of `create`, as far as the server may know.
    pub taking_creates: watch::Sender<bool>,
    /// Tells what depends on it: node known, Asterisk there.
    pub state: watch::Sender<Reach>,
}

/// The connections to NATS.
#[derive(Clone)]
pub(crate) struct Nats {
    pub bus: Arc<Bus>,
    pub client: async_nats::Client,
}

/// The proxies of one process: one for each application, on one Asterisk and one NATS.
pub(crate) struct Proxies {
    pub all: Vec<Arc<Proxy>>,
    pub metrics: Arc<Metrics>,
}

impl Proxies {
    /// Whether Asterisk is there, for every application.
    pub(crate) fn are_up(&self) -> bool {
        self.all.iter().all(|proxy| proxy.is_up())
    }

    pub(crate) fn nats_is_up(&self) -> bool {
        self.all.iter().all(|proxy| proxy.nats_is_up())
    }
}

/// How far the proxy reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The node id; empty until it is known.
    pub node: String,
    /// Whether Asterisk is there.
    pub up: bool,
}

impl Proxy {
    pub(crate) fn new(
        config: Arc<Config>,
        application: String,
        ari: Arc<Ari>,
        nats: Nats,
        metrics: Arc<Metrics>,
    ) -> Self {
        let site = Site { app: application.clone(), node: config.node.clone().unwrap_or_default() };
        let node = site.node.clone();
        Proxy {
            subjects: Subjects::new(config.prefix.clone()),
            application,
            ari,
            bus: nats.bus,
            nats: nats.client,
            dialogs: Mutex::default(),
            lanes: Arc::default(),
            room: Semaphore::new(config.concurrency),
            metrics,
            pending: AtomicU64::new(0),
            idle: Notify::new(),
            site: RwLock::new(Arc::new(site)),
            up: AtomicBool::new(false),
            twins: AtomicU64::new(0),
            taking_creates: watch::Sender::new(false),
            state: watch::Sender::new(Reach { node, up: false }),
            config,
        }
    }

    pub(crate) fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.read())
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(crate) fn nats_is_up(&self) -> bool {
        self.bus.is_up() && self.nats.connection_state() == State::Connected
    }

    /// Asterisk is there, under this node id.
    pub(crate) fn set_up(&self, node: &str) {
        if self.site().node != node {
            let site = Site { app: self.application.clone(), node: node.to_owned() };
            *self.site.write() = Arc::new(site);
        }
        self.up.store(true, Ordering::Release);
        self.state.send_replace(Reach { node: node.to_owned(), up: true });
    }

    /// Asterisk is gone.
    pub(crate) fn set_down(&self) {
        self.up.store(false, Ordering::Release);
        self.state.send_modify(|reach| reach.up = false);
    }

    /// Says that we are there, when Asterisk is.
    pub(crate) async fn announce(&self) {
        if self.is_up() {
            self.say(self.subjects.announce()).await;
        }
    }

    /// Says that Asterisk cannot be reached through us any more.
    pub(crate) async fn goodbye(&self) {
        self.say(self.subjects.bye()).await;
    }

    async fn say(&self, subject: String) {
        let site = self.site();
        if site.node.is_empty() || !self.nats_is_up() {
            return;
        }
        let body = Announcement::new(&site.app, &site.node).to_json();
        if let Err(error) = self.nats.publish(subject, body.into()).await {
            tracing::warn!(%error, "announcement not sent");
        }
    }

    /// One request less is under way.
    pub(crate) fn finished(&self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.idle.notify_waiters();
        }
    }

    /// Waits until no request is under way.
    pub(crate) async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.pending.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}
