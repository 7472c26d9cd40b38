//! The role `exchange`: SIP, with registrar, router, location service and call records.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use trunkline_calls::{Calls, Cause, FailedCallBounds, FailedCalls, Records};
use trunkline_config::{Config, Trace};
use trunkline_edge::{EdgeConfig, EdgeMail, EdgePort, Shared};
use trunkline_location::{KnownHosts, Location, Persistence};
use trunkline_publisher::Inputs;
use trunkline_trace::Tap;
use trunkline_transport::{
    Acceptor, Alive, Counters, ListenError, Listener, Mail, Mailboxes, RunningAcceptor, Shard,
};

use crate::base::Base;
use crate::edge_config::edge_config;
use crate::follower::Follower;
use crate::hep::{self, HepCounters};
use crate::publishing::{self, Publishers, Publishing, Sinks};
use crate::time::unix_ms;
use crate::{failed_calls, known_hosts, message_log, otlp, refusal_log, request_log, routr_v1, secret};

/// Shards, at most: a branch contains its shard's number in one byte.
const MOST_SHARDS: usize = 256;

/// The part of the configuration that this role reads.
pub struct SipConfig {
    edge: EdgeConfig,
    /// The SQLite file of bindings and call records; the secret is stored beside it.
    database: Option<PathBuf>,
    records: bool,
    retention_days: u32,
    refused_per_minute: u32,
    call_bytes: u32,
    failed_calls: u32,
    /// Origins of web pages whose WebSockets count as any client's.
    origins: Vec<String>,
    trace: Trace,
    publishing: Publishing,
    /// The share of calls whose traces are sent.
    traced_percent: u32,
    /// The operator wrote a configuration of Routr v1: errors name its keys.
    is_routr_v1: bool,
}

impl SipConfig {
    /// Takes this role's part out of the whole.
    pub fn of(config: &Config, is_routr_v1: bool) -> SipConfig {
        SipConfig {
            edge: edge_config(config),
            database: config.database_file(),
            records: config.calls.records,
            retention_days: config.calls.retention_days,
            refused_per_minute: config.calls.refused_per_minute,
            call_bytes: config.limits.call_bytes,
            // They are told from what memory has.
            failed_calls: if config.events.memory > 0 { config.events.failed_calls } else { 0 },
            origins: config.listen.origins.iter().map(|origin| origin.0.clone()).collect(),
            trace: config.trace.clone(),
            publishing: Publishing::of(config),
            traced_percent: config.otlp.calls_percent,
            is_routr_v1,
        }
    }
}

/// The state of this role, for other roles.
pub struct SipView {
    pub shared: Arc<Shared>,
    pub persistence: Option<Persistence>,
    pub records: Option<Records>,
    /// Calls that failed, explained.
    pub failed_calls: Option<FailedCalls>,
    /// Where the names of trunks, peers and servers led.
    pub known_hosts: Option<KnownHosts>,
    pub transport: Vec<Arc<Counters>>,
    pub listening: Vec<Listener>,
    /// Where the messages of each shard can be watched.
    pub taps: Vec<Arc<Tap>>,
    /// What the capture server got, if there is one.
    pub hep: Option<Arc<HepCounters>>,
    /// Where events come from.
    pub inputs: Inputs,
    /// What those who get events got.
    pub sinks: Sinks,
}

/// The role with its listeners bound; nothing is answered yet.
pub struct Sip {
    shards: Vec<Shard<EdgeMail>>,
    mailboxes: Mailboxes<EdgeMail>,
    acceptor: Acceptor,
    trace: Trace,
    traced_percent: u32,
    publishers: Publishers,
    pub view: Arc<SipView>,
}

/// The role at work.
pub struct RunningSip {
    threads: Vec<JoinHandle<std::io::Result<()>>>,
    mailboxes: Mailboxes<EdgeMail>,
    acceptor: RunningAcceptor,
    view: Arc<SipView>,
    /// Those who read what the shards write.
    followers: Vec<Follower>,
    /// Those who get events, to the end of the last call.
    publishers: Publishers,
}

