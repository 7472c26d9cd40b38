//! Traces for OpenTelemetry: spans, sent to a collector by OTLP over HTTP, as protobuf.

mod message;
mod span;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderName};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::Notify;

use crate::counters::SinkCounters;
use crate::post::{Client, ContentType};
use message::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans, ScopeSpans,
    Span, Status, Value,
};
pub use span::{Attribute, FinishedSpan, SpanId, SpanKind, TraceId, parent_of, unix_nanos};

/// How often spans are sent.
const INTERVAL: Duration = Duration::from_millis(500);
/// The same while the collector takes none.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// For one answer of the collector.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Spans that wait, at most: what comes beyond is lost.
const MOST_WAITING: usize = 8_192;
/// Spans of one request.
const BATCH: usize = 512;
/// A process that ends sends for so long at most.
const LAST: Duration = Duration::from_secs(2);

/// Where spans go.
pub struct OtlpConfig {
    /// The URL, e.g. `http://127.0.0.1:4318/v1/traces`.
    pub url: String,
    /// The header Authorization; empty for none.
    pub authorization: String,
    /// Certificate authorities in addition to those of the system, in PEM.
    pub trusted_ca: Option<PathBuf>,
}

/// Where spans are put that have ended. A span never waits: what does not fit is lost, and counted.
#[derive(Clone, Debug, Default)]
pub struct SpanQueue {
    waiting: Arc<Mutex<VecDeque<FinishedSpan>>>,
    counters: Arc<SinkCounters>,
}

impl SpanQueue {
    /// Puts a span in.
    pub fn push(&self, span: FinishedSpan) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST_WAITING {
            drop(waiting);
            return self.counters.lose(1);
        }
        waiting.push_back(span);
    }

    /// So many were left out before they came here.
    pub fn lose(&self, spans: u64) {
        self.counters.lose(spans);
    }

    /// What became of spans.
    pub fn counters(&self) -> &Arc<SinkCounters> {
        &self.counters
    }

    fn take(&self, most: usize) -> Vec<FinishedSpan> {
        let mut waiting = self.waiting.lock();
        let count = waiting.len().min(most);
        let taken = waiting.drain(..count).collect();
        self.counters.wait(waiting.len() as u64);
        taken
    }
}

/// Sends spans. Dropping it sends what is left, for two seconds at most.
pub struct Otlp {
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Otlp {
    /// Starts the thread. The collector need not be there yet.
    ///
    /// # Errors
    /// What is wrong with the configuration, or that the thread cannot be started.
    pub fn start(config: &OtlpConfig, queue: SpanQueue) -> Result<Otlp, String> {
        let client = Client::new(&config.url, config.trusted_ca.as_deref())?;
        let mut headers = Vec::new();
        if !config.authorization.is_empty() {
            headers.push((AUTHORIZATION, config.authorization.clone()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let stop = Arc::new(Notify::new());
        let ends = stop.clone();
        let mut sender = Sender { client, headers, queue, failing: false };
        let thread = std::thread::Builder::new().name("otlp".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = sender.run() => {}
                    () = ends.notified() => {}
                }
                let _ = tokio::time::timeout(LAST, sender.send_all()).await;
            });
            runtime.shutdown_background();
        });
        Ok(Otlp { stop, thread: Some(thread.map_err(|error| error.to_string())?) })
    }
}

