//! What a party's Contact may not borrow: somebody else's GRUU, and somebody else's connection.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Stream, Ua, WebSocket, Wire, free_port};

use super::forged::QUIET;
use super::gruu::register;
use super::marks::phone_from;
use super::{DOMAIN, agents, at};

const METHODS: [&str; 6] = ["INVITE", "MESSAGE", "NOTIFY", "INFO", "OPTIONS", "BYE"];
const INSTANCE: &str = "00000000-0000-1000-8000-0000000000ff";

/// 1001 and 1002 at addresses of their own, registered. `tcp`: 1002 by a connection.
fn pair(exchange: &Exchange, tcp: bool) -> (Ua, Ua) {
    let mut caller = phone_from(exchange, [127, 0, 0, 2], "1001");
    let mut callee = match tcp {
        true => Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002"),
        false => phone_from(exchange, [127, 0, 0, 3], "1002"),
    };
    assert_eq!((caller.register(600).status(), callee.register(600).status()), (200, 200));
    (caller, callee)
}

/// A call from one to the other, in which each names this Contact where there is one.
fn connect_as(caller: &mut Ua, callee: &mut Ua, contacts: [Option<&str>; 2]) -> (Dialog, Dialog) {
    let named = |message: Message, contact: Option<&str>| match contact {
        Some(contact) => message.set("Contact", format!("<{contact}>")),
        None => message,
    };
    let invite = named(caller.invite(&callee.aor()), contacts[0]);
    let invite = caller.call(&invite);
    // What was said in an earlier dialog may still be repeated.
    let arrived = callee.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    let accepted = named(callee.response(&arrived, 200, "OK"), contacts[1]);
    callee.send(&accepted);
    let ok = caller.status_for(&invite, 200);
    (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &accepted))
}

/// Everything that is said in the dialog reaches neither the victim nor shows its Contact to the one who named its GRUU.
fn leads_nowhere((from, dialog): (&mut Ua, &mut Dialog), to: &mut Ua, victim: &mut Ua, why: &str) {
    let at_victim = victim.wire.local().to_string();
    let call_id = dialog.request(from, "OPTIONS").call_id().to_owned();
    for method in METHODS {
        let request = dialog.request(from, method);
        from.send(&request);
    }
    let reached = victim.wait(QUIET, |m| m.call_id() == call_id);
    assert_eq!(reached, None, "{why}: the victim was reached");
    let shows = |m: &Message| m.start.contains(&at_victim);
    assert!(to.silent(Duration::from_millis(20), shows), "{why}: the victim's Contact is shown");
}

#[test]
fn a_gruu_of_somebody_else_in_a_contact_leads_nowhere() {
    let resources = || agents().peer("pbx", &at("pbx"), "pw-pbx", "");
    for (user, tcp) in [("1003", false), ("1003", true), ("pbx", false), ("pbx", true)] {
        let exchange = Exchange::start(&resources());
        let mut victim = match tcp {
            true => Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}")),
            false => phone_from(&exchange, [127, 0, 0, 9], user),
        };
        let gruus = register(&mut victim, INSTANCE);
        for gruu in &gruus {
            for callee_tcp in [false, true] {
                let why = format!("{user} over TCP: {tcp}, 1002 over TCP: {callee_tcp}, {gruu}");
                let (mut caller, mut callee) = pair(&exchange, callee_tcp);
                let (mut a, _) = connect_as(&mut caller, &mut callee, [None, Some(gruu)]);
                leads_nowhere((&mut caller, &mut a), &mut callee, &mut victim, &why);
                let (_, mut b) = connect_as(&mut caller, &mut callee, [Some(gruu), None]);
                leads_nowhere((&mut callee, &mut b), &mut caller, &mut victim, &why);
            }
        }
    }
}

