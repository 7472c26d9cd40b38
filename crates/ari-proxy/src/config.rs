//! Configuration: flags over environment over file over defaults, under ari-proxy's own names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trunkline_ari::{DEFAULT_PREFIX, is_subject, ulid};
use trunkline_ari_client::{LOCAL_SERVER, NatsConfig, NatsError};
use trunkline_ari_rest::{AriConfig, UrlError};

use crate::traces::Traces;

/// Everything a proxy is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The prefix of subjects.
    pub prefix: String,
    /// The NATS servers.
    pub nats: NatsConfig,
    /// The ARI applications; unless configured, one with a fresh name.
    pub applications: Vec<String>,
    /// The Asterisk.
    pub ari: AriConfig,
    /// The node id, instead of Asterisk's entity id.
    pub node: Option<String>,
    /// Whether all events of Asterisk are wanted, not only those of the application.
    pub subscribe_all: bool,
    /// Whether events also go to a JetStream stream.
    pub delivery: Option<Delivery>,
    /// Where metrics and health listen.
    pub listen: Option<SocketAddr>,
    /// The time limit of one request, waiting included.
    pub request_timeout: Duration,
    /// How many requests are carried out at once.
    pub concurrency: usize,
    /// How long a stop waits for requests that have begun.
    pub drain: Duration,
    /// How often the proxy says that it is there.
    pub announce_interval: Duration,
    /// After how long without events a dialog binding ends.
    pub dialog_age: Duration,
    /// Whether a changed entity id ends the proxy, for a supervisor to start it again.
    pub exit_on_entity_change: bool,
    /// Whether requests and events are logged.
    pub verbose: bool,
    /// Where traces of requests are sent.
    pub traces: Option<Traces>,
}

impl Config {
    /// The URLs of all servers that the proxy connects to. Every field is named, so that a new one is not forgotten.
    pub fn urls(&self) -> Vec<&str> {
        let Config {
            nats,
            ari,
            traces,
            prefix: _,
            applications: _,
            node: _,
            subscribe_all: _,
            delivery: _,
            listen: _,
            request_timeout: _,
            concurrency: _,
            drain: _,
            announce_interval: _,
            dialog_age: _,
            exit_on_entity_change: _,
            verbose: _,
        } = self;
        let local = nats.servers.is_empty().then_some(LOCAL_SERVER);
        let nats = nats.servers.iter().map(String::as_str).chain(local);
        let traces = traces.iter().map(|traces| traces.url.as_str());
        nats.chain([&*ari.http_url, &*ari.websocket_url]).chain(traces).collect()
    }
}

/// The JetStream stream and what waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Bytes of events that may wait while NATS is away.
    pub outbox: usize,
    /// How long the stream keeps events.
    pub max_age: Duration,
    /// Bytes the stream keeps.
    pub max_bytes: i64,
    /// Copies within a cluster of NATS servers.
    pub replicas: usize,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A setting that does not exist.
    #[error("{place}: unknown setting `{name}`{hint}")]
    Unknown {
        /// File and line, or where else it stood.
        place: String,
        /// The setting.
        name: String,
        /// The nearest known name.
        hint: String,
    },
    /// A value that a setting does not take.
    #[error("`{name}` is `{value}`, which is not {expected}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// No user. The text is ari-proxy's own.
    #[error("no username found: set ARI_USERNAME, --ari.username or ari.username")]
    NoUsername,
    /// No password. The text is ari-proxy's own.
    #[error("no password found: set ARI_PASSWORD, --ari.password or ari.password")]
    NoPassword,
    /// The NATS settings.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The Asterisk URLs.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// One setting: its name in files and flags, in the environment, and what it means.
pub(crate) struct Setting {
    pub name: &'static str,
    pub env: &'static str,
}

const fn setting(name: &'static str, env: &'static str) -> Setting {
    Setting { name, env }
}

