//! Who is meant: numbers in every spelling, callers who withhold their names, hosts that are ours.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::trunks::provider;
use super::{DOMAIN, agents, at, phone, registered};

const NUMBER: &str = "+17066041487";
const QUIET: Duration = Duration::from_millis(300);
const NO_OPTIONS: &str = "routing: {qualifySeconds: 0}\n";

fn speaks_to(ua: &mut Ua, exchange: &Exchange) {
    let Wire::Udp { server, .. } = &mut ua.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
}

/// Agents, a trunk and this number for 1002.
fn with_number(port: u16, number: &str) -> Resources {
    let at_port = format!("127.0.0.1:{port}");
    agents().trunk("provider", "trunk.test", &[(&at_port, 1, "udp")], None).number(
        number,
        "provider",
        &at("1002"),
    )
}

/// Does an INVITE from there reach the callee? It is refused then.
fn reaches(caller: &mut Ua, callee: &mut Ua, target: &str) -> bool {
    let mut invite = caller.invite("sip:somebody@elsewhere.test");
    invite.start = format!("INVITE {target} SIP/2.0");
    let digest_for = invite.clone();
    let invite = caller.call(&digest_for);
    let call = invite.call_id().to_owned();
    let Some(arrived) = callee.wait(QUIET, |m| m.method() == "INVITE" && m.call_id() == call) else {
        let failure = caller.final_for(&invite);
        caller.acknowledge_failure(&invite, &failure);
        return false;
    };
    callee.respond(&arrived, 486, "Busy Here");
    let failure = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &failure);
    true
}

#[test]
fn a_carrier_writes_our_number_with_a_plus_or_without() {
    for (ours, others) in [(NUMBER, "17066041487"), ("17066041487", NUMBER)] {
        let port = free_port();
        let exchange = Exchange::start_with(&with_number(port, ours), NO_OPTIONS, &[]);
        let (mut carrier, mut callee) = (provider(port), registered(&exchange, "1002"));
        speaks_to(&mut carrier, &exchange);
        let here = exchange.udp();
        for user in [ours, others] {
            for target in [
                format!("sip:{user}@{here}"),
                format!("sip:{user}@trunk.test"),
                format!("sip:{user};npdi;rn=+15550001111@{here};user=phone"),
                format!("sip:{}@{here};user=phone", user.replace("706604", "-706-604-")),
                format!("tel:{user}"),
            ] {
                assert!(reaches(&mut carrier, &mut callee, &target), "{ours}: {target}");
            }
        }
        let wrong = format!("sip:{}@{here}", others.replace("41487", "41488"));
        assert!(!reaches(&mut carrier, &mut callee, &wrong), "another number");
    }
}

#[test]
fn what_is_called_exactly_goes_before_another_spelling() {
    let resources = agents()
        .agent(DOMAIN, "17066041487", "pw-17066041487")
        .trunk("provider", "trunk.test", &[("127.0.0.1:9", 1, "udp")], None)
        .number(NUMBER, "provider", &at("1002"));
    let exchange = Exchange::start_with(&resources, NO_OPTIONS, &[]);
    let mut caller = registered(&exchange, "1001");
    let (mut number, mut agent) = (registered(&exchange, "1002"), registered(&exchange, "17066041487"));
    assert!(reaches(&mut caller, &mut agent, &at("17066041487")));
    assert!(reaches(&mut caller, &mut number, &at(NUMBER)));
    // Who dials another's spelling from within reaches the number, too.
    let resources = with_number(9, NUMBER);
    let exchange = Exchange::start_with(&resources, NO_OPTIONS, &[]);
    let (mut caller, mut number) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    assert!(reaches(&mut caller, &mut number, &at("17066041487")));
}

#[test]
fn a_local_number_is_one_of_its_context() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for target in [
        format!("tel:1002;phone-context={DOMAIN}"),
        format!("TEL:10-02;phone-context={}", DOMAIN.to_uppercase()),
        "tel:1002".to_owned(),
        "tel:1002;phone-context=+1-706".to_owned(),
        format!("sip:1002;phone-context={DOMAIN}@{DOMAIN};user=phone"),
        format!("sip:10.02@{DOMAIN};user=phone"),
    ] {
        assert!(reaches(&mut caller, &mut callee, &target), "{target}");
    }
    assert!(!reaches(&mut caller, &mut callee, "tel:1002;phone-context=elsewhere.test"));
}

/// An INVITE under a withheld name.
fn withheld(ua: &Ua, to: &str, from: &str, more: &str) -> Message {
    let invite = ua.invite(to);
    let tag = invite.tag("From").expect("a tag").to_owned();
    let invite = invite.set("From", format!("{from};tag={tag}")).with("Privacy", "id");
    if more.is_empty() { invite } else { invite.with("P-Preferred-Identity", more) }
}

