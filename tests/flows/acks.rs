//! Responses to an ACK, and to another method than was asked: nothing comes of them (RFC 3261 §17, §8.2.6.2). They reach
//! nobody, and change no dialog.

use trunkline_tests::{Dialog, Exchange, Message, Ua};

use super::dialogs::connect;
use super::forged::{MODES, OPEN_NUMBER, QUIET, Scene};
use super::marks::phone_from;
use super::{agents, registered};

/// As long as a subscription may be said to live.
const FOR_EVER: &str = "4294967295";

/// What whoever gets a request could make up in answer to it, at a place of its own choice.
fn lies(ua: &Ua, request: &Message, foreign: &str) -> Vec<Message> {
    let cseq = request.get("CSeq").and_then(|c| c.split(' ').next()).unwrap_or_default().to_owned();
    let lie = |code: u16, reason: &str, method: &str| {
        let answer = ua.response(request, code, reason).set("CSeq", format!("{cseq} {method}"));
        answer.set("Contact", format!("<{foreign}>")).set("Expires", FOR_EVER)
    };
    let mut all: Vec<Message> = ["SUBSCRIBE", "REFER", "BYE", "NOTIFY", "UPDATE", "INVITE", "CANCEL", "ACK"]
        .iter()
        .filter(|method| !request.method().eq_ignore_ascii_case(method))
        .map(|method| lie(200, "OK", method))
        .collect();
    all.push(lie(
        481,
        "Call/Transaction Does Not Exist",
        if request.method() == "NOTIFY" { "BYE" } else { "NOTIFY" },
    ));
    if request.method() == "ACK" {
        all.push(lie(180, "Ringing", "INVITE"));
        all.push(lie(500, "Server Internal Error", "INVITE"));
    }
    all
}

/// The dialog is as it was: each side reaches the other, at its own place alone, until one hangs up; then nobody does.
fn goes_on_and_ends(a: (&mut Ua, &mut Dialog), b: (&mut Ua, &mut Dialog), foreign: &str, why: &str) {
    let mut sides = [a, b];
    for from in [0, 1] {
        let [one, two] = &mut sides;
        let (sender, receiver) = if from == 0 { (one, two) } else { (two, one) };
        let target = std::mem::replace(&mut sender.1.target, foreign.to_owned());
        let astray = sender.1.request(sender.0, "INFO");
        sender.0.send(&astray);
        assert_eq!(sender.0.final_for(&astray).status(), 481, "{why}: it was moved");
        sender.1.target = target;
        let info = sender.1.request(sender.0, "INFO");
        sender.0.send(&info);
        let arrived = receiver.0.request_of("INFO");
        receiver.0.respond(&arrived, 200, "OK");
        sender.0.status_for(&info, 200);
    }
    let [one, two] = &mut sides;
    let bye = one.1.request(one.0, "BYE");
    one.0.send(&bye);
    let arrived = two.0.request_of("BYE");
    two.0.respond(&arrived, 200, "OK");
    one.0.status_for(&bye, 200);
    for from in [0, 1] {
        let sender = &mut sides[from];
        for method in ["REFER", "MESSAGE", "INFO", "NOTIFY", "OPTIONS", "INVITE"] {
            let late = sender.1.request(sender.0, method);
            sender.0.send(&late);
            let refusal = sender.0.final_for(&late);
            sender.0.acknowledge_failure(&late, &refusal);
            assert_eq!(refusal.status(), 481, "{why}: {method} after the BYE");
        }
    }
}

fn passed_on(m: &Message) -> bool {
    m.status() != 0 && m.get("Expires") == Some(FOR_EVER)
}

/// A side takes a request inside the dialog and answers it with a 2xx; gives back the ACK if it was an INVITE.
fn asks(from: (&mut Ua, &mut Dialog), to: &mut Ua, method: &str) -> Option<Message> {
    let request = from.1.request(from.0, method);
    from.0.send(&request);
    let arrived = to.request_of(method);
    to.respond(&arrived, 200, "OK");
    let ok = from.0.status_for(&request, 200);
    if method != "INVITE" {
        return None;
    }
    let cseq = ok.get("CSeq").unwrap_or_default().replace("INVITE", "ACK");
    let ack = from.1.request(from.0, "ACK").set("CSeq", cseq);
    from.0.send(&ack);
    Some(to.request_of("ACK"))
}

#[test]
fn what_answers_an_ack_is_nobodys() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let foreign = scene.premium();
        for (of_first, forger) in [(true, "callee"), (false, "callee"), (false, "caller")] {
            let why = format!("{mode}the {forger}'s answer to the ACK, of the first INVITE: {of_first}");
            let Scene { caller, friend, .. } = &mut scene;
            let invite = caller.invite(&friend.aor());
            let invite = caller.call(&invite);
            let arrived = friend.request_of("INVITE");
            let sent = friend.accept(&arrived);
            let ok = caller.status_for(&invite, 200);
            let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
            let first = a.request(caller, "ACK");
            caller.send(&first);
            let mut ack = friend.request_of("ACK");
            match (of_first, forger) {
                (true, _) => {}
                (false, "callee") => ack = asks((caller, &mut a), friend, "INVITE").expect("an ACK"),
                (false, _) => ack = asks((friend, &mut b), caller, "INVITE").expect("an ACK"),
            }
            let (liar, other) = if forger == "callee" { (friend, caller) } else { (caller, friend) };
            for lie in lies(liar, &ack, &foreign) {
                liar.send(&lie);
            }
            assert!(other.silent(QUIET, passed_on), "{why} was passed on");
            let Scene { caller, friend, .. } = &mut scene;
            goes_on_and_ends((caller, &mut a), (friend, &mut b), &foreign, &why);
            assert!(scene.carrier.silent(QUIET, |m| m.status() == 0), "{why}");
        }
    }
}

