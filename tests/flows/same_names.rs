//! Two calls under one Call-ID and one From tag, and marks of calls that have ended: each first request begins dialogs of
//! its own, whatever it calls them.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, wait_for};

use super::forged::{MODES, OPEN_NUMBER, QUIET, Scene};
use super::marks::phone_from;
use super::{agents, at, registered};

/// An INVITE under the names of another one, with this CSeq.
fn same_names(ua: &Ua, to: &str, as_of: &Message, cseq: u32) -> Message {
    let tag = as_of.tag("From").unwrap_or_default();
    ua.invite(to)
        .set("Call-ID", as_of.call_id())
        .set("From", format!("<{}>;tag={tag}", ua.aor()))
        .set("CSeq", format!("{cseq} INVITE"))
}

/// Rings somebody under those names; the INVITE as it was sent and as it arrived.
fn calls_again(
    caller: &mut Ua,
    to: &str,
    callee: &mut Ua,
    (as_of, cseq): (&Message, u32),
) -> (Message, Message) {
    caller.forget();
    let invite = caller.call(&same_names(caller, to, as_of, cseq));
    (invite, callee.request_of("INVITE"))
}

/// A 200 under this To tag.
fn accepts_as(callee: &mut Ua, arrived: &Message, tag: &str) -> Message {
    let to = format!("{};tag={tag}", arrived.get("To").unwrap_or_default());
    let ok = callee.response(arrived, 200, "OK").set("To", to);
    callee.send(&ok);
    ok
}

/// A call that was accepted is up: its 200, and both sides of the dialog.
fn comes_up(
    caller: &mut Ua,
    invite: &Message,
    callee: &mut Ua,
    (arrived, sent): (&Message, &Message),
) -> (Message, Dialog, Dialog) {
    let ok = caller.status_for(invite, 200);
    let mut dialog = Dialog::of_caller(invite, &ok);
    let ack = dialog.request(caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    (ok, dialog, Dialog::of_callee(arrived, sent))
}

/// 200 to it, and 200 arrives.
fn passes(from: &mut Ua, dialog: &mut Dialog, method: &str, to: &mut Ua) {
    let request = dialog.request(from, method);
    from.send(&request);
    let arrived = to.expect(method, |m| m.method() == method && m.call_id() == request.call_id());
    to.respond(&arrived, 200, "OK");
    from.status_for(&request, 200);
}

/// Whether it arrives, and is answered 200, or is refused, is not what is asked here.
fn arrives_or_not(from: &mut Ua, request: &Message, to: &mut Ua) {
    let turn = Duration::from_millis(10);
    let names = (request.call_id(), request.cseq());
    from.send(request);
    wait_for("an answer", || {
        let arrived = to.wait(turn, |m| m.method() == request.method() && (m.call_id(), m.cseq()) == names);
        if let Some(arrived) = arrived {
            to.respond(&arrived, 200, "OK");
        }
        from.wait(turn, |m| m.status() >= 200 && (m.call_id(), m.cseq()) == names)
    });
}

/// 481, and nobody hears of it.
fn is_over(from: &mut Ua, dialog: &mut Dialog, why: &str) {
    for method in ["INVITE", "INFO", "UPDATE", "BYE"] {
        let request = dialog.request(from, method);
        from.send(&request);
        let refusal = from.final_for(&request);
        from.acknowledge_failure(&request, &refusal);
        assert_eq!(refusal.status(), 481, "{method} {why}");
    }
}

#[test]
fn a_second_call_under_the_same_names_moves_no_party_of_the_first() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let premium = scene.premium();
        let (mut paid, paid_ok) = scene.calls_the_carrier();
        let Scene { caller, friend, .. } = &mut scene;
        let (invite, arrived) = calls_again(caller, &at("1002"), friend, (&paid_ok, 5));
        let sent = accepts_as(friend, &arrived, paid_ok.tag("To").unwrap_or_default());
        let (_, mut a, mut b) = comes_up(caller, &invite, friend, (&arrived, &sent));
        // By its answer, and by a target refresh of its own.
        let update = a.request(caller, "UPDATE");
        caller.send(&update);
        let arrived = friend.request_of("UPDATE");
        let moved = friend.response(&arrived, 200, "OK").set("Contact", format!("<{premium}>"));
        friend.send(&moved);
        caller.status_for(&update, 200);
        scene.premium_is_refused(&mut paid, &format!("{mode}by an answer"));
        let Scene { caller, friend, .. } = &mut scene;
        let update = b.request(friend, "UPDATE").set("Contact", format!("<{premium}>"));
        arrives_or_not(friend, &update, caller);
        scene.premium_is_refused(&mut paid, &format!("{mode}by a request"));
        // Both calls go on, each for itself: the end of one is not that of the other.
        let Scene { carrier, caller, friend, .. } = &mut scene;
        a.target = friend.contact();
        let bye = a.request(caller, "BYE");
        arrives_or_not(caller, &bye, friend);
        for method in ["INFO", "BYE"] {
            let mut request = paid.request(caller, method);
            let (number, _) = request.cseq();
            request = request.set("CSeq", format!("{} {method}", number + 100));
            caller.send(&request);
            let arrived = carrier.request_of(method);
            carrier.respond(&arrived, 200, "OK");
            caller.status_for(&request, 200);
        }
    }
}

