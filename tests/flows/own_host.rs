//! The exchange's own host under every address that its kernel takes for its own, whether an interface has it or not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use trunkline_tests::{Exchange, Message, Network, Side, Ua, Wire, free_port, wait_for};

use super::{DOMAIN, agents, at};

/// A network of the exchange's side in IPv6: its own address there, and a phone's.
const HERE: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 1);
/// The subnet-router anycast address of that network (RFC 4291 §2.6.1).
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 0);
/// One of a prefix that is routed to the host itself.
const ROUTED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 33);
const INSIDE_V6: Ipv6Addr = Ipv6Addr::new(0xfd55, 0, 0, 0, 0, 0, 0, 2);

fn register_at(ua: &mut Ua, contact: &str) -> Message {
    let request = ua.register_request(600).set("Contact", format!("<{contact}>"));
    ua.ask(&request).0
}

/// A name that leads nowhere, and the address: a private one in its place would be reached by the phone's flow alone.
fn contact_at(at: SocketAddr, transport: &str) -> String {
    let host = at.to_string().rsplit_once(':').map(|(host, _)| host.to_owned()).unwrap_or_default();
    format!("sip:u@phone.example:{};maddr={host};transport={transport}", at.port())
}

#[test]
fn what_the_kernel_delivers_here_is_no_phones_contact() {
    let network = Network::behind_a_nat();
    // Phones of another host: the one that translates, which is on the exchange's network.
    network.ip_on(Side::Outside, "-6 address add fd55::1/64 dev cable nodad");
    network.ip_on(Side::Nat, "-6 address add fd55::2/64 dev public nodad");
    network.within(Side::Outside, "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
    let exchange = network.on(Side::Outside, || {
        let port = free_port();
        let at = format!("127.0.0.1:{port},{}:{port},[{HERE}]:{port}", Network::EXCHANGE);
        Exchange::start_at(port, &agents(), &[("TRUNKLINE_LISTEN_UDP", at.as_str())])
    });
    let port = exchange.udp().port();
    let phone = |from: IpAddr, to: IpAddr| {
        let wire = network.on(Side::Nat, || Wire::udp_from(from, SocketAddr::from((to, port))));
        Ua::new(wire, "1002", DOMAIN, "pw-1002")
    };
    let mut v4 = phone(Network::NAT.into(), Network::EXCHANGE.into());
    let mut v6 = phone(INSIDE_V6.into(), HERE.into());
    for there in [IpAddr::from(Network::EXCHANGE), HERE.into(), ROUTER.into()] {
        let ua = if there.is_ipv4() { &mut v4 } else { &mut v6 };
        let host = SocketAddr::new(there, 9999);
        for contact in ["udp", "tcp"].map(|transport| contact_at(host, transport)) {
            let answer = register_at(ua, &contact);
            assert!(
                answer.start.ends_with("Contact Leads to the Exchange's Host"),
                "{contact}: {}",
                answer.start
            );
        }
    }
    // A prefix becomes the host's while it runs: what was registered before leads there no more.
    let contact = contact_at((ROUTED, 9999).into(), "udp");
    assert_eq!(register_at(&mut v4, &contact).status(), 200, "a host somewhere else");
    network.ip_on(Side::Outside, "route add local 192.0.2.0/24 dev lo");
    let canary =
        network.on(Side::Outside, || std::net::UdpSocket::bind("0.0.0.0:9999").expect("a free port"));
    canary.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    wait_for("the kernel's list to be read again", || {
        (register_at(&mut v4, &contact).status() == 403).then_some(())
    });
    let caller =
        network.on(Side::Nat, || Wire::udp_from(Network::NAT.into(), (Network::EXCHANGE, port).into()));
    let mut caller = Ua::new(caller, "1001", DOMAIN, "pw-1001");
    let message = caller.request("MESSAGE", &at("1002"));
    let (answer, _) = caller.ask(&message);
    assert!(answer.status() >= 400, "{}", answer.start);
    let mut buffer = [0; 2048];
    assert!(canary.recv(&mut buffer).is_err(), "{}", String::from_utf8_lossy(&buffer));
}
