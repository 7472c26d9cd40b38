//! How a phone is reached: the flow it came by, its connection, IPv6; and calls that outlive a restart.

use std::net::{SocketAddr, TcpListener};

use trunkline_tests::{Exchange, Ua, Wire, free_port, wait_for};

use super::dialogs::{connect, talking};
use super::operator::get;
use super::{DOMAIN, agents, at, registered};

#[test]
fn a_contact_behind_a_nat_is_reached_where_it_came_from() {
    let exchange = Exchange::start(&agents());
    let mut callee = super::phone(&exchange, "1002");
    // What a phone in a private network says of itself.
    let request = callee.register_request(600).set("Contact", "<sip:1002@10.99.98.97:5060>");
    assert_eq!(callee.ask(&request).0.status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert_eq!(arrived.uri(), "sip:1002@10.99.98.97:5060");
    // Its 200 has the private Contact too; ACK and BYE must find it all the same.
    let ok = callee.response(&arrived, 200, "OK").set("Contact", "<sip:1002@10.99.98.97:5060>");
    callee.send(&ok);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = trunkline_tests::Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn phones_on_tcp_are_reached_over_their_own_connections() {
    let exchange = Exchange::start(&agents());
    let mut phones = ["1001", "1002"].map(|user| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    });
    let [caller, callee] = &mut phones;
    let (mut a, mut b) = connect(caller, callee);
    let info = b.request(callee, "INFO");
    callee.send(&info);
    let arrived = caller.request_of("INFO");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&info, 200);
    let bye = a.request(caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn a_call_goes_on_after_a_kill_and_a_restart() {
    let mut exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
    exchange.kill();
    exchange.restart();
    let info = a.request(&caller, "INFO");
    caller.send(&info);
    let arrived = callee.request_of("INFO");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&info, 200);
    let bye = b.request(&callee, "BYE");
    callee.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&bye, 200);
}

#[test]
fn a_repeated_register_gets_an_equal_answer() {
    let exchange = Exchange::start(&agents());
    let mut ua = super::phone(&exchange, "1001");
    let request = ua.register_request(600);
    let (first, sent) = ua.ask(&request);
    ua.send(&sent);
    let again = ua.final_for(&sent);
    assert_eq!(again.status(), first.status());
    assert_eq!(again.list("Contact").len(), first.list("Contact").len());
}

#[test]
fn ipv6_beside_ipv4() {
    let port = free_port();
    let six = SocketAddr::from(([0_u16, 0, 0, 0, 0, 0, 0, 1], port));
    let four = SocketAddr::from(([127, 0, 0, 1], port));
    let both = format!("{four},{six}");
    let exchange = Exchange::start_at(port, &agents(), &[("TRUNKLINE_LISTEN_UDP", &both)]);
    let mut callee = Ua::udp(six, "1002", DOMAIN, "pw-1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = registered(&exchange, "1001");
    let (mut a, mut b) = connect(&mut caller, &mut callee);
    // The two sides see the exchange under different addresses: both Record-Routes are there (RFC 5658).
    assert_eq!(a.routes.len(), 2, "{:?}", a.routes);
    let info = b.request(&callee, "INFO");
    callee.send(&info);
    let arrived = caller.request_of("INFO");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&info, 200);
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

/// An INVITE that is too large for a datagram by RFC 3261 §18.1.1.
fn large_invite(caller: &Ua, to: &str) -> trunkline_tests::Message {
    let sdp = trunkline_tests::sdp(caller.wire.local(), "sendrecv") + &"a=x:1234567890\r\n".repeat(100);
    caller.request("INVITE", to).body("application/sdp", sdp)
}

#[test]
fn a_large_request_goes_over_udp_where_nobody_speaks_on_tcp() {
    let exchange = Exchange::start(&agents());
    let port = free_port();
    // Connections are let in, and no word is heard on them: as behind a firewall, but for who swallows it.
    let _mute = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let mut callee = Ua::new(Wire::udp_at(exchange.udp(), port), "1002", DOMAIN, "pw-1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = large_invite(&caller, &at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    assert!(arrived.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP ")), "{arrived:?}");
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn a_trunk_on_udp_is_spoken_to_over_udp_however_large_the_request() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    listener.set_nonblocking(true).expect("a live socket");
    let exchange = Exchange::start(&super::trunks::with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]));
    let mut provider = super::trunks::provider(port);
    let mut caller = registered(&exchange, "1001");
    let invite = large_invite(&caller, &at("+17853178070"));
    caller.call(&invite);
    let arrived = provider.request_of("INVITE");
    assert!(arrived.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/UDP ")), "{arrived:?}");
    assert!(listener.accept().is_err(), "the operator said UDP");
}

/// RFC 3261 §18.2.2: gateways close connections they have not used for a while, calls that ring or not.
#[test]
fn a_caller_whose_connection_ended_is_answered_where_it_listens() {
    let resources = super::trunks::with_trunk(&[("127.0.0.1:9", 1, "tcp")]);
    let http = format!("127.0.0.1:{}", free_port());
    let env = [("TRUNKLINE_HTTP_ADDR", &*http)];
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &env);
    let mut callee = registered(&exchange, "1002");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let listens = listener.local_addr().expect("bound");
    let mut gateway = Ua::tcp(exchange.tcp(), "+4930123456", "trunk.test", "");
    let invite = gateway.invite("sip:+17066041487@trunk.test");
    let via = gateway.via().replace(&gateway.wire.local().to_string(), &listens.to_string());
    let invite = invite.set("Via", via);
    gateway.send(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    gateway.status_for(&invite, 180);
    drop(gateway);
    // Until the exchange has noticed, it writes to a connection nobody reads from.
    wait_for("the connection to end", || {
        get(&http, "/metrics").1.contains("trunkline_connections_closed_total 1\n").then_some(())
    });
    callee.accept(&arrived);
    let mut gateway = Ua::new(Wire::accept(&listener), "+4930123456", "trunk.test", "");
    gateway.status_for(&invite, 200);
}
