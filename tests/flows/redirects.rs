//! A phone that redirects its calls (302): within its own domain the exchange follows, and nowhere else.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, Ua};

use super::trunks::{NUMBER, provider, with_trunk};
use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(300);

/// The phone redirects the call that has arrived.
pub(super) fn redirect(phone: &mut Ua, to: &str) -> Message {
    let arrived = phone.request_of("INVITE");
    let answer = phone.response(&arrived, 302, "Moved Temporarily").with("Contact", format!("<{to}>"));
    phone.send(&answer);
    phone.expect("ACK to the 302", |m| m.method() == "ACK" && m.branch() == arrived.branch());
    arrived
}

#[test]
fn a_redirection_within_the_domain_is_followed() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let mut third = registered(&exchange, "1003");
    let invite = caller.call(&caller.invite(&at("1002")));
    redirect(&mut callee, &at("1003"));
    let arrived = third.request_of("INVITE");
    let diversion = arrived.get("Diversion").expect("a Diversion header");
    assert!(diversion.contains(&at("1002")), "{diversion}");
    assert!(arrived.all("Via").count() == 2 && arrived.list("Record-Route").len() == 1, "{arrived:?}");
    third.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = trunkline_tests::Dialog::of_caller(&invite, &ok);
    caller.send(&dialog.request(&caller, "ACK"));
    third.request_of("ACK");
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = third.request_of("BYE");
    third.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn a_carrier_knows_nothing_of_it() {
    let port = trunkline_tests::free_port();
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]).agent(DOMAIN, "1003", "pw-1003");
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = provider(port);
    let trunkline_tests::Wire::Udp { server, .. } = &mut provider.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
    let (mut callee, mut third) = (registered(&exchange, "1002"), registered(&exchange, "1003"));
    let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
    provider.send(&invite);
    redirect(&mut callee, &at("1003"));
    let arrived = third.request_of("INVITE");
    third.accept(&arrived);
    provider.status_for(&invite, 200);
}

/// A carrier that followed a phone's redirection would call at the trunk's expense, past the egress policies.
#[test]
fn a_carrier_is_sent_nowhere() {
    let port = trunkline_tests::free_port();
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = provider(port);
    let trunkline_tests::Wire::Udp { server, .. } = &mut provider.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
    let mut callee = registered(&exchange, "1002");
    for status in [300, 302, 380, 485] {
        let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
        provider.send(&invite);
        let arrived = callee.request_of("INVITE");
        let answer = callee
            .response(&arrived, status, "Elsewhere")
            .with("Contact", format!("<sip:+19005551234@127.0.0.1:{port}>"))
            .with("Contact", "<tel:+19005551234>");
        callee.send(&answer);
        let heard = provider.status_for(&invite, status);
        assert_eq!(heard.get("Contact"), None, "{status}");
        provider.acknowledge_failure(&invite, &heard);
        callee.forget();
    }
}

/// One phone of two redirects: the other goes on ringing, beside whom the call was sent to.
#[test]
fn the_other_phones_go_on() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let [mut one, mut other] = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut third = registered(&exchange, "1003");
    let invite = caller.call(&caller.invite(&at("1002")));
    let rings = other.request_of("INVITE");
    other.respond(&rings, 180, "Ringing");
    redirect(&mut one, &at("1003"));
    let arrived = third.request_of("INVITE");
    third.respond(&arrived, 486, "Busy Here");
    other.accept(&rings);
    caller.status_for(&invite, 200);
}

/// What leads out of the domain, or out by a trunk, is the caller's to decide.
#[test]
fn other_redirections_go_on_to_the_caller() {
    let port = trunkline_tests::free_port();
    let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = provider(port);
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    for to in [&at("+19005551234"), "sip:1003@elsewhere.test", "tel:+19005551234", &at("nobody")] {
        let invite = caller.call(&caller.invite(&at("1002")));
        redirect(&mut callee, to);
        let answer = caller.final_for(&invite);
        assert_eq!(answer.status(), 302, "{to}");
        assert!(answer.get("Contact").is_some_and(|contact| contact.contains(to)), "{answer:?}");
        caller.acknowledge_failure(&invite, &answer);
    }
    assert!(provider.silent(QUIET, |m| m.method() == "INVITE"));
}

