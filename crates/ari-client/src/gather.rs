//! The answers of several proxies to one request, each assembled from its parts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use trunkline_ari::{Cluster, Key, Member, Response, header};

use crate::error::{Error, Refusal};
use crate::members::Members;

/// How many bytes of answers in parts are held; what is beyond is not taken.
const HELD: usize = 256 << 20;

/// How many times its time a list takes at most, as long as answers come.
const LONGEST: u32 = 4;

/// One proxy's answer.
pub(crate) struct NodeAnswer {
    pub response: Response,
    /// Whose it is, when it says so.
    pub from: Option<Member>,
    /// Why, when Asterisk refused.
    pub refusal: Refusal,
}

impl NodeAnswer {
    /// The response, unless it is an error.
    pub(crate) fn good(self) -> Result<Response, Error> {
        if self.response.error.is_empty() { Ok(self.response) } else { Err(Error::Refused(self.refusal)) }
    }

    /// Reads a message that is a whole answer.
    pub(crate) fn read(headers: Option<&HeaderMap>, body: &[u8]) -> Result<Self, Error> {
        let response = Response::parse(body)?;
        let get = |name: &str| headers.and_then(|h| h.get(name)).map(|v| v.as_str());
        let mut from = get(header::NODE).zip(get(header::APPLICATION));
        // Others than ours do not say who they are, but their keys do.
        if from.is_none() && response.error.is_empty() {
            let key = response.keys.first().or(response.key.as_ref());
            from = key.filter(|k| k.is_located()).map(|k| (k.node.as_str(), k.app.as_str()));
        }
        let from = from.map(|(node, app)| Member { node: node.to_owned(), app: app.to_owned() });
        let refusal = Refusal::new(
            &response.error,
            get(header::STATUS).and_then(|s| s.parse().ok()),
            get(header::MESSAGE).unwrap_or_default(),
        );
        Ok(NodeAnswer { response, from, refusal })
    }
}

/// Answers as they come, until the time is over.
pub(crate) struct Gather {
    messages: async_nats::Subscriber,
    timeout: Duration,
    begun: Instant,
    end: Instant,
    parts: HashMap<String, Parts>,
    held: usize,
    /// NATS said that nobody listens.
    pub nobody: bool,
}

#[derive(Default)]
struct Parts {
    of: usize,
    got: BTreeMap<usize, Bytes>,
}

impl Gather {
    pub(crate) fn new(messages: async_nats::Subscriber, timeout: Duration) -> Self {
        let begun = Instant::now();
        Gather {
            messages,
            timeout,
            begun,
            end: begun + timeout,
            parts: HashMap::new(),
            held: 0,
            nobody: false,
        }
    }

    /// The next answer; `None` when the time is over, or `enough` is.
    pub(crate) async fn next(&mut self, enough: Option<Instant>) -> Result<Option<NodeAnswer>, Error> {
        loop {
            let end = enough.map_or(self.end, |enough| enough.min(self.end));
            match tokio::time::timeout_at(end.into(), self.messages.next()).await {
                Ok(Some(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                    self.nobody = true;
                    return Ok(None);
                }
                Ok(Some(message)) => {
                    let Some((headers, body)) = self.whole(message) else { continue };
                    // What cannot be read is no answer: the others' count.
                    match NodeAnswer::read(headers.as_ref(), &body) {
                        Ok(answer) => return Ok(Some(answer)),
                        Err(error) => tracing::debug!(%error, "an answer cannot be read"),
                    }
                }
                Ok(None) => return Err(Error::Closed),
                Err(_) => return Ok(None),
            }
        }
    }

    /// An answer, once all of its parts are here.
    fn whole(&mut self, message: Message) -> Option<(Option<HeaderMap>, Bytes)> {
        let part = message.headers.as_ref().and_then(|h| h.get(header::PART));
        let Some(part) = part.map(|v| v.as_str().to_owned()) else {
            return Some((message.headers, message.payload));
        };
        let mut words = part.split(' ');
        let (id, n, of) = (words.next()?, words.next()?.parse::<usize>().ok()?, words.next()?.parse().ok()?);
        if n >= of || self.held + message.payload.len() > HELD {
            return None;
        }
        // As long as parts come, the rest has its time anew.
        self.extend();
        let parts = self.parts.entry(id.to_owned()).or_default();
        parts.of = of;
        if let Some(again) = parts.got.insert(n, message.payload) {
            self.held = self.held.saturating_sub(again.len());
        }
        self.held += parts.got.get(&n).map_or(0, Bytes::len);
        if parts.got.len() < parts.of {
            return None;
        }
        let parts = self.parts.remove(id)?;
        let body: Vec<u8> = parts.got.into_values().flatten().collect();
        self.held = self.held.saturating_sub(body.len());
        Some((message.headers, body.into()))
    }

    /// One of several answers came: while they do, the rest has its time anew, within bounds. On a busy
    /// machine they come late, not never.
    pub(crate) fn came(&mut self) {
        let latest = self.begun + self.timeout * LONGEST;
        self.end = self.end.max(latest.min(Instant::now() + self.timeout));
    }

    /// Gives the rest of the answers their time anew.
    pub(crate) fn extend(&mut self) {
        self.end = Instant::now() + self.timeout;
    }
}

/// The proxies that have answered, and those that have not.
pub(crate) struct Census<'m> {
    members: &'m Members,
    /// Those that are asked: where their keys lie.
    asked: &'m Key,
    answered: HashSet<Member>,
    /// Answers that do not say whose they are.
    nameless: usize,
}

impl<'m> Census<'m> {
    pub(crate) fn new(members: &'m Members, asked: &'m Key) -> Self {
        Census { members, asked, answered: HashSet::new(), nameless: 0 }
    }

    pub(crate) fn note(&mut self, from: Option<&Member>) {
        match from {
            Some(member) => drop(self.answered.insert(member.clone())),
            None => self.nameless += 1,
        }
    }

    /// The known members that have not answered, as far as answers say whose they are.
    pub(crate) fn missing(&self) -> Vec<Member> {
        let mut missing = self.members.matching(self.asked, Cluster::MAX_AGE);
        missing.retain(|member| !self.answered.contains(member));
        if missing.len() <= self.nameless { Vec::new() } else { missing }
    }

    /// When no further answer can be expected: once every known member has answered, and whoever is
    /// not known had the time to announce itself. `None` while known members are missing.
    pub(crate) fn enough(&self) -> Option<Instant> {
        // One proxy is asked, or none has answered yet.
        let answers = self.answered.len() + self.nameless;
        if self.asked.is_located() {
            return (answers > 0).then(Instant::now);
        }
        (answers > 0 && self.missing().is_empty()).then(|| self.members.settled_at())
    }
}
