//! Requests over NATS: addressed to one proxy, or to many whose answers are gathered.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{RequestErrorKind, StatusCode, jetstream};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use trunkline_ari::{Announcement, Class, Cluster, Key, OwnedRequest, Response, Subjects, is_subject};

use crate::error::Error;

/// How long a broadcast waits for announcements when no proxy is known.
const GRACE: Duration = Duration::from_millis(150);

/// How long JetStream has for an answer. A cluster that has no leader gives none.
const JETSTREAM: Duration = Duration::from_secs(2);

/// NATS as a client sees it.
pub(crate) struct NatsBus {
    pub client: async_nats::Client,
    pub subjects: Subjects,
    pub timeout: Duration,
    pub retries: u32,
    /// Whether the connection was made here and ends here.
    owned: bool,
    cluster: Arc<Mutex<Cluster>>,
    heard: Arc<Notify>,
    pinged: Mutex<Option<Instant>>,
    tasks: Vec<AbortHandle>,
}

/// The keys of a list, and what failed besides.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys, each once.
    pub keys: Vec<Key>,
    /// The last error of a proxy that could not tell its part.
    pub error: Option<Error>,
}

/// Checks what of a key becomes part of a subject: the NATS library is told not to.
pub(crate) fn check(key: &Key) -> Result<(), Error> {
    let good = [&key.app, &key.node, &key.dialog].into_iter().all(|part| part.is_empty() || is_subject(part));
    if good { Ok(()) } else { Err(Error::Setting(NO_SUBJECT)) }
}

const NO_SUBJECT: &str = "the key's application, node or dialog has spaces, wildcards or empty parts, which NATS subjects cannot have";

impl NatsBus {
    /// JetStream on this connection.
    pub(crate) fn jetstream(&self) -> jetstream::Context {
        jetstream::context::ContextBuilder::new().timeout(JETSTREAM).build(self.client.clone())
    }

    pub(crate) async fn start(
        client: async_nats::Client,
        owned: bool,
        subjects: Subjects,
        timeout: Duration,
        retries: u32,
    ) -> Result<Self, Error> {
        let (cluster, heard) = (Arc::<Mutex<Cluster>>::default(), Arc::<Notify>::default());
        let mut tasks = Vec::new();
        for (subject, here) in [(subjects.announce(), true), (subjects.bye(), false)] {
            let mut messages = client.subscribe(subject).await.map_err(|e| Error::Bus(e.to_string()))?;
            let (cluster, heard) = (Arc::clone(&cluster), Arc::clone(&heard));
            let task = tokio::spawn(async move {
                while let Some(message) = messages.next().await {
                    let Ok(announcement) = serde_json::from_slice::<Announcement>(&message.payload) else {
                        continue;
                    };
                    if here {
                        cluster.lock().heard(&announcement, Instant::now());
                        heard.notify_waiters();
                    } else {
                        cluster.lock().left(&announcement);
                    }
                }
            });
            tasks.push(task.abort_handle());
        }
        let bus = NatsBus {
            client,
            subjects,
            timeout,
            retries,
            owned,
            cluster,
            heard,
            pinged: Mutex::default(),
            tasks,
        };
        bus.ping().await?;
        Ok(bus)
    }

    /// Asks every proxy to announce itself.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        *self.pinged.lock() = Some(Instant::now());
        let body = Bytes::from_static(br#"{"kind":"","key":null}"#);
        self.client.publish(self.subjects.ping(), body).await.map_err(|e| Error::Bus(e.to_string()))
    }

    pub(crate) fn members(&self, key: &Key, age: Duration) -> Vec<trunkline_ari::Member> {
        self.cluster.lock().matching(key, age, Instant::now())
    }

    /// The end of a client: drains an own connection, leaves a foreign one alone.
    pub(crate) async fn close(&self) {
        for task in &self.tasks {
            task.abort();
        }
        if self.owned {
            // Without a server there is nothing to flush.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
            let _ = self.client.drain().await;
        }
    }

    /// Where a request goes.
    fn subject(&self, request: &OwnedRequest) -> Result<String, Error> {
        check(&request.key)?;
        Ok(self.subjects.request(request.kind.class(), &request.key.app, &request.key.node))
    }

