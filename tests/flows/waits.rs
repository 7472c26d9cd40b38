//! Requests that wait for a name: what is repeated is absorbed, what is cancelled ends, and what goes on is asked nothing
//! twice.

use std::net::UdpSocket;
use std::time::Duration;

use trunkline_tests::{Exchange, Message, NameServer, Record, Ua, Wire, wait_for};

use super::names::{DIALLED, with_trunk};
use super::{at, registered};

const QUIET: Duration = Duration::from_millis(400);
const CARRIER: &str = "127.0.0.2";

/// An exchange whose trunk has a name that is not known yet, its name server, and the carrier.
fn start() -> (Exchange, NameServer, Ua) {
    let socket = UdpSocket::bind((CARRIER, 0)).expect("an address of loopback");
    let port = socket.local_addr().expect("bound").port();
    let names = NameServer::start_silent(&[("sip.provider.test", Record::A([127, 0, 0, 2].into()))]);
    let uri = format!("host: sip.provider.test, port: {port}, transport: udp");
    let config = format!("{}routing: {{qualifySeconds: 0}}\n", names.config(""));
    let exchange = Exchange::start_with(&with_trunk(&uri), &config, &[]);
    let carrier = Ua::new(Wire::Udp { socket, server: exchange.udp() }, "gateway", "provider.test", "");
    (exchange, names, carrier)
}

/// A call out that waits: its INVITE, which has its credentials.
fn waiting(exchange: &Exchange, names: &NameServer) -> (Ua, Message) {
    let mut caller = registered(exchange, "1001");
    let asked = names.asked();
    let invite = caller.call(&caller.invite(&at(DIALLED)));
    caller.status_for(&invite, 100);
    wait_for("the name to be asked for", || (names.asked() > asked).then_some(()));
    (caller, invite)
}

#[test]
fn a_repeated_invite_waits_once_and_goes_on_once() {
    let (exchange, names, mut carrier) = start();
    let (mut caller, invite) = waiting(&exchange, &names);
    for _ in 0..3 {
        caller.send(&invite);
    }
    // What is answered after them shows that they were taken.
    assert_eq!(caller.register(600).status(), 200);
    names.speak();
    let arrived = carrier.request_of("INVITE");
    carrier.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    let again = |m: &Message| m.method() == "INVITE" && m.branch() != arrived.branch();
    assert!(carrier.silent(QUIET, again), "one INVITE, one branch");
}

#[test]
fn a_cancel_ends_a_call_that_waits() {
    let (exchange, names, mut carrier) = start();
    let (mut caller, invite) = waiting(&exchange, &names);
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
    names.speak();
    // The next call finds the name known.
    let next = caller.call(&caller.invite(&at(DIALLED)));
    let arrived = carrier.request_of("INVITE");
    assert_eq!(arrived.call_id(), next.call_id(), "the one that was cancelled went nowhere");
    carrier.respond(&arrived, 486, "Busy Here");
}

#[test]
fn nobody_else_cancels_a_call_that_waits() {
    let (exchange, names, mut carrier) = start();
    let (mut caller, invite) = waiting(&exchange, &names);
    let mut other = Ua::new(Wire::udp_from([127, 0, 0, 9].into(), exchange.udp()), "1002", "sip.local", "");
    let forged = Message::request("CANCEL", invite.uri())
        .with("Via", invite.get("Via").expect("a Via"))
        .with("Max-Forwards", "70")
        .with("From", invite.get("From").expect("a From"))
        .with("To", invite.get("To").expect("a To"))
        .with("Call-ID", invite.call_id())
        .with("CSeq", format!("{} CANCEL", invite.cseq().0));
    other.send(&forged);
    other.status_for(&forged, 481);
    names.speak();
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    caller.status_for(&invite, 200);
}
