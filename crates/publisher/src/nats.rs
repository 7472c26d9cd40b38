//! Routr's events over NATS: `call.started`, `call.ended` and `endpoint.registered`, as Routr's EdgePort publishes them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{Client, ConnectOptions, Event, Server};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use trunkline_events::EventTypes;

use crate::counters::SinkCounters;
use crate::published::Published;
use crate::source::Source;

/// How often events are sent.
const INTERVAL: Duration = Duration::from_millis(50);
/// A server that is away, or takes nothing, gets an event no more after this time.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where, as whom and under which subjects.
pub struct NatsConfig {
    /// `nats://host:4222` or `tls://host:4222`.
    pub url: String,
    /// What subjects begin with.
    pub subject: String,
    /// User name; empty for none.
    pub user: String,
    /// Password.
    pub password: String,
    /// Token; empty for none.
    pub token: String,
    /// Nothing is sent without TLS.
    pub needs_tls: bool,
    /// The certificate authorities of the server, in PEM, instead of those of the system.
    pub trusted_ca: Option<PathBuf>,
    /// The certificate that the server sees, and its key, in PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// The publisher at work; dropping it ends it.
pub struct Nats {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Nats {
    /// The types that it wants from its [`Source`].
    pub fn types() -> EventTypes {
        let names = ["call.started", "call.ended", "registration.added", "registration.refreshed"];
        EventTypes::named(names).unwrap_or_else(|_| EventTypes::all())
    }

    /// Starts the thread. The server need not be there yet.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(source: Source, config: NatsConfig, counters: Arc<SinkCounters>) -> std::io::Result<Nats> {
        let stop = Arc::new(AtomicBool::new(false));
        let ends = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("nats".into()).spawn(move || {
            runtime.block_on(publish(source, config, counters, &ends));
            runtime.shutdown_background();
        })?;
        Ok(Nats { stop, thread: Some(thread) })
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is known of the connection.
struct Link {
    /// The URL, for the log. It has neither user name nor password, which have keys of their own.
    url: String,
    connected: AtomicBool,
    /// Attempts that had failed when the last one began.
    failed: AtomicUsize,
    /// The cause that the log told last.
    told: Mutex<Option<String>>,
    counters: Arc<SinkCounters>,
}

impl Link {
    fn new(config: &NatsConfig, counters: &Arc<SinkCounters>) -> Link {
        Link {
            url: config.url.clone(),
            connected: AtomicBool::new(false),
            failed: AtomicUsize::new(0),
            told: Mutex::default(),
            counters: counters.clone(),
        }
    }

    /// An attempt begins. The client library tells here why the one before it failed: its events have only the kind of the failure. Each
    /// cause is logged once, until there is a connection.
    fn on_attempt(&self, servers: &[Server]) {
        let failed = servers.iter().map(|server| server.failed_attempts).sum();
        let before = self.failed.swap(failed, Ordering::AcqRel);
        let Some(why) = servers.iter().find_map(|server| server.last_error.as_deref()) else { return };
        if failed <= before {
            return;
        }
        self.counters.fail(why);
        let mut told = self.told.lock();
        if told.as_deref() != Some(why) {
            tracing::warn!(url = self.url, error = why, "cannot connect to NATS (events.nats); trying again");
            *told = Some(why.to_owned());
        }
    }