#[test]
fn a_target_refresh_to_a_gruu_of_somebody_else_leads_nowhere() {
    let exchange = Exchange::start(&agents());
    let mut victim = phone_from(&exchange, [127, 0, 0, 9], "1003");
    for gruu in register(&mut victim, INSTANCE) {
        let (mut caller, mut callee) = pair(&exchange, false);
        let (mut a, mut b) = connect_as(&mut caller, &mut callee, [None, None]);
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        // By a request, then by the answer to one.
        let update = b.request(&callee, "UPDATE").set("Contact", format!("<{gruu}>"));
        callee.send(&update);
        let arrived = caller.request_of("UPDATE");
        caller.respond(&arrived, 200, "OK");
        callee.status_for(&update, 200);
        a.target = gruu.clone();
        leads_nowhere((&mut caller, &mut a), &mut callee, &mut victim, &gruu);
        let (mut a, mut b) = connect_as(&mut caller, &mut callee, [None, None]);
        let ack = a.request(&caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        let update = b.request(&callee, "UPDATE");
        callee.send(&update);
        let arrived = caller.request_of("UPDATE");
        let ok = caller.response(&arrived, 200, "OK").set("Contact", format!("<{gruu}>"));
        caller.send(&ok);
        callee.status_for(&update, 200);
        b.target = gruu.clone();
        leads_nowhere((&mut callee, &mut b), &mut caller, &mut victim, &gruu);
    }
}

/// A stranger who called an open number, and a carrier, have no GRUU at all.
#[test]
fn strangers_and_carriers_borrow_no_gruu() {
    let mut scene = super::forged::Scene::set("");
    let mut victim = phone_from(&scene.exchange, [127, 0, 0, 9], "1003");
    let gruus = register(&mut victim, INSTANCE);
    for gruu in &gruus {
        let mut stranger = phone_from(&scene.exchange, [127, 0, 0, 10], "stranger");
        stranger.domain = "far.test".to_owned();
        let invite = stranger.invite(super::forged::OPEN_NUMBER).set("Contact", format!("<{gruu}>"));
        stranger.send(&invite);
        let arrived = scene.friend.request_of("INVITE");
        let sent = scene.friend.accept(&arrived);
        stranger.status_for(&invite, 200);
        let mut b = Dialog::of_callee(&arrived, &sent);
        leads_nowhere((&mut scene.friend, &mut b), &mut stranger, &mut victim, gruu);
        let invite = scene.caller.invite(&at(super::forged::ALLOWED));
        let invite = scene.caller.call(&invite);
        let arrived = scene.carrier.request_of("INVITE");
        let accepted = scene.carrier.response(&arrived, 200, "OK").set("Contact", format!("<{gruu}>"));
        scene.carrier.send(&accepted);
        let ok = scene.caller.status_for(&invite, 200);
        let mut a = Dialog::of_caller(&invite, &ok);
        leads_nowhere((&mut scene.caller, &mut a), &mut scene.carrier, &mut victim, gruu);
    }
}

/// The far end of somebody else's connection is no way of whoever names it (RFC 5923 §8).
#[test]
fn a_connection_of_somebody_else_is_not_used() {
    let ws = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let exchange = Exchange::start_with(&agents(), "", &[("TRUNKLINE_LISTEN_WS", &ws.to_string())]);
    let (mut caller, mut callee) = pair(&exchange, false);
    for kind in ["tcp", "ws"] {
        let wire = match kind {
            "tcp" => Wire::tcp(exchange.tcp()),
            _ => Wire::Ws(WebSocket::connect_with(Stream::tcp(ws), "")),
        };
        let mut victim = Ua::new(wire, "1003", DOMAIN, "pw-1003");
        for registered in [false, true] {
            if registered {
                assert_eq!(victim.register(600).status(), 200);
            }
            let far_end = format!("sip:1002@{};transport={kind}", victim.wire.local());
            let (mut a, _) = connect_as(&mut caller, &mut callee, [None, Some(&far_end)]);
            let why = format!("{kind}, registered: {registered}");
            leads_nowhere((&mut caller, &mut a), &mut callee, &mut victim, &why);
            let (_, mut b) = connect_as(&mut caller, &mut callee, [Some(&far_end), None]);
            leads_nowhere((&mut callee, &mut b), &mut caller, &mut victim, &why);
            // As a Contact that is registered.
            let away = callee.register_request(0).set("Contact", "*");
            assert_eq!(callee.ask(&away).0.status(), 200);
            let name = far_end.replacen("127.0.0.1", "sbc.example", 1) + ";maddr=127.0.0.1";
            let request = callee.register_request(600).set("Contact", format!("<{name}>"));
            if callee.ask(&request).0.status() == 200 {
                let message = caller.request("MESSAGE", &at("1002"));
                caller.call(&message);
                assert!(victim.silent(QUIET, |m| m.method() == "MESSAGE"), "{why}: a registered Contact");
            }
            let away = callee.register_request(0).set("Contact", "*");
            assert_eq!((callee.ask(&away).0.status(), callee.register(600).status()), (200, 200));
        }
        // Its own calls still come by it.
        let message = caller.request("MESSAGE", &at("1003"));
        let sent = caller.call(&message);
        let arrived = victim.request_of("MESSAGE");
        victim.respond(&arrived, 200, "OK");
        caller.status_for(&sent, 200);
    }
}
