//! The number of connections of each source.

use std::hash::Hash;
use std::net::IpAddr;

use hashbrown::HashMap;
use trunkline_sip::source_of;

/// The number of connections of each owner.
#[derive(Debug)]
pub(crate) struct PerOwner<K>(HashMap<K, u32, foldhash::fast::RandomState>);

impl<K> Default for PerOwner<K> {
    fn default() -> Self {
        PerOwner(HashMap::default())
    }
}

impl<K: Hash + Eq> PerOwner<K> {
    /// How many this one has.
    pub(crate) fn count(&self, owner: &K) -> u32 {
        self.0.get(owner).copied().unwrap_or(0)
    }

    /// One more.
    pub(crate) fn enter(&mut self, owner: K) {
        *self.0.entry(owner).or_insert(0) += 1;
    }

    /// One less; who has none is forgotten.
    pub(crate) fn leave(&mut self, owner: &K) {
        if let Some(n) = self.0.get_mut(owner) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(owner);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Connections by source ([`source_of`]).
#[derive(Debug, Default)]
pub(crate) struct PerSource(PerOwner<IpAddr>);

impl PerSource {
    /// How many the source of this address has.
    pub(crate) fn count(&self, address: IpAddr) -> u32 {
        self.0.count(&source_of(address))
    }

    /// One more.
    pub(crate) fn enter(&mut self, address: IpAddr) {
        self.0.enter(source_of(address));
    }

    /// One less.
    pub(crate) fn leave(&mut self, address: IpAddr) {
        self.0.leave(&source_of(address));
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
