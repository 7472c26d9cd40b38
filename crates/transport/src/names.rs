//! The host names that TLS servers must prove, as small numbers next to an address.

use std::sync::{Arc, PoisonError, RwLock};

/// The name of a host we connect to over TLS: what SNI says and the certificate must hold (RFC 5922 §7.2).
///
/// A number into a table of the process, so that whatever carries it stays small and `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct HostName(u32);

static NAMES: RwLock<Vec<Arc<str>>> = RwLock::new(Vec::new());
/// Names kept at most: strangers can name hosts in their Contacts.
const MOST: usize = 65_536;

impl HostName {
    /// No name: the certificate must hold the address.
    pub const NONE: HostName = HostName(0);

    /// The number of this name; [`HostName::NONE`] when the table is full.
    pub fn of(name: &str) -> HostName {
        let known = |names: &[Arc<str>]| names.iter().position(|n| n.eq_ignore_ascii_case(name));
        let number = |place: usize| HostName(place as u32 + 1);
        if let Some(place) = known(&NAMES.read().unwrap_or_else(PoisonError::into_inner)) {
            return number(place);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        match known(&names) {
            Some(place) => number(place),
            None if names.len() >= MOST => HostName::NONE,
            None => {
                names.push(name.to_ascii_lowercase().into());
                number(names.len() - 1)
            }
        }
    }

    /// The name.
    pub fn text(self) -> Option<Arc<str>> {
        let place = (self.0 as usize).checked_sub(1)?;
        NAMES.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
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
    }
}
