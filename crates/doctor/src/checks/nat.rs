//! NAT: the addresses that others are told, and those of the interfaces.

use std::net::{IpAddr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;
use trunkline_config::Role;

use crate::facts::Facts;
use crate::finding::Findings;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    if !facts.has_role(Role::Exchange) {
        return;
    }
    let config = facts.config();
    let listen = &config.listen;
    let listening = [&listen.udp, &listen.tcp, &listen.tls, &listen.ws, &listen.wss];
    let all: Vec<IpAddr> = listening.into_iter().flatten().map(|address| address.ip()).collect();
    if !all.is_empty() && all.iter().all(IpAddr::is_loopback) {
        let means = "only programs on this host reach the exchange";
        return out.note(
            "all SIP listeners are on loopback",
            means,
            "set listen.udp and the like to other addresses",
        );
    }
    let own = match own_addresses() {
        Ok(own) => own,
        Err(error) => {
            let means = "the addresses of this host are not known";
            return out.warning(
                format!("the interfaces cannot be read: {error}"),
                means,
                "run as another user",
            );
        }
    };
    judge(facts, &own, out);
}

fn judge(facts: &Facts, own: &[IpAddr], out: &mut Findings) {
    let external = &facts.config().external_addrs;
    for ip in external.addresses.iter().filter(|ip| !is_public(**ip)) {
        out.warning(
            format!("externalAddrs: {ip} is a private address"),
            "phones and carriers outside are told an address that they cannot reach",
            "set externalAddrs to the public address of the NAT",
        );
    }
    for ip in external.addresses.iter().filter(|ip| own.contains(ip)) {
        let means = "it has an effect only where an address is translated";
        out.note(
            format!("externalAddrs: {ip} is an address of this host"),
            means,
            "remove it from externalAddrs",
        );
    }
    let public: Vec<_> = own.iter().filter(|ip| is_public(**ip)).collect();
    let given = !external.addresses.is_empty() || !external.names.is_empty();
    match (public.first(), given) {
        (Some(ip), _) => out.ok(format!("this host has the public address {ip}")),
        (None, true) => out.ok("this host is behind a NAT, and externalAddrs is set"),
        (None, false) => out.warning(
            format!("this host has private addresses only ({})", list(own)),
            "phones and carriers outside are told these addresses, so their requests and media do not arrive",
            "set externalAddrs to the public address, and localnets to the own networks, if anybody is outside",
        ),
    }
    if given && public.is_empty() && facts.config().localnets.is_empty() {
        out.note(
            "externalAddrs is set and localnets is empty",
            "phones in the own network are told the external address, and need a NAT that reflects it",
            "set localnets to the networks of this host, e.g. [192.168.0.0/16]",
        );
    }
    if given && facts.config().rtpengine.is_none() {
        let means =
            "phones and carriers exchange media directly; those behind different NATs may hear nothing";
        out.note("no media relay is configured (rtpengine)", means, "set rtpengine");
    }
}

fn list(own: &[IpAddr]) -> String {
    own.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The addresses of the interfaces, without those of loopback and of one link.
fn own_addresses() -> nix::Result<Vec<IpAddr>> {
    let ip_of = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::from(a.ip())))
    };
    let of_a_link = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    Ok(getifaddrs()?.filter_map(ip_of).filter(|ip| !ip.is_loopback() && !of_a_link(ip)).collect())
}

/// Can an address be reached from everywhere? (RFC 1918, RFC 6598, RFC 4193 and the like cannot.)
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || shared)
        }
        IpAddr::V6(v6) => !(v6.is_loopback() || v6 == Ipv6Addr::UNSPECIFIED || is_local(v6)),
    }
}

fn is_local(v6: Ipv6Addr) -> bool {
    v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for private in
            ["10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "127.0.0.1", "fd00::1", "::1", "fe80::1"]
        {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in ["198.51.100.7", "100.63.0.1", "2001:db8::1"] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }
}