#[test]
fn two_phones_that_redirect_to_each_other_end() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut one) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let mut other = registered(&exchange, "1003");
    let invite = caller.call(&caller.invite(&at("1002")));
    let mut rounds = 0;
    let answer = loop {
        for (phone, to) in [(&mut one, "1003"), (&mut other, "1002")] {
            if let Some(arrived) = phone.wait(QUIET, |m| m.method() == "INVITE") {
                rounds += 1;
                let answer = phone.response(&arrived, 302, "Moved").with("Contact", format!("<{}>", at(to)));
                phone.send(&answer);
            }
        }
        if let Some(answer) = caller.wait(QUIET, |m| m.status() >= 300 && m.cseq() == invite.cseq()) {
            break answer;
        }
        assert!(rounds < 20, "it goes round and round");
    };
    assert_eq!(answer.status(), 302);
    assert!((2..=8).contains(&rounds), "{rounds}");
}

/// A trunk with these destinations, nobody asked by OPTIONS, and the sockets of the carrier at the ports.
fn carriers(ports: [u16; 2]) -> (Exchange, [Ua; 2]) {
    let uris = ports.map(|port| format!("127.0.0.1:{port}"));
    let resources = with_trunk(&[(&uris[0], 1, "udp")]).agent(DOMAIN, "1003", "pw-1003");
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let sockets = ports.map(|port| {
        let mut carrier = provider(port);
        super::trunk_dialogs::speaks_to(&mut carrier, &exchange);
        carrier
    });
    (exchange, sockets)
}

/// Of a carrier's redirection the first address at a host of its trunk is tried, and the dialog is with that one.
#[test]
fn a_carrier_moves_a_call_among_its_own_hosts() {
    let ports = [trunkline_tests::free_port(), trunkline_tests::free_port()];
    let (exchange, [mut first, mut second]) = carriers(ports);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let there = format!("sip:+1(785)3178070;npdi;rn=+1@127.0.0.1:{};y=2", ports[1]);
    let arrived = redirect(&mut first, &format!("sip:x@elsewhere.test>, <{there}?Subject=no"));
    let got = second.request_of("INVITE");
    assert_eq!(got.uri(), there);
    assert_ne!(got.branch(), arrived.branch());
    assert_eq!(got.all("Via").count(), 2, "{got:?}");
    for name in ["From", "To", "Call-ID", "CSeq", "Record-Route", "P-Asserted-Identity"] {
        assert_eq!(got.get(name), arrived.get(name), "{name}");
    }
    let sent = second.accept(&got);
    let ok = caller.status_for(&invite, 200);
    let mut ours = trunkline_tests::Dialog::of_caller(&invite, &ok);
    caller.send(&ours.request(&caller, "ACK"));
    second.request_of("ACK");
    let mut theirs = trunkline_tests::Dialog::of_callee(&got, &sent);
    let bye = theirs.request(&second, "BYE");
    second.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    second.status_for(&bye, 200);
}

/// Elsewhere it is not followed, nor to where the call was before, nor for ever: the caller gets it.
#[test]
fn a_carriers_other_redirections_go_to_the_caller() {
    let ports = [trunkline_tests::free_port(), trunkline_tests::free_port()];
    let (exchange, [mut first, mut second]) = carriers(ports);
    let mut caller = registered(&exchange, "1001");
    let elsewhere = [
        format!("sip:+17853178070@127.0.0.2:{}", ports[1]),
        format!("sip:+17853178070@127.0.0.1:{};maddr=127.0.0.2", ports[1]),
        "tel:+17853178070".to_owned(),
        at("1003"),
        format!("sip:+17853178070@127.0.0.1:{}", ports[0]),
        // A number that no rule has judged.
        format!("sip:+1900@127.0.0.1:{}", ports[1]),
    ];
    for to in elsewhere {
        let invite = caller.call(&caller.invite(&at("+17853178070")));
        redirect(&mut first, &to);
        let answer = caller.status_for(&invite, 302);
        assert_eq!(answer.get("Contact"), Some(&*format!("<{to}>")));
        caller.acknowledge_failure(&invite, &answer);
    }
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let next = |n: u32| format!("sip:+17853178070@127.0.0.1:{};n={n}", ports[1]);
    redirect(&mut first, &next(0));
    for n in 1..=5 {
        let arrived = redirect(&mut second, &next(n));
        assert_eq!(arrived.uri(), next(n - 1));
    }
    let answer = caller.status_for(&invite, 302);
    caller.acknowledge_failure(&invite, &answer);
}

