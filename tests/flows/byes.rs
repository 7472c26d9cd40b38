//! Who hangs up, and who only says so: a call, its record and its dialog end when a BYE is answered with what ends a dialog
//! (RFC 3261 §12.2.1.2, §15.1.1), or when both sides have sent one.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, wait_for};

use super::dialogs::{connect, talking};
use super::forged::{ALLOWED, MODES, Scene};
use super::records::{ended, told};
use super::{agents, at};

/// What refuses a BYE and ends nothing.
const REFUSALS: [(u16, &str); 11] = [
    (302, "Moved Temporarily"),
    (400, "Bad Request"),
    (401, "Unauthorized"),
    (405, "Method Not Allowed"),
    (407, "Proxy Authentication Required"),
    (420, "Bad Extension"),
    (480, "Temporarily Unavailable"),
    (483, "Too Many Hops"),
    (500, "Server Internal Error"),
    (503, "Service Unavailable"),
    (603, "Decline"),
];

/// A BYE of this side that the other answers so.
pub fn bye(from: (&mut Ua, &mut Dialog), to: &mut Ua, code: u16, reason: &str) -> Message {
    let bye = from.1.request(from.0, "BYE");
    from.0.send(&bye);
    let arrived = to.request_of("BYE");
    let mut answer = to.response(&arrived, code, reason);
    match code {
        401 => answer = answer.with("WWW-Authenticate", "Digest realm=\"there\", nonce=\"n\""),
        407 => answer = answer.with("Proxy-Authenticate", "Digest realm=\"there\", nonce=\"n\""),
        _ => {}
    }
    to.send(&answer);
    from.0.final_for(&bye)
}

/// A BYE of this side that the other answers 408, which its sender never hears.
fn unanswered(from: (&mut Ua, &mut Dialog), to: &mut Ua) {
    let bye = from.1.request(from.0, "BYE");
    from.0.send(&bye);
    let arrived = to.request_of("BYE");
    to.send(&to.response(&arrived, 408, "Request Timeout"));
    assert!(from.0.silent(Duration::from_millis(200), |m| m.status() == 408));
}

/// A request of this side reaches the other.
pub fn reaches(from: (&mut Ua, &mut Dialog), to: &mut Ua, method: &str) {
    let request = from.1.request(from.0, method);
    from.0.send(&request);
    let arrived = to.request_of(method);
    to.respond(&arrived, 200, "OK");
    let ok = from.0.status_for(&request, 200);
    if method == "INVITE" {
        let cseq = ok.get("CSeq").unwrap_or_default().replace("INVITE", "ACK");
        let ack = from.1.request(from.0, "ACK").set("CSeq", cseq);
        from.0.send(&ack);
        to.request_of("ACK");
    }
}

fn is_over(side: (&mut Ua, &mut Dialog), why: &str) {
    let late = side.1.request(side.0, "INFO");
    side.0.send(&late);
    assert_eq!(side.0.final_for(&late).status(), 481, "{why}");
}

/// So many calls are up, and none has a record that ended.
pub(super) fn are_up(exchange: &Exchange, count: usize, why: &str) {
    let live = told(exchange, &[]);
    assert_eq!(live.len(), count, "{why}: {live:?}");
    assert!(live.iter().all(|call| call["answered"].is_number()), "{why}: {live:?}");
}

#[test]
fn a_refused_bye_ends_neither_call_nor_dialog() {
    for mode in MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
        for (code, reason) in REFUSALS {
            let why = format!("{mode}{code}");
            for by_callee in [false, true] {
                let refusal = match by_callee {
                    false => bye((&mut caller, &mut a), &mut callee, code, reason),
                    true => bye((&mut callee, &mut b), &mut caller, code, reason),
                };
                assert!(refusal.status() >= 300, "{why}: {}", refusal.start);
                for method in ["INFO", "INVITE"] {
                    reaches((&mut caller, &mut a), &mut callee, method);
                    reaches((&mut callee, &mut b), &mut caller, method);
                }
            }
            if mode.is_empty() {
                are_up(&exchange, 1, &why);
            }
        }
        bye((&mut caller, &mut a), &mut callee, 200, "OK");
        is_over((&mut callee, &mut b), mode);
        if mode.is_empty() {
            let all = ended(&exchange, 1);
            assert_eq!((all[0][2].as_str(), all[0][3].as_str()), ("200", "1"), "{all:?}");
        }
    }
}

