//! The addresses of this host: those of its interfaces, and others that its kernel delivers locally.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use nix::sys::socket::SockaddrStorage;

use crate::local_routes::{LocalRoutes, Prefix};

type Set = HashSet<IpAddr, foldhash::fast::RandomState>;

/// The addresses of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    addresses: Set,
    broadcasts: Set,
    /// Networks all of whose addresses the kernel takes for its own.
    networks: Vec<Prefix>,
    /// Networks that the interfaces are in.
    neighbours: Vec<Prefix>,
}

impl Interfaces {
    /// Asks the kernel.
    pub fn read() -> io::Result<Interfaces> {
        let mut all = Interfaces::default();
        for interface in nix::ifaddrs::getifaddrs()? {
            let Some(ip) = interface.address.as_ref().and_then(ip_of) else { continue };
            // What it calls the broadcast address is the other end's, or its own, where none was set.
            all.add(ip, interface.netmask.as_ref().and_then(ip_of));
        }
        all.add_routes(LocalRoutes::read()?);
        Ok(all)
    }

    fn add_routes(&mut self, routes: LocalRoutes) {
        for prefix in routes.own {
            match prefix.host() {
                Some(ip) => _ = self.addresses.insert(ip),
                None => self.networks.push(prefix),
            }
        }
        self.broadcasts.extend(routes.broadcast.iter().filter_map(Prefix::host));
    }

    /// Of these addresses, each with the length of its network's prefix.
    pub fn of(addresses: impl IntoIterator<Item = (IpAddr, u8)>) -> Interfaces {
        let mut all = Interfaces::default();
        for (ip, prefix) in addresses {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            all.add(ip, ip.is_ipv4().then(|| Ipv4Addr::from(mask).into()));
        }
        all
    }

    /// An address with the mask of its network, whose first and last addresses are broadcast (RFC 922 §7, RFC 1812
    /// §5.3.5) where it has more than two (RFC 3021).
    fn add(&mut self, ip: IpAddr, mask: Option<IpAddr>) {
        self.addresses.insert(ip);
        if let Some(mask) = mask {
            self.neighbours.push(Prefix::of(ip, mask));
        }
        if let (IpAddr::V4(ip), Some(IpAddr::V4(mask))) = (ip, mask) {
            let (bits, mask) = (ip.to_bits(), mask.to_bits());
            if mask.count_zeros() > 1 {
                self.broadcasts.extend([bits & mask, bits | !mask].map(|b| IpAddr::V4(Ipv4Addr::from(b))));
            }
        }
    }

    /// Is this an address of this host? All of 127.0.0.0/8 is (RFC 1122 §3.2.1.3).
    pub fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip) || self.networks.iter().any(|net| net.holds(ip))
    }

    /// Is it in a network that an interface of this host is in?
    pub fn is_neighbour(&self, ip: IpAddr) -> bool {
        self.neighbours.iter().any(|net| net.holds(ip))
    }

    /// Does it stand for all hosts of a network this one is in?
    pub fn is_broadcast(&self, ip: IpAddr) -> bool {
        self.broadcasts.contains(&ip)
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_loopback() {
        let all = Interfaces::read().unwrap();
        assert!(all.has(Ipv4Addr::LOCALHOST.into()) && all.has([127, 9, 9, 9].into()));
        assert!(!all.has([203, 0, 113, 9].into()));
        assert!(all.is_broadcast([127, 255, 255, 255].into()));
    }

    #[test]
    fn networks_end_in_broadcasts() {
        let ip = |a: &str| a.parse::<IpAddr>().unwrap();
        let all = Interfaces::of([(ip("192.0.2.130"), 25), (ip("10.0.0.6"), 31), (ip("2001:db8::1"), 64)]);
        assert!(all.is_broadcast(ip("192.0.2.255")) && all.is_broadcast(ip("192.0.2.128")));
        assert!(!all.is_broadcast(ip("192.0.2.127")) && !all.is_broadcast(ip("10.0.0.7")));
        assert!(all.has(ip("2001:db8::1")) && !all.has(ip("2001:db8::2")));
    }
}