impl Drop for Otlp {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Sender {
    client: Client,
    headers: Vec<(HeaderName, String)>,
    queue: SpanQueue,
    failing: bool,
}

impl Sender {
    async fn run(&mut self) {
        loop {
            self.send_all().await;
            let pause = if self.failing { AFTER_FAILURE } else { INTERVAL };
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends what waits, up to the first batch that is not taken. That one is lost, since spans are samples: the next ones tell as
    /// much. What is behind it waits.
    async fn send_all(&mut self) {
        loop {
            let spans = self.queue.take(BATCH);
            if spans.is_empty() {
                return;
            }
            // Also when this future is dropped while it waits.
            let mut fate = Fate::new(&self.queue, spans.len() as u64);
            let request = self.client.post(encoded(spans), ContentType::Protobuf, &self.headers);
            let answer = tokio::time::timeout(TIMEOUT, request).await;
            let trouble = match answer {
                Ok(Ok(200..=299)) => None,
                Ok(Ok(status)) => Some(format!("it answered {status}")),
                Ok(Err(error)) => Some(error),
                Err(_) => Some("it does not answer".into()),
            };
            fate.trouble.clone_from(&trouble);
            drop(fate);
            self.tell(trouble);
            if self.failing {
                return;
            }
        }
    }

    /// Said once, until it succeeds.
    fn tell(&mut self, trouble: Option<String>) {
        let was_failing = std::mem::replace(&mut self.failing, trouble.is_some());
        let server = self.client.server();
        match trouble {
            Some(error) if !was_failing => {
                tracing::warn!(server, error, "the collector does not take traces (otlp.url)");
            }
            None if was_failing => tracing::info!(server, "the collector takes traces again (otlp.url)"),
            _ => {}
        }
    }
}

/// Counts what became of a batch.
struct Fate<'q> {
    queue: &'q SpanQueue,
    spans: u64,
    /// Why it was not taken.
    trouble: Option<String>,
}

impl Fate<'_> {
    fn new(queue: &SpanQueue, spans: u64) -> Fate<'_> {
        Fate { queue, spans, trouble: Some("it does not answer".into()) }
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        let counters = &self.queue.counters;
        match &self.trouble {
            None => {
                counters.works();
                counters.publish(self.spans);
            }
            Some(why) => {
                counters.fail(why);
                counters.lose(self.spans);
            }
        }
    }
}

fn key(key: &str, value: Attribute) -> KeyValue {
    let value = match value {
        Attribute::Text(text) => Value::Text(text),
        Attribute::Number(number) => Value::Number(number),
        Attribute::Bool(value) => Value::Bool(value),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// The bytes of a request.
fn encoded(spans: Vec<FinishedSpan>) -> Vec<u8> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let spans = spans.into_iter().map(|span| Span {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
        name: span.name,
        kind: span.kind as i32,
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end.max(span.start),
        attributes: span.attributes.into_iter().map(|(name, value)| key(name, value)).collect(),
        // STATUS_CODE_ERROR
        status: span.error.map(|message| Status { message, code: 2 }),
    });
    let attributes = vec![
        key("service.name", "trunkline".into()),
        key("service.version", VERSION.into()),
        key("process.pid", i64::from(std::process::id()).into()),
    ];
    let scope = InstrumentationScope { name: "trunkline".into(), version: VERSION.into() };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans: spans.collect() }],
        }],
    }
    .encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    fn span() -> FinishedSpan {
        FinishedSpan {
            trace: TraceId::fresh(),
            id: SpanId::fresh(),
            parent: None,
            name: "INVITE".into(),
            kind: SpanKind::Server,
            start: 5,
            end: 3,
            attributes: vec![("sip.status", 404.into())],
            error: Some("404".into()),
        }
    }

    #[test]
    fn what_is_encoded_is_read() {
        let bytes = encoded(vec![span(), span()]);
        let read = ExportTraceServiceRequest::decode(&*bytes).expect("a message");
        let spans = &read.resource_spans[0].scope_spans[0].spans;
        assert_eq!((spans.len(), spans[0].kind, spans[0].end_time_unix_nano), (2, 2, 5));
        assert_eq!(spans[0].status.as_ref().map(|status| status.code), Some(2));
        assert_ne!(spans[0].span_id, spans[1].span_id);
    }

    #[test]
    fn the_queue_is_bounded() {
        let queue = SpanQueue::default();
        for _ in 0..MOST_WAITING + 10 {
            queue.push(span());
        }
        assert_eq!(queue.counters.lost.load(Ordering::Relaxed), 10);
        assert_eq!(queue.take(usize::MAX).len(), MOST_WAITING);
    }
}
