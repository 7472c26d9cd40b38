//! The host names that TLS servers must prove, as small numbers next to an address.

use std::borrow::Cow;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use rustls::pki_types::ServerName;

/// The name of a host we connect to over TLS: what SNI says and the certificate must hold (RFC 5922 §7.2).
///
/// A number that whatever carries it stays small and `Copy` with: the keyed hash of the name, by which the table of the process
/// finds it. Ask for the number when something is sent; one that nobody has asked for for a while leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct HostName(u64);

/// A name, and as whom we connect to it.
#[derive(Clone, Debug)]
struct Entry {
    /// Empty: the certificate must hold the address.
    name: Arc<str>,
    identity: Option<Arc<str>>,
}

type Generation = HashMap<HostName, Entry, foldhash::fast::RandomState>;

/// The names in use. Strangers can name hosts in their Contacts, so there are two generations: a name that is asked for belongs to
/// the new one; when that is full or old, the one before it is forgotten. Nobody can keep others out, and what nobody needs goes.
#[derive(Debug)]
struct Table {
    new: Generation,
    old: Generation,
    since: Instant,
}

/// Names of a generation, at most.
const MOST: usize = 8_192;
/// A generation ends after so long. A name is asked for right before its connection is made.
const LIFETIME: Duration = Duration::from_secs(900);

static HASHER: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);
static NAMES: LazyLock<RwLock<Table>> = LazyLock::new(|| RwLock::new(Table::new(Instant::now())));

impl Table {
    fn new(now: Instant) -> Table {
        Table { new: Generation::default(), old: Generation::default(), since: now }
    }

    fn get(&self, number: HostName) -> Option<&Entry> {
        self.new.get(&number).or_else(|| self.old.get(&number))
    }

    /// Puts a name that is asked for into the new generation.
    fn put(&mut self, number: HostName, entry: Entry, now: Instant) {
        if self.new.len() >= MOST || now.duration_since(self.since) >= LIFETIME {
            self.old = std::mem::take(&mut self.new);
            self.since = now;
        }
        self.old.remove(&number);
        self.new.insert(number, entry);
    }

    fn len(&self) -> usize {
        self.new.len() + self.old.len()
    }
}

impl HostName {
    /// No name: the certificate must hold the address.
    pub const NONE: HostName = HostName(0);

    /// The name that the other side's certificate must contain, RFC 5922 §7; `None` where it is forgotten, or none.
    pub(crate) fn server_name(self, remote: SocketAddr) -> Option<ServerName<'static>> {
        let by_address = ServerName::IpAddress(remote.ip().into());
        if self == HostName::NONE {
            return Some(by_address);
        }
        match &*self.entry()?.name {
            "" => Some(by_address),
            name => ServerName::try_from(name.to_string()).ok(),
        }
    }

    /// The number of this name.
    pub fn of(name: &str) -> HostName {
        HostName::number(name, None)
    }

    /// The same name, where we show this identity: a connection of ours that shows another one, or none, leads elsewhere.
    pub fn shown_as(self, identity: &str) -> HostName {
        let name = self.text().unwrap_or_default();
        HostName::number(&name, Some(identity))
    }

    fn number(name: &str, identity: Option<&str>) -> HostName {
        // Asked for with each message that goes out: most names are in lower case.
        let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(name.to_ascii_lowercase()),
            false => Cow::Borrowed(name),
        };
        let number = HostName(HASHER.hash_one((&name, identity)).max(1));
        let same = |entry: &Entry| *entry.name == *name && entry.identity.as_deref() == identity;
        let known = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        // Of two names with one number, the second has the place: the first leads nowhere, and never to the second's host.
        if known.new.get(&number).is_some_and(same) {
            return number;
        }
        drop(known);
        let entry = Entry { name: name.into(), identity: identity.map(Arc::from) };
        NAMES.write().unwrap_or_else(PoisonError::into_inner).put(number, entry, Instant::now());
        number
    }

    fn entry(self) -> Option<Entry> {
        NAMES.read().unwrap_or_else(PoisonError::into_inner).get(self).cloned()
    }

    /// The name.
    pub fn text(self) -> Option<Arc<str>> {
        if self == HostName::NONE {
            return None;
        }
        self.entry().map(|entry| entry.name).filter(|name| !name.is_empty())
    }

    /// As whom we connect; `None`: as the exchange.
    pub fn identity(self) -> Option<Arc<str>> {
        self.entry()?.identity
    }

    /// The same identity, without the name.
    pub(crate) fn nameless(self) -> HostName {
        self.identity().map_or(HostName::NONE, |identity| HostName::NONE.shown_as(&identity))
    }

    /// How many names are kept.
    pub fn kept() -> usize {
        NAMES.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number() {
        let a = HostName::of("Sip.Example.com");
        assert_eq!(a, HostName::of("sip.example.com"));
        assert_ne!(a, HostName::of("other.example.com"));
        assert_eq!(a.text().as_deref(), Some("sip.example.com"));
        assert_eq!(HostName::NONE.text(), None);
        let (carrier, other) = (a.shown_as("carrier"), a.shown_as("other"));
        assert!(carrier != other && carrier != a);
        assert_eq!((carrier.text(), carrier.identity().as_deref()), (a.text(), Some("carrier")));
        assert_eq!(carrier.shown_as("other"), other, "one at a time");
        let nameless = carrier.nameless();
        assert_eq!((nameless.text(), nameless.identity().as_deref()), (None, Some("carrier")));
        assert_eq!(HostName::NONE.shown_as("carrier"), nameless);
        assert_eq!((a.identity(), a.nameless()), (None, HostName::NONE));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (start, entry) = (Instant::now(), || Entry { name: "carrier.test".into(), identity: None });
        let mut table = Table::new(start);
        let flood = |table: &mut Table, from: u64, now| {
            (from..from + MOST as u64).for_each(|n| table.put(HostName(n), entry(), now));
        };
        let carrier = HostName(1);
        // One in use stays, whoever fills the table.
        for round in 1..5 {
            table.put(carrier, entry(), start);
            flood(&mut table, round << 32, start);
            assert!(table.get(carrier).is_some() && table.len() <= 2 * MOST, "{round}");
        }
        flood(&mut table, 9 << 32, start);
        assert!(table.get(carrier).is_none());
        // In time, all go.
        for n in 1..3 {
            table.put(carrier, entry(), start + LIFETIME * n);
        }
        assert_eq!(table.len(), 1);
        // A number that is forgotten is no host whatever the address.
        assert!(HostName(2).server_name(([192, 0, 2, 1], 5061).into()).is_none());
        assert!(HostName::NONE.server_name(([192, 0, 2, 1], 5061).into()).is_some());
    }
}
