//! Our addresses: which are ours, and which of them the other side is shown.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use parking_lot::{Mutex, RwLock};
use trunkline_sip::response::put_number;
use trunkline_sip::{Transport, Uri, is_private, put_address};
use trunkline_transport::{Egress, Interfaces, Listener, Sources, choose_local};

/// What the listeners and the operator's settings say about our addresses.
#[derive(Debug)]
pub(crate) struct Addresses {
    listeners: Vec<Listener>,
    external: Vec<IpAddr>,
    /// Host names of ours; the first is shown in the place of an address.
    names: Vec<String>,
    localnets: Vec<IpNet>,
    /// The addresses of this host, as the kernel lists them.
    interfaces: ArcSwap<Interfaces>,
    /// From which address of ours the kernel reaches another.
    toward: RwLock<Sources>,
    /// Under which addresses others see us, as they say themselves.
    seen: ArcSwap<Vec<Seen>>,
    /// One at a time changes that.
    learning: Mutex<()>,
}

/// What one host sees of us through a NAT (RFC 3581).
#[derive(Clone, Debug)]
struct Seen {
    transport: Transport,
    by: IpAddr,
    /// The latest first: dialogs that began under an earlier one go on.
    under: Vec<SocketAddr>,
}

/// Addresses one host has seen us under that are remembered, at most.
const SEEN_BEFORE: usize = 8;

impl Addresses {
    pub(crate) fn new(
        listeners: Vec<Listener>,
        (external, names): (Vec<IpAddr>, Vec<String>),
        localnets: Vec<IpNet>,
    ) -> Arc<Addresses> {
        let addresses = Addresses {
            listeners,
            external,
            names,
            localnets,
            interfaces: ArcSwap::default(),
            toward: RwLock::default(),
            seen: ArcSwap::default(),
            learning: Mutex::default(),
        };
        if let Err(error) = addresses.read_interfaces() {
            tracing::warn!(%error, "cannot read this host's addresses from the kernel; trying again");
        }
        Arc::new(addresses)
    }

    /// Asks the kernel anew which addresses are this host's. What was known holds where it does not answer.
    pub(crate) fn read_interfaces(&self) -> io::Result<()> {
        let now = Interfaces::read()?;
        if now != **self.interfaces.load() {
            self.interfaces.store(Arc::new(now));
            // Other addresses, other ways.
            *self.toward.write() = Sources::default();
        }
        Ok(())
    }

    /// What the kernel last said of this host's addresses.
    pub(crate) fn interfaces(&self) -> arc_swap::Guard<Arc<Interfaces>> {
        self.interfaces.load()
    }

    /// Do we listen on this transport?
    pub(crate) fn has(&self, transport: Transport) -> bool {
        self.listeners.iter().any(|l| l.transport == transport)
    }

    /// Do we listen at this port of some address? Without one: yes.
    pub(crate) fn has_port(&self, port: Option<u16>) -> bool {
        port.is_none_or(|port| self.listeners.iter().any(|l| l.address.port() == port))
    }

    /// Is the host (and the port, where one stands) of this URI ours, or one that others see us under?
    pub(crate) fn is_own(&self, uri: &Uri<'_>) -> bool {
        match uri.ip() {
            Some(ip) => self.is_listener(ip, uri.port) || self.is_seen(ip, uri.port),
            None => {
                let named = |name: &String| name.as_bytes().eq_ignore_ascii_case(uri.host);
                self.names.iter().any(named) && self.has_port(uri.port)
            }
        }
    }

    /// Does what is sent to this address (and port, where one is given) come back to us? What others say they see of us
    /// does not count: by a claim nobody makes us send nothing more to somebody else.
    pub(crate) fn is_listener(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let port_fits = |l: &Listener| port.is_none_or(|p| p == l.address.port());
        if self.external.contains(&ip) || self.localnets.iter().any(|n| n.addr() == ip) {
            return self.has_port(port);
        }
        self.listeners.iter().any(|l| {
            port_fits(l)
                && (l.address.ip() == ip
                    || l.address.ip().is_unspecified()
                        && l.address.is_ipv4() == ip.is_ipv4()
                        && self.is_local(ip))
        })
    }

    /// Is it an address of this host?
    pub(crate) fn is_local(&self, ip: IpAddr) -> bool {
        self.interfaces.load().has(ip)
    }

    /// Is it in a network that the operator calls local?
    pub(crate) fn is_local_net(&self, ip: IpAddr) -> bool {
        self.localnets.iter().any(|net| net.contains(&ip))
    }

    /// Is it in a private network, or in one that the operator calls local?
    pub(crate) fn is_inside(&self, ip: IpAddr) -> bool {
        is_private(ip) || self.is_local_net(ip)
    }