#[test]
fn a_bye_ends_the_call_that_the_other_side_knows_nothing_of() {
    for mode in MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        for (code, reason) in
            [(200, "OK"), (202, "Accepted"), (408, "Request Timeout"), (481, "Call Does Not Exist")]
        {
            let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
            if code == 408 && mode.is_empty() {
                // A transaction passes no 408 on (RFC 4320 §4.2), and takes it for what it is.
                unanswered((&mut callee, &mut b), &mut caller);
                wait_for("the call to end", || told(&exchange, &[]).is_empty().then_some(()));
            } else {
                bye((&mut callee, &mut b), &mut caller, code, reason);
            }
            is_over((&mut caller, &mut a), &format!("{mode}{code}"));
        }
        if mode.is_empty() {
            ended(&exchange, 4);
        }
    }
}

/// Both have hung up, whatever they say to each other.
#[test]
fn two_refused_byes_end_a_call() {
    for (code, crossing) in [(500, false), (500, true), (407, true), (200, true)] {
        let exchange = Exchange::start(&agents());
        let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
        if crossing {
            let (one, two) = (a.request(&caller, "BYE"), b.request(&callee, "BYE"));
            caller.send(&one);
            let first = callee.request_of("BYE");
            callee.send(&two);
            let second = caller.request_of("BYE");
            callee.respond(&first, code, "Said");
            caller.respond(&second, code, "Said");
            caller.final_for(&one);
            callee.final_for(&two);
        } else {
            bye((&mut caller, &mut a), &mut callee, code, "Said");
            are_up(&exchange, 1, "one has hung up");
            bye((&mut callee, &mut b), &mut caller, code, "Said");
        }
        is_over((&mut caller, &mut a), &format!("{code}"));
        ended(&exchange, 1);
    }
}

/// Whoever hangs up before the answer ends an early dialog (RFC 3261 §15). The call goes on if the callee takes it.
#[test]
fn a_bye_before_the_answer_ends_no_record() {
    for (code, reason) in [(420, "Bad Extension"), (481, "Call Does Not Exist"), (200, "OK")] {
        let mut scene = Scene::set("");
        let Scene { exchange, carrier, caller, .. } = &mut scene;
        let invite = caller.invite(&at(ALLOWED));
        let invite = caller.call(&invite);
        let arrived = carrier.request_of("INVITE");
        let early = carrier.response(&arrived, 183, "Session Progress");
        let early = early.set("Contact", format!("<{}>", carrier.contact()));
        carrier.send(&early);
        let heard = caller.expect("183", |m| m.status() == 183);
        let mut a = Dialog::of_caller(&invite, &heard);
        bye((caller, &mut a), carrier, code, reason);
        let sent = carrier.accept(&arrived);
        let ok = caller.status_for(&invite, 200);
        let mut a = Dialog::of_caller(&invite, &ok);
        let ack = a
            .request(caller, "ACK")
            .set("CSeq", invite.get("CSeq").unwrap_or_default().replace("INVITE", "ACK"));
        caller.send(&ack);
        carrier.request_of("ACK");
        are_up(exchange, 1, &format!("{code}"));
        let mut b = Dialog::of_callee(&arrived, &sent);
        reaches((carrier, &mut b), caller, "INFO");
        bye((carrier, &mut b), caller, 200, "OK");
        ended(exchange, 1);
    }
}

/// RFC 3261 §15.1.1: whoever has no answer to its BYE has hung up.
#[test]
fn a_bye_that_nobody_answers_ends_the_call() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = talking(&exchange, "1001", "1002");
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    callee.request_of("BYE");
    are_up(&exchange, 1, "nothing has come back");
    ended(&exchange, 1);
    is_over((&mut caller, &mut a), "after 64*T1");
}

/// A BYE without a way to the other side is answered by the exchange, and ends the call.
#[test]
fn who_is_not_there_any_more_has_hung_up() {
    let exchange = Exchange::start(&agents());
    let mut caller = super::registered(&exchange, "1001");
    let mut callee = Ua::tcp(exchange.tcp(), "1002", super::DOMAIN, "pw-1002");
    assert_eq!(callee.register(600).status(), 200);
    let (mut a, _) = connect(&mut caller, &mut callee);
    are_up(&exchange, 1, "before");
    drop(callee);
    let answer = wait_for("an answer of the exchange", || {
        let bye = a.request(&caller, "BYE");
        caller.send(&bye);
        Some(caller.final_for(&bye))
    });
    assert!(answer.status() >= 400, "{}", answer.start);
    ended(&exchange, 1);
}
