//! The exchange: its parts put together, run, drained.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use trunkline_calls::{Calls, Cause, Records};
use trunkline_cli::ControlServer;
use trunkline_config::{Config, Loaded, Role};
use trunkline_edge::{Edge, EdgeMail, Shared};
use trunkline_http::{Running, Server, health};
use trunkline_location::{Location, Persistence};
use trunkline_login::Login;
use trunkline_store::{Store, Watch};
use trunkline_transport::{Alive, Door, ListenError, Listener, Mail, Mailboxes, OpenDoor, Shard};

use crate::edge_config::edge_config;
use crate::report::{Report, unix_ms, unix_seconds};
use crate::tls::tls_settings;
use crate::{api, ari, first_start, routr_v1, secret};

/// Calls under way have this long to get their answer when the exchange is told to end.
const DRAIN: Duration = Duration::from_secs(5);

/// Shards, at most: a branch names its shard in one byte.
const MOST_SHARDS: usize = 256;

/// Resources that are warned of at the start; `trunkline check` tells all.
const MOST_WARNINGS: usize = 20;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// For good.
    Stop,
    /// To be started again by whoever started it.
    Restart,
}

/// A built exchange: listening, not yet answering.
pub struct Exchange {
    shards: Vec<Shard<EdgeMail>>,
    mailboxes: Mailboxes<EdgeMail>,
    door: OpenDoor,
    report: Arc<Report>,
    watch: Watch,
    control: Option<ControlServer>,
    http: Option<Running>,
    rest_v1: Option<Running>,
    ari_proxy: Option<ari::InsideServe>,
}

