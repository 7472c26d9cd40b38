//! A carrier that sees us through a NAT is told the address that leads back to us, as it says itself (RFC 3581).

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, Wire, free_port, uri, wait_for};

use super::trunk_registration::{CHALLENGE, LOGIN, NUMBER, grant, resources, start, wait_state};
use super::{at, registered};

const SEEN: &str = "203.0.113.7:40001";

/// The response as one writes it whom our request reached from this address.
fn seen_from(response: Message, address: &str) -> Message {
    let (ip, port) = address.rsplit_once(':').expect("an address with its port");
    let via = response.get("Via").expect("a Via").replace(";rport", &format!(";received={ip};rport={port}"));
    response.set("Via", via)
}

fn contacts(register: &Message) -> Vec<String> {
    register.list("Contact")
}

#[test]
fn the_challenge_tells_and_calls_come_to_what_was_told() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let first = carrier.request_of("REGISTER");
    assert_eq!(contacts(&first), [format!("<sip:{};bnc>", exchange.udp())]);
    let refusal = carrier.response(&first, 401, "Unauthorized").with("WWW-Authenticate", CHALLENGE);
    carrier.send(&seen_from(refusal, SEEN));
    let second = carrier.request_of("REGISTER");
    assert!(second.get("Authorization").is_some());
    assert_eq!(contacts(&second), [format!("<sip:{SEEN};bnc>")]);
    grant(&mut carrier, &second, 600);
    wait_state(&exchange, true);

    let mut callee = registered(&exchange, "1002");
    let mut invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
    invite.start = format!("INVITE sip:{NUMBER}@{SEEN} SIP/2.0");
    let invite = carrier.call(&invite);
    let arrived = callee.request_of("INVITE");
    let answer = callee.accept(&arrived);
    let ok = carrier.status_for(&invite, 200);
    assert!(ok.list("Record-Route").iter().any(|r| r.contains(SEEN)), "{ok:?}");
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&carrier, "ACK");
    carrier.send(&ack);
    callee.request_of("ACK");
    let bye = Dialog::of_callee(&arrived, &answer).request(&callee, "BYE");
    callee.send(&bye);
    let hung_up = carrier.request_of("BYE");
    assert!(hung_up.get("Via").is_some_and(|via| via.contains(SEEN)), "{hung_up:?}");
    carrier.respond(&hung_up, 200, "OK");
    callee.status_for(&bye, 200);
    assert!(carrier.silent(Duration::from_millis(300), |m| m.method() == "REGISTER"));
}

#[test]
fn without_a_challenge_it_registers_again_and_takes_back_the_first_contact() {
    let (exchange, mut carrier) = start(LOGIN.1, &[]);
    let first = carrier.request_of("REGISTER");
    let granted = |carrier: &Ua, register: &Message| {
        let contact = format!("{};expires=600", register.get("Contact").expect("a Contact"));
        carrier.response(register, 200, "OK").set("Contact", contact)
    };
    let answer = granted(&carrier, &first);
    carrier.send(&seen_from(answer, SEEN));
    let second =
        carrier.expect("another REGISTER", |m| m.method() == "REGISTER" && m.cseq().0 > first.cseq().0);
    assert_eq!(
        contacts(&second),
        [format!("<sip:{SEEN};bnc>"), format!("<sip:{};bnc>;expires=0", exchange.udp())]
    );
    // A NAT that has another port for every packet is not followed for ever.
    let answer = granted(&carrier, &second);
    carrier.send(&seen_from(answer, "203.0.113.7:40002"));
    assert!(carrier.silent(Duration::from_millis(700), |m| {
        m.method() == "REGISTER" && m.cseq().0 > second.cseq().0
    }));
    assert_eq!(wait_state(&exchange, true)["answer"], "200 OK");
}

/// A carrier says that we are where another carrier is, or a phone: that is no reason to send nothing there any more.
#[test]
fn what_a_carrier_claims_takes_nobody_elses_address() {
    let (ports, other) = ([free_port(), free_port()], "127.0.0.51");
    let resources = resources(ports[0], "udp", LOGIN.1)
        .domain_with("other.test", "all", &[(".*", "+15550001111")], "")
        .agent("other.test", "2001", "pw-2001")
        .trunk("good", "good.test", &[(&format!("{other}:{}", ports[1]), 1, "udp")], None)
        .number("+15550001111", "good", "sip:2001@other.test");
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut hostile = Ua::new(Wire::udp_at(exchange.udp(), ports[0]), "hostile", "hostile.test", "");
    let socket = UdpSocket::bind((other, ports[1])).expect("a free port");
    let mut good = Ua::new(Wire::udp_on(socket, exchange.udp()), "good", "good.test", "");
    let mut caller = Ua::udp(exchange.udp(), "2001", "other.test", "pw-2001");
    let mut phone = registered(&exchange, "1001");
    let phone_at = phone.wire.local().to_string();
    // First the other carrier's address, then the phone's.
    for claim in [format!("{other}:{}", ports[1]), phone_at] {
        let register = hostile.request_of("REGISTER");
        let refusal = hostile.response(&register, 401, "Unauthorized").with("WWW-Authenticate", CHALLENGE);
        hostile.send(&seen_from(refusal, &claim));
        let again = hostile.request_of("REGISTER");
        let told = contacts(&again)[0].clone();
        assert!(!told.contains(other), "an address of a trunk is not ours: {told}");
        let contact = format!("{};expires=8", again.get("Contact").expect("a Contact"));
        let answer = hostile.response(&again, 200, "OK").set("Contact", contact);
        hostile.send(&seen_from(answer, &claim));
        wait_state(&exchange, true);

        let invite = caller.invite("sip:+15551234567@other.test");
        let invite = caller.call(&invite);
        let arrived = good.request_of("INVITE");
        good.respond(&arrived, 486, "Busy Here");
        let failure = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &failure);
        let mut colleague = super::phone(&exchange, "1002");
        let message = colleague.request("MESSAGE", &at("1001"));
        let sent = colleague.call(&message);
        let arrived = phone.request_of("MESSAGE");
        phone.respond(&arrived, 200, "OK");
        colleague.status_for(&sent, 200);
    }
}

#[test]
fn a_connection_that_ends_is_made_again() {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let config = "routing: {qualifySeconds: 0}\n";
    let exchange = Exchange::start_with(&resources(port, "tcp", LOGIN.1), config, &[]);
    let mut told = Vec::new();
    for seen in [SEEN, "203.0.113.7:40002"] {
        let mut carrier = Ua::new(Wire::accept(&listener), "carrier", "carrier.test", "");
        let first = carrier.request_of("REGISTER");
        let refusal = carrier.response(&first, 401, "Unauthorized").with("WWW-Authenticate", CHALLENGE);
        carrier.send(&seen_from(refusal, seen));
        let second = carrier.request_of("REGISTER");
        told.push(uri(&contacts(&second)[0]).to_owned());
        grant(&mut carrier, &second, 600);
        wait_for("the operator to see it", || {
            (wait_state(&exchange, true)["registered"] == true).then_some(())
        });
        // Calls come by the connection we made, under whatever address.
        let mut callee = registered(&exchange, "1002");
        let mut invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test"));
        invite.start = format!("INVITE sip:{NUMBER}@{seen};transport=tcp SIP/2.0");
        let invite = carrier.call(&invite);
        let arrived = callee.request_of("INVITE");
        callee.accept(&arrived);
        carrier.status_for(&invite, 200);
    }
    assert_eq!(told, [SEEN, "203.0.113.7:40002"].map(|at| format!("sip:{at};transport=tcp;bnc")));
}