/// Why an address cannot be listened on, and what to do.
fn cannot_listen(error: ListenError, is_routr_v1: bool) -> anyhow::Error {
    let key = routr_v1::key_of_port(&error.transport.to_string(), is_routr_v1);
    let remedy = match error.source.kind() {
        std::io::ErrorKind::AddrNotAvailable if is_routr_v1 => {
            "no interface of this machine has the address: correct its `bindAddr`, or `spec.bindAddr`"
        }
        std::io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address",
        _ => "is another program there?",
    };
    anyhow::anyhow!("{error} (key {key}; {remedy})")
}

impl Sip {
    /// Binds the listeners, loads bindings and secret, connects the shards.
    pub fn build(config: SipConfig, base: &Base) -> Result<Sip> {
        let resources = base.resources()?;
        let store = &resources.store;
        let mut edge = config.edge;
        if let Some(host) = routr_v1::default_domain(store, &base.config) {
            edge.routing.default_domain = host;
        }
        let busy = |e| cannot_listen(e, config.is_routr_v1);
        let (mut shards, mut listening) = bind_shards(&edge).map_err(busy)?;
        let count = shards.len();
        let mut acceptor =
            Acceptor::new(base.certificates()?, edge.streams).context("cannot make the acceptor")?;
        acceptor.allow_origins(config.origins);
        acceptor.bind(&edge.listeners).map_err(busy)?;
        listening.extend(acceptor.listening());

        let database = config.database.as_deref();
        let first_start = database.is_none_or(|file| !file.exists());
        let location = Arc::new(Location::new());
        let persistence = database.map(|file| Persistence::open(file, location.clone())).transpose()?;
        let calls = Arc::new(Calls::new());
        calls.set_refused_limit(config.refused_per_minute);
        calls.set_memory_limit(u64::from(config.call_bytes), edge.memory.percent);
        let kept_for = retention(config.retention_days);
        let records = database.filter(|_| config.records);
        let records = records.map(|file| Records::open(file, calls.clone(), kept_for)).transpose()?;
        let secret = secret::load(database.map(|file| file.with_extension("secret")).as_deref())?;
        if first_start {
            routr_v1::take_over(store, &location, &listening, unix_ms());
        }
        let shared =
            Shared::new(edge, (listening.clone(), count), store.live().clone(), location, calls, secret);
        let known_hosts = database.map(|file| known_hosts::follow(file, &shared)).transpose()?;
        let bounds = FailedCallBounds { calls: config.failed_calls, retention: kept_for };
        let failed_calls = records.as_ref().zip(database).filter(|_| bounds.calls > 0);
        let failed_calls = failed_calls
            .map(|(records, file)| failed_calls::start((file, bounds), records, &shared))
            .transpose()?;
        let mailboxes: Mailboxes<EdgeMail> = shards.iter().map(Shard::mailbox).collect();
        shared.start(mailboxes.clone())?;
        let alive = Alive::default();
        for shard in &mut shards {
            shard.io.introduce(mailboxes.clone(), alive.clone());
            shard.io.set_dialer(acceptor.dialer());
        }
        for l in &listening {
            tracing::info!(transport = %l.transport, address = %l.address, "listening");
        }
        routr_v1::warn_of_transports(store, &listening);
        let counters = shards.iter().map(|shard| shard.io.counters().clone());
        let transport = counters.chain([acceptor.counters()]).collect();
        let taps = shards.iter().map(|shard| shard.io.tap().clone()).collect();
        let hep = config.trace.hep.is_some().then(Arc::default);
        // A file that cannot be opened ends the process before a first start prints passwords.
        let (inputs, sinks) = (publishing::inputs(&shared), config.publishing.sinks());
        let publishers = config.publishing.start(&inputs, &sinks)?;
        let view = SipView {
            shared,
            persistence,
            records,
            failed_calls,
            known_hosts,
            transport,
            listening,
            taps,
            hep,
            inputs,
            sinks,
        };
        let (trace, traced_percent) = (config.trace, config.traced_percent);
        Ok(Sip { shards, mailboxes, acceptor, trace, traced_percent, publishers, view: Arc::new(view) })
    }

