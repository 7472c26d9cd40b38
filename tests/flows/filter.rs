//! What a party says in headers and parameters, and who gets to see it: the same rule for first requests, requests inside a
//! dialog and responses.

use trunkline_tests::{Dialog, Exchange, Message, Resources, Ua, Wire, free_port};

use super::trunks::{NUMBER, provider};
use super::{DOMAIN, at, registered};

const TOLL: &str = ";npdi;rn=+19005551234;cic=+1234;tgrp=x;trunk-context=y;%72n=+1900;npd%69";

/// Two agents, and a carrier without credentials that takes what `outbound` says.
fn exchange(port: u16, outbound: &str) -> (Exchange, Ua) {
    exchange_with(port, outbound, "")
}

/// The same with more settings.
fn exchange_with(port: u16, outbound: &str, config: &str) -> (Exchange, Ua) {
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .trunk_with("provider", "trunk.test", &[(&format!("127.0.0.1:{port}"), 1, "udp")], None, outbound)
        .number(NUMBER, "provider", &at("1002"));
    let config = format!("routing: {{qualifySeconds: 0}}\n{config}");
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let mut carrier = provider(port);
    let Wire::Udp { server, .. } = &mut carrier.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
    (exchange, carrier)
}

fn is_a_claim(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let claims =
        ["p-asserted-identity", "remote-party-id", "p-preferred-identity", "p-charge-info", "x-gateway-auth"];
    claims.contains(&&*name) || name.starts_with("p-dcs-") || name.starts_with("x-dod-")
}

/// What a phone adds to look like somebody else.
fn claims(message: Message) -> Message {
    message
        .with("P-Asserted-Identity", "<sip:+1900@h;cic=1>")
        .with("Remote-Party-ID", "<sip:+1900@h>;party=calling")
        .with("p-preferred-identity", "<sip:+1900@h>")
        .with("P-Charge-Info", "<sip:+1900@h;npi=1>")
        .with("P-DCS-Billing-Info", "x")
        .with("X-Gateway-Auth", "YTpi")
        .with("X-DOD-Number", "+1900")
        .with("X-Call-Direction", "from-pstn")
        .with("X-Other", "stays")
}

/// Nothing of [`claims`] but what stays is in the message.
fn claims_nothing(message: &Message) {
    let left = message.headers.iter().filter(|(name, value)| is_a_claim(name) && value.contains("1900"));
    assert_eq!(left.count(), 0, "{message:?}");
    assert_ne!(message.get("X-Call-Direction"), Some("from-pstn"));
    assert_eq!(
        message.all("P-DCS-Billing-Info").chain(message.all("X-Gateway-Auth")).count(),
        0,
        "{message:?}"
    );
    assert_eq!(message.get("X-Other"), Some("stays"));
}

/// The carrier is told no number, route or carrier but the one that the rules judged.
fn says_nothing(message: &Message) {
    let told = std::iter::once(("", &*message.start))
        .chain(message.headers.iter().map(|(name, value)| (&**name, &**value)))
        .filter(|(name, _)| !["Via", "Contact", "Route", "Record-Route"].contains(name));
    for (name, text) in told {
        let text = text.to_ascii_lowercase().replace("%72", "r").replace("%69", "i").replace("%3b", ";");
        for word in ["npdi", ";rn=", ";cic=", "tgrp", "trunk-context"] {
            assert!(!text.contains(word), "{name}: {text}");
        }
    }
}

fn with_tolls(message: Message) -> Message {
    message
        .with("Refer-To", format!("<sip:+15551234@trunk.test{TOLL};method=INVITE>"))
        .with("b", format!("<{}{TOLL}>", at("1001")))
        .with("Diversion", format!("<sip:+1555{TOLL}@{DOMAIN}>;reason=unknown"))
        .with("Reply-To", format!("<tel:+1555{TOLL}>"))
        .with(
            "X-Anything",
            format!("\"a;b\" <sip:+1555%3Bnpd%69@{DOMAIN};transport=tcp{TOLL}>, sip:x@h{TOLL}"),
        )
        .with("Event", "refer;ext=7")
}

