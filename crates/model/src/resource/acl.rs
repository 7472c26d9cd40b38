//! Access control lists.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::reference::Ref;

super::resource! {
    /// Networks that may send and networks that may not.
    ///
    /// With an empty `allow` everything may send that is not denied; otherwise only what `allow` holds may. Where
    /// both lists hold an address the longer prefix decides, `allow` between equal ones: so a deny cuts a hole
    /// into an allowed network and an allow one into a denied network.
    #[derive(Clone, Debug, PartialEq)]
    AccessControlList {
        /// The networks that may send, even from within a wider denied one.
        allow: Vec<IpNet>,
        /// The networks that may not send.
        deny: Vec<IpNet>,
    }
}

impl AccessControlList {
    /// A list named after its ref.
    pub fn new(reference: impl Into<Ref>, allow: Vec<IpNet>, deny: Vec<IpNet>) -> AccessControlList {
        let reference = reference.into();
        AccessControlList {
            name: reference.to_string(),
            reference,
            api_version: "v2".into(),
            extended: Default::default(),
            created_at: 0,
            updated_at: 0,
            allow,
            deny,
        }
    }

    /// Does an entry of it that is somebody's in particular allow this address? Such an entry says who sends from there.
    pub fn names(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let named = self.allow.iter().any(|net| !is_everybodys(net) && net.contains(&ip));
        named && self.allows(ip)
    }

    /// Does it allow addresses without saying whose they are?
    pub fn allows_everybody(&self) -> bool {
        self.allow.is_empty() || self.allow.iter().any(is_everybodys)
    }

    /// Is no entry of it somebody's in particular?
    pub fn names_nobody(&self) -> bool {
        self.allow.iter().all(is_everybodys)
    }

    /// A network with so many addresses that hardly all of them are one party's: wider than /16 (IPv6: /32), alone or
    /// together with its neighbours. Of a network that is everybody's nobody is the owner.
    pub fn too_wide(&self) -> Option<IpNet> {
        let widest = |net: &IpNet| if net.addr().is_ipv4() { 16 } else { 32 };
        let named: Vec<IpNet> = self.allow.iter().filter(|net| !is_everybodys(net)).copied().collect();
        IpNet::aggregate(&named).into_iter().find(|net| net.prefix_len() < widest(net))
    }

    /// May this address send? An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let allow = longest(&self.allow, ip);
        let deny = longest(&self.deny, ip);
        match (allow, deny) {
            (None, None) => self.allow.is_empty(),
            // `None < Some(_)`, so a lone match decides as well.
            (allow, deny) => allow >= deny,
        }
    }
}

/// Reads a network, or a lone address; IPv4 networks mapped into IPv6 become IPv4.
pub fn network(text: &str) -> Option<IpNet> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse().map(|ip: IpAddr| IpNet::from(ip))).ok()?;
    match net {
        IpNet::V6(v6) => match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
            (Some(ip), Some(length)) => ipnet::Ipv4Net::new(ip, length).ok().map(IpNet::V4),
            _ => Some(net),
        },
        IpNet::V4(_) => Some(net),
    }
}

/// Is the network so wide that it is nobody's in particular: all addresses, a half of them, all that are in use (`2000::/3`)?
/// One organisation has a /8 (IPv6: /16) at most.
pub fn is_everybodys(net: &IpNet) -> bool {
    net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 16 }
}

