//! Media of forked INVITEs: each branch of a fork upstream has its own, and of a fork downstream the callee that answered.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Rtpengine, Ua, free_port, wait_for};

use super::media::{BROWSER, audio, body, gone, relayed};
use super::media_talk::{Phone, bye, change, five};
use super::{DOMAIN, agents, at};

/// An upstream proxy forks: two INVITEs with the same From, Call-ID and CSeq, which differ in Request-URI and branch.
#[test]
fn each_branch_of_a_fork_upstream_has_its_own_media() {
    let (rtpengine, exchange) = relayed(&five());
    let [mut caller, mut one, mut two] =
        ["1001", "1002", "1003"].map(|user| Phone::registered(&exchange, user));
    let first = caller.ua.call(&caller.invite(&at("1002")));
    let at_one = one.takes_invite();
    let second =
        caller.same_names(&at("1003"), &first, first.cseq().0).set("To", first.get("To").unwrap_or(""));
    let second = caller.calls(&second);
    assert_eq!((second.cseq(), second.call_id()), (first.cseq(), first.call_id()));
    let at_two = two.takes_invite();
    assert_ne!(audio(&at_one).0, audio(&at_two).0, "each branch has a port of its own");
    let sent = two.answers(&at_two, 200, None);
    let mut a = caller.has_answer(&second, 200);
    two.ua.request_of("ACK");
    caller.talks_with(&two, "before the other branch is cancelled");
    one.ua.respond(&at_one, 180, "Ringing");
    caller.ua.status_for(&first, 180);
    caller.ua.cancel(&first);
    let cancel = one.ua.request_of("CANCEL");
    one.ua.respond(&cancel, 200, "OK");
    one.ua.respond(&at_one, 487, "Request Terminated");
    let ended = caller.ua.expect("487", |m| m.status() == 487 && m.branch() == first.branch());
    caller.ua.acknowledge_failure(&first, &ended);
    caller.talks_with(&two, "after the other branch was cancelled");
    let mut b = Dialog::of_callee(&at_two, &sent);
    change("INVITE", (&mut caller, &mut a), &mut two);
    change("INVITE", (&mut two, &mut b), &mut caller);
    caller.talks_with(&two, "after changes");
    bye(&mut caller, &mut a, &mut two);
    gone(&rtpengine, first.call_id());
}

/// 1001 rings two phones of 1002.
fn forked(exchange: &Exchange) -> (Phone, Message, [(Phone, Message); 2]) {
    let [one, two] = ["1002", "1002"].map(|user| Phone::registered(exchange, user));
    let mut caller = Phone::registered(exchange, "1001");
    let invite = caller.ua.call(&caller.invite(&at("1002")));
    let phones = [one, two].map(|mut phone| {
        let arrived = phone.takes_invite();
        (phone, arrived)
    });
    (caller, invite, phones)
}

/// Of the phones that ring the one that answers is heard, whatever the others say before and after.
#[test]
fn a_fork_downstream_is_heard_where_it_was_answered() {
    let (rtpengine, exchange) = relayed(&five());
    let (mut caller, invite, [(mut one, at_one), (mut two, at_two)]) = forked(&exchange);
    let early = one.answers(&at_one, 183, None);
    caller.has_answer(&invite, 183);
    caller.talks_with(&one, "early");
    let mut early = Dialog::of_callee(&at_one, &early);
    // No answer: it has refused, and says the contrary after that.
    let refused = one.ua.respond(&at_one, 486, "Busy Here");
    one.ua.request_of("ACK");
    one.ua.send(&one.with_sdp(Message { start: "SIP/2.0 200 OK".into(), ..refused }));
    let sent = two.answers(&at_two, 200, None);
    let mut a = caller.has_answer(&invite, 200);
    two.ua.request_of("ACK");
    caller.talks_with(&two, "after the 200");
    // What ends an early dialog ends that one.
    let request = early.request(&one.ua, "BYE");
    one.ua.send(&request);
    let answer = wait_for("an answer to the BYE", || {
        if let Some(arrived) = caller.ua.wait(Duration::from_millis(10), |m| m.method() == "BYE") {
            caller.ua.respond(&arrived, 481, "No Such Dialog");
        }
        one.ua.wait(Duration::from_millis(10), |m| m.status() >= 200 && m.cseq() == request.cseq())
    });
    assert!(answer.status() >= 200);
    caller.talks_with(&two, "after the BYE of a phone that did not answer");
    let mut b = Dialog::of_callee(&at_two, &sent);
    change("INVITE", (&mut two, &mut b), &mut caller);
    caller.talks_with(&two, "after a change");
    bye(&mut caller, &mut a, &mut two);
    gone(&rtpengine, invite.call_id());
}

