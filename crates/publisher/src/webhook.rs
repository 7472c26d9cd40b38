//! Events to a webhook: signed batches, repeated from a spool on disk until they are taken.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::header::HeaderName;
use parking_lot::Mutex;
use ring::hmac;
use tokio::runtime::Runtime;

use crate::counters::SinkCounters;
use crate::post::{Client, ContentType};
use crate::published::Published;
use crate::source::Source;
use crate::spool::{Spool, Waiting};

/// How often events are put into the spool, and the spool is looked at.
const INTERVAL: Duration = Duration::from_millis(100);
/// Between attempts: doubled each time, up to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Bytes of a batch, at most; of one event it may be more.
const BATCH_BYTES: u64 = 1 << 20;
/// A stop waits so long for the webhook to take what is left; the rest stays on disk.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// It is complained about the same trouble once in this time.
const SILENCE: Duration = Duration::from_secs(60);

/// The header with time and signature.
const SIGNATURE: HeaderName = HeaderName::from_static("trunkline-signature");

/// Where and how.
pub struct WebhookConfig {
    /// The URL.
    pub url: String,
    /// What batches are signed with.
    pub secret: Vec<u8>,
    /// The folder of the spool.
    pub spool: PathBuf,
    /// Bytes that it may have.
    pub spool_bytes: u64,
    /// Events of a batch, at most.
    pub batch: usize,
    /// For one answer.
    pub timeout: Duration,
    /// Certificate authorities beside the system's, in PEM.
    pub trusted_ca: Option<PathBuf>,
}

/// The webhook at work; dropping it ends it. What nobody has taken stays on disk.
pub struct Webhook {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Webhook {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the URL is wrong or the spool cannot be opened.
    pub fn start(
        source: Source,
        config: WebhookConfig,
        counters: Arc<SinkCounters>,
    ) -> Result<Webhook, String> {
        let client = Client::new(&config.url, config.trusted_ca.as_deref())?;
        let spool = Spool::open(&config.spool, config.spool_bytes);
        let spool = spool.map_err(|error| format!("cannot open {}: {error}", config.spool.display()))?;
        counters.wait(spool.len());
        let spool = Arc::new(Mutex::new(spool));
        let stop = Arc::new(AtomicBool::new(false));
        let filler = Filler {
            source,
            spool: spool.clone(),
            counters: counters.clone(),
            stop: stop.clone(),
            complaint: Complaint::default(),
        };
        let over = Arc::new(AtomicBool::new(false));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &config.secret);
        let sender = Sender { client, key, config, spool, counters, over: over.clone() };
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        let failed = |error: io::Error| format!("cannot start a thread: {error}");
        let sending = thread("webhook").spawn(move || sender.run()).map_err(failed)?;
        let sending_thread = sending.thread().clone();
        let filling = thread("webhook-spool").spawn(move || {
            filler.run();
            // The sender comes after the last event.
            over.store(true, Ordering::Release);
            sending_thread.unpark();
        });
        Ok(Webhook { stop, threads: vec![filling.map_err(failed)?, sending] })
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Complains about the same trouble from time to time only.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() >= SILENCE);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Puts events into the spool.
struct Filler {
    source: Source,
    spool: Arc<Mutex<Spool>>,
    counters: Arc<SinkCounters>,
    stop: Arc<AtomicBool>,
    complaint: Complaint,
}

impl Filler {
    fn run(mut self) {
        let (mut events, mut missing) = (Vec::new(), 0);
        loop {
            let last = self.stop.load(Ordering::Acquire);
            self.fill(&mut events, &mut missing);
            if last {
                return;
            }
            std::thread::park_timeout(INTERVAL);
        }
    }

