//! Where the trunks and peers are, by address and by the networks of their access lists.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;
use trunkline_model::{AccessControlList, is_everybodys};
use trunkline_proxy::PartyKind;

use super::Word;

/// A trunk or peer that is reached at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    pub(crate) kind: PartyKind,
    pub(crate) party: u32,
    /// Its port there; 0 where all of them are its own.
    pub(crate) port: u16,
}

impl Owner {
    /// Is it the party whose word this is?
    pub(crate) fn is(&self, word: &Word) -> bool {
        (self.kind, self.party) == (word.kind, word.party)
    }

    /// Is this port its own, where one address is that of several?
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.port == 0 || self.port == port
    }
}

type Map<V> = HashMap<IpAddr, V, foldhash::fast::RandomState>;

/// Trunks and peers by their addresses, and by the networks that their lists allow. A look costs one search, and one more
/// for each length of a prefix that stands in a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    hosts: Map<SmallVec<[Owner; 2]>>,
    networks: Vec<Networks>,
    /// A name of these of which nobody knows yet where it leads.
    unresolved: HashMap<(PartyKind, u32), String>,
}

/// The networks of one length and family.
#[derive(Clone, Debug)]
struct Networks {
    prefix: u8,
    v4: bool,
    by_first: Map<SmallVec<[Listed; 1]>>,
}

/// An owner whose list allows a network; with the list, where that takes something out again.
#[derive(Clone, Debug)]
struct Listed {
    owner: Owner,
    holes: Option<Arc<AccessControlList>>,
}

impl Owners {
    /// Those whose own this very address is.
    pub(crate) fn at(&self, ip: IpAddr) -> &[Owner] {
        self.hosts.get(&ip).map_or(&[], |owners| owners)
    }

    /// Those whose lists allow a network that this address lies in.
    pub(crate) fn around(&self, ip: IpAddr) -> impl Iterator<Item = &Owner> {
        self.networks
            .iter()
            .filter(move |networks| networks.v4 == ip.is_ipv4())
            .filter_map(move |networks| networks.by_first.get(&first_of(ip, networks.prefix)))
            .flatten()
            .filter(move |listed| listed.holes.as_ref().is_none_or(|list| list.allows(ip)))
            .map(|listed| &listed.owner)
    }

    /// A name of this party of which nobody knows yet where it leads.
    pub(super) fn unresolved(&self, kind: PartyKind, party: u32) -> Option<&str> {
        self.unresolved.get(&(kind, party)).map(String::as_str)
    }

    pub(super) fn add_unresolved(&mut self, who: Owner, host: String) {
        self.unresolved.insert((who.kind, who.party), host);
    }

    pub(crate) fn add(&mut self, at: SocketAddr, owner: Owner) {
        let owners = self.hosts.entry(at.ip()).or_default();
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }

    /// The list of a trunk or peer: what comes from there is taken for that party, so nobody else has anything sent there.
    /// That it allows everybody says of no address whose it is.
    pub(crate) fn add_list(&mut self, who: Owner, list: &Arc<AccessControlList>) {
        let owner = Owner { port: 0, ..who };
        for net in &list.allow {
            let (ip, prefix) = (net.network(), net.prefix_len());
            if is_everybodys(net) {
                continue;
            }
            if prefix == net.max_prefix_len() {
                if list.allows(ip) {
                    self.add(SocketAddr::new(ip, 0), owner);
                }
                continue;
            }
            let cut =
                list.deny.iter().any(|deny| deny.prefix_len() > prefix && net.contains(&deny.network()));
            let holes = cut.then(|| list.clone());
            let same = |n: &Networks| (n.prefix, n.v4) == (prefix, ip.is_ipv4());
            let place = self.networks.iter().position(same).unwrap_or_else(|| {
                self.networks.push(Networks { prefix, v4: ip.is_ipv4(), by_first: Map::default() });
                self.networks.len() - 1
            });
            if let Some(networks) = self.networks.get_mut(place) {
                networks.by_first.entry(ip).or_default().push(Listed { owner, holes });
            }
        }
    }
}

/// The first address of the network of this length that the address lies in.
fn first_of(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn list(allow: &[&str], deny: &[&str]) -> Arc<AccessControlList> {
        let nets = |texts: &[&str]| texts.iter().map(|net| net.parse().unwrap()).collect();
        Arc::new(AccessControlList::new("list", nets(allow), nets(deny)))
    }

    #[test]
    fn lists_own_their_networks() {
        let mut owners = Owners::default();
        let who = |party| Owner { kind: PartyKind::Trunk, party, port: 0 };
        owners.add_list(
            who(1),
            &list(&["192.0.2.0/24", "198.51.100.7/32", "2001:db8:1::/48"], &["192.0.2.64/26", "0.0.0.0/0"]),
        );
        owners.add_list(who(2), &list(&["192.0.2.128/25", "0.0.0.0/0", "::/0"], &[]));
        owners.add_list(who(3), &list(&["203.0.113.9/32"], &["203.0.113.9/32", "203.0.113.0/24"]));
        let found = |ip: &str| {
            let ip = at(ip);
            let mut all: Vec<u32> =
                owners.at(ip).iter().chain(owners.around(ip)).map(|owner| owner.party).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(found("192.0.2.1"), [1]);
        assert_eq!(found("192.0.2.70"), [0; 0], "a hole");
        assert_eq!(found("192.0.2.200"), [1, 2]);
        assert_eq!(found("198.51.100.7"), [1]);
        assert_eq!(found("198.51.100.8"), [0; 0], "that all are allowed names nobody");
        assert_eq!(found("2001:db8:1:9::1"), [1]);
        assert_eq!(found("2001:db8:2::1"), [0; 0]);
        assert_eq!(found("203.0.113.9"), [3], "of equal ones allow decides");
    }

    #[test]
    fn networks_begin_with_their_first_address() {
        for (ip, prefix, first) in [
            ("192.0.2.77", 24, "192.0.2.0"),
            ("192.0.2.77", 32, "192.0.2.77"),
            ("192.0.2.77", 1, "128.0.0.0"),
            ("2001:db8:1:2::3", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2::3", 127, "2001:db8:1:2::2"),
        ] {
            assert_eq!(first_of(at(ip), prefix), at(first), "{ip}/{prefix}");
        }
    }
}
