//! One AOR, two phones: every outcome of RFC 3261 §16.7.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua};

use super::{agents, at, phone, registered};

const QUIET: Duration = Duration::from_millis(300);

/// The caller with its INVITE, and two phones of 1002 that have it.
fn ringing() -> (Exchange, Ua, Message, [(Ua, Message); 2]) {
    let exchange = Exchange::start(&agents());
    let mut phones = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let invites = phones.each_mut().map(|ua| ua.request_of("INVITE"));
    let [a, b] = phones;
    let [invite_a, invite_b] = invites;
    (exchange, caller, invite, [(a, invite_a), (b, invite_b)])
}

/// What a phone is told that lost (RFC 3326 §3.1): it shows no missed call.
const ELSEWHERE: Option<&str> = Some("SIP;cause=200;text=\"Call completed elsewhere\"");

/// Takes a CANCEL with this Reason and ends the branch as a phone does.
fn take_cancel(ua: &mut Ua, invite: &Message, reason: Option<&str>) {
    let cancel = ua.request_of("CANCEL");
    assert_eq!(cancel.branch(), invite.branch());
    assert_eq!(cancel.get("Reason"), reason);
    ua.respond(&cancel, 200, "OK");
    ua.respond(invite, 487, "Request Terminated");
    ua.request_of("ACK");
}

#[test]
fn the_first_to_answer_wins_and_the_other_is_cancelled() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    assert_ne!(on_a.branch(), on_b.branch());
    a.respond(&on_a, 180, "Ringing");
    b.respond(&on_b, 180, "Ringing");
    a.accept(&on_a);
    caller.status_for(&invite, 200);
    take_cancel(&mut b, &on_b, ELSEWHERE);
    assert!(caller.silent(QUIET, |m| m.status() >= 300 && m.cseq().1 == "INVITE"));
}

#[test]
fn one_busy_the_other_answers() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    a.respond(&on_a, 486, "Busy Here");
    a.request_of("ACK");
    b.respond(&on_b, 180, "Ringing");
    assert!(caller.silent(QUIET, |m| m.status() >= 300 && m.cseq().1 == "INVITE"));
    b.accept(&on_b);
    caller.status_for(&invite, 200);
}

#[test]
fn both_busy_is_busy() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    a.respond(&on_a, 486, "Busy Here");
    b.respond(&on_b, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_decline_everywhere_ends_the_other_branch() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    b.respond(&on_b, 180, "Ringing");
    a.respond(&on_a, 603, "Decline");
    take_cancel(&mut b, &on_b, Some("SIP;cause=603"));
    let failure = caller.status_for(&invite, 603);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_failure_of_the_lowest_class_is_the_best() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    a.respond(&on_a, 503, "Service Unavailable");
    b.respond(&on_b, 404, "Not Found");
    let failure = caller.status_for(&invite, 404);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn two_answers_at_once_both_reach_the_caller() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    a.accept(&on_a);
    b.accept(&on_b);
    let one = caller.status_for(&invite, 200);
    let two = caller.expect("the other 200", |m| m.status() == 200 && m.tag("To") != one.tag("To"));
    assert_eq!(two.cseq(), invite.cseq());
}

/// A phone that was rung has the mark of its own branch, which with the tag of the phone that answered opens nothing.
#[test]
fn a_phone_that_only_rang_says_nothing_in_the_others_call() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    b.respond(&on_b, 180, "Ringing");
    let sent = a.accept(&on_a);
    let ok = caller.status_for(&invite, 200);
    let ack = Dialog::of_caller(&invite, &ok).request(&caller, "ACK");
    caller.send(&ack);
    a.request_of("ACK");
    take_cancel(&mut b, &on_b, ELSEWHERE);
    let mut posing = Dialog::of_callee(&on_b, &sent);
    for method in ["BYE", "INFO", "INVITE", "REFER", "MESSAGE"] {
        let request = posing.request(&b, method).with("Refer-To", at("1001"));
        b.send(&request);
        assert_eq!(b.final_for(&request).status(), 481, "{method}");
        assert!(caller.silent(QUIET, |m| m.method() == method), "{method}");
    }
    let mut own = Dialog::of_callee(&on_a, &sent);
    for method in ["INFO", "BYE"] {
        let request = own.request(&a, method);
        a.send(&request);
        let arrived = caller.request_of(method);
        caller.respond(&arrived, 200, "OK");
        a.status_for(&request, 200);
    }
}

#[test]
fn the_callers_cancel_reaches_both() {
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    a.respond(&on_a, 180, "Ringing");
    b.respond(&on_b, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    let reason = "Q.850;cause=16;text=\"gone\"";
    let cancel = Ua::cancel_of(&invite).with("Reason", reason);
    caller.send(&cancel);
    caller.status_for(&cancel, 200);
    take_cancel(&mut a, &on_a, Some(reason));
    take_cancel(&mut b, &on_b, Some(reason));
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_cancel_before_any_answer_waits_for_a_provisional_one() {
    // RFC 3261 §9.1: no CANCEL on a branch that has said nothing yet.
    let (_exchange, mut caller, invite, [(mut a, on_a), (mut b, on_b)]) = ringing();
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    assert!(a.silent(QUIET, |m| m.method() == "CANCEL"));
    a.respond(&on_a, 180, "Ringing");
    take_cancel(&mut a, &on_a, None);
    b.respond(&on_b, 180, "Ringing");
    take_cancel(&mut b, &on_b, None);
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_higher_q_is_tried_first() {
    let exchange = Exchange::start(&agents());
    let mut phones = [phone(&exchange, "1002"), phone(&exchange, "1002")];
    for (ua, q) in phones.iter_mut().zip(["0.9", "0.2"]) {
        let request = ua.register_request(600);
        let contact = format!("<{}>;q={q}", ua.contact());
        assert_eq!(ua.ask(&request.set("Contact", contact)).0.status(), 200);
    }
    let [mut first, mut second] = phones;
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let on_first = first.request_of("INVITE");
    assert!(second.silent(QUIET, |m| m.method() == "INVITE"));
    first.respond(&on_first, 480, "Temporarily Unavailable");
    let on_second = second.request_of("INVITE");
    second.accept(&on_second);
    caller.status_for(&invite, 200);
}