#[test]
fn a_withheld_name_with_a_right_digest_calls() {
    for authenticate in ["all", "register", "never"] {
        let resources = ["1001", "1002"]
            .iter()
            .fold(Resources::new().domain(DOMAIN, authenticate), |all, user| {
                all.agent(DOMAIN, user, &format!("pw-{user}"))
            })
            .peer("pbx", "backend:pbx", "pw-pbx", "");
        let exchange = Exchange::start(&resources);
        let (mut agent, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let mut peer = phone(&exchange, "pbx");
        let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";
        let own = format!("<{}>", at("1001"));
        for (from, more) in [
            (anonymous, ""),
            (anonymous, own.as_str()),
            ("<sip:anonymous@sip.test>", ""),
            ("<sip:Anonymous.invalid>", ""),
        ] {
            for ua in [&mut agent, &mut peer] {
                let invite = withheld(ua, &at("1002"), from, more);
                ua.send(&invite);
                let challenge = ua.status_for(&invite, 401);
                ua.acknowledge_failure(&invite, &challenge);
                let invite = ua.authorise(&invite, &challenge, 1).expect("a challenge");
                ua.send(&invite);
                let arrived = callee.request_of("INVITE");
                assert!(arrived.get("From").expect("a From").starts_with(from), "{arrived:?}");
                assert!(
                    !String::from_utf8_lossy(&arrived.bytes()).contains("sip:1001@sip.test"),
                    "{arrived:?}"
                );
                callee.respond(&arrived, 486, "Busy Here");
                let busy = ua.status_for(&invite, 486);
                ua.acknowledge_failure(&invite, &busy);
            }
        }
        // Somebody else's name in the digest, or a wrong secret, calls nobody.
        for (user, password) in
            [("1001", "guess"), ("1002", "pw-1001"), ("1009", "pw-1001"), ("pbx", "guess")]
        {
            let mut liar = Ua::udp(exchange.udp(), user, DOMAIN, password);
            let invite = withheld(&liar, &at("1002"), anonymous, &own);
            let (answer, _) = liar.ask(&invite);
            assert!(matches!(answer.status(), 401 | 403), "{authenticate} {user}: {}", answer.start);
        }
        assert!(callee.silent(QUIET, |m| m.method() == "INVITE"), "{authenticate}");
    }
}

#[test]
fn options_are_answered_at_every_host_that_is_ours() {
    let port = free_port();
    let exchange = Exchange::start_with(&with_number(port, NUMBER), NO_OPTIONS, &[]);
    let mut carrier = provider(port);
    speaks_to(&mut carrier, &exchange);
    let here = exchange.udp();
    for ours in [
        format!("sip:{here}"),
        format!("sip:{DOMAIN}"),
        "sip:trunk.test".to_owned(),
        "sip:TRUNK.test:5061;transport=udp".to_owned(),
    ] {
        let options = carrier.request("OPTIONS", &ours);
        carrier.send(&options);
        let answer = carrier.final_for(&options);
        assert_eq!((answer.status(), answer.get("Allow").is_some()), (200, true), "{ours}");
    }
    let foreign = carrier.request("OPTIONS", "sip:elsewhere.test");
    carrier.send(&foreign);
    assert_ne!(carrier.final_for(&foreign).status(), 200);
    let register = carrier.request("REGISTER", "sip:trunk.test");
    carrier.send(&register);
    assert!(carrier.final_for(&register).status() >= 400, "nobody registers at a trunk's host");
}

#[test]
fn who_asks_itself_is_told_that_nobody_answers_there() {
    let resources = agents().peer("pbx", &at("pbx"), "pw-pbx", "");
    let exchange = Exchange::start(&resources);
    for user in ["1001", "pbx"] {
        let mut ua = registered(&exchange, user);
        for (method, event) in
            [("SUBSCRIBE", "message-summary"), ("SUBSCRIBE", "reg"), ("PUBLISH", "presence")]
        {
            let request = ua.request(method, &at(user)).with("Event", event).with("Expires", "600");
            assert_eq!(ua.ask(&request).0.start, "SIP/2.0 489 Bad Event", "{user} {method} {event}");
        }
        assert!(ua.silent(QUIET, |m| m.method() != ""), "{user}");
    }
    // Another's state is asked for there.
    let (mut one, mut other) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let request = one.request("SUBSCRIBE", &at("1002")).with("Event", "dialog");
    let request = one.call(&request);
    let arrived = other.request_of("SUBSCRIBE");
    other.respond(&arrived, 200, "OK");
    one.status_for(&request, 200);
}

#[test]
fn a_name_of_ours_stands_for_our_address() {
    let port = free_port();
    let uris = [(format!("127.0.0.1:{port}"), 1, "udp")];
    let uris: Vec<(&str, u16, &str)> = uris.iter().map(|(at, n, t)| (at.as_str(), *n, *t)).collect();
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[("^[+]", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk_with("provider", "trunk.test", &uris, Some(("pbx", "pw")), "sendRegister: true")
        .number(NUMBER, "provider", &at("1001"));
    let config = "externalAddrs: [sbc.example.test]\nrouting: {qualifySeconds: 1}\n";
    let exchange = Exchange::start_with(&resources, config, &[]);
    let mut carrier = provider(port);
    speaks_to(&mut carrier, &exchange);
    let us = format!("sbc.example.test:{}", exchange.udp().port());
    let register = carrier.request_of("REGISTER");
    assert!(register.get("Contact").expect("a Contact").contains(&us), "{register:?}");
    assert!(register.get("Via").expect("a Via").contains(&us), "{register:?}");
    carrier.respond(&register, 403, "Forbidden");
    let options = carrier.request_of("OPTIONS");
    assert!(options.get("Contact").expect("a Contact").contains(&us), "{options:?}");
    carrier.respond(&options, 200, "OK");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+17853178070"));
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    assert!(arrived.get("Record-Route").expect("one of ours").contains(&us), "{arrived:?}");
    let sent = carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    carrier.request_of("ACK");
    let bye = b.request(&carrier, "BYE");
    carrier.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    carrier.status_for(&bye, 200);
    let options = carrier.request("OPTIONS", &format!("sip:{us}"));
    carrier.send(&options);
    assert_eq!(carrier.final_for(&options).status(), 200, "it is ours");
}