/// As soon as the phone that a stranger called has said INVITE, the stranger has an ACK.
#[test]
fn a_stranger_that_gets_an_ack_has_no_more_than_its_call() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let foreign = scene.premium();
        let mut stranger = phone_from(&scene.exchange, [127, 0, 0, 9], "stranger");
        stranger.domain = "far.test".to_owned();
        let callee = &mut scene.friend;
        let invite = stranger.invite(OPEN_NUMBER);
        stranger.send(&invite);
        let arrived = callee.request_of("INVITE");
        let sent = callee.accept(&arrived);
        let ok = stranger.status_for(&invite, 200);
        let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
        let ack = a.request(&stranger, "ACK");
        stranger.send(&ack);
        callee.request_of("ACK");
        let ack = asks((callee, &mut b), &mut stranger, "INVITE").expect("an ACK");
        for lie in lies(&stranger, &ack, &foreign) {
            stranger.send(&lie);
        }
        assert!(callee.silent(QUIET, passed_on), "{mode}");
        goes_on_and_ends((callee, &mut b), (&mut stranger, &mut a), &foreign, mode);
    }
}

/// A response that names another method than its request is none, whatever the request was.
#[test]
fn a_response_of_another_method_is_nobodys() {
    for mode in MODES {
        let mut scene = Scene::set(mode);
        let foreign = scene.premium();
        let Scene { caller, friend, .. } = &mut scene;
        for method in ["INFO", "UPDATE", "MESSAGE", "NOTIFY", "OPTIONS", "FOO", "INVITE"] {
            let (mut a, mut b) = connect(caller, friend);
            let request = a.request(caller, method);
            caller.send(&request);
            let arrived = friend.request_of(method);
            for lie in lies(friend, &arrived, &foreign) {
                friend.send(&lie);
            }
            // A response to the CANCEL of an INVITE may come on its branch.
            let lie = |m: &Message| passed_on(m) && (method != "INVITE" || m.cseq().1 != "CANCEL");
            assert!(caller.silent(QUIET, lie), "{mode}{method}");
            friend.respond(&arrived, 200, "OK");
            let ok = caller.status_for(&request, 200);
            assert_eq!(ok.get("CSeq"), request.get("CSeq"), "{mode}{method}");
            if method == "INVITE" {
                let cseq = ok.get("CSeq").unwrap_or_default().replace("INVITE", "ACK");
                let ack = a.request(caller, "ACK").set("CSeq", cseq);
                caller.send(&ack);
                friend.request_of("ACK");
            }
            goes_on_and_ends((caller, &mut a), (friend, &mut b), &foreign, &format!("{mode}{method}"));
        }
    }
}

/// Without transactions the ACK to a failure has the branch of its INVITE (RFC 3261 §16.11), inside a dialog too.
#[test]
fn the_ack_to_a_failure_goes_on_without_transactions() {
    let mut scene = Scene::set("stateless: on\n");
    let Scene { caller, friend, .. } = &mut scene;
    let (mut a, _) = connect(caller, friend);
    let invite = a.request(caller, "INVITE");
    caller.send(&invite);
    let arrived = friend.request_of("INVITE");
    friend.respond(&arrived, 488, "Not Acceptable Here");
    let failure = caller.status_for(&invite, 488);
    // RFC 3261 §17.1.1.3: its Route is that of the INVITE.
    let mut ack = invite.clone().set("To", failure.get("To").unwrap_or_default());
    ack.start = ack.start.replace("INVITE", "ACK");
    let ack = ack.set("CSeq", invite.get("CSeq").unwrap_or_default().replace("INVITE", "ACK"));
    caller.send(&ack);
    assert_eq!(friend.request_of("ACK").branch(), arrived.branch());
}

/// Whoever has seen a call's messages and answers its offer has the media sent to itself: an ACK with a body, and a CANCEL, come
/// from where the party is.
#[test]
fn nobody_else_answers_an_offer() {
    for config in MODES {
        let exchange = Exchange::start_with(&agents(), config, &[]);
        let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
        let invite = caller.request("INVITE", &callee.aor());
        let invite = caller.call(&invite);
        let arrived = callee.request_of("INVITE");
        let sent = callee.accept(&arrived);
        let ok = caller.status_for(&invite, 200);
        let (seen_of_a, seen_of_b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&arrived, &sent));
        let mut third = phone_from(&exchange, [127, 0, 0, 77], "1003");
        let foreign = "v=0\r\no=- 1 1 IN IP4 127.0.0.77\r\ns=-\r\nc=IN IP4 127.0.0.77\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        for (mut dialog, victim) in [(seen_of_a, &mut callee), (seen_of_b, &mut caller)] {
            for method in ["ACK", "CANCEL"] {
                let forged = dialog.request(&third, method).body("application/sdp", foreign);
                third.send(&forged);
            }
            assert!(victim.silent(QUIET, |m| matches!(m.method(), "ACK" | "CANCEL")), "{config}");
        }
        let mut a = Dialog::of_caller(&invite, &ok);
        let ack =
            a.request(&caller, "ACK").body("application/sdp", foreign.replace("127.0.0.77", "127.0.0.1"));
        caller.send(&ack);
        let heard = callee.request_of("ACK").body;
        assert!(String::from_utf8_lossy(&heard).contains("IP4 127.0.0.1\r"), "{config}");
    }
}
