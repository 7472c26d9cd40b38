//! What the first start says: what to type into a phone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use trunkline_api::{Door, Running};
use trunkline_sip::Transport;
use trunkline_store::FirstStart;
use trunkline_transport::Listener;

/// Prints what the first start made, once; secrets go to the terminal and nowhere else.
pub fn announce(made: &FirstStart, listening: &[Listener], api: Option<&Running>) {
    println!("First start: made the domain {} with two phones. Type into a softphone:", made.domain);
    for agent in &made.agents {
        println!("  user {}   password {}", agent.username, agent.secret);
    }
    if let Some(phones) = address(listening, Transport::Udp, ":5060") {
        println!("  server {phones}   (UDP or TCP)");
    }
    if let Some(browsers) = address(listening, Transport::Wss, "") {
        println!(
            "  a browser phone: wss://{browsers}, after a look at https://{browsers} to accept its certificate"
        );
    }
    println!("Then 1001 calls 1002. The operator's login is {} / {}", made.admin.username, made.admin.secret);
    if let Some(api) = api {
        let doors = api.addresses().iter().map(|(door, address)| match door {
            Door::Internal => format!("{address} on this machine"),
            Door::External => format!("{} with that login", reached(*address, "")),
        });
        println!("Programs change this over gRPC: {}", doors.collect::<Vec<_>>().join(", "));
    }
    println!(
        "(These secrets are shown this once; `trunkline agents update 1001 --generate-password` makes another.)"
    );
}

/// Where clients reach the first listener of a transport, without a port that goes without saying.
fn address(listening: &[Listener], transport: Transport, usual: &str) -> Option<String> {
    let listener = listening.iter().find(|l| l.transport == transport)?;
    Some(reached(listener.address, usual))
}

/// Where clients reach a listener.
fn reached(address: SocketAddr, usual: &str) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => machine(ip.is_ipv6()),
        ip => Some(ip),
    };
    let host = match ip {
        Some(IpAddr::V6(ip)) => format!("[{ip}]"),
        Some(IpAddr::V4(ip)) => ip.to_string(),
        None => "the address of this machine".to_owned(),
    };
    let port = format!(":{}", address.port());
    if port == usual { host } else { host + &port }
}

/// The address by which this machine is seen on its way out: a connected datagram socket tells, and nothing is sent.
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
    fn only_an_unusual_port_is_said() {
        assert_eq!(shown("192.0.2.7:5060", ":5060").as_deref(), Some("192.0.2.7"));
        assert_eq!(shown("192.0.2.7:5070", ":5060").as_deref(), Some("192.0.2.7:5070"));
        assert_eq!(shown("[2001:db8::7]:5060", "").as_deref(), Some("[2001:db8::7]:5060"));
        assert!(!shown("0.0.0.0:5060", ":5060").expect("something").contains("0.0.0.0"));
        assert_eq!(address_of(&[], ""), None);
    }
}
