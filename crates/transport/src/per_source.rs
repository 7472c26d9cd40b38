//! The number of connections of each source.

use std::net::IpAddr;

use hashbrown::HashMap;
use trunkline_sip::source_of;

/// Connections by source ([`source_of`]).
#[derive(Debug, Default)]
pub(crate) struct PerSource(HashMap<IpAddr, u32, foldhash::fast::RandomState>);

impl PerSource {
    /// How many the source of this address has.
    pub(crate) fn count(&self, address: IpAddr) -> u32 {
        self.0.get(&source_of(address)).copied().unwrap_or(0)
    }

    /// One more.
    pub(crate) fn enter(&mut self, address: IpAddr) {
        *self.0.entry(source_of(address)).or_insert(0) += 1;
    }

    /// One less; a source without connections is forgotten.
    pub(crate) fn leave(&mut self, address: IpAddr) {
        let source = source_of(address);
        if let Some(n) = self.0.get_mut(&source) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let mut all = PerSource::default();
        let [a, b, c]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"].map(|text| text.parse().unwrap());
        all.enter(a);
        all.enter(b);
        assert_eq!([all.count(a), all.count(b), all.count(c)], [2, 2, 0]);
        all.leave(b);
        all.leave(a);
        all.leave(a);
        assert!(all.0.is_empty());
    }
}
