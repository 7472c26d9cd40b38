//! The host names that TLS servers must prove, as small numbers next to an address.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::ServerName;

/// The name of a host we connect to over TLS: what SNI says and the certificate must hold (RFC 5922 §7.2).
///
/// A number into a table of the process, so that whatever carries it stays small and `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct HostName(u32);

/// A name, and as whom we connect to it.
#[derive(Clone)]
struct Entry {
    /// Empty: the certificate must hold the address.
    name: Arc<str>,
    identity: Option<Arc<str>>,
}

static NAMES: RwLock<Vec<Entry>> = RwLock::new(Vec::new());
/// Names kept at most: strangers can name hosts in their Contacts.
const MOST: usize = 65_536;

impl HostName {
    /// No name: the certificate must hold the address.
    pub const NONE: HostName = HostName(0);

    /// The name that the other side's certificate must contain, RFC 5922 §7.
    pub(crate) fn server_name(self, remote: SocketAddr) -> Option<ServerName<'static>> {
        match self.text() {
            Some(text) => ServerName::try_from(text.to_string()).ok(),
            None => Some(ServerName::IpAddress(remote.ip().into())),
        }
    }

    /// The number of this name; [`HostName::NONE`] when the table is full.
    pub fn of(name: &str) -> HostName {
        HostName::number(name, None)
    }

    /// The same name, where we show this identity: a connection of ours that shows another one, or none, leads elsewhere. `None` when
    /// the table is full.
    pub fn shown_as(self, identity: &str) -> Option<HostName> {
        let name = self.text().unwrap_or_default();
        Some(HostName::number(&name, Some(identity))).filter(|number| *number != HostName::NONE)
    }

    fn number(name: &str, identity: Option<&str>) -> HostName {
        let known = |names: &[Entry]| {
            let same = |n: &Entry| n.name.eq_ignore_ascii_case(name) && n.identity.as_deref() == identity;
            names.iter().position(same)
        };
        let number = |place: usize| HostName(place as u32 + 1);
        if let Some(place) = known(&NAMES.read().unwrap_or_else(PoisonError::into_inner)) {
            return number(place);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        match known(&names) {
            Some(place) => number(place),
            None if names.len() >= MOST => HostName::NONE,
            None => {
                let identity = identity.map(Arc::from);
                names.push(Entry { name: name.to_ascii_lowercase().into(), identity });
                number(names.len() - 1)
            }
        }
    }

    fn entry(self) -> Option<Entry> {
        let place = (self.0 as usize).checked_sub(1)?;
        NAMES.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// The name.
    pub fn text(self) -> Option<Arc<str>> {
        self.entry().map(|entry| entry.name).filter(|name| !name.is_empty())
    }

    /// As whom we connect; `None`: as the exchange.
    pub fn identity(self) -> Option<Arc<str>> {
        self.entry()?.identity
    }

    /// The same identity, without the name.
    pub(crate) fn nameless(self) -> HostName {
        self.identity().and_then(|identity| HostName::NONE.shown_as(&identity)).unwrap_or(HostName::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::HostName;

    #[test]
    fn a_name_has_one_number() {
        let a = HostName::of("Sip.Example.com");
        assert_eq!(a, HostName::of("sip.example.com"));
        assert_ne!(a, HostName::of("other.example.com"));
        assert_eq!(a.text().as_deref(), Some("sip.example.com"));
        assert_eq!(HostName::NONE.text(), None);
        let (carrier, other) = (a.shown_as("carrier"), a.shown_as("other"));
        assert!(carrier.is_some() && carrier != other && carrier != Some(a));
        let carrier = carrier.unwrap();
        assert_eq!((carrier.text(), carrier.identity().as_deref()), (a.text(), Some("carrier")));
        assert_eq!(carrier.shown_as("other"), other, "one at a time");
        let nameless = carrier.nameless();
        assert_eq!((nameless.text(), nameless.identity().as_deref()), (None, Some("carrier")));
        assert_eq!(HostName::NONE.shown_as("carrier"), Some(nameless));
        assert_eq!((a.identity(), a.nameless()), (None, HostName::NONE));
    }
}
