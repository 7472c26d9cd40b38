//! Contacts at an address that has never shown that it is there: one request makes one sending go there, not dozens.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use trunkline_tests::{Dialog, Exchange, Ua, Wire, wait_for};

use super::{DOMAIN, agents, at, phone, registered};

/// What an address gets in a second beyond what the request that made it go there paid for.
const ALLOWANCE: usize = 4096;
/// As long as two repetitions of timer A and E take.
const AFTER: Duration = Duration::from_millis(2_000);

/// Nobody's address.
fn victim() -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.77", 0)).expect("a UDP port");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a live socket");
    socket
}

/// The first that arrives, and the others within a moment, by their lengths.
fn first(socket: &UdpSocket) -> Vec<usize> {
    let mut lengths = vec![wait_for("something to arrive", || socket.recv(&mut vec![0; 65_536]).ok())];
    lengths.extend(arrived(socket, Duration::from_millis(400)));
    lengths
}

/// The datagrams that arrive in the time, by their lengths.
fn arrived(socket: &UdpSocket, time: Duration) -> Vec<usize> {
    let (end, mut buffer, mut lengths) = (Instant::now() + time, vec![0; 65_536], Vec::new());
    while Instant::now() < end {
        lengths.extend(socket.recv(&mut buffer));
    }
    lengths
}

fn from(exchange: &Exchange, ip: [u8; 4], user: &str) -> Ua {
    Ua::new(Wire::udp_from(ip.into(), exchange.udp()), user, DOMAIN, &format!("pw-{user}"))
}

/// `user` registers so many contacts there.
fn registers_at(ua: &mut Ua, victim: &UdpSocket, count: usize) {
    let port = victim.local_addr().expect("bound").port();
    let contact = |n: usize| format!("<sip:u{n}@victim.example:{port};maddr=127.0.0.77;transport=udp>");
    let mut request = ua.register_request(600).set("Contact", contact(0));
    for n in 1..count {
        request = request.with("Contact", contact(n));
    }
    assert_eq!(ua.ask(&request).0.status(), 200);
}

#[test]
fn ten_contacts_at_a_strangers_address_make_one_sending_and_the_allowance() {
    let exchange = Exchange::start(&agents());
    let victim = victim();
    registers_at(&mut from(&exchange, [127, 0, 0, 3], "1002"), &victim, 10);
    let mut caller = from(&exchange, [127, 0, 0, 2], "1001");
    assert_eq!(caller.register(600).status(), 200);
    for (method, body) in [("INVITE", 0), ("MESSAGE", 0), ("INVITE", 20_000)] {
        let mut request = caller.request(method, &at("1002"));
        if body > 0 {
            request = request.body("text/plain", "x".repeat(body));
        }
        caller.send(&request);
        let challenge = caller.final_for(&request);
        caller.acknowledge_failure(&request, &challenge);
        let request = caller.authorise(&request, &challenge, 1).expect("a challenge");
        let paid = request.bytes().len();
        caller.send(&request);
        let first = first(&victim);
        let got: usize = first.iter().sum();
        assert!(got <= paid + ALLOWANCE, "{method}: {got} for {paid}");
        // Each of ten that could not be sent is sent once as the allowance grows again; none is repeated.
        let later = arrived(&victim, AFTER);
        assert!(first.len() + later.len() <= 10, "{method}: {} and {}", first.len(), later.len());
    }
}

#[test]
fn who_answers_there_is_rung_as_anybody() {
    let exchange = Exchange::start(&agents());
    let mut away = Ua::new(Wire::udp_from([127, 0, 0, 77].into(), exchange.udp()), "u0", DOMAIN, "");
    let Wire::Udp { socket, .. } = &away.wire else { unreachable!("made on UDP") };
    let there = socket.try_clone().expect("a socket");
    registers_at(&mut from(&exchange, [127, 0, 0, 3], "1002"), &there, 1);
    let mut caller = registered(&exchange, "1001");
    let message = caller.request("MESSAGE", &at("1002"));
    caller.send(&message);
    let challenge = caller.final_for(&message);
    let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
    caller.send(&message);
    let got = away.request_of("MESSAGE");
    away.respond(&got, 200, "OK");
    caller.status_for(&message, 200);
    // It has shown that it is there, so that what is lost is repeated from now on.
    let message = caller.request("MESSAGE", &at("1002"));
    caller.send(&message);
    let challenge = caller.final_for(&message);
    let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
    caller.send(&message);
    let lost = away.request_of("MESSAGE");
    let again = away.expect_again("a repetition", |m| m.branch() == lost.branch());
    away.respond(&again, 200, "OK");
    caller.status_for(&message, 200);
}

#[test]
fn inside_a_dialog_a_contact_elsewhere_gets_no_more() {
    let exchange = Exchange::start(&agents());
    let victim = victim();
    let port = victim.local_addr().expect("bound").port();
    let mut caller = registered(&exchange, "1001");
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    let contact = format!("<sip:v@victim.example:{port};maddr=127.0.0.77>");
    let invite = caller.call(&caller.invite(&at("1002")).set("Contact", contact));
    let arrived_there = callee.request_of("INVITE");
    let accepted = callee.accept(&arrived_there);
    caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_callee(&arrived_there, &accepted);
    let mut paid = 0;
    for _ in 0..10 {
        let info = dialog.request(&callee, "INFO").body("text/plain", "x".repeat(800));
        paid += info.bytes().len();
        callee.send(&info);
    }
    let first = first(&victim);
    let got: usize = first.iter().sum();
    assert!(got <= paid + ALLOWANCE, "{got} for {paid}");
    assert!(first.len() + arrived(&victim, AFTER).len() <= 10, "none is repeated");
}
