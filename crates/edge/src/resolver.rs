//! From a host name to an address, RFC 3263 as far as a name's own addresses go: literals at once, names from a
//! cache, unknown names by a thread that asks while the request waits outside.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use trunkline_sip::{Flow, Transport, Uri, parse_ip};
use trunkline_transport::{Egress, Mail, Mailboxes};

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
    host: String,
    port: u16,
    transport: Transport,
}

/// A request that waits for a name.
struct Waiting {
    flow: Flow,
    bytes: Box<[u8]>,
    shard: usize,
}

struct Known {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

/// How long answers are kept: found, and not found.
const FOUND: Duration = Duration::from_secs(60);
const NOT_FOUND: Duration = Duration::from_secs(10);
/// Names in the cache, and requests that wait, at most.
const MOST: usize = 10_000;

/// The cache and the thread behind it.
pub(crate) struct Resolver {
    hosts: HashMap<String, Vec<SocketAddr>>,
    known: RwLock<HashMap<(String, u16), Known>>,
    waiting: Mutex<HashMap<(String, u16), Vec<Waiting>>>,
    questions: Sender<(String, u16)>,
    todo: Mutex<Option<Receiver<(String, u16)>>>,
}

impl Resolver {
    /// `hosts` are answered without asking anybody.
    pub(crate) fn new(hosts: &[(String, Vec<SocketAddr>)]) -> Arc<Resolver> {
        let (questions, todo) = channel();
        Arc::new(Resolver {
            hosts: hosts.iter().map(|(h, a)| (h.to_ascii_lowercase(), a.clone())).collect(),
            known: RwLock::default(),
            waiting: Mutex::default(),
            questions,
            todo: Mutex::new(Some(todo)),
        })
    }

    /// Starts the thread that asks; answers go to the shards' mailboxes.
    pub(crate) fn start(self: &Arc<Self>, mailboxes: Mailboxes<EdgeMail>) {
        let Some(todo) = self.todo.lock().take() else { return };
        let resolver = Arc::downgrade(self);
        let run = move || {
            for key in todo {
                // The system's own resolver: hosts file, search list and all.
                let addresses: Vec<_> =
                    (key.0.as_str(), key.1).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
                let Some(resolver) = resolver.upgrade() else { return };
                resolver.answer(key, addresses, &mailboxes);
            }
        };
        if let Err(error) = std::thread::Builder::new().name("resolver".into()).spawn(run) {
            tracing::error!(%error, "no thread for the resolver: names will not be found");
        }
    }

    fn answer(&self, key: (String, u16), addresses: Vec<SocketAddr>, mailboxes: &Mailboxes<EdgeMail>) {
        let keep = if addresses.is_empty() { NOT_FOUND } else { FOUND };
        {
            let mut known = self.known.write();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(key.clone(), Known { addresses, until: Instant::now() + keep });
        }
        for w in self.waiting.lock().remove(&key).unwrap_or_default() {
            if let Some(mailbox) = mailboxes.get(w.shard) {
                mailbox.post(Mail::User(EdgeMail::Message(w.flow, w.bytes)));
            }
        }
    }

    /// Lets a request wait for an answer.
    pub(crate) fn ask(&self, question: Question, flow: Flow, bytes: &[u8], shard: u8) {
        let key = (question.host, question.port);
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MOST {
            return;
        }
        let first = !waiting.contains_key(&key);
        let list = waiting.entry(key.clone()).or_default();
        if list.len() < MOST {
            list.push(Waiting { flow, bytes: bytes.into(), shard: usize::from(shard) });
        }
        if first && self.questions.send(key).is_err() {
            tracing::warn!("the resolver has ended");
        }
    }

    /// Looks a name up for later.
    pub(crate) fn look_up(&self, question: Question) {
        let key = (question.host, question.port);
        let mut waiting = self.waiting.lock();
        if !waiting.contains_key(&key) && waiting.len() < MOST && self.questions.send(key.clone()).is_ok() {
            waiting.insert(key, Vec::new());
        }
    }

    /// The next hop of a SIP URI (RFC 3261 §8.1.2): `maddr` or host, port, transport.
    pub(crate) fn resolve_uri(&self, uri: &[u8]) -> Resolved {
        let Ok(uri) = Uri::parse(uri) else { return Resolved::Nowhere };
        let Some(transport) = uri.transport() else { return Resolved::Nowhere };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        self.resolve(host, uri.port, transport)
    }

    /// The address of a host.
    pub(crate) fn resolve(&self, host: &[u8], port: Option<u16>, transport: Transport) -> Resolved {
        let wanted = port.unwrap_or(transport.default_port());
        let to = |address: SocketAddr| Resolved::To(Egress::to(transport, address));
        if let Some(ip) = parse_ip(host) {
            return if is_unicast(ip) { to(SocketAddr::new(ip, wanted)) } else { Resolved::Nowhere };
        }
        let Ok(name) = std::str::from_utf8(host) else { return Resolved::Nowhere };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(given) = self.hosts.get(&name).and_then(|a| a.first()) {
            let port = if given.port() != 0 && port.is_none() { given.port() } else { wanted };
            return to(SocketAddr::new(given.ip(), port));
        }
        // These never exist (RFC 6761); browser phones put them into their Contact.
        if name.ends_with(".invalid") || name.is_empty() {
            return Resolved::Nowhere;
        }
        let key = (name, wanted);
        match self.known.read().get(&key) {
            Some(k) if k.until > Instant::now() => match k.addresses.first() {
                Some(address) => to(*address),
                None => Resolved::Nowhere,
            },
            _ => Resolved::Later(Question { host: key.0, port: wanted, transport }),
        }
    }
}

/// Nothing is ever sent to broadcast, multicast or unspecified addresses.
fn is_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !broadcast && !ip.is_multicast() && !ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_overrides_and_names() {
        let r = Resolver::new(&[("sip.provider.net".into(), vec!["127.0.0.1:7060".parse().unwrap()])]);
        let to = |t, a: &str| Resolved::To(Egress::to(t, a.parse().unwrap()));
        assert_eq!(r.resolve_uri(b"sip:a@192.0.2.1"), to(Transport::Udp, "192.0.2.1:5060"));
        assert_eq!(
            r.resolve_uri(b"sip:a@[2001:db8::1]:9;transport=tcp"),
            to(Transport::Tcp, "[2001:db8::1]:9")
        );
        assert_eq!(r.resolve_uri(b"sip:a@SIP.provider.net"), to(Transport::Udp, "127.0.0.1:7060"));
        assert_eq!(r.resolve_uri(b"sip:a@sip.provider.net:5080"), to(Transport::Udp, "127.0.0.1:5080"));
        assert_eq!(r.resolve_uri(b"sip:a@255.255.255.255"), Resolved::Nowhere);
        assert_eq!(r.resolve_uri(b"sip:a@x.invalid"), Resolved::Nowhere);
        assert_eq!(r.resolve_uri(b"sip:a@h;transport=sctp"), Resolved::Nowhere);
        assert!(matches!(r.resolve_uri(b"sip:a@example.test"), Resolved::Later(_)));
    }
}