    fn fill(&mut self, events: &mut Vec<Published>, missing: &mut u64) {
        events.clear();
        let now = unix_ms();
        self.counters.lose(self.source.turn(now, events));
        if events.is_empty() {
            return;
        }
        let count = events.len() as u64;
        if *missing > 0 {
            events.insert(0, Published::lost(now, *missing));
        }
        let lines: Vec<_> = events.iter().map(Published::line).collect();
        let mut spool = self.spool.lock();
        match spool.append(&lines) {
            Ok(given_up) => {
                *missing = 0;
                self.counters.lose(given_up);
                if given_up > 0 && self.complaint.is_due() {
                    tracing::warn!(given_up, "the spool of the webhook is full: the oldest events are lost");
                }
            }
            Err(error) => {
                *missing += count;
                self.counters.lose(count);
                if self.complaint.is_due() {
                    tracing::warn!(%error, "cannot write the spool of the webhook: events are lost");
                }
            }
        }
        self.counters.wait(spool.len());
    }
}

/// Sends what is in the spool.
struct Sender {
    client: Client,
    key: hmac::Key,
    config: WebhookConfig,
    spool: Arc<Mutex<Spool>>,
    counters: Arc<SinkCounters>,
    /// No more events come.
    over: Arc<AtomicBool>,
}

impl Sender {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "the webhook cannot work: no runtime");
                return;
            }
        };
        self.work(&runtime);
        // A look-up of a name may still wait.
        runtime.shutdown_background();
    }

    fn work(&self, runtime: &Runtime) {
        let mut complaint = Complaint::default();
        let mut back_off = Duration::ZERO;
        let mut most = self.config.batch;
        let mut end = None;
        loop {
            let over = self.over.load(Ordering::Acquire);
            if over {
                let end = *end.get_or_insert_with(|| Instant::now() + LAST_WORDS);
                // One that failed just now will fail again.
                if !back_off.is_zero() || Instant::now() >= end {
                    return;
                }
            }
            let waiting = self.peek(most, &mut complaint);
            let Some(waiting) = waiting else {
                if over {
                    return;
                }
                std::thread::park_timeout(INTERVAL);
                continue;
            };
            match self.send(runtime, &waiting) {
                Ok(()) => {
                    (back_off, most) = (Duration::ZERO, self.config.batch);
                    complaint = Complaint::default();
                    self.counters.works();
                    self.taken(&waiting);
                }
                Err(error) => {
                    self.counters.fail(&error.to_string());
                    if matches!(error, Refusal::TooLarge) {
                        most = (waiting.events.len() / 2).max(1);
                    }
                    back_off = (back_off * 2).clamp(BACK_OFF.0, BACK_OFF.1);
                    if complaint.is_due() {
                        let (server, waiting) = (self.client.server(), self.spool.lock().len());
                        tracing::warn!(server, waiting, %error, "the webhook takes no events; trying again");
                    }
                    self.pause(back_off);
                }
            }
        }
    }

    /// Waits before the next attempt, or until no more events come.
    fn pause(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.over.load(Ordering::Acquire) {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
    }

    fn peek(&self, most: usize, complaint: &mut Complaint) -> Option<Waiting> {
        let mut spool = self.spool.lock();
        match spool.peek(most, BATCH_BYTES) {
            Ok(waiting) => waiting,
            Err(error) => {
                let given_up = spool.give_up_oldest().unwrap_or(0);
                self.counters.lose(given_up);
                if complaint.is_due() {
                    tracing::warn!(%error, given_up, "a file of the webhook's spool cannot be read");
                }
                None
            }
        }
    }

    fn taken(&self, waiting: &Waiting) {
        let mut spool = self.spool.lock();
        if let Err(error) = spool.take(waiting) {
            tracing::warn!(%error, "cannot write the spool of the webhook: events may be sent again");
        }
        self.counters.publish(waiting.events.len() as u64);
        self.counters.wait(spool.len());
    }

    /// One attempt, signed at its own time.
    fn send(&self, runtime: &Runtime, waiting: &Waiting) -> Result<(), Refusal> {
        let body = body(waiting);
        let headers = [(SIGNATURE, signature(&self.key, unix_ms() / 1000, &body))];
        let timeout = self.config.timeout;
        let status = runtime.block_on(async {
            tokio::select! {
                posted = tokio::time::timeout(timeout, self.client.post(body, ContentType::Json, &headers)) => {
                    posted.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
                }
                () = self.last_words() => Err("the exchange stops".into()),
            }
        });
        match status.map_err(Refusal::Failed)? {
            200..300 => Ok(()),
            413 => Err(Refusal::TooLarge),
            status @ 300..400 => {
                Err(Refusal::Failed(format!("it answers {status}; redirections are not followed")))
            }
            status => Err(Refusal::Failed(format!("it answers {status}"))),
        }
    }

    /// Returns a while after the last event has come.
    async fn last_words(&self) {
        while !self.over.load(Ordering::Acquire) {
            tokio::time::sleep(INTERVAL).await;
        }
        tokio::time::sleep(LAST_WORDS).await;
    }
}

/// Why a batch was not taken.
enum Refusal {
    /// It is too large (413): a smaller one may be taken.
    TooLarge,
    /// Anything else.
    Failed(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::TooLarge => f.write_str("it answers 413; smaller batches are tried"),
            Refusal::Failed(why) => f.write_str(why),
        }
    }
}

/// A batch as JSON.
fn body(waiting: &Waiting) -> String {
    let mut body = format!(
        "{{\"first\":{},\"count\":{},\"lost\":{},\"events\":[",
        waiting.first,
        waiting.events.len(),
        waiting.lost
    );
    body.push_str(&waiting.events.join(","));
    body.push_str("]}");
    body
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY`.
fn signature(key: &hmac::Key, seconds: u64, body: &str) -> String {
    let tag = hmac::sign(key, format!("{seconds}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_documentation() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        // printf '%s' '1764495708.{"first":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            signature(&key, 1_764_495_708, "{\"first\":1}"),
            "t=1764495708,v1=a38eae61415769a3bea4176048be929e35d5e5aed8df703c3f418e67a6009e5b"
        );
    }
}