/// A phone that claims to be many callees takes no other one's media; nor does what a phone that has refused claimed.
#[test]
fn a_callee_of_many_tags_takes_nobodys_media() {
    let (rtpengine, exchange) = relayed(&five());
    let (mut caller, invite, [(mut one, at_one), (mut two, at_two)]) = forked(&exchange);
    for n in 0..40 {
        let tag = format!("claim-{n}");
        one.answers(&at_one, 183, Some(&tag));
        caller.ua.expect("183", |m| m.status() == 183 && m.tag("To") == Some(&*tag));
    }
    one.ua.respond(&at_one, 486, "Busy Here");
    one.ua.request_of("ACK");
    two.answers(&at_two, 200, None);
    let mut a = caller.has_answer(&invite, 200);
    two.ua.request_of("ACK");
    caller.talks_with(&two, "after the 200");
    bye(&mut caller, &mut a, &mut two);
    gone(&rtpengine, invite.call_id());
}

/// Two phones answer at once: the caller takes the first, and ends the other dialog (RFC 3261 §13.2.2.4).
#[test]
fn a_second_answer_takes_nothing_from_the_first() {
    let (rtpengine, exchange) = relayed(&five());
    let (mut caller, invite, [(mut one, at_one), (mut two, at_two)]) = forked(&exchange);
    let sent = one.answers(&at_one, 200, None);
    let mut a = caller.has_answer(&invite, 200);
    one.ua.request_of("ACK");
    caller.talks_with(&one, "after the first answer");
    // Under the tag of the first, and under its own.
    let first_tag = sent.tag("To").expect("a tag");
    two.answers(&at_two, 200, Some(first_tag));
    caller.ua.status_for(&invite, 200);
    caller.talks_with(&one, "after an answer under its tag");
    two.answers(&at_two, 200, None);
    let late = caller.ua.status_for(&invite, 200);
    caller.talks_with(&one, "after the second answer");
    let mut unwanted = Dialog::of_caller(&invite, &late);
    let ack = unwanted.request(&caller.ua, "ACK");
    caller.ua.send(&ack);
    bye(&mut caller, &mut unwanted, &mut two);
    caller.talks_with(&one, "after the end of the second dialog");
    let mut b = Dialog::of_callee(&at_one, &sent);
    change("INVITE", (&mut one, &mut b), &mut caller);
    caller.talks_with(&one, "after a change");
    bye(&mut one, &mut b, &mut caller);
    gone(&rtpengine, &a.call_id);
    a.routes.clear();
}

/// The same where they are not of one sort, so that each got an offer of its own.
#[test]
fn a_browser_that_answers_late_takes_nothing_from_a_phone() {
    let rtpengine = Rtpengine::start();
    let media = rtpengine.at().to_string();
    let ws = format!("127.0.0.1:{}", free_port());
    let env = [("TRUNKLINE_RTPENGINE", media.as_str()), ("TRUNKLINE_LISTEN_WS", &ws)];
    let exchange = Exchange::start_with(&agents(), "", &env);
    let mut phone = Phone::registered(&exchange, "1002");
    let mut browser = Ua::ws(ws.parse().expect("an address"), "1002", DOMAIN, "pw-1002");
    assert_eq!(browser.register(600).status(), 200);
    let mut caller = Phone::registered(&exchange, "1001");
    let invite = caller.ua.call(&caller.invite(&at("1002")));
    let (at_phone, at_browser) = (phone.takes_invite(), browser.request_of("INVITE"));
    assert!(body(&at_browser).contains("a=fingerprint:"));
    let sent = phone.answers(&at_phone, 200, None);
    let mut a = caller.has_answer(&invite, 200);
    phone.ua.request_of("ACK");
    browser.send(&browser.response(&at_browser, 200, "OK").body("application/sdp", BROWSER));
    let late = caller.ua.status_for(&invite, 200);
    caller.talks_with(&phone, "after the browser's answer");
    let mut unwanted = Dialog::of_caller(&invite, &late);
    let request = unwanted.request(&caller.ua, "BYE");
    caller.ua.send(&request);
    let arrived = browser.request_of("BYE");
    browser.respond(&arrived, 200, "OK");
    caller.ua.status_for(&request, 200);
    caller.talks_with(&phone, "after the end of the browser's dialog");
    let mut b = Dialog::of_callee(&at_phone, &sent);
    change("INVITE", (&mut phone, &mut b), &mut caller);
    bye(&mut caller, &mut a, &mut phone);
    gone(&rtpengine, &a.call_id);
}
