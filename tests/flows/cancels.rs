//! Who may take a call back: the caller, and nobody beside it.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, Ua, Wire};

use super::trunks::NUMBER;
use super::{DOMAIN, agents, at};

const QUIET: Duration = Duration::from_millis(300);
const OFFICE: [u8; 4] = [127, 0, 0, 2];

fn from(exchange: &Exchange, ip: [u8; 4], user: &str) -> Ua {
    let mut ua = Ua::new(Wire::udp_from(ip.into(), exchange.udp()), user, DOMAIN, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200);
    ua
}

/// The caller's CANCEL, as somebody who got its INVITE can make it.
fn forged(seen: &Message, invite: &Message) -> Message {
    let via = seen.all("Via").nth(1).expect("the caller's Via").to_owned();
    let plain = |p: &str| if p.starts_with("rport=") { "rport".to_owned() } else { p.to_owned() };
    let via: Vec<String> = via.split(';').filter(|p| !p.starts_with("received")).map(plain).collect();
    Message::request("CANCEL", invite.uri())
        .with("Via", via.join(";"))
        .with("Max-Forwards", "70")
        .with("From", seen.get("From").expect("a From"))
        .with("To", invite.get("To").expect("a To"))
        .with("Call-ID", seen.call_id())
        .with("CSeq", format!("{} CANCEL", seen.cseq().0))
}

#[test]
fn a_neighbour_that_is_rung_takes_no_call_back() {
    let exchange = Exchange::start(&agents());
    let mut caller = from(&exchange, OFFICE, "1001");
    let (mut away, mut beside) = (from(&exchange, [127, 0, 0, 3], "1002"), from(&exchange, OFFICE, "1002"));
    // Another socket of the neighbour's.
    let mut other = Ua::new(Wire::udp_from(OFFICE.into(), exchange.udp()), "1002", DOMAIN, "");
    let invite = caller.call(&caller.invite(&at("1002")));
    let (one, two) = (away.request_of("INVITE"), beside.request_of("INVITE"));
    away.respond(&one, 180, "Ringing");
    caller.status_for(&invite, 180);
    let cancel = forged(&two, &invite);
    beside.send(&cancel);
    other.send(&cancel);
    for ua in [&mut away, &mut beside] {
        assert!(ua.silent(QUIET, |m| m.method() == "CANCEL"));
    }
    // The caller does.
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    let cancelled = away.request_of("CANCEL");
    away.respond(&cancelled, 200, "OK");
}

#[test]
fn a_nat_that_rebinds_costs_no_cancel() {
    let exchange = Exchange::start(&agents());
    let mut caller = from(&exchange, OFFICE, "1001");
    let mut callee = from(&exchange, [127, 0, 0, 3], "1002");
    let mut rebound = Ua::new(Wire::udp_from(OFFICE.into(), exchange.udp()), "1001", DOMAIN, "");
    let mut stranger = Ua::new(Wire::udp_from([127, 0, 0, 4].into(), exchange.udp()), "1001", DOMAIN, "");
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    // Another From tag or Request-URI is not the INVITE's (RFC 3261 §9.1).
    let own = forged(&arrived, &invite);
    let tag = own.tag("From").expect("a tag").to_owned();
    let other_tag = own.clone().set("From", own.get("From").expect("a From").replace(&tag, "other"));
    let mut other_uri = own.clone();
    other_uri.start = other_uri.start.replace("1002", "1003");
    for cancel in [&other_tag, &other_uri] {
        rebound.send(cancel);
    }
    stranger.send(&own);
    assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
    rebound.send(&own);
    callee.request_of("CANCEL");
}

#[test]
fn over_a_connection_the_callers_own_counts() {
    let exchange = Exchange::start(&agents());
    let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let mut other = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let mut callee = from(&exchange, [127, 0, 0, 3], "1002");
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    other.send(&forged(&arrived, &invite));
    assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
    caller.cancel(&invite);
    callee.request_of("CANCEL");
}

/// The caller's connection has ended: it connects and registers anew, and takes its call back.
#[test]
fn a_caller_that_connects_anew_takes_its_call_back() {
    let exchange = Exchange::start(&agents());
    let tcp = |user: &str| {
        let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
        assert_eq!(ua.register(600).status(), 200);
        ua
    };
    let mut callee = tcp("1002");
    let mut caller = tcp("1001");
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    drop(caller);
    // Another user's connection is none of the caller's, nor is one of nobody.
    let mut other = tcp("1003");
    let mut nobody = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "");
    let cancel = forged(&arrived, &invite);
    for ua in [&mut other, &mut nobody, &mut callee] {
        ua.send(&cancel);
    }
    assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
    let mut anew = tcp("1001");
    let tag = cancel.tag("From").expect("a tag").to_owned();
    let from = cancel.get("From").expect("a From").replace(&tag, "other");
    let wrong = cancel.clone().set("From", from);
    anew.send(&wrong);
    anew.status_for(&wrong, 481);
    assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"), "not what the INVITE said");
    anew.send(&cancel);
    callee.request_of("CANCEL");
    anew.status_for(&cancel, 200);
}

