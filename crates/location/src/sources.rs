//! The source addresses of registered users.

use std::net::IpAddr;

use trunkline_sip::source_of;

use crate::binding::Timestamp;
use crate::until::Until;

/// Until when the last binding of each source lasts. A binding that is removed earlier is not looked for: its source
/// was trusted with it a moment ago.
pub(crate) struct Sources(Until<IpAddr>);

impl Sources {
    pub fn new() -> Sources {
        Sources(Until::new())
    }

    /// Notes that a user is registered from this address until then.
    pub fn note(&self, address: IpAddr, until: Timestamp) {
        self.0.raise(source_of(address), until);
    }

    pub fn has(&self, address: IpAddr, now: Timestamp) -> bool {
        self.0.holds(source_of(address), now)
    }

    pub fn prune(&self, now: Timestamp) {
        self.0.prune(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_until_its_last_binding_ends() {
        let sources = Sources::new();
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        sources.note(at("192.0.2.1"), 2000);
        sources.note(at("192.0.2.1"), 1000);
        sources.note(at("2001:db8::1"), 1000);
        assert!(sources.has(at("192.0.2.1"), 1999) && !sources.has(at("192.0.2.1"), 2000));
        assert!(sources.has(at("2001:db8::2"), 999), "the /64");
        assert!(!sources.has(at("192.0.2.2"), 0));
        assert_eq!((sources.0.left(1000), sources.has(at("192.0.2.1"), 1999)), (1, true));
    }
}