#[test]
fn a_carrier_hears_what_the_rules_judged_and_no_more() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port, "sendRegister: false");
    let mut caller = registered(&exchange, "1001");
    for to in [
        format!("<sip:+1555{TOLL}@{DOMAIN}{TOLL}>"),
        format!("<sip:+1555@{DOMAIN};npd%69;r%6e=+1900>"),
        format!("<tel:+1555{TOLL}>"),
    ] {
        let invite =
            claims(with_tolls(caller.invite(&format!("sip:+1555{TOLL}@{DOMAIN}{TOLL}")))).set("To", to);
        let invite = caller.call(&invite);
        let arrived = carrier.request_of("INVITE");
        says_nothing(&arrived);
        claims_nothing(&arrived);
        carrier.respond(&arrived, 486, "Busy Here");
        let busy = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &busy);
    }
}

#[test]
fn inside_a_dialog_the_same_rule_holds() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port, "sendRegister: false");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+1555"));
    let invite = caller.call(&invite);
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let contact = dialog.target.clone();
    let (local, remote) = (dialog.local.clone(), dialog.remote.clone());
    for method in ["ACK", "INVITE", "UPDATE", "REFER", "INFO", "BYE"] {
        dialog.target = format!("{contact}{TOLL};x=1");
        dialog.remote = remote.replacen(">", &format!("{TOLL}>"), 1);
        dialog.local = local.replacen('@', &format!("{TOLL}@"), 1);
        let request = claims(with_tolls(dialog.request(&caller, method)));
        caller.send(&request);
        let got = carrier.request_of(method);
        says_nothing(&got);
        claims_nothing(&got);
        assert_eq!(got.uri(), format!("{contact};x=1"), "what speaks to no network stays");
        let anything = format!("\"a;b\" <sip:+1555@{DOMAIN};transport=tcp>, sip:x@h");
        assert_eq!(got.get("X-Anything"), Some(&*anything));
        assert_eq!(got.get("Event"), Some("refer;ext=7"));
        if method == "BYE" || method == "ACK" {
            continue;
        }
        let status = if method == "INVITE" { 488 } else { 200 };
        let answer = carrier.response(&got, status, "x").with("P-Asserted-Identity", "<sip:+1555@carrier>");
        carrier.send(&answer);
        let answer = caller.status_for(&request, status);
        assert_eq!(answer.get("P-Asserted-Identity"), Some("<sip:+1555@carrier>"), "a carrier is believed");
        caller.acknowledge_failure(&request, &answer);
        if method == "INVITE" {
            carrier
                .expect("the ACK to the 488", |m| m.method() == "ACK" && m.cseq() == (got.cseq().0, "ACK"));
        }
    }
}

#[test]
fn a_carriers_words_reach_a_phone_and_a_phones_reach_nobody() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port, "sendRegister: false");
    let mut callee = registered(&exchange, "1002");
    let asserted = "<sip:+1785;npdi@carrier.test>";
    let invite = carrier.invite(&format!("sip:{NUMBER}@trunk.test")).with("P-Asserted-Identity", asserted);
    carrier.send(&invite);
    let arrived = callee.request_of("INVITE");
    assert_eq!(arrived.get("P-Asserted-Identity"), Some(asserted));
    let ringing = claims(callee.response(&arrived, 180, "Ringing"));
    callee.send(&ringing);
    claims_nothing(&carrier.status_for(&invite, 180));
    let accepted = claims(callee.response(&arrived, 200, "OK"));
    callee.send(&accepted);
    let ok = carrier.status_for(&invite, 200);
    claims_nothing(&ok);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&carrier, "ACK");
    carrier.send(&ack);
    callee.request_of("ACK");
    let mut back = Dialog::of_callee(&arrived, &accepted);
    for (method, withheld) in [("INFO", false), ("UPDATE", true)] {
        let request = dialog.request(&carrier, method).with("P-Asserted-Identity", asserted);
        let request = if withheld { request.with("Privacy", "id") } else { request };
        carrier.send(&request);
        let got = callee.request_of(method);
        assert_eq!(got.get("P-Asserted-Identity"), (!withheld).then_some(asserted), "{method}");
        let answer = claims(callee.response(&got, 200, "OK"));
        callee.send(&answer);
        claims_nothing(&carrier.status_for(&request, 200));
    }
    let bye = claims(with_tolls(back.request(&callee, "BYE")));
    callee.send(&bye);
    let got = carrier.request_of("BYE");
    says_nothing(&got);
    claims_nothing(&got);
    carrier.respond(&got, 200, "OK");
    callee.status_for(&bye, 200);
}

