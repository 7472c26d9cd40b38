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
