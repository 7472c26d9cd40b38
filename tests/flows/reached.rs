//! How a party is reached whose Contact does not lead to it: judged for each Contact alike, of whoever it is.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, Wire, free_port, wait_for};

use super::trunks::{provider, with_trunk};
use super::{DOMAIN, agents, at, phone, registered};

/// What a phone or gateway in a private network says of itself.
const PRIVATE: &str = "10.99.98.97:5060";
const QUIET: Duration = Duration::from_millis(300);

/// Hangs up from this side; the BYE arrives at the other.
fn hang_up(dialog: &mut Dialog, from: &mut Ua, to: &mut Ua) {
    let bye = dialog.request(from, "BYE");
    from.send(&bye);
    let arrived = to.request_of("BYE");
    to.respond(&arrived, 200, "OK");
    from.status_for(&bye, 200);
}

/// The caller has an established dialog with the callee, whose side this is.
fn take(callee: &mut Ua, caller: &mut Ua, invite: &Message) -> Dialog {
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(invite, 200);
    caller.send(&Dialog::of_caller(invite, &ok).request(caller, "ACK"));
    callee.request_of("ACK");
    Dialog::of_callee(&arrived, &sent)
}

#[test]
fn a_caller_behind_a_nat_gets_what_the_callee_sends() {
    let exchange = Exchange::start(&agents());
    let mut caller = phone(&exchange, "1001");
    let contact = format!("<sip:1001@{PRIVATE}>");
    let (answer, _) = caller.ask(&caller.register_request(600).set("Contact", &contact));
    assert!(answer.get("Contact").is_some_and(|c| c.contains("expires=60")), "refreshes keep the NAT open");
    let mut callee = registered(&exchange, "1002");
    for rport in [";rport", ""] {
        let via = caller.via().replace(";rport", rport);
        let invite = caller.invite(&at("1002")).set("Contact", &contact).set("Via", via);
        let invite = caller.call(&invite);
        hang_up(&mut take(&mut callee, &mut caller, &invite), &mut callee, &mut caller);
    }
}

#[test]
fn a_gateway_behind_a_nat_gets_what_the_caller_sends() {
    let port = free_port();
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut gateway = provider(port);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let Wire::Udp { server, .. } = &mut gateway.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
    let arrived = gateway.request_of("INVITE");
    let ok = gateway.response(&arrived, 200, "OK").set("Contact", format!("<sip:gw@{PRIVATE}>"));
    gateway.send(&ok);
    let mut dialog = Dialog::of_caller(&invite, &caller.status_for(&invite, 200));
    caller.send(&dialog.request(&caller, "ACK"));
    gateway.request_of("ACK");
    hang_up(&mut dialog, &mut caller, &mut gateway);
}

