//! How many names a source may have looked up.

use std::net::IpAddr;

use super::budget::Purses;

/// Names that a source has looked up within any second, at most: name servers are asked on nobody's behalf as fast as messages
/// come.
const MOST: u64 = 64;

/// What the sources had looked up in the last second, for all shards.
pub(crate) struct Lookups(Purses);

impl Lookups {
    pub(crate) fn new() -> Lookups {
        Lookups(Purses::new(MOST))
    }

    /// One more for this address: may it have that?
    pub(super) fn take(&self, from: IpAddr, now: u64) -> bool {
        self.0.take_one(from, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_names_looked_up_in_a_second() {
        let lookups = Lookups::new();
        let take = |host: &str, now| lookups.take(host.parse().unwrap(), now);
        let now = 1_700_000_000_000;
        assert_eq!((0..1_000).filter(|n| take("192.0.2.1", now + n / 10)).count() as u64, MOST);
        assert!(take("192.0.2.2", now), "another source");
        let v6 = (0..1_000).filter(|n| take(&format!("2001:db8::{n:x}"), now)).count() as u64;
        assert_eq!(v6, MOST, "a network is one source");
        assert!(take("192.0.2.1", now + 2_000), "a second later");
    }
}
