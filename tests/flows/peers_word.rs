//! What a peer writes into its Contact is its own word: it makes no address a peer's.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, Resources, Ua, wait_for};

use super::marks::phone_from;
use super::{DOMAIN, agents, at};

/// Where nobody is.
const VICTIM: [u8; 4] = [127, 0, 0, 41];

fn resources() -> Resources {
    agents().peer("pbx", &at("pbx"), "pw-pbx", "").peer("marker", &at("marker"), "pw-marker", "")
}

/// A peer that registered this Contact from an address of its own, once the exchange has looked at where peers are.
fn registers(exchange: &Exchange, contact: &str) -> Ua {
    let mut peer = phone_from(exchange, [127, 0, 0, 2], "pbx");
    let register = peer.register_request(600).set("Contact", format!("<{contact}>"));
    assert_eq!(peer.ask(&register).0.status(), 200, "{contact}");
    let mut marker = phone_from(exchange, [127, 0, 0, 5], "marker");
    assert_eq!(marker.register(600).status(), 200);
    wait_for("the next look at where peers are", || {
        (contact_status(exchange, [127, 0, 0, 6], &named(&marker)) == 403).then_some(())
    });
    peer
}

/// Another name of where somebody is: an address in the URI itself would be reached by the phone's own flow.
fn named(ua: &Ua) -> String {
    let at = ua.wire.local();
    format!("sip:x@sbc.example:{};maddr={}", at.port(), at.ip())
}

/// What a phone at this address is told that registers the Contact.
fn contact_status(exchange: &Exchange, host: [u8; 4], contact: &str) -> u16 {
    let mut phone = phone_from(exchange, host, "1001");
    let register = phone.register_request(600).set("Contact", format!("<{contact}>"));
    let status = phone.ask(&register).0.status();
    let away = phone.register_request(0).set("Contact", "*");
    phone.ask(&away);
    status
}

/// Bytes that come back to the victim beyond those that it sends in a burst.
fn beyond(exchange: &Exchange) -> i64 {
    let socket = UdpSocket::bind((std::net::IpAddr::from(VICTIM), 0)).expect("a UDP port");
    socket.set_read_timeout(Some(Duration::from_millis(400))).expect("a live socket");
    let me = socket.local_addr().expect("bound");
    let (mut beyond, mut buffer, begun) = (0, [0; 4096], Instant::now());
    for n in 0..100 {
        let request = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nv:SIP/2.0/UDP {me};branch=z9hG4bK{n}\r\nf:<sip:a@{DOMAIN}>;tag=1\r\nt:<sip:a@{DOMAIN}>\r\ni:{n}.{me}\r\nCSeq:1 REGISTER\r\nl:0\r\n\r\n"
        );
        socket.send_to(request.as_bytes(), exchange.udp()).expect("sent");
        beyond -= request.len() as i64;
    }
    while let Ok(n) = socket.recv(&mut buffer) {
        beyond += n as i64;
    }
    // What is allowed in each second that it took.
    beyond - 4096 * (begun.elapsed().as_secs() as i64 + 1)
}

/// An exchange where a peer has registered this Contact, which leads to the victim.
fn with_a_lie(contact: &str) -> (Exchange, Ua) {
    let [a, b, c, d] = VICTIM;
    let hosts = format!("dns: {{hosts: {{victim.example: [{a}.{b}.{c}.{d}]}}}}\n");
    let exchange = Exchange::start_with(&resources(), &hosts, &[]);
    let peer = registers(&exchange, contact);
    (exchange, peer)
}

/// Contacts that lead to the victim.
const LIES: [&str; 3] = [
    "sip:pbx@victim.example:5060",
    "sip:pbx@victim.example:5060;transport=tcp",
    "sip:pbx@sbc.example:5060;maddr=127.0.0.41",
];

#[test]
fn a_peers_contact_proves_no_address() {
    for contact in LIES {
        let (exchange, _peer) = with_a_lie(contact);
        let left = beyond(&exchange);
        assert!(left <= 0, "{contact}: {left} bytes too many");
    }
}

/// A phone there registers that port, from another one; and another's Contact leads there as anywhere.
#[test]
fn a_peers_contact_keeps_no_phone_away() {
    for contact in LIES {
        let (exchange, _peer) = with_a_lie(contact);
        let there = "sip:1001@sbc.example:5060;maddr=127.0.0.41";
        for host in [VICTIM, [127, 0, 0, 7]] {
            assert_eq!(contact_status(&exchange, host, there), 200, "{contact} {host:?}");
        }
    }
}

/// Where a peer's packets come from is a peer's while it is registered, and no longer.
#[test]
fn a_peers_own_address_is_its_own_while_it_is_registered() {
    let exchange = Exchange::start(&resources());
    let mut peer = phone_from(&exchange, [127, 0, 0, 2], "pbx");
    assert_eq!(peer.register(600).status(), 200);
    let own = named(&peer);
    let is = |status: u16| (contact_status(&exchange, [127, 0, 0, 7], &own) == status).then_some(());
    wait_for("the peer's address to be its own", || is(403));
    let away = peer.register_request(0).set("Contact", "*");
    assert_eq!(peer.ask(&away).0.status(), 200);
    wait_for("nothing to remain of it", || is(200));
}

/// A REGISTER that no digest came with, from an address that may be forged, in a domain that asks its phones for none.
#[test]
fn an_unproven_registration_makes_no_address_a_peers() {
    let open = resources().domain("open.test", "never").peer("server", "sip:server@open.test", "pw", "");
    let exchange = Exchange::start(&open);
    let mut forger = Ua::udp(exchange.udp(), "server", "open.test", "");
    forger.wire = trunkline_tests::Wire::udp_from(VICTIM.into(), exchange.udp());
    let request = forger.register_request(600);
    assert_eq!(forger.ask(&request).0.status(), 401);
    let _peer = registers(&exchange, "sip:pbx@127.0.0.2:5060");
    assert_eq!(contact_status(&exchange, [127, 0, 0, 7], &named(&forger)), 200);
}
