//! From a host name to addresses, RFC 3263: literals at once, names from a cache, unknown names by a thread that
//! asks DNS while the request waits outside.

mod avoided;
mod dns;
mod names;
mod question;
mod selection;
mod spare;
mod thread;
mod way;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use hashbrown::{HashMap, HashSet};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use trunkline_sip::{Transport, Uri, canonical_ip, parse_ip};
use trunkline_transport::{Egress, Mail, Mailboxes};

use crate::mail::EdgeMail;
pub(crate) use avoided::Avoided;
use names::Names;
use question::Sought;
pub(crate) use question::{Question, is_unicast};
use selection::Located;
pub(crate) use spare::Spare;
pub(crate) use way::Way;
use way::Ways;

/// What is known of a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// Send there, and there when that fails.
    To(Egress, Spare),
    /// There is no such place, or no transport we speak leads there.
    Nowhere,
    /// Ask, and look at the request again when the answer is there.
    Later(Question),
}

/// A request that waits for a name, on this shard under this ticket.
struct Waiting {
    shard: usize,
    ticket: u64,
}

/// How names are found.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Answered without asking anybody; in lower case.
    pub(crate) hosts: Vec<(String, Vec<SocketAddr>)>,
    /// Who is asked; none: those of the system.
    pub(crate) servers: Vec<SocketAddr>,
    /// An address that failed stands behind the others for so long (RFC 3263 §4.3).
    pub(crate) avoid: Duration,
}

/// Names that are being looked up, requests that wait for them, and addresses that failed, at most; those of the resources come
/// beside them.
const MOST: usize = 10_000;
/// Letters of a host name, RFC 1035 §2.3.4.
const LONGEST_NAME: usize = 255;

/// The cache and the thread behind it.
pub(crate) struct Resolver {
    settings: Settings,
    known: RwLock<Names>,
    waiting: Mutex<HashMap<Question, Vec<Waiting>>>,
    questions: UnboundedSender<Question>,
    todo: Mutex<Option<UnboundedReceiver<Question>>>,
    /// Counts what was found out.
    answers: AtomicU64,
    /// Addresses that failed.
    pub(crate) avoided: Avoided,
}

impl Resolver {
    pub(crate) fn new(settings: Settings) -> Arc<Resolver> {
        let (questions, todo) = unbounded_channel();
        Arc::new(Resolver {
            known: RwLock::default(),
            waiting: Mutex::default(),
            questions,
            todo: Mutex::new(Some(todo)),
            answers: AtomicU64::new(0),
            avoided: Avoided::new(settings.avoid),
            settings,
        })
    }

    /// Starts the thread that asks; answers go to the shards' mailboxes.
    pub(crate) fn start(self: &Arc<Self>, mailboxes: Mailboxes<EdgeMail>) {
        let Some(todo) = self.todo.lock().take() else { return };
        let resolver = Arc::downgrade(self);
        let servers = self.settings.servers.clone();
        let answer = move |question: &Question, located| {
            if let Some(resolver) = resolver.upgrade() {
                resolver.answer(question, located, &mailboxes);
            }
        };
        let run = move || thread::run(todo, &servers, answer);
        if let Err(error) = std::thread::Builder::new().name("resolver".into()).spawn(run) {
            tracing::error!(%error, "no thread for the resolver: names will not be resolved");
        }
    }

    /// Keeps an answer, and looks again at the requests that waited for it. While name servers do not answer, what
    /// was known before goes on holding: their trouble ends no calls.
    fn answer(&self, question: &Question, located: Located, mailboxes: &Mailboxes<EdgeMail>) {
        let Located { ways, until, failed } = located;
        let before = match self.known.write().get_mut(question) {
            Some(known) if failed && ways.is_empty() && !known.ways.list.is_empty() => {
                known.until = Some(until);
                true
            }
            _ => false,
        };
        if before {
            tracing::warn!(host = %question.host, "name servers do not answer: the last known addresses are used");
        } else {
            self.keep(question.clone(), ways, Some(until));
        }
        for w in self.waiting.lock().remove(question).unwrap_or_default() {
            if let Some(mailbox) = mailboxes.get(w.shard) {
                mailbox.post(Mail::User(EdgeMail::Named(w.ticket)));
            }
        }
    }

