//! From a host name to addresses, RFC 3263: literals at once, names from a cache, unknown names by a thread that
//! asks DNS while the request waits outside.

mod dns;
mod selection;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use trunkline_sip::{Flow, Transport, Uri, parse_ip};
use trunkline_transport::{Egress, HostName, Mail, Mailboxes};

use crate::mail::EdgeMail;

/// What is known of a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Send there.
    To(Egress),
    /// There is no such place, or no transport we speak leads there.
    Nowhere,
    /// Ask, and look at the request again when the answer is there.
    Later(Question),
}

/// A name to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// In lower case, without a dot at its end.
    pub(crate) host: String,
    /// The port, where one stands.
    pub(crate) port: Option<u16>,
    /// The transport that was named; else the one to fall back to: UDP, or TLS of a `sips` URI.
    pub(crate) transport: Transport,
    /// Was the transport named?
    pub(crate) named: bool,
}

/// One address of a host, and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// A request that waits for a name.
struct Waiting {
    flow: Flow,
    bytes: Box<[u8]>,
    shard: usize,
}

struct Known {
    /// In the order they are tried.
    ways: Vec<Way>,
    /// Whose certificate must be shown: the host of the URI, not that of an SRV record (RFC 5922 §7.3).
    name: HostName,
    until: Instant,
}

/// Names in the cache, and requests that wait, at most.
const MOST: usize = 10_000;
/// An address that failed stands behind the others for so long (RFC 3263 §4.3).
const AVOIDED: Duration = Duration::from_secs(30);

/// The cache and the thread behind it.
pub(crate) struct Resolver {
    hosts: HashMap<String, (Vec<SocketAddr>, HostName)>,
    known: RwLock<HashMap<Question, Known>>,
    waiting: Mutex<HashMap<Question, Vec<Waiting>>>,
    questions: UnboundedSender<Question>,
    todo: Mutex<Option<UnboundedReceiver<Question>>>,
    /// Addresses that failed, and until when they are avoided.
    failed: RwLock<HashMap<(Transport, SocketAddr), Instant>>,
}

impl Resolver {
    /// `hosts` are answered without asking anybody.
    pub(crate) fn new(hosts: &[(String, Vec<SocketAddr>)]) -> Arc<Resolver> {
        let (questions, todo) = unbounded_channel();
        let given = |(host, addresses): &(String, Vec<SocketAddr>)| {
            (host.to_ascii_lowercase(), (addresses.clone(), HostName::of(host)))
        };
        Arc::new(Resolver {
            hosts: hosts.iter().map(given).collect(),
            known: RwLock::default(),
            waiting: Mutex::default(),
            questions,
            todo: Mutex::new(Some(todo)),
            failed: RwLock::default(),
        })
    }

    /// Starts the thread that asks; answers go to the shards' mailboxes.
    pub(crate) fn start(self: &Arc<Self>, mailboxes: Mailboxes<EdgeMail>) {
        self.start_with(mailboxes, dns::Dns::of_system);
    }

    fn start_with(self: &Arc<Self>, mailboxes: Mailboxes<EdgeMail>, dns: fn() -> dns::Dns) {
        let Some(todo) = self.todo.lock().take() else { return };
        let resolver = Arc::downgrade(self);
        let run = move || dns::run(todo, dns, &resolver, &mailboxes);
        if let Err(error) = std::thread::Builder::new().name("resolver".into()).spawn(run) {
            tracing::error!(%error, "no thread for the resolver: names will not be found");
        }
    }

    /// Keeps an answer, and looks again at the requests that waited for it.
    fn answer(&self, question: &Question, ways: Vec<Way>, until: Instant, mailboxes: &Mailboxes<EdgeMail>) {
        let secure = ways.iter().any(|w| w.transport.is_secure());
        let name = if secure { HostName::of(&question.host) } else { HostName::NONE };
        {
            let mut known = self.known.write();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(question.clone(), Known { ways, name, until });
        }
        for w in self.waiting.lock().remove(question).unwrap_or_default() {
            if let Some(mailbox) = mailboxes.get(w.shard) {
                mailbox.post(Mail::User(EdgeMail::Message(w.flow, w.bytes)));
            }
        }
    }

