//! Which messages a watcher wants.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::entry::Seen;
use crate::summary::Summary;

/// Calls of which it is remembered what they match; the oldest are forgotten.
const REMEMBERED: usize = 10_000;

/// Which messages. The default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of calls with this user, `user@host` or number.
    pub user: Option<String>,
    /// Those with this Call-ID.
    pub call_id: Option<String>,
    /// Those of calls to which something came from or went to this address.
    pub source: Option<Source>,
    /// Those of requests with one of these methods; with none, all.
    pub methods: Vec<String>,
    /// Those of what failed.
    pub failed: bool,
}

/// An address, an address with a port, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An address or a network.
    Net(IpNet),
    /// An address with its port.
    Port(SocketAddr),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        let net = || text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let port = || text.parse().ok().map(Source::Port);
        net().map(Source::Net).or_else(port).ok_or_else(|| {
            format!("`{text}` is no address: write e.g. 192.0.2.7, 192.0.2.7:5060 or 192.0.2.0/24")
        })
    }
}

impl Source {
    fn contains(&self, remote: SocketAddr) -> bool {
        let ip = remote.ip().to_canonical();
        match self {
            Source::Net(net) => net.contains(&ip),
            Source::Port(at) => at.port() == remote.port() && at.ip().to_canonical() == ip,
        }
    }
}

/// What a call has matched so far.
#[derive(Clone, Copy, Debug, Default)]
struct Matched {
    user: bool,
    source: bool,
}

/// A filter, and what it remembers of calls: a call to a trunk goes by another name and to another address on its other side.
#[derive(Debug, Default)]
pub(crate) struct Filtering {
    filter: Filter,
    calls: HashMap<Vec<u8>, Matched>,
    order: VecDeque<Vec<u8>>,
}

impl Filtering {
    pub(crate) fn new(filter: Filter) -> Filtering {
        Filtering { filter, ..Filtering::default() }
    }

    /// Only what failed?
    pub(crate) fn failed(&self) -> bool {
        self.filter.failed
    }

    /// Does this message pass? Whether it failed is not asked here.
    pub(crate) fn admits(&mut self, seen: &Seen<'_>, summary: &Summary<'_>) -> bool {
        let Filter { user, call_id, source, methods, .. } = &self.filter;
        if call_id.as_ref().is_some_and(|id| id.as_bytes() != summary.call_id) {
            return false;
        }
        let mut matched = Matched {
            user: user.as_ref().is_none_or(|user| summary.is_of(user)),
            source: source.is_none_or(|source| source.contains(seen.remote)),
        };
        if user.is_some() || source.is_some() {
            let remembered = self.calls.get_mut(summary.call_id);
            match remembered {
                Some(known) => {
                    known.user |= matched.user;
                    known.source |= matched.source;
                    matched = *known;
                }
                None if (matched.user || matched.source) && !summary.call_id.is_empty() => {
                    if self.order.len() >= REMEMBERED
                        && let Some(oldest) = self.order.pop_front()
                    {
                        self.calls.remove(&oldest);
                    }
                    self.order.push_back(summary.call_id.to_vec());
                    self.calls.insert(summary.call_id.to_vec(), matched);
                }
                None => {}
            }
        }
        matched.user
            && matched.source
            && (methods.is_empty() || methods.iter().any(|m| m.eq_ignore_ascii_case(&summary.method)))
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sip::Transport;

    use super::*;
    use crate::entry::Direction;

    fn passes(filtering: &mut Filtering, remote: &str, message: &str) -> bool {
        let seen = Seen {
            at: 0,
            direction: Direction::Received,
            transport: Transport::Tcp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: remote.parse().unwrap(),
            reason: "",
            bytes: message.as_bytes(),
        };
        filtering.admits(&seen, &Summary::of(message.as_bytes()))
    }

    const INVITE: &str = "INVITE sip:1002@h SIP/2.0\r\nFrom: <sip:1001@h>\r\nTo: <sip:1002@h>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n";
    const ON_TRUNK: &str = "INVITE sip:4930@carrier SIP/2.0\r\nFrom: <sip:555@c>\r\nTo: <sip:4930@c>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n\r\n";
    const OTHER: &str = "BYE sip:1@h SIP/2.0\r\nCall-ID: b\r\nCSeq: 2 BYE\r\n\r\n";

    #[test]
    fn a_call_is_seen_whole() {
        for filter in [
            Filter { user: Some("1001".into()), ..Filter::default() },
            Filter { source: Some("192.0.2.0/25".parse().unwrap()), ..Filter::default() },
            Filter { source: Some("192.0.2.7:5060".parse().unwrap()), ..Filter::default() },
            Filter {
                source: Some("192.0.2.7".parse().unwrap()),
                user: Some("1002@h".into()),
                ..Filter::default()
            },
            Filter { call_id: Some("a".into()), ..Filter::default() },
            Filter { methods: vec!["invite".into()], ..Filter::default() },
        ] {
            let mut filtering = Filtering::new(filter.clone());
            assert!(passes(&mut filtering, "192.0.2.7:5060", INVITE), "{filter:?}");
            assert!(passes(&mut filtering, "198.51.100.1:5060", ON_TRUNK), "{filter:?}");
            assert!(!passes(&mut filtering, "198.51.100.2:5060", OTHER), "{filter:?}");
        }
        assert!("nowhere".parse::<Source>().is_err());
        assert!(passes(&mut Filtering::default(), "[::ffff:1.2.3.4]:1", ""));
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let mut filtering = Filtering::new(Filter { user: Some("1".into()), ..Filter::default() });
        for n in 0..REMEMBERED + 10 {
            let message = format!("BYE sip:1@h SIP/2.0\r\nCall-ID: {n}\r\n\r\n");
            assert!(passes(&mut filtering, "192.0.2.7:1", &message));
        }
        assert_eq!((filtering.calls.len(), filtering.order.len()), (REMEMBERED, REMEMBERED));
    }
}
