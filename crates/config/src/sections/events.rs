//! `events`: what becomes of requests, calls, registrations and states, and who gets it.

use std::path::PathBuf;

use trunkline_events::EventTypes;
use trunkline_model::document::{Node, Reading};

use crate::keys::Keys;
use crate::setting::{Secret, Setting, list_of, quoted, scalar};

/// A type of events, such as `call.started`, or a group, such as `call`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType(pub String);

impl Setting for EventType {
    fn read(node: &Node, reading: &Reading) -> Option<EventType> {
        let what =
            "a type of events (docs/events.md), such as call.started, or a group of them, such as call";
        scalar(node, reading, what, |text| EventTypes::named([text]).ok().map(|_| EventType(text.to_owned())))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}
list_of!(EventType);

/// `events`.
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Bytes of what became of requests that are kept in memory, the latest ones; 0 keeps none.
    pub memory: u32,
    /// How many calls that failed are kept in the database; 0 keeps none.
    pub failed_calls: u32,
    /// What file and webhook get; nothing: all but what became of requests.
    pub types: Vec<EventType>,
    /// The file with JSON lines.
    pub file: Option<PathBuf>,
    /// Bytes that it may have.
    pub file_bytes: u64,
    /// How many earlier files are kept.
    pub file_keep: u32,
    /// `events.webhook`.
    pub webhook: EventWebhook,
    /// `events.nats`.
    pub nats: EventNats,
}

impl Default for Events {
    fn default() -> Self {
        Events {
            memory: 64 << 20,
            failed_calls: 10_000,
            types: Vec::new(),
            file: None,
            file_bytes: 64 << 20,
            file_keep: 4,
            webhook: EventWebhook::default(),
            nats: EventNats::default(),
        }
    }
}

impl Events {
    pub(crate) fn keys(&mut self, keys: &mut Keys<'_>) {
        keys.value("memory", &mut self.memory);
        keys.value("failedCalls", &mut self.failed_calls);
        keys.value("types", &mut self.types);
        keys.value("file", &mut self.file);
        keys.value("fileBytes", &mut self.file_bytes);
        keys.value("fileKeep", &mut self.file_keep);
        keys.section("webhook", |keys| self.webhook.keys(keys));
        keys.section("nats", |keys| self.nats.keys(keys));
    }
}

section! {
    /// `events.webhook`: events in signed batches over HTTP.
    EventWebhook {
        /// The URL.
        url: Option<String> = None, "url";
        /// What it gets; nothing: as `events.types`.
        types: Vec<EventType> = Vec::new(), "types";
        /// What batches are signed with.
        secret: Secret = Secret::default(), "secret";
        /// The same in a file.
        secret_file: Option<PathBuf> = None, "secretFile";
        /// The folder where events wait; by default next to the database.
        spool: Option<PathBuf> = None, "spool";
        /// Bytes that may wait there.
        spool_bytes: u64 = 256 << 20, "spoolBytes";
        /// Events of a batch, at most.
        batch: u32 = 100, "batch";
        /// For one answer, in milliseconds.
        timeout_ms: u32 = 10_000, "timeoutMs";
        /// Certificate authorities in addition to those of the system, in PEM.
        trusted_ca: Option<PathBuf> = None, "trustedCa";
    }
}

section! {
    /// `events.nats`: Routr's events over NATS.
    EventNats {
        /// The server.
        url: Option<String> = None, "url";
        /// What subjects begin with.
        subject: String = "routr".into(), "subject";
        /// The user name; empty for none.
        user: String = String::new(), "user";
        /// The password of the user.
        password: Secret = Secret::default(), "password";
        /// The token; empty for none.
        token: Secret = Secret::default(), "token";
        /// Certificate authorities of the server, in PEM, instead of those of the system.
        trusted_ca: Option<PathBuf> = None, "trustedCa";
        /// The certificate that the server sees, in PEM.
        cert: Option<PathBuf> = None, "cert";
        /// Its key.
        key: Option<PathBuf> = None, "key";
    }
}

impl EventNats {
    /// Is nothing sent without TLS?
    pub fn needs_tls(&self) -> bool {
        let secure = self.url.as_deref().is_some_and(|url| url.starts_with("tls://"));
        secure || self.trusted_ca.is_some() || self.cert.is_some()
    }
}

/// Is it the URL of a web page, without user name and password?
pub(crate) fn is_web_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(is_host_and_path)
}

/// Is it the URL of a NATS server, without user name and password?
pub(crate) fn is_nats_url(url: &str) -> bool {
    let rest = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
    rest.is_some_and(is_host_and_path)
}

fn is_host_and_path(rest: &str) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && rest.bytes().all(|c| c.is_ascii_graphic())
}