/// All settings. `nats.url` is ranked with its elder names in [`Settings::nats_url`].
pub(crate) const SETTINGS: &[Setting] = &[
    setting("verbose", "VERBOSE"),
    setting("messagebus.url", "MESSAGEBUS_URL"),
    setting("nats.url", "NATS_URL"),
    setting("nats.uri", "NATS_URI"),
    setting("nats.name", "NATS_NAME"),
    setting("nats.credentials", "NATS_CREDENTIALS"),
    setting("nats.user", "NATS_USER"),
    setting("nats.password", "NATS_PASSWORD"),
    setting("nats.token", "NATS_TOKEN"),
    setting("nats.ca", "NATS_CA"),
    setting("nats.cert", "NATS_CERT"),
    setting("nats.key", "NATS_KEY"),
    setting("ari.prefix", "ARI_PREFIX"),
    setting("ari.application", "ARI_APPLICATION"),
    setting("ari.username", "ARI_USERNAME"),
    setting("ari.password", "ARI_PASSWORD"),
    setting("ari.http_url", "ARI_HTTP_URL"),
    setting("ari.websocket_url", "ARI_WEBSOCKET_URL"),
    setting("ari.origin", "ARI_WSORIGIN"),
    setting("ari.ca", "ARI_CA"),
    setting("ari.node", "ARI_NODE"),
    setting("ari.subscribe_all", "ARI_SUBSCRIBE_ALL"),
    setting("ari.timeout", "ARI_TIMEOUT"),
    setting("ari.connections", "ARI_CONNECTIONS"),
    setting("ari.max_answer", "ARI_MAX_ANSWER"),
    setting("ari.max_file", "ARI_MAX_FILE"),
    setting("delivery", "ARI_DELIVERY"),
    setting("delivery.outbox", "ARI_DELIVERY_OUTBOX"),
    setting("delivery.max_age", "ARI_DELIVERY_MAX_AGE"),
    setting("delivery.max_bytes", "ARI_DELIVERY_MAX_BYTES"),
    setting("delivery.replicas", "ARI_DELIVERY_REPLICAS"),
    setting("listen", "ARI_PROXY_LISTEN"),
    setting("request_timeout", "ARI_PROXY_REQUEST_TIMEOUT"),
    setting("concurrency", "ARI_PROXY_CONCURRENCY"),
    setting("drain", "ARI_PROXY_DRAIN"),
    setting("announce_interval", "ARI_PROXY_ANNOUNCE_INTERVAL"),
    setting("dialog_age", "ARI_PROXY_DIALOG_AGE"),
    setting("exit_on_entity_change", "ARI_PROXY_EXIT_ON_ENTITY_CHANGE"),
    setting("otlp.url", "ARI_PROXY_OTLP_URL"),
    setting("otlp.authorization", "ARI_PROXY_OTLP_AUTHORIZATION"),
    setting("otlp.ca", "ARI_PROXY_OTLP_CA"),
];

/// A configuration file: its path and text.
pub struct File<'a> {
    /// For messages, and for the format (`.toml`; everything else is YAML, of which JSON is part).
    pub path: &'a Path,
    /// Its content.
    pub text: &'a str,
}

impl Config {
    /// Puts a configuration together. `flags` are pairs of setting and value, such as
    /// `("ari.username", "asterisk")`; they rank over `env`, which ranks over `file`.
    ///
    /// # Errors
    /// When a setting is unknown, missing or wrong.
    pub fn from_sources(
        env: impl Fn(&str) -> Option<String>,
        file: Option<File<'_>>,
        flags: &[(&str, String)],
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings { file: BTreeMap::new(), set: BTreeMap::new() };
        if let Some(file) = file {
            settings.file = crate::file::read(&file)?;
        }
        for setting in SETTINGS {
            if let Some(value) = env(setting.env).filter(|v| !v.is_empty()) {
                settings.set.insert(setting.name, value);
            }
        }
        for (name, value) in flags {
            let known = SETTINGS.iter().find(|s| s.name == *name);
            let Some(known) = known else { return Err(unknown("flags".to_owned(), name)) };
            settings.set.insert(known.name, value.clone());
        }
        let service = env("NATS_SERVICE_HOST").zip(env("NATS_SERVICE_PORT_CLIENT"));
        settings.config(service.map(|(host, port)| format!("nats://{host}:{port}")))
    }