    fn toward(&self, remote: IpAddr) -> IpAddr {
        if let Some(known) = self.toward.read().known(remote) {
            return known;
        }
        self.toward.write().toward(remote)
    }

    fn is_seen(&self, ip: IpAddr, port: Option<u16>) -> bool {
        let seen = self.seen.load();
        seen.iter().flat_map(|s| &s.under).any(|a| a.ip() == ip && port.is_none_or(|p| p == a.port()))
    }

    /// Under which address a host sees us, where that is not the one we are bound to. Others behind the same NAT are told
    /// what it shows for us on UDP: a carrier calls from more addresses than the one we register at. But only where all
    /// who tell us name the same address: else one of them would choose where the others send what is for us.
    fn seen_by(&self, transport: Transport, by: IpAddr, bound: SocketAddr) -> Option<SocketAddr> {
        let seen = self.seen.load();
        let of_transport = || seen.iter().filter(|s| s.transport == transport);
        let same = || of_transport().find(|s| s.by == by);
        let through_nat = transport == Transport::Udp && is_private(bound.ip()) && !is_private(by);
        let of_family = || of_transport().filter(|s| through_nat && s.by.is_ipv4() == by.is_ipv4());
        let latest = |s: &Seen| s.under.first().map(|at| at.ip());
        let any = || of_family().next().filter(|first| of_family().all(|s| latest(s) == latest(first)));
        same().or_else(any)?.under.first().copied()
    }

    /// The host at the end of `egress` says under which address our packets reach it. Behind a NAT that is the one
    /// which leads back to us; what the operator says of this side goes before it.
    pub(crate) fn learn(&self, egress: &Egress, under: SocketAddr) {
        let (transport, by) = (egress.transport, egress.remote.ip());
        let external = self.external.iter().any(|e| e.is_ipv4() == by.is_ipv4());
        let told = external || self.is_local_net(by);
        if told || under.port() == 0 || under.is_ipv4() != by.is_ipv4() || under.ip().is_unspecified() {
            return;
        }
        // With a public address of our own it is their NAT that they see; a private one leads nobody out there back.
        let outside = !is_private(by);
        let theirs = !is_private(self.told(egress).ip()) || outside && is_private(under.ip());
        let _one_at_a_time = self.learning.lock();
        let mut all = Vec::clone(&self.seen.load());
        all.iter_mut()
            .filter(|s| (s.transport, s.by) == (transport, by))
            .for_each(|s| s.under.retain(|a| *a != under));
        // Over a stream the port is only that of one connection; ours to be connected to is another.
        let translated = if transport.is_reliable() {
            !self.is_local(under.ip())
        } else {
            !self.is_bound(transport, under)
        };
        match all.iter_mut().find(|s| (s.transport, s.by) == (transport, by)) {
            _ if !translated || theirs => all.retain(|s| (s.transport, s.by) != (transport, by)),
            Some(seen) => {
                seen.under.insert(0, under);
                seen.under.truncate(SEEN_BEFORE);
            }
            None => all.push(Seen { transport, by, under: vec![under] }),
        }
        self.seen.store(Arc::new(all));
    }

    /// Do we listen at this very address?
    fn is_bound(&self, transport: Transport, at: SocketAddr) -> bool {
        let ours = |l: &Listener| {
            l.transport == transport
                && l.address.port() == at.port()
                && (l.address.ip() == at.ip() || l.address.ip().is_unspecified() && self.is_local(at.ip()))
        };
        self.listeners.iter().any(ours)
    }

    /// The address that the side at the end of `egress` is shown in Via, Record-Route and Contact: ours on its
    /// own network, else the external one, else the one the kernel sends from.
    pub(crate) fn advertised(&self, egress: &Egress) -> SocketAddr {
        let told = self.told(egress);
        self.seen_by(egress.transport, egress.remote.ip(), told).unwrap_or(told)
    }

