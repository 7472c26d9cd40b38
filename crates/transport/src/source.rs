//! The choice of the local address that a message is sent from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Chooses among the addresses we listen on (`ours`) the one to reach `remote` from, by its place.
///
/// `wanted` is where the other side is known to have reached us: its address decides, or at least its port. Several
/// that are left are told apart by the kernel's routes, which `source` asks; with one address per family nobody is
/// asked.
pub fn choose_local(
    ours: impl Iterator<Item = SocketAddr> + Clone,
    wanted: SocketAddr,
    remote: IpAddr,
    source: impl FnOnce(IpAddr) -> IpAddr,
) -> Option<usize> {
    let mut all = ours.clone();
    if let (Some(only), None) = (all.next(), all.next()) {
        return (only.is_ipv4() == remote.is_ipv4()).then_some(0);
    }
    let family = ours.enumerate().filter(|(_, a)| a.is_ipv4() == remote.is_ipv4());
    let first = |fits: &dyn Fn(&SocketAddr) -> bool| family.clone().find(|(_, a)| fits(a)).map(|(n, _)| n);
    let port = |a: &SocketAddr| wanted.port() == a.port();
    let reaches = |a: &SocketAddr, ip: IpAddr| a.ip() == ip || a.ip().is_unspecified();
    if let Some(exact) = first(&|a| port(a) && reaches(a, wanted.ip())) {
        return Some(exact);
    }
    let ports = first(&port).is_some();
    let left = |a: &SocketAddr| !ports || port(a);
    if family.clone().filter(|(_, a)| left(a)).count() < 2 {
        return first(&left);
    }
    let source = source(remote);
    // The kernel's may be an address where nobody listens, on a host with several. From loopback nothing gets out.
    let can_reach = |a: &SocketAddr| a.ip().is_loopback() == remote.is_loopback();
    let place = first(&|a| left(a) && reaches(a, source)).or_else(|| first(&|a| left(a) && can_reach(a)));
    place.or_else(|| first(&left))
}

/// Answers of the kernel, remembered.
#[derive(Debug, Default)]
pub struct Sources(HashMap<IpAddr, IpAddr, foldhash::fast::RandomState>);

/// Answers that are remembered, at most.
const REMEMBERED: usize = 65_536;

impl Sources {
    /// Previous answers.
    pub fn known(&self, remote: IpAddr) -> Option<IpAddr> {
        self.0.get(&remote).copied()
    }

    /// From which address of this host the kernel reaches another; unspecified where it knows no way.
    pub fn toward(&mut self, remote: IpAddr) -> IpAddr {
        if let Some(known) = self.known(remote) {
            return known;
        }
        let unspecified: IpAddr =
            if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // Connecting a datagram socket sends nothing; it makes the kernel choose the way.
        let chosen = UdpSocket::bind(SocketAddr::new(unspecified, 0))
            .and_then(|s| s.connect(SocketAddr::new(remote, 9)).and_then(|()| s.local_addr()));
        // An error says nothing of the address: descriptors may have run out.
        let Ok(chosen) = chosen.map(|a| a.ip()) else { return unspecified };
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(remote, chosen);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ours: &[&str], wanted: &str, remote: &str, source: &str) -> Option<usize> {
        let ours: Vec<SocketAddr> = ours.iter().map(|a| a.parse().unwrap()).collect();
        let source = source.parse().unwrap();
        choose_local(ours.iter().copied(), wanted.parse().unwrap(), remote.parse().unwrap(), |_| source)
    }

    #[test]
    fn the_way_it_came_then_the_kernels_way() {
        let ours = ["127.0.0.1:5060", "198.18.0.1:5060", "[::1]:5060", "198.18.0.1:5070"];
        let any = "0.0.0.0:0";
        assert_eq!(chosen(&ours, any, "198.18.0.9", "198.18.0.1"), Some(1));
        assert_eq!(chosen(&ours, any, "127.0.0.1", "127.0.0.1"), Some(0));
        assert_eq!(chosen(&ours, any, "::1", "::1"), Some(2));
        assert_eq!(chosen(&ours, "0.0.0.0:5070", "198.18.0.9", "127.0.0.1"), Some(3));
        assert_eq!(chosen(&ours, "0.0.0.0:5060", "198.18.0.9", "198.18.0.1"), Some(1));
        assert_eq!(chosen(&ours, "127.0.0.1:5060", "198.18.0.9", "198.18.0.1"), Some(0));
        assert_eq!(chosen(&ours, any, "198.18.1.2", "198.18.1.1"), Some(1), "a network without a listener");
        assert_eq!(chosen(&["0.0.0.0:5060", "[::]:5060"], any, "2001:db8::1", "::"), Some(1));
        assert_eq!(chosen(&["0.0.0.0:5060"], any, "2001:db8::1", "::"), None);
    }

    #[test]
    fn loopback_reaches_itself() {
        let mut sources = Sources::default();
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        assert_eq!(sources.toward(loopback), loopback);
        assert_eq!(sources.known(loopback), Some(loopback));
    }
}
