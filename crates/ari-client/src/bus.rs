//! Requests over NATS: addressed to one proxy, or to many whose answers are gathered.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::{HeaderMap, Message, RequestErrorKind, jetstream};
use bytes::Bytes;
use trunkline_ari::{Class, Cluster, Key, Member, OwnedRequest, Subjects, header, is_subject};

use crate::error::Error;
use crate::gather::{Census, Gather, NodeAnswer};
use crate::members::Members;

/// How long JetStream has for an answer. A cluster that has no leader gives none.
const JETSTREAM: Duration = Duration::from_secs(2);

/// The bytes of the largest message that the headers of a request need.
const HEADERS: usize = 64;

/// NATS as a client sees it.
pub(crate) struct NatsBus {
    pub client: async_nats::Client,
    pub subjects: Subjects,
    pub timeout: Duration,
    pub retries: u32,
    /// Whether the connection was made here and ends here.
    owned: bool,
    pub members: Members,
}

/// The keys of a list, and what is missing in it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// The keys, each once.
    pub keys: Vec<Key>,
    /// The last error of a proxy that could not tell its part.
    pub error: Option<Error>,
    /// The proxies whose part is not in the list: they gave no answer in time, or an error.
    pub missing: Vec<Member>,
}

impl Listing {
    /// Whether every proxy that is known told its part. A list that is not complete may become so
    /// when it is asked for again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.error.is_none()
    }
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
        let members = Members::start(client.clone(), subjects.clone(), timeout).await?;
        Ok(NatsBus { client, subjects, timeout, retries, owned, members })
    }

    /// The end of a client: drains an own connection, leaves a foreign one alone.
    pub(crate) async fn close(&self) {
        self.members.stop();
        if self.owned {
            // Without a server there is nothing to flush.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.client.flush()).await;
            let _ = self.client.drain().await;
        }
    }

    /// The key that says which proxies are asked. One that names a node and no application means the
    /// node, though subjects have nodes only below applications: a proxy that serves it is looked for,
    /// `application`'s own first.
    pub(crate) async fn locate(&self, key: Key, application: &str) -> Result<Key, Error> {
        if key.node.is_empty() || !key.app.is_empty() {
            return Ok(key);
        }
        let mut found = self.members.matching(&key, Cluster::MAX_AGE);
        if found.is_empty() {
            self.members.settle().await?;
            found = self.members.matching(&key, Cluster::MAX_AGE);
        }
        let own = found.iter().find(|m| m.app == application).or(found.first());
        match own {
            Some(member) => Ok(Key { app: member.app.clone(), ..key }),
            None => Err(Error::UnknownNode(key.node)),
        }
    }

    /// Where a request goes.
    fn subject(&self, request: &OwnedRequest) -> Result<String, Error> {
        check(&request.key)?;
        Ok(self.subjects.request(request.kind.class(), &request.key.app, &request.key.node))
    }

    /// One request for one answer: to the proxy of a located key, else to all and the first good
    /// answer counts.
    pub(crate) async fn request(&self, request: &OwnedRequest) -> Result<NodeAnswer, Error> {
        let (class, key) = (request.kind.class(), &request.key);
        let subject = self.subject(request)?;
        let body = Bytes::from(request.to_json());
        if key.is_located() {
            let message = self.addressed(subject.clone(), body.clone()).await?;
            let long = message.headers.as_ref().is_some_and(|h| h.get(header::LENGTH).is_some());
            // Only what reads is asked for again.
            if !long || matches!(class, Class::Command | Class::Create) {
                return NodeAnswer::read(message.headers.as_ref(), &message.payload);
            }
        }
        self.members.greet().await?;
        let mut census = Census::new(&self.members, key);
        let mut last = None;
        let mut gather = self.gather(subject, body).await?;
        while let Some(answer) = gather.next(census.enough()).await? {
            // A queue group answers once, however many proxies there are.
            if answer.response.error.is_empty() || class == Class::Create {
                return Ok(answer);
            }
            census.note(answer.from.as_ref());
            last = Some(answer);
        }
        last.ok_or(if gather.nobody { Error::NoData } else { Error::Timeout(self.timeout) })
    }

    /// One request for the lists of all proxies that match the key.
    pub(crate) async fn list(&self, request: &OwnedRequest) -> Result<Listing, Error> {
        let key = &request.key;
        let subject = self.subject(request)?;
        self.members.greet().await?;
        let mut census = Census::new(&self.members, key);
        let mut gather = self.gather(subject, Bytes::from(request.to_json())).await?;
        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        let mut good = 0;
        while let Some(answer) = gather.next(census.enough()).await? {
            gather.came();
            census.note(answer.from.as_ref());
            if answer.response.error.is_empty() {
                good += 1;
                listing.keys.extend(answer.response.keys.into_iter().filter(|k| seen.insert(k.clone())));
            } else {
                listing.missing.extend(answer.from);
                listing.error = Some(Error::Refused(answer.refusal));
            }
        }
        if good == 0 {
            let nobody = if gather.nobody { Error::NoData } else { Error::Timeout(self.timeout) };
            return Err(listing.error.unwrap_or(nobody));
        }
        listing.missing.extend(census.missing());
        Ok(listing)
    }

    /// All messages of one answer, for replies that come in parts.
    pub(crate) async fn parts(&self, request: &OwnedRequest) -> Result<Gather, Error> {
        let subject = self.subject(request)?;
        self.gather(subject, Bytes::from(request.to_json())).await
    }

    /// How many proxies serve one application and node: more than one is a fault.
    pub(crate) async fn twins(&self, member: &Member, patience: Duration) -> Result<usize, Error> {
        let key = Key::default().at(member.app.clone(), member.node.clone());
        let request = OwnedRequest::new(trunkline_ari::Kind::BridgeUnsubscribe, key);
        let mut gather = self.parts(&request).await?;
        let end = std::time::Instant::now() + patience;
        let mut count = 0;
        while gather.next(Some(end)).await?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    async fn addressed(&self, subject: String, body: Bytes) -> Result<Message, Error> {
        self.fits(&body)?;
        let mut attempt = 0;
        loop {
            let sent = self.client.request(subject.clone(), body.clone());
            match tokio::time::timeout(self.timeout, sent).await {
                Ok(Ok(message)) => return Ok(message),
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                    return Err(Error::NoResponders(subject));
                }
                Ok(Err(error)) => return Err(Error::Bus(error.to_string())),
                Err(_) if attempt >= self.retries => return Err(Error::Timeout(self.timeout)),
                Err(_) => attempt += 1,
            }
        }
    }

    /// NATS cuts the connection of whoever sends more than it carries; the library refuses before.
    fn fits(&self, body: &Bytes) -> Result<(), Error> {
        let limit = self.client.max_payload();
        if body.len() + HEADERS <= limit { Ok(()) } else { Err(Error::TooLong(body.len(), limit)) }
    }

    async fn gather(&self, subject: String, body: Bytes) -> Result<Gather, Error> {
        self.fits(&body)?;
        let inbox = self.client.new_inbox();
        let bus = |e: String| Error::Bus(e);
        let messages = self.client.subscribe(inbox.clone()).await.map_err(|e| bus(e.to_string()))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::PARTS, "1");
        let sent = self.client.publish_with_reply_and_headers(subject, inbox, headers, body).await;
        sent.map_err(|e| bus(e.to_string()))?;
        Ok(Gather::new(messages, self.timeout))
    }
}
