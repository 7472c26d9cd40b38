//! ICMP errors are forged easily: one counts only when it quotes a branch of ours that waits for its first response (RFC 3261 §18.4).

use std::net::{Ipv4Addr, SocketAddrV4};

use trunkline_tests::{Dialog, Exchange, Message, Network, Side, Ua, Wire, free_port};

use super::{DOMAIN, agents, at};

/// Of these bytes, as IP and ICMP have it (RFC 1071).
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

/// "Port unreachable" for a datagram that begins with these bytes.
fn port_unreachable(from: SocketAddrV4, to: SocketAddrV4, quoted: &[u8]) -> Vec<u8> {
    let length = |n: usize| u16::try_from(n).expect("a short datagram").to_be_bytes();
    let mut ip = vec![0x45, 0];
    ip.extend(length(28 + quoted.len()));
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend(from.ip().octets());
    ip.extend(to.ip().octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let udp = [from.port().to_be_bytes(), to.port().to_be_bytes(), length(8 + quoted.len()), [0, 0]].concat();
    let mut icmp = [&[3, 3, 0, 0, 0, 0, 0, 0], &ip[..], &udp, quoted].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    icmp
}

/// An exchange on a network where a stranger may send anything, and two phones.
struct Place {
    caller: Ua,
    callee: Ua,
    server: SocketAddrV4,
    _exchange: Exchange,
    network: Network,
}

impl Place {
    fn open() -> Place {
        let network = Network::behind_a_nat();
        let exchange = network.on(Side::Outside, || {
            let port = free_port();
            // Loopback is for the question whether it has started.
            let at = format!("127.0.0.1:{port},{}:{port}", Network::EXCHANGE);
            Exchange::start_at(
                port,
                &agents(),
                &[("TRUNKLINE_LISTEN_UDP", &at), ("TRUNKLINE_LISTEN_TCP", &at)],
            )
        });
        let server = SocketAddrV4::new(Network::EXCHANGE, exchange.udp().port());
        let [caller, callee] = ["1001", "1002"].map(|user| {
            let wire = network.on(Side::Outside, || Wire::udp_from(Network::OUTSIDE.into(), server.into()));
            let mut ua = Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
            assert_eq!(ua.register(600).status(), 200);
            ua
        });
        Place { caller, callee, server, _exchange: exchange, network }
    }

    /// A stranger says that what began so did not reach the callee.
    fn forge(&self, quoted: &[u8]) {
        let callee: Ipv4Addr = Network::OUTSIDE;
        let packet =
            port_unreachable(self.server, SocketAddrV4::new(callee, self.callee.wire.local().port()), quoted);
        let hex: String = packet.iter().map(|b| format!("{b:02x}")).collect();
        let send =
            "import socket, sys; socket.socket(2, 3, 1).sendto(bytes.fromhex(sys.argv[1]), (sys.argv[2], 0))";
        self.network.within(Side::Outside, &format!("python3 -c '{send}' {hex} {}", self.server.ip()));
    }
}

/// The beginning of a request as it was sent, up to its branch.
fn beginning(request: &Message) -> String {
    format!("{}\r\nVia: {}\r\n", request.start, request.get("Via").expect("a Via"))
}

#[test]
fn a_forged_icmp_error_ends_nothing_unless_it_quotes_the_branch() {
    let mut place = Place::open();
    let invite = place.caller.call(&place.caller.invite(&at("1002")));
    let arrived = place.callee.request_of("INVITE");
    let real = beginning(&arrived);
    let branch = arrived.branch().expect("a branch");
    let guessed = real.replace(branch, &"z9hG4bKguessed".repeat(8)[..branch.len()]);
    assert_ne!(guessed, real);
    // Nobody who has not seen it knows the branch; routers quote little (RFC 792).
    for quoted in [&guessed, "INVITE s", &real[..40], ""] {
        place.forge(quoted.as_bytes());
    }
    place.callee.respond(&arrived, 180, "Ringing");
    place.caller.status_for(&invite, 180);
    // Something was heard of this branch: it is there.
    place.forge(real.as_bytes());
    let sent = place.callee.accept(&arrived);
    let ok = place.caller.status_for(&invite, 200);
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
    let ack = a.request(&place.caller, "ACK");
    place.caller.send(&ack);
    place.callee.request_of("ACK");
    // Nor does any end the dialog.
    for quoted in [&real, &guessed] {
        place.forge(quoted.as_bytes());
    }
    let info = b.request(&place.callee, "INFO");
    place.callee.send(&info);
    let arrived = place.caller.request_of("INFO");
    place.caller.respond(&arrived, 200, "OK");
    place.callee.status_for(&info, 200);
    let bye = a.request(&place.caller, "BYE");
    place.caller.send(&bye);
    let arrived = place.callee.request_of("BYE");
    place.callee.respond(&arrived, 200, "OK");
    place.caller.status_for(&bye, 200);
    // The binding stands, too; and one that is right counts at once.
    let invite = place.caller.call(&place.caller.invite(&at("1002")));
    let arrived = place.callee.request_of("INVITE");
    place.forge(beginning(&arrived).as_bytes());
    assert_eq!(place.caller.final_for(&invite).status(), 480);
}