#[test]
fn between_phones_nobody_asserts_anything() {
    let port = free_port();
    let (exchange, _carrier) = exchange(port, "sendRegister: false");
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let invite = caller.call(&claims(caller.invite(&at("1002"))));
    let arrived = callee.request_of("INVITE");
    claims_nothing(&arrived);
    let refused = claims(callee.response(&arrived, 486, "Busy Here"));
    callee.send(&refused);
    let busy = caller.status_for(&invite, 486);
    claims_nothing(&busy);
    caller.acknowledge_failure(&invite, &busy);

    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived =
        callee.expect("the other INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let info = claims(dialog.request(&caller, "INFO")).with("Reply-To", "<sip:a@h;npdi>");
    caller.send(&info);
    let got = callee.request_of("INFO");
    claims_nothing(&got);
    assert_eq!(got.get("Reply-To"), Some("<sip:a@h;npdi>"), "a phone is no carrier");
}

#[test]
fn what_the_trunk_allows_goes_on() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port, "allowedParameters: [npdi, RN]");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+1555")));
    let arrived = carrier.request_of("INVITE");
    carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    dialog.target += ";npdi;%72n=+1;cic=+2";
    let info = dialog.request(&caller, "INFO").with("Reply-To", "<sip:+1;rn=+1;oli=2@h>");
    caller.send(&info);
    let got = carrier.request_of("INFO");
    assert!(got.uri().ends_with(";npdi;%72n=+1"), "{}", got.uri());
    assert_eq!(got.get("Reply-To"), Some("<sip:+1;rn=+1@h>"));
}

/// Which number a call was diverted from, and that it goes before others, no carrier takes from a phone.
#[test]
fn a_phone_tells_a_carrier_of_no_diversion() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port, "sendRegister: false");
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    const NAMES: [&str; 4] = ["Diversion", "CC-Diversion", "History-Info", "Resource-Priority"];
    let told = |message: Message| NAMES.iter().fold(message, |m, name| m.with(name, "<sip:+1900@h>;index=1"));
    let told =
        |message| told(message).with("P-Associated-URI", "<sip:+1900@h>").with("Charge", "<sip:+1900@h>");
    let left = |message: &Message| -> Vec<String> {
        let said = message.headers.iter().filter(|(_, value)| value.contains("1900"));
        said.map(|(name, _)| name.clone()).collect()
    };
    let invite = caller.call(&told(caller.invite(&at("+1555"))));
    let arrived = carrier.request_of("INVITE");
    assert_eq!(left(&arrived), [""; 0]);
    carrier.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let update = told(dialog.request(&caller, "UPDATE"));
    caller.send(&update);
    assert_eq!(left(&carrier.request_of("UPDATE")), [""; 0]);
    // Phones tell each other what became of a call, and not who they are.
    let invite = caller.call(&told(caller.invite(&at("1002"))));
    let arrived = callee.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    assert_eq!(left(&arrived), NAMES);
}

/// Without transactions too, and where a carrier has the address that the phones have.
#[test]
fn without_transactions_an_address_makes_no_carrier() {
    let port = free_port();
    let (exchange, mut carrier) = exchange_with(port, "sendRegister: false", "stateless: on\n");
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    const SAID: &str = "<sip:+1900@h>";
    for (to, believed) in [("1002", false), ("+1555", true)] {
        let answerer = if believed { &mut carrier } else { &mut callee };
        let invite = caller.call(&caller.invite(&at(to)));
        let arrived = answerer.request_of("INVITE");
        let ringing = answerer.response(&arrived, 180, "Ringing").with("P-Asserted-Identity", SAID);
        answerer.send(&ringing);
        let got = caller.status_for(&invite, 180);
        assert_eq!(got.get("P-Asserted-Identity"), Some(SAID).filter(|_| believed), "{to}");
        // The CANCEL has the INVITE's branch.
        let cancel = caller.cancel(&invite);
        let cancelled = answerer.request_of("CANCEL");
        assert_eq!(cancelled.branch(), arrived.branch());
        answerer.respond(&cancelled, 200, "OK");
        caller.status_for(&cancel, 200);
        answerer.respond(&arrived, 487, "Request Terminated");
        let ended = caller.status_for(&invite, 487);
        caller.acknowledge_failure(&invite, &ended);
        assert_eq!(answerer.request_of("ACK").branch(), arrived.branch());
    }
}
