//! A real Asterisk beside the exchange: as a peer that registers, and as a provider behind a trunk.

mod asterisk;

use asterisk::Asterisk;
use trunkline_tests::{Dialog, Exchange, Resources, Ua};

const DOMAIN: &str = "sip.test";
const NUMBER: &str = "+17066041487";

fn resources() -> Resources {
    Resources::new()
        .domain_with(DOMAIN, "all", &[("^\\+", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .peer("asterisk", "sip:asterisk@sip.test", "pw-asterisk", "")
        .trunk_with(
            "provider",
            "trunk.test",
            &[(&format!("{}:5060", asterisk::ADDRESS), 1, "udp")],
            Some(("line", "pw-line")),
            "sendRegister: true",
        )
        .number(NUMBER, "provider", "sip:1002@sip.test")
}

fn phone(exchange: &Exchange, user: &str) -> Ua {
    let mut ua = Ua::udp(exchange.udp(), user, DOMAIN, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200);
    ua
}

/// The phone calls; Asterisk answers; the phone hangs up.
fn calls(exchange: &Exchange, target: &str) {
    let mut caller = phone(exchange, "1001");
    let invite = caller.invite(target);
    let invite = caller.call(&invite);
    let ok = caller.status_for(&invite, 200);
    let mut dialog = Dialog::of_caller(&invite, &ok);
    let ack = dialog.request(&caller, "ACK");
    caller.send(&ack);
    let bye = dialog.request(&caller, "BYE");
    caller.send(&bye);
    caller.status_for(&bye, 200);
}

/// Asterisk calls; the phone answers; Asterisk hangs up by itself.
fn is_called(exchange: &Exchange, asterisk: &Asterisk, target: &str) {
    let mut callee = phone(exchange, "1002");
    asterisk.cli(&format!("channel originate PJSIP/{target} application Wait 1"));
    let invite = callee.request_of("INVITE");
    callee.accept(&invite);
    callee.request_of("ACK");
    let bye = callee.request_of("BYE");
    callee.respond(&bye, 200, "OK");
}

/// One Asterisk for every direction: it takes seconds to start.
#[test]
fn peer_and_trunk_in_both_directions() {
    let exchange = Exchange::start(&resources());
    let asterisk = Asterisk::start(exchange.udp());
    trunkline_tests::wait_for("Asterisk to be registered", || {
        asterisk.cli("pjsip show registrations").contains("Registered").then_some(())
    });
    calls(&exchange, "sip:asterisk@sip.test");
    println!("agent to peer");
    is_called(&exchange, &asterisk, "exchange/sip:1002@sip.test");
    println!("peer to agent");
    calls(&exchange, "sip:+17853178070@sip.test");
    println!("agent through the trunk");
    is_called(&exchange, &asterisk, &format!("exchange/sip:{NUMBER}@trunk.test"));
    println!("trunk to number to agent");
    trunkline_tests::wait_for("the exchange to be registered at Asterisk", || {
        asterisk.cli("pjsip show aor line").contains(&exchange.udp().to_string()).then_some(())
    });
    is_called(&exchange, &asterisk, &format!("{NUMBER}@line"));
    println!("where the trunk was registered, to number to agent");
}