    /// Starts the threads: from now on SIP is answered.
    pub fn start(self) -> Result<RunningSip> {
        // Before the first message.
        let mut followers = followers(&self.view, &self.trace).context("cannot start a thread")?;
        if let Some(queue) = otlp::queue().filter(|_| self.traced_percent > 0) {
            followers.push(otlp::start_calls(&self.view.shared, self.traced_percent, queue.clone())?);
        }
        let acceptor = self.acceptor.start(self.mailboxes.clone()).context("cannot start the acceptor")?;
        let mut threads = Vec::with_capacity(self.shards.len());
        for (number, mut shard) in self.shards.into_iter().enumerate() {
            let mut edge = EdgePort::new(self.view.shared.clone(), number);
            let thread = std::thread::Builder::new()
                .name(format!("shard-{number}"))
                .spawn(move || shard.run(&mut edge))
                .context("cannot start a shard")?;
            threads.push(thread);
        }
        let (mailboxes, view, publishers) = (self.mailboxes, self.view, self.publishers);
        Ok(RunningSip { threads, mailboxes, acceptor, view, followers, publishers })
    }
}

impl RunningSip {
    /// Takes no new calls from now on; those under way go on.
    pub fn drain(&self) {
        self.view.shared.expect_counts();
        for mailbox in self.mailboxes.iter() {
            mailbox.post(Mail::User(EdgeMail::Drain));
        }
    }

    /// Has every request under way got its final response?
    pub fn is_drained(&self) -> bool {
        self.view.shared.pending() == 0
    }

    /// Ends the shards and the acceptor, and writes what is left to the database.
    pub fn stop(self) -> Result<()> {
        for mailbox in self.mailboxes.iter() {
            mailbox.post(Mail::Stop);
        }
        for thread in self.threads {
            match thread.join() {
                Ok(result) => result.context("a shard failed")?,
                Err(_) => anyhow::bail!("a shard panicked"),
            }
        }
        drop(self.acceptor);
        drop(self.followers);
        match self.view.shared.calls.end_all(Cause::Shutdown, unix_ms()) {
            0 => {}
            calls => tracing::info!(calls, "calls were up: their records end now, their media may continue"),
        }
        drop(self.publishers);
        // A client of the control socket may still hold the view, so its end is not waited for.
        self.view.persistence.as_ref().map(Persistence::flush);
        self.view.records.as_ref().map(Records::flush);
        self.view.failed_calls.as_ref().map(FailedCalls::flush);
        self.view.known_hosts.as_ref().map(KnownHosts::flush);
        Ok(())
    }
}

/// Binds the UDP and TCP listeners of every shard. Gives the addresses with the ports filled in.
fn bind_shards(edge: &EdgeConfig) -> Result<(Vec<Shard<EdgeMail>>, Vec<Listener>), ListenError> {
    let count = match edge.shards {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_SHARDS)),
        n => n,
    };
    let mut shards = Vec::with_capacity(count);
    let mut listening = edge.listeners.clone();
    for number in 0..count {
        let shard = Shard::bind(number, &listening, edge.streams, count > 1)?;
        // All shards listen on the ports that the system chose for the first one.
        listening = shard.listening();
        shards.push(shard);
    }
    Ok((shards, listening))
}

/// Starts those who read what the shards write.
fn followers(view: &SipView, trace: &Trace) -> std::io::Result<Vec<Follower>> {
    let mut followers = vec![refusal_log::start(view.shared.clone())?];
    followers.extend(request_log::start(&view.shared)?);
    followers.extend(message_log::start(&view.taps)?);
    if let Some(counters) = &view.hep {
        followers.extend(hep::start(trace, &view.taps, counters)?);
    }
    Ok(followers)
}

/// How long call records are kept; `None`: for ever.
fn retention(days: u32) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(u64::from(days) * 86_400))
}