/// A call that was redirected can be cancelled, and what the trunk shows of the caller stays the same.
#[test]
fn a_redirected_call_is_cancelled() {
    let ports = [trunkline_tests::free_port(), trunkline_tests::free_port()];
    let (exchange, [mut first, mut second]) = carriers(ports);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")).with("Privacy", "id"));
    let arrived = redirect(&mut first, &format!("sip:+17853178070@127.0.0.1:{}", ports[1]));
    let got = second.request_of("INVITE");
    assert_eq!(got.get("From"), arrived.get("From"));
    assert!(got.get("From").is_some_and(|from| from.contains("anonymous.invalid")), "{got:?}");
    second.respond(&got, 180, "Ringing");
    let ringing = caller.expect("180", |m| m.status() == 180);
    assert_eq!(ringing.get("From"), invite.get("From"));
    caller.cancel(&invite);
    let cancel = second.request_of("CANCEL");
    second.respond(&cancel, 200, "OK");
    second.respond(&got, 487, "Request Terminated");
    let ended = caller.status_for(&invite, 487);
    assert_eq!(ended.get("From"), invite.get("From"));
    caller.acknowledge_failure(&invite, &ended);
}

/// A peer's redirection is the caller's to follow.
#[test]
fn a_peers_redirection_goes_to_the_caller() {
    let port = trunkline_tests::free_port();
    let contact = format!(", contactAddr: \"127.0.0.1:{port}\"");
    let resources = agents().peer("pbx", &at("pbx"), "pw-pbx", &contact);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut pbx = provider(port);
    super::trunk_dialogs::speaks_to(&mut pbx, &exchange);
    let mut caller = registered(&exchange, "1001");
    for to in [at("1003"), format!("sip:x@127.0.0.1:{port}")] {
        let invite = caller.call(&caller.invite(&at("pbx")));
        redirect(&mut pbx, &to);
        let answer = caller.status_for(&invite, 302);
        caller.acknowledge_failure(&invite, &answer);
    }
}

/// The name of a server of another domain, said by a phone of this one.
#[test]
fn a_phone_sends_a_carrier_to_no_server_of_another_domain() {
    const OTHER: &str = "other.test";
    for (setting, reaches) in [("authenticated", false), ("isolated", false), ("open", true)] {
        let port = trunkline_tests::free_port();
        let resources = with_trunk(&[(&format!("127.0.0.1:{port}"), 1, "udp")])
            .domain_with(OTHER, "all", &[], &format!("    interDomain: {setting}\n"))
            .peer("pbx", &format!("sip:pbx@{OTHER}"), "pw-pbx", "");
        let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
        let mut provider = provider(port);
        super::trunk_dialogs::speaks_to(&mut provider, &exchange);
        let mut pbx = Ua::udp(exchange.udp(), "pbx", OTHER, "pw-pbx");
        assert_eq!(pbx.register(600).status(), 200);
        let mut callee = registered(&exchange, "1002");
        let invite = provider.invite(&format!("sip:{NUMBER}@trunk.test"));
        provider.send(&invite);
        redirect(&mut callee, &at("pbx"));
        if reaches {
            let arrived = pbx.request_of("INVITE");
            pbx.accept(&arrived);
            provider.status_for(&invite, 200);
        } else {
            provider.status_for(&invite, 302);
            assert!(pbx.silent(QUIET, |m| m.method() == "INVITE"), "{setting}");
        }
    }
}

/// Who withholds its name in From, and has shown it by its digest, is redirected like anybody else.
#[test]
fn a_withheld_callers_redirection_is_followed() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let mut third = registered(&exchange, "1003");
    let invite = caller.invite(&at("1002"));
    let anonymous = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a1".to_owned();
    let invite =
        caller.call(&invite.set("From", anonymous).with("P-Preferred-Identity", format!("<{}>", at("1001"))));
    redirect(&mut callee, &at("1003"));
    let arrived = third.request_of("INVITE");
    assert_eq!(arrived.get("X-Call-Direction"), Some("agent-to-agent"));
    assert!(arrived.get("From").is_some_and(|from| from.contains("anonymous.invalid")), "{arrived:?}");
    third.accept(&arrived);
    caller.status_for(&invite, 200);
}