    fn on_event(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.connected.store(true, Ordering::Release);
                self.counters.works();
                let again = self.told.lock().take().is_some();
                tracing::info!(url = self.url, again, "connected to NATS (events.nats)");
            }
            Event::Disconnected => {
                self.connected.store(false, Ordering::Release);
                let why = "the connection is lost";
                self.counters.fail(why);
                *self.told.lock() = Some(why.to_owned());
                tracing::warn!(
                    url = self.url,
                    "the connection to NATS (events.nats) is lost; events are lost until it is back"
                );
            }
            // The next attempt tells the cause.
            Event::ClientError(_) if !self.connected.load(Ordering::Acquire) => {}
            other => {
                self.counters.fail(&other.to_string());
                tracing::warn!(url = self.url, event = %other, "NATS (events.nats)");
            }
        }
    }
}

fn options(config: &NatsConfig, link: &Arc<Link>) -> ConnectOptions {
    let options = match (config.user.is_empty(), config.token.is_empty()) {
        (false, _) => ConnectOptions::with_user_and_password(config.user.clone(), config.password.clone()),
        (true, false) => ConnectOptions::with_token(config.token.clone()),
        (true, true) => ConnectOptions::new(),
    };
    let mut options = options.require_tls(config.needs_tls);
    if let Some(file) = &config.trusted_ca {
        options = options.add_root_certificates(file.clone());
    }
    if let Some((chain, key)) = &config.certificate {
        options = options.add_client_certificate(chain.clone(), key.clone());
    }
    let (trying, link) = (Arc::clone(link), Arc::clone(link));
    options
        .retry_on_initial_connect()
        .name("trunkline")
        .reconnect_to_server_callback(move |servers, _| {
            trying.on_attempt(&servers);
            // The library chooses the server.
            std::future::ready(None)
        })
        .event_callback(move |event| {
            link.on_event(&event);
            std::future::ready(())
        })
}

async fn publish(mut source: Source, config: NatsConfig, counters: Arc<SinkCounters>, stop: &AtomicBool) {
    let link = Arc::new(Link::new(&config, &counters));
    let client = match options(&config, &link).connect(&*config.url).await {
        Ok(client) => client,
        Err(error) => {
            counters.fail(&error.to_string());
            tracing::error!(url = config.url, %error, "cannot use NATS (events.nats)");
            return;
        }
    };
    let mut events = Vec::new();
    loop {
        let last = stop.load(Ordering::Acquire);
        events.clear();
        counters.lose(source.turn(unix_ms(), &mut events));
        for (subject, body) in events.iter().filter_map(routr) {
            let subject = format!("{}.{subject}", config.subject);
            match send(&client, &link, subject, body).await {
                true => counters.publish(1),
                false => counters.lose(1),
            }
        }
        if last {
            let _ = tokio::time::timeout(PATIENCE, client.flush()).await;
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Core NATS keeps nothing: what comes while the server is away is lost, as with Routr.
async fn send(client: &Client, link: &Link, subject: String, body: Value) -> bool {
    if !link.connected.load(Ordering::Acquire) {
        return false;
    }
    let body = body.to_string().into();
    let sent = tokio::time::timeout(PATIENCE, client.publish(subject, body)).await;
    matches!(sent, Ok(Ok(())))
}

/// The subject and the object that Routr publishes for an event.
fn routr(event: &Published) -> Option<(&'static str, Value)> {
    let headers = event.fields.get("headers").cloned().unwrap_or_else(|| Map::new().into());
    Some(match event.kind {
        "call.started" => (
            "call.started",
            json!({
                "callId": event.text("callId"),
                "from": event.text("from"),
                "to": event.text("to"),
                "startTime": event.text("startedAt"),
                "extraHeaders": headers,
            }),
        ),
        "call.ended" => (
            "call.ended",
            json!({
                "callId": event.text("callId"),
                "endTime": event.text("endedAt"),
                "hangupCause": hangup_cause(event.fields.get("status").and_then(Value::as_u64)),
                "extraHeaders": headers,
            }),
        ),
        "registration.added" | "registration.refreshed" => (
            "endpoint.registered",
            json!({
                "aor": event.text("aor"),
                "registeredAt": crate::published::iso(event.at),
                "expires": event.fields.get("expires").cloned().unwrap_or_else(|| 0.into()),
                "extraHeaders": headers,
            }),
        ),
        _ => return None,
    })
}

/// Routr's word for a status.
fn hangup_cause(status: Option<u64>) -> &'static str {
    match status {
        Some(200 | 487) => "NORMAL_CLEARING",
        Some(401 | 403 | 407 | 603) => "CALL_REJECTED",
        Some(404 | 485 | 604) => "UNALLOCATED",
        Some(408) => "NO_USER_RESPONSE",
        Some(420) => "NO_ROUTE_DESTINATION",
        Some(480 | 483) => "NO_ANSWER",
        Some(484) => "INVALID_NUMBER_FORMAT",
        Some(486 | 600) => "USER_BUSY",
        Some(488) => "NOT_ACCEPTABLE_HERE",
        Some(503) => "SERVICE_UNAVAILABLE",
        _ => "UNKNOWN",
    }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_form_of_routr() {
        let mut ended = Published::new(1_764_495_708_123, "call.ended");
        ended.put("callId", "a84b");
        ended.put_time("endedAt", ended.at);
        ended.put("status", 486);
        let (subject, body) = routr(&ended).expect("one");
        assert_eq!(
            (subject, body),
            (
                "call.ended",
                json!({"callId": "a84b", "endTime": "2025-11-30T09:41:48.123Z", "hangupCause": "USER_BUSY", "extraHeaders": {}})
            )
        );
        assert_eq!(routr(&Published::new(1, "call.answered")), None);
        assert!(Nats::types().admits("call.ended") && !Nats::types().admits("call.answered"));
        assert_eq!((hangup_cause(Some(500)), hangup_cause(Some(487))), ("UNKNOWN", "NORMAL_CLEARING"));
    }
}