    /// Answers this ticket of a shard when the name is known; `false`: too much waits.
    pub(crate) fn ask(&self, question: Question, shard: u8, ticket: u64) -> bool {
        let of_resource = self.is_of_resource(&question);
        let mut waiting = self.waiting.lock();
        let first = !waiting.contains_key(&question);
        // Name servers that are slow must not fill the memory.
        let crowded = waiting.values().map(Vec::len).sum::<usize>() >= MOST;
        if crowded || first && !of_resource && waiting.len() >= MOST {
            return false;
        }
        let list = waiting.entry(question.clone()).or_default();
        list.push(Waiting { shard: usize::from(shard), ticket });
        if first && self.questions.send(question).is_err() {
            tracing::warn!("the resolver has ended");
        }
        true
    }

    /// Changes when more is known of names than before.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Acquire)
    }

    /// Does a resource hold this name?
    pub(crate) fn is_of_resource(&self, question: &Question) -> bool {
        self.known.read().is_of_resource(question)
    }

    /// What is asked of a host, as [`Resolver::known`] asks; `None` of an address.
    pub(crate) fn question_of(
        host: &[u8],
        port: Option<u16>,
        transport: Option<Transport>,
        default: Transport,
    ) -> Option<Question> {
        let host = if parse_ip(host).is_some() { None } else { lower(host) }?;
        let host = std::str::from_utf8(&host).ok()?.to_owned();
        Some(Question { host, port, transport: transport.unwrap_or(default), named: transport.is_some() })
    }

    /// The names that the resources hold from now on.
    pub(crate) fn set_of_resources(&self, questions: HashSet<Question>) {
        self.known.write().set_of_resources(questions);
    }

    /// Looks a name up for later.
    pub(crate) fn look_up(&self, question: Question) {
        let of_resource = self.is_of_resource(&question);
        let mut waiting = self.waiting.lock();
        if !waiting.contains_key(&question)
            && (of_resource || waiting.len() < MOST)
            && self.questions.send(question.clone()).is_ok()
        {
            waiting.insert(question, Vec::new());
        }
    }

    fn keep(&self, question: Question, list: Vec<Way>, until: Option<Instant>) -> Arc<Ways> {
        let secure = list.iter().any(|w| w.transport.is_secure());
        let host = if secure { question.host.as_str().into() } else { Arc::default() };
        let ways = Arc::new(Ways { list, host });
        self.known.write().keep(question, ways.clone(), until);
        self.answers.fetch_add(1, Ordering::Release);
        ways
    }

    /// The next hop of a SIP URI (RFC 3261 §8.1.2): `maddr` or host, port, transport.
    pub(crate) fn resolve_uri(&self, uri: &[u8]) -> Resolved {
        Uri::parse(uri).map_or(Resolved::Nowhere, |uri| self.resolve_hop(&uri))
    }

    /// As [`Resolver::resolve_uri`], of one that was read.
    pub(crate) fn resolve_hop(&self, uri: &Uri<'_>) -> Resolved {
        let Some(transport) = uri.transport() else { return Resolved::Nowhere };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        self.find(host, uri.port, transport, uri.param("transport").is_some())
    }

    /// The address of a host. Without a transport its records say which it wants (RFC 3263 §4.1).
    pub(crate) fn resolve(&self, host: &[u8], port: Option<u16>, transport: Option<Transport>) -> Resolved {
        self.find(host, port, transport.unwrap_or_default(), transport.is_some())
    }

    fn find(&self, host: &[u8], port: Option<u16>, transport: Transport, named: bool) -> Resolved {
        if let Some(ip) = parse_ip(host) {
            let address = SocketAddr::new(ip, port.unwrap_or(transport.default_port()));
            return if is_unicast(ip) {
                Resolved::To(Egress::to(transport, address), Spare::default())
            } else {
                Resolved::Nowhere
            };
        }
        let ways = match self.ways(host, port, transport, named) {
            Ok(ways) => ways,
            Err(Some(question)) => return Resolved::Later(question),
            Err(None) => return Resolved::Nowhere,
        };
        let first = self.avoided.choose(&ways.list, 0);
        match first.and_then(|n| Some((ways.egress(n)?, n))) {
            Some((egress, n)) => Resolved::To(egress, Spare::of(&ways, n)),
            None => Resolved::Nowhere,
        }
    }

    /// All addresses of a SIP URI's next hop, as far as they are known without asking; with what is to be asked.
    pub(crate) fn known_of_uri(&self, uri: &[u8]) -> (SmallVec<[SocketAddr; 2]>, Option<Question>) {
        let parsed = Uri::parse(uri).ok().and_then(|uri| Some((uri, uri.transport()?)));
        let Some((uri, transport)) = parsed else { return Default::default() };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        self.known(host, uri.port, uri.param("transport").map(|_| transport), transport)
    }

    /// All addresses of a host, as far as they are known without asking; with what is to be asked. Without a transport
    /// its records say which it wants, or that it is `default`.
    pub(crate) fn known(
        &self,
        host: &[u8],
        port: Option<u16>,
        transport: Option<Transport>,
        default: Transport,
    ) -> (SmallVec<[SocketAddr; 2]>, Option<Question>) {
        let (named, transport) = (transport.is_some(), transport.unwrap_or(default));
        if let Some(ip) = parse_ip(host) {
            let address = SocketAddr::new(ip, port.unwrap_or(transport.default_port()));
            return (SmallVec::from_iter([address]), None);
        }
        match self.ways(host, port, transport, named) {
            Ok(ways) => (ways.list.iter().map(|way| way.address).collect(), None),
            Err(question) => (SmallVec::new(), question),
        }
    }

    /// Is this one of the host's addresses, as far as they are known?
    pub(crate) fn leads_to(
        &self,
        host: &[u8],
        port: Option<u16>,
        transport: Option<Transport>,
        source: IpAddr,
    ) -> bool {
        let ways = self.ways(host, port, transport.unwrap_or_default(), transport.is_some());
        ways.is_ok_and(|ways| ways.list.iter().any(|w| w.address.ip() == source))
    }

    /// What is known of a name; `Err` with the question to be asked, or none where asking is in vain.
    fn ways(
        &self,
        host: &[u8],
        port: Option<u16>,
        transport: Transport,
        named: bool,
    ) -> Result<Arc<Ways>, Option<Question>> {
        let lower = lower(host).ok_or(None)?;
        let host = std::str::from_utf8(&lower).map_err(|_| None)?;
        if let Some(k) = self.known.read().get(&Sought { host, port, transport, named })
            && k.until.is_none_or(|until| until > Instant::now())
        {
            return Ok(k.ways.clone());
        }
        let question = Question { host: host.to_owned(), port, transport, named };
        if let Some((_, given)) = self.settings.hosts.iter().find(|(h, _)| h.eq_ignore_ascii_case(host)) {
            let wanted = port.unwrap_or(transport.default_port());
            let way = |a: &SocketAddr| {
                let port = if a.port() != 0 && port.is_none() { a.port() } else { wanted };
                Way { transport, address: SocketAddr::new(canonical_ip(a.ip()), port) }
            };
            return Ok(self.keep(question, given.iter().take(16).map(way).collect(), None));
        }
        // These are this host, whatever a name server says (RFC 6761 §6.3).
        if host == "localhost" || host.ends_with(".localhost") {
            let port = port.unwrap_or(transport.default_port());
            let way = |ip: IpAddr| Way { transport, address: SocketAddr::new(ip, port) };
            let both = [way(Ipv4Addr::LOCALHOST.into()), way(Ipv6Addr::LOCALHOST.into())];
            return Ok(self.keep(question, both.into(), None));
        }
        // `.invalid` never exists (RFC 6761); browser phones put it into their Contact, and cannot be connected to.
        if host.is_empty() || host.ends_with(".invalid") || transport.is_websocket() {
            return Err(None);
        }
        Err(Some(question))
    }
}

/// A host name in its one form.
fn lower(host: &[u8]) -> Option<ArrayVec<u8, LONGEST_NAME>> {
    let mut lower = ArrayVec::new();
    lower.try_extend_from_slice(host.strip_suffix(b".").unwrap_or(host)).ok()?;
    lower.make_ascii_lowercase();
    Some(lower)
}

#[cfg(test)]
mod tests;