impl Exchange {
    /// Opens the data, binds the listeners, puts the parts together.
    pub fn build(Loaded { config, routr_v1: document, .. }: Loaded) -> Result<Exchange> {
        let mut edge = edge_config(&config);
        let store = Arc::new(Store::open_with(&config.store_url(), &routr_v1::access(&config))?);
        if let Some(host) = routr_v1::default_domain(&store, &config) {
            edge.routing.default_domain = host;
        }
        let database = config.database_file();
        let location = Arc::new(Location::new());
        let first_start = database.as_deref().is_none_or(|file| !file.exists());
        let persistence =
            database.as_deref().map(|file| Persistence::open(file, location.clone())).transpose()?;
        let calls = Arc::new(Calls::new());
        let records = match database.as_deref().filter(|_| config.calls.records) {
            Some(file) => Some(Records::open(file, calls.clone(), retention(&config))?),
            None => None,
        };
        let secret = secret::load(database.as_deref().map(|f| f.with_extension("secret")).as_deref())?;
        let count = match edge.shards {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_SHARDS)),
            n => n,
        };
        let busy = |e: ListenError| {
            let key = routr_v1::key_of_port(&e.transport.to_string(), document.as_ref());
            anyhow::anyhow!("{e} (key {key}; is another program there?)")
        };
        let mut shards = Vec::with_capacity(count);
        let mut addresses: Vec<Listener> = edge.listeners.clone();
        for number in 0..count {
            let shard = Shard::bind(number, &addresses, edge.streams, count > 1).map_err(busy)?;
            // Ports chosen by the system are the same for the other shards.
            addresses = shard.listening();
            shards.push(shard);
        }
        let mut door = Door::new(tls_settings(&config, database.as_deref()), edge.streams)
            .context("the keys under tls")?;
        door.allow_origins(config.listen.origins.iter().map(|origin| origin.0.clone()).collect());
        door.bind(&edge.listeners).map_err(busy)?;
        addresses.extend(door.listening());
        // One for all doors that people and programs log in at: what is guessed at one is slowed at all.
        let login = Login::new(store.live().clone())?;
        let api = api::start(&config, &store, &login, door.tls())?;
        routr_v1::warn_of_configuration(&store);
        if first_start {
            routr_v1::take_over(&store, &location, &addresses, unix_ms());
        }
        let mailboxes: Mailboxes<EdgeMail> = shards.iter().map(Shard::mailbox).collect();
        let shared =
            Shared::new(edge, (addresses.clone(), count), store.live().clone(), location, calls, secret);
        shared.start(mailboxes.clone())?;
        let alive = Alive::default();
        for shard in &mut shards {
            shard.io.introduce(mailboxes.clone(), alive.clone());
            shard.io.set_dialer(door.dialer());
        }
        let at_the_door = door.counters();
        let door = door.open(mailboxes.clone()).context("cannot start the door of TLS and WebSockets")?;
        for l in &addresses {
            tracing::info!(transport = %l.transport, address = %l.address, "listening");
        }
        routr_v1::warn_of_transports(&store, &addresses);
        let watch = Watch::start(store.clone()).context("cannot watch the resources for changes")?;
        let report = Arc::new(Report {
            api,
            shared,
            store,
            store_url: config.store_url(),
            roles: config.roles.iter().map(|r| r.as_str().to_owned()).collect(),
            persistence,
            records,
            transport: shards.iter().map(|s| s.io.counters().clone()).chain([at_the_door]).collect(),
            listening: addresses,
            started: unix_seconds(),
            draining: AtomicBool::new(false),
            told: Mutex::new(None),
        });
        let http = match config.http.addr.filter(|_| config.runs(Role::Health)) {
            Some(address) => Some(Server::new(address).mount(health(report.clone())).start()?),
            None => None,
        };
        let rest_v1 = routr_v1::start(&config, document, &report, login, database.as_deref())?;
        let ari_proxy = if config.runs(Role::AriProxy) { Some(ari::InsideServe::start()?) } else { None };
        // Only now: a first start that found a port taken must not have made secrets that are good for nothing. Whom the
        // socket answers finds them made.
        let made = if config.runs(Role::Exchange) { report.store.bootstrap(&config.domain)? } else { None };
        if let Some(made) = made {
            first_start::announce(&made, &report.listening, report.api.as_ref());
        }
        if config.runs(Role::Exchange) {
            warn_of_resources(&report.store);
        }
        let control = match config.runs(Role::Control) {
            true => Some(ControlServer::start(&config.control_socket(), report.clone())?),
            false => None,
        };
        Ok(Exchange { shards, mailboxes, door, report, watch, control, http, rest_v1, ari_proxy })
    }

    /// Runs until SIGTERM or SIGINT, or until its terminal is closed, then drains. Whether it is to be started again.
    pub fn run(self) -> Result<Ended> {
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])
            .context("cannot listen for signals")?;
        // At a terminal it says that the terminal is closed; to a service it is the usual word for "read again".
        let hangup_ends = std::io::stdin().is_terminal();
        let ends = |signal: i32| signal != SIGHUP || hangup_ends;
        let mut threads: Vec<JoinHandle<std::io::Result<()>>> = Vec::new();
        for (number, mut shard) in self.shards.into_iter().enumerate() {
            let mut edge = Edge::new(self.report.shared.clone(), number);
            let thread = std::thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(move || shard.run(&mut edge))
                .context("cannot start a shard")?;
            threads.push(thread);
        }
        for signal in signals.forever() {
            if ends(signal) {
                break;
            }
            tracing::info!(
                "SIGHUP: changed resources and certificates are in force already, the configuration is read at the start"
            );
        }
        let told = *self.report.told.lock().unwrap_or_else(PoisonError::into_inner);
        let drain = if told.is_some_and(|stop| stop.now) { Duration::ZERO } else { DRAIN };
        self.report.draining.store(true, Ordering::Relaxed);
        if let Some(api) = &self.report.api {
            api.drain();
        }
        self.report.shared.expect_counts();
        for m in self.mailboxes.iter() {
            m.post(Mail::User(EdgeMail::Drain));
        }
        // Said when it is so: mail goes before what comes in after it.
        tracing::info!("draining: no new calls; a second signal ends at once");
        let end = Instant::now() + drain;
        while Instant::now() < end && self.report.shared.pending() > 0 && !signals.pending().any(ends) {
            std::thread::sleep(Duration::from_millis(20));
        }
        for m in self.mailboxes.iter() {
            m.post(Mail::Stop);
        }
        for thread in threads {
            match thread.join() {
                Ok(result) => result.context("a shard failed")?,
                Err(_) => anyhow::bail!("a shard panicked"),
            }
        }
        let now = unix_ms();
        match self.report.shared.calls.end_all(Cause::Shutdown, now) {
            0 => {}
            calls => tracing::info!(calls, "calls were up; their records end here, the phones may talk on"),
        }
        // Doors first; the report holds what is still to be written.
        drop((self.door, self.control, self.http, self.rest_v1, self.watch, self.ari_proxy));
        drop(self.report);
        Ok(if told.is_some_and(|stop| stop.restart) { Ended::Restart } else { Ended::Stop })
    }
}

/// Tells of resources that do nothing, or open more than may be meant.
fn warn_of_resources(store: &Store) {
    let cautions = store.live().load().cautions();
    for caution in cautions.iter().take(MOST_WARNINGS) {
        tracing::warn!("{caution}");
    }
    if let Some(more) = cautions.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        tracing::warn!("{more} more of this kind: `trunkline check` tells all");
    }
}

/// How long call records are kept; `None`: for ever.
fn retention(config: &Config) -> Option<Duration> {
    let days = u64::from(config.calls.retention_days);
    (days > 0).then(|| Duration::from_secs(days * 86_400))
}