/// The length of the longest prefix that holds the address.
fn longest(nets: &[IpNet], ip: IpAddr) -> Option<u8> {
    nets.iter().filter(|net| net.contains(&ip)).map(IpNet::prefix_len).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(allow: &[&str], deny: &[&str]) -> AccessControlList {
        let nets = |list: &[&str]| list.iter().map(|n| n.parse().expect("a network")).collect();
        AccessControlList::new("acl", nets(allow), nets(deny))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_longest_prefix_decides() {
        let acl = acl(&["192.168.1.3/31", "127.0.0.1/8"], &["0.0.0.0/1", "192.168.0.0/16", "127.0.0.9/32"]);
        assert!(acl.allows(ip("127.0.0.1")), "allowed inside the denied half");
        assert!(!acl.allows(ip("127.0.0.9")), "denied inside the allowed net");
        assert!(!acl.allows(ip("10.0.0.1")));
        assert!(acl.allows(ip("192.168.1.2")));
        assert!(!acl.allows(ip("192.168.1.4")));
        assert!(!acl.allows(ip("203.0.113.1")), "not among those who may");
        assert!(acl.allows(ip("::ffff:127.0.0.1")), "mapped counts as IPv4");
        assert!(!acl.allows(ip("::ffff:10.0.0.1")));
        assert!(!acl.allows(ip("2001:db8::1")));
    }

    #[test]
    fn lists_that_are_wide() {
        for (allow, everybody, wide) in [
            (&["192.0.2.0/24", "10.0.0.0/16", "2001:db8::/32"][..], false, None),
            (&["10.0.0.0/8"], false, Some("10.0.0.0/8")),
            (&["10.0.0.0/16", "10.1.0.0/16"], false, Some("10.0.0.0/15")),
            (&["2001:db8::/31"], false, Some("2001:db8::/31")),
            (&["0.0.0.0/0"], true, None),
            (&["0.0.0.0/1", "128.0.0.0/1"], true, None),
            (&["10.0.0.0/8", "::/1", "8000::/1"], true, Some("10.0.0.0/8")),
            (&[], true, None),
        ] {
            let acl = acl(allow, &["192.0.2.66/32"]);
            assert_eq!(acl.allows_everybody(), everybody, "{allow:?}");
            assert_eq!(acl.too_wide().map(|net| net.to_string()).as_deref(), wide, "{allow:?}");
        }
        assert!(acl(&["0.0.0.0/0"], &[]).names_nobody() && acl(&[], &[]).names_nobody());
        assert!(!acl(&["10.0.0.0/8", "::/0"], &[]).names_nobody());
    }

    #[test]
    fn one_list_alone() {
        assert!(acl(&["10.0.0.0/8"], &[]).allows(ip("10.1.1.1")));
        assert!(!acl(&["10.0.0.0/8"], &[]).allows(ip("11.1.1.1")), "a list of all who may");
        assert!(!acl(&[], &["10.0.0.0/8"]).allows(ip("10.1.1.1")));
        assert!(acl(&[], &["10.0.0.0/8"]).allows(ip("11.1.1.1")));
        assert!(acl(&[], &[]).allows(ip("11.1.1.1")));
        assert!(acl(&["10.0.0.0/8"], &["10.0.0.0/8"]).allows(ip("10.1.1.1")), "allow wins a tie");
        assert!(acl(&["2001:db8::/32"], &["::/0"]).allows(ip("2001:db8::1")));
        assert!(!acl(&["2001:db8::/32"], &["::/0"]).allows(ip("2001:db9::1")));
    }

    #[test]
    fn what_everybody_has_names_nobody() {
        for all in [&["0.0.0.0/0", "::/0"][..], &["0.0.0.0/1", "128.0.0.0/1", "2000::/3"], &[]] {
            let list = acl(all, &["203.0.113.7/32"]);
            assert!(list.allows_everybody() && !list.names(ip("198.51.100.1")), "{all:?}");
            assert!(!list.names(ip("2001:db8::1")) && !list.names(ip("203.0.113.7")), "{all:?}");
        }
        let list = acl(&["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32"], &["10.9.0.0/16"]);
        assert!(list.names(ip("10.1.1.1")) && list.names(ip("2001:db8::1")) && list.allows_everybody());
        assert!(!list.names(ip("10.9.1.1")), "denied");
        assert!(!acl(&["10.0.0.0/8"], &[]).allows_everybody());
    }
}
