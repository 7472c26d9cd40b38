//! The next address, the next flow, the other transport.

use super::*;

#[test]
fn silence_leads_to_the_next_address_then_to_the_next_flow() {
    let mut w = World::new(Method::Invite);
    w.put_off(0, Target { phone: 7, ..target("flow") }, true);
    w.start(Target { phone: 7, has_addresses: true, ..target("one") });
    assert_eq!(w.begin(), ["request one"]);
    w.instead = Some(Target { phone: 7, ..target("two") });
    let told: Vec<_> = w.pass(2_000).into_iter().filter(|(_, text)| !text.starts_with("repeat")).collect();
    assert_eq!(told, [(2_000, "request two".to_owned())]);
    let told: Vec<_> = w.pass(4_000).into_iter().filter(|(_, text)| !text.starts_with("repeat")).collect();
    assert_eq!(told, [(4_000, "request flow".to_owned())]);
    // Those that were given up are cancelled when they wake up.
    assert_eq!(w.hear(0, 180), ["cancel one"]);
    assert_eq!(w.hear(2, 200), ["forward 200"]);
}

#[test]
fn a_503_is_for_one_address_and_a_refusal_of_a_trunk_is_final() {
    let mut w = World::new(Method::Invite);
    w.start(Target { trunk: true, has_addresses: true, ..target("one") });
    w.put_off(1, Target { trunk: true, ..target("spare carrier") }, false);
    w.begin();
    w.instead = Some(Target { trunk: true, ..target("two") });
    assert_eq!(w.hear(0, 503), ["ack one", "request two"]);
    assert_eq!(w.hear(1, 503), ["ack two", "request spare carrier"]);
    assert_eq!(w.hear(2, 404), ["ack spare carrier", "forward 404"]);
}

#[test]
fn no_way_counts_after_all_have_been_tried() {
    let mut w = World::new(Method::Invite);
    w.machine.start_dead(480, target("gone"), &mut w.work);
    w.start(target("x"));
    assert_eq!(w.begin(), ["request x"]);
    assert_eq!(w.hear(0, 180), [""; 0]);
    assert_eq!(w.tell(Input::Unsent(1, 503)), ["answer 480"]);
    let mut w = World::new(Method::Invite);
    w.start(Target { carrier: true, ..target("carrier") });
    w.begin();
    assert_eq!(w.tell(Input::Lost { branch: 0, refused: true }), ["answer 500"]);
}

#[test]
fn a_large_request_falls_back_to_udp() {
    let mut w = World::new(Method::Other);
    let text =
        String::from_utf8(request("MESSAGE", 0)).unwrap().replacen("SIP/2.0/UDP us", "SIP/2.0/TCP us", 1);
    let grown = Target { grown: true, reliable: true, ..target("x") };
    w.machine.start(text.into_bytes(), grown, 0, &mut w.work);
    w.begin();
    assert_eq!(w.tell(Input::Lost { branch: 0, refused: true }), ["fall back x"]);
    let branch = w.machine.branch(0).unwrap();
    assert!(!branch.target.grown && String::from_utf8_lossy(branch.sent()).contains("Via: SIP/2.0/UDP us"));
    assert_eq!(w.pass(T1), [(T1, "repeat x".to_owned())]);
}

#[test]
fn a_phone_that_rings_out_is_not_tried_by_its_other_flow() {
    let mut w = World::new(Method::Invite);
    w.machine.ring_for(20_000, true);
    for (phone, hop) in [(7, "seven"), (9, "nine")] {
        w.put_off(0, Target { phone, ..target(hop) }, true);
        w.start(Target { phone, patience: 60_000, ..target(hop) });
    }
    w.begin();
    w.hear(0, 180);
    w.hear(1, 180);
    w.now = 10_000;
    assert_eq!(w.machine.targets().count(), 4);
    w.hear(1, 183);
    w.pass(20_000);
    assert_eq!(w.hear(0, 487), ["ack seven"]);
    // What speaks for one flow leads to the other flow of that phone.
    assert_eq!(w.machine.targets().filter(|t| t.phone == 7).count(), 1);
    assert_eq!(w.machine.targets().filter(|t| t.phone == 9).count(), 2);
}

#[test]
fn an_address_that_is_not_reached_fails_at_once() {
    for (carrier, answer) in [(false, "answer 480"), (true, "answer 500")] {
        let mut w = World::new(Method::Invite);
        w.start(Target { carrier, ..target("x") });
        w.begin();
        assert_eq!(w.tell(Input::Unreachable(0)), [answer]);
        let mut w = World::new(Method::Invite);
        w.start(Target { carrier, ..target("x") });
        w.begin();
        assert_eq!(w.tell(Input::Lost { branch: 0, refused: false }), [answer]);
    }
    // The phone has another flow.
    let mut w = World::new(Method::Invite);
    w.put_off(0, Target { phone: 7, ..target("flow") }, true);
    w.start(Target { phone: 7, ..target("x") });
    w.begin();
    assert_eq!(w.tell(Input::Unreachable(0)), ["request flow"]);
    // Something was heard of it: that is no lie of the network.
    w.hear(1, 100);
    assert_eq!(w.tell(Input::Unreachable(1)), [""; 0]);
}

#[test]
fn a_large_request_waits_for_a_word_over_tcp_and_not_for_ever() {
    let grown = || Target { grown: true, reliable: true, ..target("x") };
    let mut w = World::new(Method::Other);
    w.start(grown());
    w.begin();
    assert_eq!(w.pass(1_999), []);
    assert_eq!(w.pass(2_000), [(2_000, "fall back x".to_owned())]);
    assert_eq!(w.pass(2_000 + T1), [(2_000 + T1, "repeat x".to_owned())]);
    let mut w = World::new(Method::Other);
    w.start(grown());
    w.begin();
    w.hear(0, 100);
    assert!(w.pass(T1_64 - 1).iter().all(|(_, text)| text == "reply"), "it was heard of");
}

#[test]
fn a_large_request_that_was_heard_of_does_not_fall_back() {
    let mut w = World::new(Method::Invite);
    w.machine.ring_for(20_000, true);
    w.start(Target { grown: true, reliable: true, silence: Some(2_000), ..target("x") });
    w.begin();
    w.hear(0, 180);
    // Its connection has ended, and the one for its CANCEL is refused.
    assert_eq!(w.pass(20_000), [(20_000, "cancel x".to_owned())]);
    assert_eq!(w.tell(Input::Lost { branch: 0, refused: true }), ["answer 480"]);
    w.hear(0, 183);
    w.pass(20_000 + 2 * T1_64);
    assert!(w.machine.is_over(), "nothing is kept");
}
