//! A client's view of the cluster: which proxies announced themselves, and whether all that are
//! there had the time to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::{Statistics, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use trunkline_ari::{Announcement, Cluster, Key, Member, Subjects};

use crate::error::Error;

/// How long proxies have to answer a ping. Until then one that is there may not be known.
const SETTLING: Duration = Duration::from_millis(500);

/// The proxies of the cluster.
pub(crate) struct Members {
    client: async_nats::Client,
    subjects: Subjects,
    known: Arc<Known>,
    statistics: Arc<Statistics>,
    pinged: Mutex<Pinged>,
    settling: Duration,
    tasks: Vec<AbortHandle>,
}

#[derive(Default)]
struct Known {
    cluster: Mutex<Cluster>,
    changed: Notify,
}

/// The first ping on the present connection to NATS: announcements and goodbyes before it may have
/// been missed.
struct Pinged {
    at: Instant,
    connects: u64,
}

impl Members {
    /// Listens to announcements and asks for them. `timeout` is what answers have.
    pub(crate) async fn start(
        client: async_nats::Client,
        subjects: Subjects,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let known = Arc::<Known>::default();
        let mut tasks = Vec::new();
        for (subject, here) in [(subjects.announce(), true), (subjects.bye(), false)] {
            let messages = client.subscribe(subject).await.map_err(|e| Error::Bus(e.to_string()))?;
            tasks.push(tokio::spawn(follow(messages, Arc::clone(&known), here)).abort_handle());
        }
        let statistics = client.statistics();
        let pinged = Pinged { at: Instant::now(), connects: statistics.connects.load(Ordering::Relaxed) };
        let members = Members {
            client,
            subjects,
            known,
            statistics,
            pinged: Mutex::new(pinged),
            settling: timeout.min(SETTLING),
            tasks,
        };
        members.ping().await?;
        Ok(members)
    }

    /// Asks every proxy to announce itself.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let body = Bytes::from_static(br#"{"kind":"","key":null}"#);
        self.client.publish(self.subjects.ping(), body).await.map_err(|e| Error::Bus(e.to_string()))
    }

    /// Asks again when the connection to NATS was lost since.
    pub(crate) async fn greet(&self) -> Result<(), Error> {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        {
            let mut pinged = self.pinged.lock();
            if pinged.connects == connects {
                return Ok(());
            }
            *pinged = Pinged { at: Instant::now(), connects };
        }
        self.ping().await
    }

    /// From when on all proxies that are there are known.
    pub(crate) fn settled_at(&self) -> Instant {
        self.pinged.lock().at + self.settling
    }

    /// Whether all proxies that are there are known.
    pub(crate) fn settled(&self) -> bool {
        Instant::now() >= self.settled_at()
    }

    /// The members that match the application and node of `key`, heard of within `age`.
    pub(crate) fn matching(&self, key: &Key, age: Duration) -> Vec<Member> {
        self.known.cluster.lock().matching(key, age, Instant::now())
    }

    /// Waits until all proxies that are there are known and one matches `key`.
    pub(crate) async fn ready(&self, key: &Key, timeout: Duration) -> Result<(), Error> {
        let end = Instant::now() + timeout;
        loop {
            self.greet().await?;
            let changed = self.known.changed.notified();
            let settled = self.settled();
            if settled && !self.matching(key, Cluster::MAX_AGE).is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Error::Timeout(timeout));
            }
            // Once settled only an announcement can change anything; a new connection is looked for.
            let next = if settled { Instant::now() + SETTLING } else { self.settled_at() };
            let _ = tokio::time::timeout_at(next.min(end).into(), changed).await;
        }
    }

    /// Waits until all proxies that are there had the time to announce themselves.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        self.greet().await?;
        tokio::time::sleep_until(self.settled_at().into()).await;
        Ok(())
    }

    pub(crate) fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn follow(mut messages: Subscriber, known: Arc<Known>, here: bool) {
    while let Some(message) = messages.next().await {
        let Ok(announcement) = serde_json::from_slice::<Announcement>(&message.payload) else { continue };
        if here {
            known.cluster.lock().heard(&announcement, Instant::now());
            known.changed.notify_waiters();
        } else {
            known.cluster.lock().left(&announcement);
        }
    }
}