    /// What the side at the end of `egress` is shown, and under which name: one outside the networks of ours sees the name, if
    /// there is one.
    pub(crate) fn shown(&self, egress: &Egress) -> Us<'_> {
        let inside = self.localnets.iter().any(|net| net.contains(&egress.remote.ip()));
        let name = self.names.first().filter(|_| !inside).map(String::as_str);
        let at = if name.is_some() { self.told(egress) } else { self.advertised(egress) };
        Us { at, name }
    }

    /// The same without what others say they see.
    fn told(&self, egress: &Egress) -> SocketAddr {
        let remote = egress.remote.ip();
        let of_transport = self.listeners.iter().filter(|l| l.transport == egress.transport);
        let ours = of_transport.clone().map(|l| l.address);
        let place = choose_local(ours, egress.local, remote, |remote| self.toward(remote));
        let listener = of_transport.clone().nth(place.unwrap_or(0));
        let port = listener.map_or(egress.transport.default_port(), |l| l.address.port());
        if !self.external.is_empty() || !self.localnets.is_empty() {
            let net = self.localnets.iter().find(|n| n.contains(&remote));
            // A network's own address is nobody's: it says that this is inside, and not who we are there.
            if let Some(net) = net.filter(|n| n.addr() != n.network() || n.prefix_len() == n.max_prefix_len())
            {
                return SocketAddr::new(net.addr(), port);
            }
            let of_family = self.external.iter().find(|e| e.is_ipv4() == remote.is_ipv4());
            if let Some(&external) = of_family.filter(|_| net.is_none() && !remote.is_loopback()) {
                return SocketAddr::new(external, port);
            }
        }
        let bound = listener.map_or(egress.local.ip(), |l| l.address.ip());
        let ip = if !bound.is_unspecified() {
            bound
        } else if !egress.local.ip().is_unspecified() {
            egress.local.ip()
        } else {
            self.toward(remote)
        };
        SocketAddr::new(ip, port)
    }
}

/// Ourselves as another side is shown us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Us<'a> {
    pub(crate) at: SocketAddr,
    /// Our name in the place of the address.
    pub(crate) name: Option<&'a str>,
}

