//! Events for other programs: a file, a webhook, NATS (`events`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use trunkline_config::{Config, EventType, Events};
use trunkline_edge::Shared;
use trunkline_events::EventTypes;
use trunkline_model::Live;
use trunkline_operations::{BanEntry, Part, SinkFigures, TrunkRegistration};
use trunkline_publisher::{
    FileSink, Inputs, Nats, NatsConfig, SinkCounters, Source, Webhook, WebhookConfig, World,
};

use crate::follower::Follower;
use crate::operations::{bans, status};
use crate::otlp;
use crate::time::unix_ms;

/// How often events are written to the file.
const INTERVAL: Duration = Duration::from_millis(100);

/// The part of the configuration that this reads.
pub struct Publishing {
    events: Events,
    spool: PathBuf,
}

/// Those who get events, by name, with what they got.
pub type Sinks = Vec<(&'static str, Arc<SinkCounters>)>;

/// Those who get events, at work.
#[derive(Default)]
pub struct Publishers {
    _file: Option<Follower>,
    _webhook: Option<Webhook>,
    _nats: Option<Nats>,
}

impl Publishing {
    /// Takes its part out of the whole.
    pub fn of(config: &Config) -> Publishing {
        Publishing { events: config.events.clone(), spool: config.event_spool() }
    }

    /// The counters of those who are configured.
    pub fn sinks(&self) -> Sinks {
        let Events { file, webhook, nats, .. } = &self.events;
        let all =
            [("file", file.is_some()), ("webhook", webhook.url.is_some()), ("nats", nats.url.is_some())];
        let set = all.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name, Arc::default()));
        set.chain(otlp::queue().map(|queue| ("otlp", queue.counters().clone()))).collect()
    }

    /// Starts those who are configured.
    pub fn start(&self, inputs: &Inputs, sinks: &Sinks) -> Result<Publishers> {
        let counters = |name| {
            sinks
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, counters)| counters.clone())
                .unwrap_or_default()
        };
        let mut publishers = Publishers::default();
        let e = &self.events;
        let of_all = types(&e.types)?;
        if let Some(path) = &e.file {
            let source = Source::from_now(inputs, of_all.clone());
            let sink = FileSink::open(source, path, (e.file_bytes, e.file_keep), counters("file"));
            let mut sink =
                sink.with_context(|| format!("cannot open {} (key events.file)", path.display()))?;
            publishers._file = Some(Follower::start("events", INTERVAL, move || sink.look(unix_ms()))?);
        }
        if let Some(config) = self.webhook()? {
            let own = &e.webhook.types;
            let source = Source::from_now(inputs, if own.is_empty() { of_all } else { types(own)? });
            let webhook = Webhook::start(source, config, counters("webhook"));
            publishers._webhook = Some(webhook.map_err(|error| anyhow!("events.webhook: {error}"))?);
        }
        if let Some(url) = e.nats.url.clone() {
            let n = &e.nats;
            let config = NatsConfig {
                url,
                subject: n.subject.clone(),
                user: n.user.clone(),
                password: n.password.0.clone(),
                token: n.token.0.clone(),
                needs_tls: n.needs_tls(),
                trusted_ca: n.trusted_ca.clone(),
                certificate: n.cert.clone().zip(n.key.clone()),
            };
            let source = Source::from_now(inputs, Nats::types());
            publishers._nats = Some(Nats::start(source, config, counters("nats"))?);
        }
        Ok(publishers)
    }

    fn webhook(&self) -> Result<Option<WebhookConfig>> {
        let w = &self.events.webhook;
        let Some(url) = w.url.clone() else { return Ok(None) };
        let secret = match &w.secret_file {
            None => w.secret.0.clone(),
            Some(file) => std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {} (key events.webhook.secretFile)", file.display()))?,
        };
        let secret = secret.trim().as_bytes().to_vec();
        anyhow::ensure!(!secret.is_empty(), "events.webhook.secretFile: the file is empty");
        Ok(Some(WebhookConfig {
            url,
            secret,
            spool: self.spool.clone(),
            spool_bytes: w.spool_bytes,
            batch: w.batch as usize,
            timeout: Duration::from_millis(w.timeout_ms.into()),
            trusted_ca: w.trusted_ca.clone(),
        }))
    }
}

fn types(names: &[EventType]) -> Result<EventTypes> {
    let named = EventTypes::named(names.iter().map(|name| name.0.as_str()));
    named.map_err(|name| anyhow!("`{name}` is no type of events"))
}

/// What they got so far.
pub fn figures(sinks: &Sinks) -> Vec<SinkFigures> {
    let shown = |(name, counters): &(&'static str, Arc<SinkCounters>)| SinkFigures {
        name,
        published: counters.published.load(Ordering::Relaxed),
        lost: counters.lost.load(Ordering::Relaxed),
        failures: counters.failures.load(Ordering::Relaxed),
        waiting: counters.waiting.load(Ordering::Relaxed),
    };
    sinks.iter().map(shown).collect()
}

/// The receivers of events and traces as parts of the process. One that is away degrades it; it takes calls all the same.
pub fn parts(sinks: &Sinks) -> impl Iterator<Item = Part> {
    sinks.iter().map(|(name, counters)| {
        let key = if *name == "otlp" { "otlp".to_owned() } else { format!("events.{name}") };
        Part::new(key, counters.trouble())
    })
}

/// Where events come from.
pub fn inputs(shared: &Arc<Shared>) -> Inputs {
    Inputs {
        logs: shared.events.clone(),
        board: shared.board.clone(),
        world: Arc::new(Exchange(shared.clone())),
    }
}

/// The running exchange, as events show it.
struct Exchange(Arc<Shared>);

impl World for Exchange {
    fn trunk_registrations(&self) -> Vec<TrunkRegistration> {
        self.0.trunk_registrations().into_iter().map(status::trunk_registration).collect()
    }

    fn bans(&self) -> Vec<BanEntry> {
        bans::of(&self.0)
    }

    fn throttled(&self) -> Vec<(&'static str, u64)> {
        let sum = |of: &dyn Fn(&trunkline_edge::Counters) -> u64| self.0.counters.iter().map(|c| of(c)).sum();
        vec![
            ("bannedDigests", sum(&|c| c.throttled.get())),
            ("overload", sum(&|c| c.shed.get())),
            ("transactionTableFull", sum(&|c| c.overloaded.get())),
            ("unprovenSources", sum(&|c| c.held_back.get())),
            ("callLimits", self.0.calls.stats().refused),
        ]
    }

    fn resources(&self) -> Arc<Live> {
        self.0.tables.clone()
    }
}