    /// The file that is read when none is named: `.ari-proxy` in the home folder, with the ending
    /// of any format.
    #[must_use]
    pub fn default_file(home: &Path) -> Option<PathBuf> {
        ["yaml", "yml", "toml", "json"]
            .iter()
            .map(|e| home.join(format!(".ari-proxy.{e}")))
            .find(|p| p.is_file())
    }
}

pub(crate) fn unknown(place: String, name: &str) -> ConfigError {
    let nearest = SETTINGS.iter().map(|s| (distance(s.name, name), s.name)).min();
    let hint = match nearest {
        Some((d, near)) if d <= 3 => format!(" (did you mean `{near}`?)"),
        _ => String::new(),
    };
    ConfigError::Unknown { place, name: name.to_owned(), hint }
}

/// Edits from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(ca != *cb)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The values by name of setting, by rank.
struct Settings {
    file: BTreeMap<&'static str, String>,
    set: BTreeMap<&'static str, String>,
}

impl Settings {
    fn get(&self, name: &'static str) -> Option<String> {
        self.set.get(name).or_else(|| self.file.get(name)).filter(|v| !v.is_empty()).cloned()
    }

    fn parsed<T>(
        &self,
        name: &'static str,
        default: T,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => parse(value.trim()).ok_or(ConfigError::Value { name, value, expected }),
        }
    }

    fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        self.parsed(name, false, "true or false", |v| match v.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "yes" | "on" => Some(true),
            "0" | "f" | "false" | "no" | "off" => Some(false),
            _ => None,
        })
    }

    fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        self.parsed(name, Duration::from_secs(default), "a time such as 10s, 5m or 2h", duration)
    }

    fn number(&self, name: &'static str, default: usize) -> Result<usize, ConfigError> {
        self.parsed(name, default, "a number such as 64, 64KiB, 64MiB or 1GiB", bytes)
    }

    /// The parts of NATS subjects.
    fn subject_part(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let expected = "a name without spaces, `*`, `>` and empty parts: it becomes part of NATS subjects";
        self.parsed(name, None, expected, |v| is_subject(v).then(|| Some(v.to_owned())))
    }

    /// One application or several, separated by commas.
    fn applications(&self) -> Result<Vec<String>, ConfigError> {
        let expected = "a name, or names separated by commas, without spaces, `*`, `>` and empty parts";
        let all = self.parsed("ari.application", Vec::new(), expected, |v| {
            let mut names: Vec<String> = v.split(',').map(|name| name.trim().to_owned()).collect();
            let good = names.iter().all(|name| is_subject(name));
            names.sort_unstable();
            names.dedup();
            good.then_some(names)
        })?;
        Ok(if all.is_empty() { vec![ulid()] } else { all })
    }

    fn prefix(&self) -> Result<String, ConfigError> {
        let expected = "the beginning of a NATS subject, such as `ari.`";
        let good = |v: &str| is_subject(&format!("{v}x")).then(|| v.to_owned());
        self.parsed("ari.prefix", DEFAULT_PREFIX.to_owned(), expected, good)
    }

    /// MESSAGEBUS_URL wins over NATS_URL over NATS_URI, wherever each stands.
    fn nats_url(&self) -> Option<String> {
        self.get("messagebus.url").or_else(|| self.get("nats.url")).or_else(|| self.get("nats.uri"))
    }

    fn config(&self, service: Option<String>) -> Result<Config, ConfigError> {
        let applications = self.applications()?;
        let nats = NatsConfig {
            servers: service.or_else(|| self.nats_url()).into_iter().collect(),
            name: self.get("nats.name").unwrap_or_else(|| {
                let node = self.get("ari.node").map(|n| format!(" {n}")).unwrap_or_default();
                format!("trunkline-ari-proxy {}{node}", applications.join(","))
            }),
            credentials: self.get("nats.credentials").map(PathBuf::from),
            user: self.get("nats.user"),
            password: self.get("nats.password"),
            token: self.get("nats.token"),
            ca: self.get("nats.ca").map(PathBuf::from),
            certificate: self.get("nats.cert").map(PathBuf::from),
            key: self.get("nats.key").map(PathBuf::from),
        };
        nats.addresses()?;
        let mut ari = AriConfig::new(
            &self.get("ari.http_url").unwrap_or_else(|| "http://localhost:8088/ari".to_owned()),
            &self.get("ari.username").ok_or(ConfigError::NoUsername)?,
            &self.get("ari.password").ok_or(ConfigError::NoPassword)?,
        );
        if let Some(url) = self.get("ari.websocket_url") {
            ari.websocket_url = url;
        }
        if let Some(origin) = self.get("ari.origin") {
            ari.origin = origin;
        }
        ari.ca = self.get("ari.ca").map(PathBuf::from);
        ari.timeout = self.seconds("ari.timeout", 10)?;
        ari.connections = self.number("ari.connections", 32)?;
        ari.max_answer = self.number("ari.max_answer", ari.max_answer)?.max(1024);
        ari.max_file = self.number("ari.max_file", ari.max_file)?;
        trunkline_ari_rest::Url::http(&ari.http_url)?;
        trunkline_ari_rest::Url::websocket(&ari.websocket_url)?;
        Ok(Config {
            prefix: self.prefix()?,
            nats,
            applications,
            ari,
            node: self.subject_part("ari.node")?,
            subscribe_all: self.flag("ari.subscribe_all")?,
            delivery: self.delivery()?,
            listen: self
                .parsed("listen", None, "an address such as 127.0.0.1:9090", |v| v.parse().ok().map(Some))?,
            request_timeout: self.seconds("request_timeout", 10)?,
            concurrency: self.number("concurrency", 64)?.max(1),
            drain: self.seconds("drain", 10)?,
            announce_interval: self.seconds("announce_interval", 60)?.max(Duration::from_millis(100)),
            dialog_age: self.seconds("dialog_age", 24 * 60 * 60)?,
            exit_on_entity_change: self.flag("exit_on_entity_change")?,
            verbose: self.flag("verbose")?,
            traces: self.get("otlp.url").map(|url| Traces {
                url,
                authorization: self.get("otlp.authorization").unwrap_or_default(),
                ca: self.get("otlp.ca").map(PathBuf::from),
            }),
        })
    }

    /// `delivery` is `core` (default: events are sent and forgotten) or `stream`.
    fn delivery(&self) -> Result<Option<Delivery>, ConfigError> {
        let wanted = self.parsed("delivery", false, "`core` or `stream`", |v| match v {
            "core" => Some(false),
            "stream" | "jetstream" => Some(true),
            _ => None,
        })?;
        let delivery = Delivery {
            outbox: self.number("delivery.outbox", 64 << 20)?,
            max_age: self.seconds("delivery.max_age", 24 * 60 * 60)?,
            max_bytes: i64::try_from(self.number("delivery.max_bytes", 1 << 30)?).unwrap_or(i64::MAX),
            replicas: self.number("delivery.replicas", 1)?.max(1),
        };
        Ok(wanted.then_some(delivery))
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    Some(match unit.trim() {
        "ms" => Duration::from_millis(number),
        "" | "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3600)?),
        _ => return None,
    })
}

fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().ok()?;
    let shift = match unit.trim() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(env: &[(&str, &str)], file: &str, flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let file = (!file.is_empty()).then_some(File { path: Path::new("proxy.yaml"), text: file });
        let flags: Vec<_> = flags.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::from_sources(env, file, &flags)
    }

    const LOGIN: [(&str, &str); 2] = [("ARI_USERNAME", "u"), ("ARI_PASSWORD", "p")];

    #[test]
    fn flags_rank_over_environment_over_file_over_defaults() {
        let file = "ari:\n  application: file\n  http_url: http://file:1/ari\n  username: f\n";
        let env = [LOGIN[0], LOGIN[1], ("ARI_APPLICATION", "env")];
        let c = config(&env, file, &[("ari.application", "flag")]).unwrap();
        assert_eq!(
            (c.applications.join("+").as_str(), c.ari.http_url.as_str()),
            ("flag", "http://file:1/ari")
        );
        assert_eq!(c.ari.username, "u");
        assert_eq!(c.ari.websocket_url, "ws://file:1/ari/events");
        let c = config(&LOGIN, "", &[]).unwrap();
        assert_eq!((c.applications.len(), c.applications[0].len()), (1, 26));
        assert_eq!(c.prefix, "ari.");
        assert!(c.listen.is_none() && c.delivery.is_none());
    }

    #[test]
    fn elder_names_of_the_bus_rank() {
        let url = |env: &[(&str, &str)]| {
            let env: Vec<_> = LOGIN.iter().chain(env).copied().collect();
            config(&env, "", &[]).unwrap().nats.describe()
        };
        assert_eq!(url(&[("NATS_URL", "nats://a:1")]), "nats://a:1");
        assert_eq!(url(&[("NATS_URL", "nats://a:1"), ("MESSAGEBUS_URL", "nats://b:2")]), "nats://b:2");
        assert_eq!(
            url(&[
                ("MESSAGEBUS_URL", "nats://b:2"),
                ("NATS_SERVICE_HOST", "k"),
                ("NATS_SERVICE_PORT_CLIENT", "3")
            ]),
            "nats://k:3"
        );
    }

    #[test]
    fn errors_name_what_is_wrong_and_the_way_out() {
        let text = |r: Result<Config, ConfigError>| r.unwrap_err().to_string();
        assert!(text(config(&[], "", &[])).starts_with("no username found"));
        assert!(text(config(&LOGIN[..1], "", &[])).starts_with("no password found"));
        assert_eq!(
            text(config(&LOGIN, "\nari:\n  aplication: x\n", &[])),
            "proxy.yaml:3:3: unknown setting `ari.aplication` (did you mean `ari.application`?)"
        );
        let amqp = [LOGIN[0], LOGIN[1], ("MESSAGEBUS_URL", "amqp://rabbit")];
        assert!(text(config(&amqp, "", &[])).contains("RabbitMQ, which is not supported"));
        assert_eq!(
            text(config(&LOGIN, "", &[("request_timeout", "soon")])),
            "`request_timeout` is `soon`, which is not a time such as 10s, 5m or 2h"
        );
    }

    #[test]
    fn several_applications() {
        let of = |names: &str| config(&LOGIN, "", &[("ari.application", names)]).map(|c| c.applications);
        assert_eq!(of("b, a,b").unwrap(), ["a", "b"]);
        assert_eq!(of("x.y").unwrap(), ["x.y"]);
        for bad in ["a,", "a b", ">", "a..b"] {
            assert!(of(bad).unwrap_err().to_string().contains("names separated by commas"), "{bad}");
        }
        let list = config(&LOGIN, "ari:\n  application: [a, b]\n", &[]).unwrap();
        assert_eq!(list.applications, ["a", "b"]);
    }

    #[test]
    fn one_setting_turns_delivery_on() {
        let c = config(&LOGIN, "delivery: stream\n", &[("delivery.outbox", "1MiB")]).unwrap();
        assert_eq!(c.delivery.unwrap().outbox, 1 << 20);
    }
}