impl Us<'_> {
    /// Appends it: host and port.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let Some(name) = self.name else { return put_address(self.at, out) };
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        put_number(u64::from(self.at.port()), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(external: &[&str]) -> Vec<String> {
        external.iter().filter(|a| a.parse::<IpAddr>().is_err()).map(|a| a.to_string()).collect()
    }

    #[test]
    fn a_name_is_shown_outside_and_ours() {
        let a = addresses("0.0.0.0:5061", &["sbc.example.com", "203.0.113.9"], &["10.0.0.1/24"]);
        let shown = |to: &str| {
            let mut text = Vec::new();
            a.shown(&Egress::to(Transport::Tcp, to.parse().unwrap())).put(&mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(shown("198.51.100.1:5060"), "sbc.example.com:5061");
        assert_eq!(shown("10.0.0.77:5060"), "10.0.0.1:5061");
        let own = |u: &str| a.is_own(&Uri::parse(u.as_bytes()).unwrap());
        assert!(own("sip:SBC.example.com:5061;transport=tls") && own("sip:1001@sbc.example.com"));
        assert!(!own("sip:sbc.example.com:5060") && !own("sip:example.com") && own("sip:203.0.113.9"));
    }

    fn addresses(listen: &str, external: &[&str], nets: &[&str]) -> Arc<Addresses> {
        let listeners = [Transport::Udp, Transport::Tcp]
            .map(|transport| Listener { transport, address: listen.parse().unwrap() })
            .to_vec();
        Addresses::new(
            listeners,
            (external.iter().filter_map(|a| a.parse().ok()).collect(), names(external)),
            nets.iter().map(|a| a.parse().unwrap()).collect(),
        )
    }

    #[test]
    fn each_side_is_shown_its_address() {
        let a = addresses("0.0.0.0:5060", &["203.0.113.9"], &["10.0.0.1/24"]);
        let shown = |to: &str| a.advertised(&Egress::to(Transport::Udp, to.parse().unwrap())).to_string();
        assert_eq!(shown("10.0.0.77:5060"), "10.0.0.1:5060");
        assert_eq!(shown("198.51.100.1:5060"), "203.0.113.9:5060");
        assert_eq!(shown("127.0.0.1:9"), "127.0.0.1:5060");
        let inside = addresses("0.0.0.0:5060", &["203.0.113.9"], &["127.0.0.0/8", "10.0.0.0/24"]);
        let egress = Egress::to(Transport::Udp, "127.0.0.9:5060".parse().unwrap());
        assert_eq!(inside.advertised(&egress).to_string(), "127.0.0.1:5060", "as the kernel sends there");
        let egress = Egress::to(Transport::Udp, "198.51.100.1:5060".parse().unwrap());
        assert_eq!(inside.advertised(&egress).to_string(), "203.0.113.9:5060");
        let b = addresses("127.0.0.1:15060", &[], &[]);
        let egress = Egress::to(Transport::Tcp, "127.0.0.1:9".parse().unwrap());
        assert_eq!(b.advertised(&egress).to_string(), "127.0.0.1:15060");
    }

    #[test]
    fn what_a_host_sees_through_a_nat_is_ours_and_shown_to_it() {
        let a = addresses("127.0.0.1:5060", &[], &[]);
        let carrier = Egress::to(Transport::Udp, "198.51.100.1:5060".parse().unwrap());
        let shown = |a: &Addresses, e: &Egress| a.advertised(e).to_string();
        let own = |u: &str| a.is_own(&Uri::parse(u.as_bytes()).unwrap());
        a.learn(&carrier, "203.0.113.9:40001".parse().unwrap());
        assert!(!a.is_listener("203.0.113.9".parse().unwrap(), Some(40_001)), "that is what it says");
        assert_eq!(shown(&a, &carrier), "203.0.113.9:40001");
        assert_eq!(shown(&a, &Egress { transport: Transport::Tcp, ..carrier }), "127.0.0.1:5060");
        assert!(own("sip:1@203.0.113.9:40001") && own("sip:1@203.0.113.9") && !own("sip:1@203.0.113.9:5060"));
        // So are others out there, who come through the same NAT; those in here are not.
        let at = |to: &str| Egress::to(Transport::Udp, to.parse().unwrap());
        assert_eq!(shown(&a, &at("198.51.100.77:5060")), "203.0.113.9:40001");
        assert_eq!(shown(&a, &at("10.0.0.77:5060")), "127.0.0.1:5060");
        // Another carrier says something else: each is told its own, and others neither.
        let other = at("198.51.100.50:5060");
        a.learn(&other, "203.0.113.66:40001".parse().unwrap());
        assert_eq!(shown(&a, &other), "203.0.113.66:40001");
        assert_eq!(shown(&a, &carrier), "203.0.113.9:40001");
        assert_eq!(shown(&a, &at("198.51.100.77:5060")), "127.0.0.1:5060");
        a.learn(&other, "203.0.113.9:40009".parse().unwrap());
        assert_eq!(shown(&a, &at("198.51.100.77:5060")), "203.0.113.9:40001");
        a.learn(&other, "127.0.0.1:5060".parse().unwrap());
        // The NAT has another port for us now: dialogs that know the old one are still ours.
        a.learn(&carrier, "203.0.113.9:40002".parse().unwrap());
        assert_eq!(shown(&a, &carrier), "203.0.113.9:40002");
        assert!(own("sip:203.0.113.9:40001"));
        // No NAT any more.
        a.learn(&carrier, "127.0.0.1:5060".parse().unwrap());
        assert_eq!(shown(&a, &carrier), "127.0.0.1:5060");
        assert!(!own("sip:203.0.113.9:40001"));
        // A balancer of theirs, whose address leads nowhere.
        a.learn(&carrier, "10.9.9.9:40003".parse().unwrap());
        assert_eq!(shown(&a, &carrier), "127.0.0.1:5060");
        let public = addresses("192.0.2.5:5060", &[], &[]);
        public.learn(&carrier, "203.0.113.9:40001".parse().unwrap());
        assert_eq!(shown(&public, &carrier), "192.0.2.5:5060");
        // Over a stream another port says nothing, another address does.
        let stream = Egress { transport: Transport::Tcp, ..carrier };
        a.learn(&stream, "127.0.0.1:33333".parse().unwrap());
        assert_eq!(shown(&a, &stream), "127.0.0.1:5060");
        a.learn(&stream, "203.0.113.9:33333".parse().unwrap());
        assert_eq!(shown(&a, &stream), "203.0.113.9:33333");
        // The operator knows better.
        let b = addresses("127.0.0.1:5060", &["192.0.2.1"], &[]);
        b.learn(&carrier, "203.0.113.9:40001".parse().unwrap());
        assert_eq!(shown(&b, &carrier), "192.0.2.1:5060");
        assert!(!b.is_own(&Uri::parse(b"sip:203.0.113.9:40001").unwrap()));
    }

    #[test]
    fn what_is_ours() {
        let a = addresses("0.0.0.0:5070", &["203.0.113.9"], &["10.0.0.1/24"]);
        let own = |u: &str| a.is_own(&Uri::parse(u.as_bytes()).unwrap());
        assert!(own("sip:1001@127.0.0.1"));
        assert!(own("sip:127.0.0.1:5070"));
        assert!(!own("sip:127.0.0.1:5060"));
        assert!(own("sip:1001@203.0.113.9"));
        assert!(own("sip:10.0.0.1:5070"));
        assert!(!own("sip:10.0.0.2"));
        assert!(!own("sip:sip.local"));
        let b = addresses("127.0.0.1:5070", &[], &[]);
        assert!(!b.is_own(&Uri::parse(b"sip:127.0.0.2:5070").unwrap()));
    }
}