    /// One request for one answer: to the proxy of a located key, else to all and the first good
    /// answer counts.
    pub(crate) async fn request(&self, request: &OwnedRequest) -> Result<Response, Error> {
        let (class, key) = (request.kind.class(), &request.key);
        let subject = self.subject(request)?;
        let body = Bytes::from(request.to_json());
        if key.is_located() {
            return self.addressed(subject, body).await;
        }
        // A queue group answers once, however many proxies there are.
        let expected = match class {
            Class::Create => 1,
            Class::Get | Class::Data | Class::Command => self.expected(key).await?,
        };
        let mut last = None;
        let mut gather = self.gather(subject, body).await?;
        let mut answers = 0;
        while let Some(answer) = gather.next().await? {
            answers += 1;
            if answer.error.is_empty() {
                return Ok(answer);
            }
            last = Some(Error::Refused(answer.error));
            if expected > 0 && answers >= expected {
                break;
            }
        }
        Err(last.unwrap_or(if gather.nobody { Error::NoData } else { Error::Timeout(self.timeout) }))
    }

    /// One request for the lists of all proxies that match the key.
    pub(crate) async fn list(&self, request: &OwnedRequest) -> Result<Listing, Error> {
        let key = &request.key;
        let subject = self.subject(request)?;
        let body = Bytes::from(request.to_json());
        let expected = if key.is_located() { 1 } else { self.expected(key).await? };
        let mut gather = self.gather(subject, body).await?;
        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        let (mut answers, mut good) = (0, 0);
        while let Some(answer) = gather.next().await? {
            answers += 1;
            if answer.error.is_empty() {
                good += 1;
                listing.keys.extend(answer.keys.into_iter().filter(|k| seen.insert(k.clone())));
            } else {
                listing.error = Some(Error::Refused(answer.error));
            }
            if expected > 0 && answers >= expected {
                break;
            }
        }
        if good == 0 {
            let nobody = if gather.nobody { Error::NoData } else { Error::Timeout(self.timeout) };
            return Err(listing.error.unwrap_or(nobody));
        }
        Ok(listing)
    }

    /// All messages of one answer, for replies that come in parts.
    pub(crate) async fn parts(&self, request: &OwnedRequest) -> Result<Gather<'_>, Error> {
        let subject = self.subject(request)?;
        self.gather(subject, Bytes::from(request.to_json())).await
    }

    async fn addressed(&self, subject: String, body: Bytes) -> Result<Response, Error> {
        let mut attempt = 0;
        loop {
            let sent = self.client.request(subject.clone(), body.clone());
            match tokio::time::timeout(self.timeout, sent).await {
                Ok(Ok(message)) => return Ok(Response::parse(&message.payload)?),
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                    return Err(Error::NoResponders(subject));
                }
                Ok(Err(error)) => return Err(Error::Bus(error.to_string())),
                Err(_) if attempt >= self.retries => return Err(Error::Timeout(self.timeout)),
                Err(_) => attempt += 1,
            }
        }
    }

    /// How many proxies match; asks who is there when none is known.
    async fn expected(&self, key: &Key) -> Result<usize, Error> {
        let known = self.members(key, Cluster::MAX_AGE).len();
        if known > 0 {
            return Ok(known);
        }
        let heard = self.heard.notified();
        if self.pinged.lock().is_none_or(|p| p.elapsed() > Duration::from_secs(1)) {
            self.ping().await?;
        }
        // Proxies that are there answer within this; then the first is enough to know them.
        let _ = tokio::time::timeout(GRACE, heard).await;
        Ok(self.members(key, Cluster::MAX_AGE).len())
    }

    async fn gather(&self, subject: String, body: Bytes) -> Result<Gather<'_>, Error> {
        let inbox = self.client.new_inbox();
        let bus = |e: String| Error::Bus(e);
        let messages = self.client.subscribe(inbox.clone()).await.map_err(|e| bus(e.to_string()))?;
        self.client.publish_with_reply(subject, inbox, body).await.map_err(|e| bus(e.to_string()))?;
        Ok(Gather { bus: self, messages, end: Instant::now() + self.timeout, nobody: false })
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Answers as they come, until the time is over.
pub(crate) struct Gather<'b> {
    bus: &'b NatsBus,
    messages: async_nats::Subscriber,
    end: Instant,
    /// NATS said that nobody listens.
    pub nobody: bool,
}

impl Gather<'_> {
    pub(crate) async fn next(&mut self) -> Result<Option<Response>, Error> {
        let left = self.end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, self.messages.next()).await {
            Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                self.nobody = true;
                Ok(None)
            }
            Ok(Some(message)) => Ok(Some(Response::parse(&message.payload)?)),
            Ok(None) => Err(Error::Closed),
            Err(_) => Ok(None),
        }
    }

    /// Gives the rest of the answers their time anew.
    pub(crate) fn extend(&mut self) {
        self.end = Instant::now() + self.bus.timeout;
    }
}