#[test]
fn a_call_that_has_ended_is_not_begun_again_under_its_names() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let Scene { exchange, caller, friend, .. } = &mut scene;
        let mut third = registered(exchange, "1003");
        // The callee hangs up, and calls somebody under the names of the call.
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = friend.request_of("INVITE");
        let sent = friend.accept(&arrived);
        let (ok, mut a, mut b) = comes_up(caller, &invite, friend, (&arrived, &sent));
        passes(friend, &mut b, "BYE", caller);
        is_over(friend, &mut b, "after the BYE");
        let (_, arrived) = calls_again(friend, &at("1003"), &mut third, (&ok, 7));
        third.respond(&arrived, 180, "Ringing");
        let mut renamed = b.clone();
        renamed.local = format!("<{}>;tag=zz", friend.aor());
        is_over(friend, &mut b, "by the callee");
        is_over(friend, &mut renamed, "by the callee, under another tag");
        is_over(caller, &mut a, "by the caller");
        // The caller hangs up at the carrier; then it calls its own second phone, which takes the carrier's tag.
        let (mut paid, paid_ok) = scene.calls_the_carrier();
        let Scene { carrier, caller, friend, .. } = &mut scene;
        passes(caller, &mut paid, "BYE", carrier);
        is_over(caller, &mut paid, "at the carrier");
        let (invite, arrived) = calls_again(caller, &at("1002"), friend, (&paid_ok, 50));
        accepts_as(friend, &arrived, paid_ok.tag("To").unwrap_or_default());
        caller.status_for(&invite, 200);
        is_over(caller, &mut paid, "at the carrier, begun again elsewhere");
        assert!(carrier.silent(QUIET, |m| m.status() == 0 && m.method() != "ACK"), "{mode}");
        assert!(caller.silent(QUIET, |m| m.status() == 0 && m.method() != "ACK"), "{mode}");
    }
}

/// Marks of before a restart are taken; the end of their call is remembered all the same, for every tag of its callee.
#[test]
fn a_call_of_before_a_restart_ends_once() {
    let mut exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = super::dialogs::talking(&exchange, "1001", "1002");
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    passes(&mut callee, &mut b, "BYE", &mut caller);
    is_over(&mut callee, &mut b, "after the BYE");
    for tag in ["x1", "x2", "x3"] {
        b.local = format!("<{}>;tag={tag}", callee.aor());
        is_over(&mut callee, &mut b, tag);
    }
    is_over(&mut caller, &mut a, "by the caller");
    assert!(caller.silent(QUIET, |m| m.status() == 0 && m.method() != "ACK"));
}

/// Whoever knows the names of a call and begins one under them is not its caller.
#[test]
fn a_call_stays_its_callers_whoever_uses_its_names() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let Scene { exchange, caller, friend: callee, .. } = &mut scene;
        let mut third = registered(exchange, "1003");
        let mut stranger = phone_from(exchange, [127, 0, 0, 99], "stranger");
        stranger.domain = "far.test".to_owned();
        let invite = caller.invite(&at("1002"));
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        // Before it answers, the callee calls under them, and a stranger calls an open number.
        let (_, theirs) = calls_again(callee, &at("1003"), &mut third, (&invite, 1));
        stranger.send(&same_names(&stranger, OPEN_NUMBER, &invite, 1));
        let strange = callee.request_of("INVITE");
        callee.respond(&strange, 180, "Ringing");
        third.respond(&theirs, 180, "Ringing");
        let sent = accepts_as(callee, &arrived, "callee");
        let ok = caller.status_for(&invite, 200);
        let mut a = Dialog::of_caller(&invite, &ok);
        let mut b = Dialog::of_callee(&arrived, &sent);
        let ack = a.request(caller, "ACK");
        caller.send(&ack);
        callee.request_of("ACK");
        // An agent's mark is asked for its secret elsewhere, also where the stranger is.
        let mut overheard = a.clone();
        for method in ["INFO", "INVITE", "BYE"] {
            let request = overheard.request(&stranger, method);
            stranger.send(&request);
            let refusal = stranger.final_for(&request);
            stranger.acknowledge_failure(&request, &refusal);
            assert!(matches!(refusal.status(), 401 | 407), "{mode}{method}: {}", refusal.start);
        }
        assert!(callee.silent(QUIET, |m| m.status() == 0 && m.method() != "ACK"), "{mode}");
        passes(caller, &mut a, "INFO", callee);
        passes(callee, &mut b, "INFO", caller);
        passes(caller, &mut a, "BYE", callee);
    }
}