/// Without transactions, and where another header than the Request-URI says who is called: a CANCEL or ACK goes nowhere its INVITE
/// did not go.
#[test]
fn a_companion_goes_where_its_invite_went() {
    for (key, header) in [("toAsAor: on", "To"), ("addressInfo: [X-Called]", "X-Called")] {
        let config = format!("stateless: on\nrouting: {{{key}}}\n");
        let exchange = Exchange::start_with(&agents(), &config, &[]);
        let mut caller = from(&exchange, OFFICE, "1001");
        let mut callee = from(&exchange, [127, 0, 0, 3], "1002");
        let mut other = from(&exchange, [127, 0, 0, 4], "1003");
        let naming = |message: Message, user: &str| match header {
            "To" => message.set("To", format!("<{}>", at(user))),
            _ => message.set(header, format!("<{}>", at(user))),
        };
        // What the Request-URI says does not count.
        let invite = naming(caller.invite(&at("1002")), "1002");
        let invite = caller.call(&invite);
        callee.request_of("INVITE");
        for method in ["CANCEL", "ACK"] {
            let mut request = naming(Ua::cancel_of(&invite), "1003");
            request.start = format!("{method} {} SIP/2.0", at("1002"));
            let request = request.set("CSeq", format!("{} {method}", invite.cseq().0));
            caller.send(&request);
            if method == "CANCEL" {
                caller.status_for(&request, 481);
            }
            for ua in [&mut callee, &mut other] {
                assert!(ua.silent(QUIET, |m| m.method() == method), "{key}: {method}");
            }
        }
        caller.send(&naming(Ua::cancel_of(&invite), "1002"));
        callee.request_of("CANCEL");
    }
}

/// A carrier with several addresses takes its call back from another one than it called from. Nobody else does: no other carrier, no
/// host beside, and no phone that is rung at one of the listed addresses.
#[test]
fn a_carrier_cancels_from_another_of_its_addresses() {
    let trunk = |name: &str| {
        format!(
            "- {{apiVersion: v2, kind: Trunk, ref: {name}, metadata: {{name: {name}}}, spec: {{inbound: {{uri: {name}.test, accessControlListRef: of-{name}}}, outbound: {{sendRegister: false}}}}}}\n"
        )
    };
    let resources = agents()
        .raw("trunks.yaml", &(trunk("one") + &trunk("two")))
        .acl("of-one", &["127.4.1.0/28"], &[])
        .acl("of-two", &["127.4.1.8", "127.4.2.1"], &[])
        .number(NUMBER, "one", &at("1002"));
    let exchange = Exchange::start_with(&resources, "workers: 2\nrouting: {qualifySeconds: 0}\n", &[]);
    let on = |net: u8, host: u8| {
        let wire = Wire::udp_from([127, 4, net, host].into(), exchange.udp());
        Ua::new(wire, "carrier", "one.test", "")
    };
    let mut callee =
        Ua::new(Wire::udp_from([127, 4, 3, 1].into(), exchange.udp()), "1002", DOMAIN, "pw-1002");
    let mut beside = from(&exchange, [127, 4, 1, 9], "1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut last = None;
    for _ in 0..4 {
        let mut caller = on(1, 1);
        let invite = caller.call(&caller.invite(&format!("sip:{NUMBER}@one.test")));
        let arrived = callee.request_of("INVITE");
        let there = beside.request_of("INVITE");
        beside.respond(&there, 180, "Ringing");
        callee.respond(&arrived, 180, "Ringing");
        for _ in 0..2 {
            caller.status_for(&invite, 180);
        }
        let cancel = Ua::cancel_of(&invite);
        // Another carrier's address, a host beside the list, a phone that is rung in the carrier's network.
        let strangers = [on(2, 1), on(1, 20), on(1, 9)];
        for mut stranger in strangers {
            stranger.send(&cancel);
            stranger.status_for(&cancel, 481);
        }
        let mut tagged = Ua::cancel_of(&invite);
        tagged = tagged.set("From", format!("<sip:other@one.test>;tag={}", trunkline_tests::fresh()));
        let mut other = on(1, 2);
        other.send(&tagged);
        other.status_for(&tagged, 481);
        assert!(callee.silent(QUIET, |m| m.method() == "CANCEL"));
        other.send(&cancel);
        other.status_for(&cancel, 200);
        for (phone, invite) in [(&mut callee, &arrived), (&mut beside, &there)] {
            let cancelled = phone.request_of("CANCEL");
            phone.respond(&cancelled, 200, "OK");
            phone.respond(invite, 487, "Request Terminated");
        }
        let ended = caller.status_for(&invite, 487);
        // The ACK may come from there, too.
        let mut ack = Ua::cancel_of(&invite).set("To", ended.get("To").expect("a To"));
        ack.start = ack.start.replace("CANCEL", "ACK");
        other.send(&ack.set("CSeq", format!("{} ACK", invite.cseq().0)));
        last = Some(caller);
    }
    // It ends the repetitions, of which one comes within every 4 s else.
    let mut caller = last.expect("a caller");
    while let Ok(Some(_)) = caller.wire.recv(Duration::from_secs(1)) {}
    assert_eq!(caller.wire.recv(Duration::from_secs(5)), Ok(None));
}
