//! The text that the first start prints: settings for a phone, logins.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use trunkline_api::{Endpoint, RunningApi};
use trunkline_sip::Transport;
use trunkline_store::{FirstStart, Login};
use trunkline_transport::Listener;

/// Prints the accounts that the first start created. Passwords go to standard output and nowhere else.
pub fn announce(made: &FirstStart, listening: &[Listener], api: Option<&RunningApi>) {
    if let Err(error) = io::stdout().write_all(told(made, listening, api).as_bytes()) {
        // The exchange serves all the same.
        let remedy = "`trunkline agents update 1001 --generate-password` makes another secret";
        tracing::warn!(%error, "cannot print the generated passwords: {remedy}");
    }
}

fn told(made: &FirstStart, listening: &[Listener], api: Option<&RunningApi>) -> String {
    let mut lines = vec![format!(
        "First start: created the domain {} with two phone accounts. Settings for a phone:",
        made.domain
    )];
    for agent in &made.agents {
        lines.push(format!("  user {}   password {}", agent.username, agent.secret));
    }
    lines.extend(servers(listening));
    if let Some(browsers) = address(listening, Transport::Wss, "") {
        let accept = format!("(first open https://{browsers} to accept the certificate)");
        lines.push(format!("  server for a browser phone wss://{browsers}   {accept}"));
    }
    if lines.iter().any(|line| line.contains(ADDRESS)) {
        lines.push(format!("  ({ADDRESS} is the address of this machine)"));
    }
    let Login { username, secret } = &made.admin;
    lines.push(format!(
        "Set up both phones; then 1001 can call 1002. The operator's login is {username} / {secret}"
    ));
    if let Some(api) = api {
        let endpoints = api.addresses().iter().map(|(endpoint, address)| match endpoint {
            Endpoint::Internal => format!("{address} on this machine"),
            Endpoint::External => format!("{} with that login", reached(*address, "")),
        });
        let endpoints = endpoints.collect::<Vec<_>>().join(", ");
        lines.push(format!("gRPC for programs that manage resources: {endpoints}"));
    }
    let again = "`trunkline agents update 1001 --generate-password` makes a new one";
    lines.push(format!("(The passwords are printed once; {again}.)\n"));
    lines.join("\n")
}

/// The servers to enter in a phone, with the transports of each. TLS is said where nothing else listens.
fn servers(listening: &[Listener]) -> Vec<String> {
    let of = |transport, usual| address(listening, transport, usual);
    let (udp, tcp) = (of(Transport::Udp, ":5060"), of(Transport::Tcp, ":5060"));
    let line = |server: String, transports: &str| format!("  server {server}   ({transports})");
    match (udp, tcp) {
        (Some(udp), Some(tcp)) if udp == tcp => vec![line(udp, "UDP or TCP")],
        (None, None) => of(Transport::Tls, ":5061").map(|tls| line(tls, "TLS")).into_iter().collect(),
        (udp, tcp) => {
            let lines = [udp.map(|udp| line(udp, "UDP")), tcp.map(|tcp| line(tcp, "TCP"))];
            lines.into_iter().flatten().collect()
        }
    }
}

/// Printed instead of the machine's address if it has only a loopback address.
const ADDRESS: &str = "ADDRESS";

/// The address of the first listener of a transport for clients, without the usual port.
fn address(listening: &[Listener], transport: Transport, usual: &str) -> Option<String> {
    let listener = listening.iter().find(|l| l.transport == transport)?;
    Some(reached(listener.address, usual))
}

/// The address of a listener for clients.
fn reached(address: SocketAddr, usual: &str) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => machine(ip.is_ipv6()),
        ip => Some(ip),
    };
    let host = match ip {
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        None => ADDRESS.to_owned(),
    };
    let port = format!(":{}", address.port());
    if port == usual { host } else { host + &port }
}

/// The address of this machine on the route to the Internet, read from a connected datagram socket; nothing is sent.
fn machine(v6: bool) -> Option<IpAddr> {
    // Addresses for documentation: routed like any other.
    let (from, to): (IpAddr, IpAddr) = if v6 {
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into())
    } else {
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(198, 51, 100, 1).into())
    };
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect((to, 5060)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(listen: &str, usual: &str) -> Option<String> {
        let address = listen.parse().expect("an address");
        address_of(&[Listener { transport: Transport::Udp, address }], usual)
    }

    fn address_of(listening: &[Listener], usual: &str) -> Option<String> {
        address(listening, Transport::Udp, usual)
    }

    #[test]
    fn transports_that_listen_are_said() {
        let listening = |all: &[(Transport, &str)]| {
            let of = |(transport, address): &(Transport, &str)| Listener {
                transport: *transport,
                address: address.parse().expect("an address"),
            };
            servers(&all.iter().map(of).collect::<Vec<_>>()).join("\n")
        };
        let (udp, tcp) = ((Transport::Udp, "192.0.2.7:5060"), (Transport::Tcp, "192.0.2.7:5060"));
        let tls = (Transport::Tls, "192.0.2.7:5061");
        assert_eq!(listening(&[udp, tcp, tls]), "  server 192.0.2.7   (UDP or TCP)");
        assert_eq!(listening(&[udp, tls]), "  server 192.0.2.7   (UDP)");
        assert_eq!(listening(&[tcp]), "  server 192.0.2.7   (TCP)");
        assert_eq!(listening(&[tls]), "  server 192.0.2.7   (TLS)");
        let other = (Transport::Tcp, "192.0.2.7:5070");
        assert_eq!(listening(&[udp, other]), "  server 192.0.2.7   (UDP)\n  server 192.0.2.7:5070   (TCP)");
        assert_eq!(listening(&[]), "");
    }

    #[test]
    fn only_an_unusual_port_is_said() {
        assert_eq!(shown("192.0.2.7:5060", ":5060").as_deref(), Some("192.0.2.7"));
        assert_eq!(shown("192.0.2.7:5070", ":5060").as_deref(), Some("192.0.2.7:5070"));
        assert_eq!(shown("[2001:db8::7]:5060", "").as_deref(), Some("[2001:db8::7]:5060"));
        assert!(!shown("0.0.0.0:5060", ":5060").expect("something").contains("0.0.0.0"));
        assert_eq!(address_of(&[], ""), None);
    }
}