/// One private Contact says nothing of the others in the same REGISTER.
#[test]
fn each_contact_of_a_register_is_judged_by_itself() {
    let exchange = Exchange::start(&agents());
    let mut one = phone(&exchange, "1002");
    let mut other = Ua::new(Wire::udp_from([127, 0, 0, 2].into(), exchange.udp()), "1002", DOMAIN, "");
    let private = format!("<sip:1002@{PRIVATE}>");
    let both = format!("{private}, <{}>", other.contact());
    assert_eq!(one.ask(&one.register_request(600).set("Contact", both)).0.status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    assert_eq!(one.request_of("INVITE").uri(), format!("sip:1002@{PRIVATE}"));
    let arrived = other.request_of("INVITE");
    assert_eq!(arrived.uri(), other.contact());
    other.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn a_phone_that_sends_from_another_port_than_it_listens_on_is_reached_at_its_contact() {
    let exchange = Exchange::start(&agents());
    let mut listens = phone(&exchange, "1001");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let send = |message: &Message| sender.send_to(&message.bytes(), exchange.udp()).expect("sent");
    let mut callee = registered(&exchange, "1002");
    let without_rport = |request: Message, ua: &Ua| request.set("Via", ua.via().replace(";rport", ""));
    let invite = without_rport(listens.invite(&at("1002")), &listens);
    send(&invite);
    let challenge = listens.final_for(&invite);
    let again = listens.authorise(&invite, &challenge, 1).expect("a challenge");
    let again = without_rport(again, &listens);
    send(&again);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    listens.status_for(&again, 200);
    hang_up(&mut Dialog::of_callee(&arrived, &sent), &mut callee, &mut listens);
}

#[test]
fn a_connection_lives_as_long_as_its_binding() {
    let exchange = Exchange::start_with(&agents(), "limits: {idleSeconds: 2}\n", &[]);
    let mut callee = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
    assert_eq!(callee.register(300).status(), 200);
    // One that registered nobody is closed as idle, later than the phone's would be.
    let mut idle = Ua::tcp(exchange.tcp(), "nobody", DOMAIN, "");
    let options = idle.request("OPTIONS", &format!("sip:{DOMAIN}"));
    idle.ask(&options);
    wait_for("an idle connection to be closed", || {
        idle.wire.recv(Duration::from_millis(100)).is_err().then_some(())
    });
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    take(&mut callee, &mut caller, &invite);
}

#[test]
fn a_phone_that_came_back_on_another_connection_is_found_in_its_dialogs() {
    let exchange = Exchange::start(&agents());
    let tcp = || Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
    let mut callee = tcp();
    assert_eq!(callee.register(300).status(), 200);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.accept(&arrived);
    let mut dialog = Dialog::of_caller(&invite, &caller.status_for(&invite, 200));
    caller.send(&dialog.request(&caller, "ACK"));
    callee.request_of("ACK");
    drop(callee);
    let mut callee = tcp();
    assert_eq!(callee.register(300).status(), 200);
    hang_up(&mut dialog, &mut caller, &mut callee);
}

/// RFC 3263 would take UDP for a Contact without a transport, on which nobody listens there.
#[test]
fn a_callee_that_was_reached_over_tcp_is_reached_by_that_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here: SocketAddr = listener.local_addr().expect("bound");
    let resources = with_trunk(&[(&here.to_string(), 1, "tcp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let datagrams = UdpSocket::bind(here).expect("the same port");
    datagrams.set_read_timeout(Some(QUIET)).expect("a live socket");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let mut gateway = Ua::new(Wire::accept(&listener), "gw", "provider.test", "");
    let arrived = gateway.request_of("INVITE");
    gateway.send(&gateway.response(&arrived, 200, "OK").set("Contact", format!("<sip:gw@{here}>")));
    let mut dialog = Dialog::of_caller(&invite, &caller.status_for(&invite, 200));
    caller.send(&dialog.request(&caller, "ACK"));
    gateway.request_of("ACK");
    hang_up(&mut dialog, &mut caller, &mut gateway);
    assert!(datagrams.recv(&mut [0; 1500]).is_err(), "nothing goes by UDP");
}

/// A NAT drops a connection without a word, and a phone gets another port: it registers anew, and is found there, though its old
/// way looks alive.
#[test]
fn a_phone_that_registers_by_another_way_is_found_there_in_its_dialogs() {
    for tcp in [true, false] {
        let exchange = Exchange::start(&agents());
        let phone = || match tcp {
            true => Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002"),
            false => Ua::udp(exchange.udp(), "1002", DOMAIN, "pw-1002"),
        };
        let register = |ua: &mut Ua| {
            let contact = "<sip:1002@10.0.0.7:5060>;+sip.instance=\"<urn:uuid:1>\"";
            let request = ua.register_request(300).set("Contact", contact);
            assert_eq!(ua.ask(&request).0.status(), 200);
        };
        let mut old = phone();
        register(&mut old);
        let mut caller = registered(&exchange, "1001");
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = old.request_of("INVITE");
        let answer = old.response(&arrived, 200, "OK").set("Contact", "<sip:1002@10.0.0.7:5060>");
        old.send(&answer);
        let mut dialog = Dialog::of_caller(&invite, &caller.status_for(&invite, 200));
        caller.send(&dialog.request(&caller, "ACK"));
        old.request_of("ACK");
        let mut new = phone();
        register(&mut new);
        let info = dialog.request(&caller, "INFO");
        caller.send(&info);
        let arrived = new.request_of("INFO");
        new.respond(&arrived, 200, "OK");
        caller.status_for(&info, 200);
        // It comes back by the old way.
        register(&mut old);
        hang_up(&mut dialog, &mut caller, &mut old);
    }
}

/// Registers as a phone in a private network, with a Call-ID of its own.
fn registers_at(ua: &mut Ua, contact: &str, call_id: &str) {
    let request = ua.register_request(300).set("Contact", format!("<{contact}>")).set("Call-ID", call_id);
    assert_eq!(ua.ask(&request).0.status(), 200);
}

/// 1002 is called from behind a NAT and says something: that goes to the caller's own port.
fn is_answered_where_it_calls_from(callee: &mut Ua, caller: &mut Ua, contact: &str, between: impl FnOnce()) {
    let invite = caller.invite(&at("1002")).set("Contact", format!("<{contact}>"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let accepted = callee.accept(&arrived);
    caller.status_for(&invite, 200);
    between();
    let mut dialog = Dialog::of_callee(&arrived, &accepted);
    for method in ["INFO", "BYE"] {
        let request = dialog.request(callee, method);
        callee.send(&request);
        let arrived = caller.request_of(method);
        caller.respond(&arrived, 200, "OK");
        callee.status_for(&request, 200);
    }
}

/// A NAT gives the port that one account's phone has left to another one's, which calls before its next REGISTER.
#[test]
fn a_port_that_one_phone_has_left_is_not_left_by_the_next() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let phone = |user: &str| Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"));
    let (mut before, mut after, mut other) = (phone("1001"), phone("1001"), phone("1003"));
    registers_at(&mut before, "sip:1001@10.0.0.7:5060", "one");
    registers_at(&mut other, "sip:1003@10.0.0.8:5060", "two");
    let later = after.register_request(300).set("Contact", "<sip:1001@10.0.0.7:5060>");
    let later = later.set("Call-ID", "one").set("CSeq", "9 REGISTER");
    assert_eq!(after.ask(&later).0.status(), 200);
    (before.user, before.password) = ("1003".into(), "pw-1003".into());
    is_answered_where_it_calls_from(&mut callee, &mut before, "sip:1003@10.0.0.8:5060", || ());
}

/// Two phones of one account in two private networks with the same addresses.
#[test]
fn a_phone_with_the_contact_of_another_has_not_moved() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let phone = || Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    let (mut first, mut second) = (phone(), phone());
    let contact = "sip:1001@10.0.0.7:5060";
    registers_at(&mut first, contact, "one");
    is_answered_where_it_calls_from(&mut callee, &mut first, contact, || {
        registers_at(&mut second, contact, "two");
    });
}