    /// Lets a request wait for an answer.
    pub(crate) fn ask(&self, question: Question, flow: Flow, bytes: &[u8], shard: u8) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST {
            return;
        }
        let first = !waiting.contains_key(&question);
        let list = waiting.entry(question.clone()).or_default();
        if list.len() < MOST {
            list.push(Waiting { flow, bytes: bytes.into(), shard: usize::from(shard) });
        }
        if first && self.questions.send(question).is_err() {
            tracing::warn!("the resolver has ended");
        }
    }

    /// Looks a name up for later.
    pub(crate) fn look_up(&self, question: Question) {
        let mut waiting = self.waiting.lock();
        if !waiting.contains_key(&question)
            && waiting.len() < MOST
            && self.questions.send(question.clone()).is_ok()
        {
            waiting.insert(question, Vec::new());
        }
    }

    /// The next hop of a SIP URI (RFC 3261 §8.1.2): `maddr` or host, port, transport.
    pub(crate) fn resolve_uri(&self, uri: &[u8]) -> Resolved {
        let Ok(uri) = Uri::parse(uri) else { return Resolved::Nowhere };
        let Some(transport) = uri.transport() else { return Resolved::Nowhere };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        self.find(host, uri.port, transport, uri.param("transport").is_some())
    }

    /// The address of a host that is spoken to over this transport.
    pub(crate) fn resolve(&self, host: &[u8], port: Option<u16>, transport: Transport) -> Resolved {
        self.find(host, port, transport, true)
    }

    fn find(&self, host: &[u8], port: Option<u16>, transport: Transport, named: bool) -> Resolved {
        if let Some(ip) = parse_ip(host) {
            let address = SocketAddr::new(ip, port.unwrap_or(transport.default_port()));
            return if is_unicast(ip) {
                Resolved::To(Egress::to(transport, address))
            } else {
                Resolved::Nowhere
            };
        }
        self.with_ways(host, port, transport, named, |ways, name| match self.best(ways) {
            Some(way) => Resolved::To(Egress { name, ..Egress::to(way.transport, way.address) }),
            None => Resolved::Nowhere,
        })
        .unwrap_or_else(|missing| missing.map_or(Resolved::Nowhere, Resolved::Later))
    }

    /// Where else the URI's host may be reached when the first way fails (RFC 3263 §4.3): what is known, without
    /// asking. The first is the one [`Resolver::resolve_uri`] gives.
    #[allow(dead_code)] // Forks take it up when a branch cannot be sent.
    pub(crate) fn alternatives(&self, uri: &[u8]) -> Vec<Egress> {
        let Ok(uri) = Uri::parse(uri) else { return Vec::new() };
        let Some(transport) = uri.transport() else { return Vec::new() };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        if parse_ip(host).is_some() {
            return Vec::new();
        }
        let named = uri.param("transport").is_some();
        self.with_ways(host, uri.port, transport, named, |ways, name| {
            let first = self.best(ways);
            let rest = ways.iter().copied().filter(|w| Some(*w) != first);
            rest.map(|w| Egress { name, ..Egress::to(w.transport, w.address) }).collect()
        })
        .unwrap_or_default()
    }

    /// An address did not answer: others of its host stand before it for a while.
    #[allow(dead_code)] // As above.
    pub(crate) fn failed(&self, egress: &Egress) {
        let mut failed = self.failed.write();
        if failed.len() >= MOST {
            failed.clear();
        }
        failed.insert((egress.transport, egress.remote), Instant::now() + AVOIDED);
    }

    /// The first way that has not failed lately; the first, when all have.
    fn best(&self, ways: &[Way]) -> Option<Way> {
        let first = ways.first().copied();
        if ways.len() < 2 {
            return first;
        }
        let failed = self.failed.read();
        let avoided = |w: &&Way| failed.get(&(w.transport, w.address)).is_some_and(|t| *t > Instant::now());
        ways.iter().find(|w| !avoided(w)).copied().or(first)
    }

    /// What is known of a name; `Err` with the question to be asked, or none where asking is in vain.
    fn with_ways<T>(
        &self,
        host: &[u8],
        port: Option<u16>,
        transport: Transport,
        named: bool,
        then: impl FnOnce(&[Way], HostName) -> T,
    ) -> Result<T, Option<Question>> {
        let host = std::str::from_utf8(host).map_err(|_| None)?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if let Some((given, name)) = self.hosts.get(&host) {
            let wanted = port.unwrap_or(transport.default_port());
            let way = |a: &SocketAddr| {
                let port = if a.port() != 0 && port.is_none() { a.port() } else { wanted };
                Way { transport, address: SocketAddr::new(a.ip(), port) }
            };
            let ways: Vec<Way> = given.iter().map(way).collect();
            return Ok(then(&ways, if transport.is_secure() { *name } else { HostName::NONE }));
        }
        // `.invalid` never exists (RFC 6761); browser phones put it into their Contact, and cannot be connected to.
        if host.is_empty() || host.ends_with(".invalid") || transport.is_websocket() {
            return Err(None);
        }
        let question = Question { host, port, transport, named };
        match self.known.read().get(&question) {
            Some(k) if k.until > Instant::now() => Ok(then(&k.ways, k.name)),
            _ => Err(Some(question)),
        }
    }
}

/// Nothing is ever sent to broadcast, multicast or unspecified addresses.
fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

#[cfg(test)]
mod tests;
