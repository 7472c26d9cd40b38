//! Media of calls whose Call-ID and From tag are somebody else's too: each call has media of its own, whatever it is called,
//! and what is said in one of them changes nothing in the other.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, Rtpengine, Ua, Wire};

use super::media::{gone, mute, relayed};
use super::media_talk::{Call, Phone, five};
use super::{DOMAIN, at};

const QUIET: Duration = Duration::from_millis(300);

/// A call between 1001 and 1002, and 1003 and 1004, who know what it is called.
fn scene() -> (Rtpengine, Exchange, Call, Phone, Phone) {
    let (rtpengine, exchange) = relayed(&five());
    let [caller, callee, other, friend] =
        ["1001", "1002", "1003", "1004"].map(|user| Phone::registered(&exchange, user));
    let invite = caller.invite(&at("1002"));
    let call = Call::up(caller, callee, &invite, None);
    call.talks("at first");
    (rtpengine, exchange, call, other, friend)
}

#[test]
fn a_second_call_under_the_same_names_leaves_the_media_of_the_first() {
    let (rtpengine, _exchange, mut call, mut other, mut friend) = scene();
    let callee_tag = call.b.local.rsplit_once("tag=").expect("a tag").1.to_owned();
    let id = call.invite.call_id().to_owned();
    let (as_of, same) = (call.invite.clone(), call.invite.cseq().0);
    // One that is cancelled while it rings, one that is refused, of the same CSeq and of others.
    for cseq in [same, same + 7] {
        let invite = other.calls(&other.same_names(&at("1004"), &as_of, cseq));
        let arrived = friend.takes_invite();
        friend.answers(&arrived, 183, Some(&callee_tag));
        other.has_answer(&invite, 183);
        call.talks("while the other call rings");
        other.talks_with(&friend, "early");
        other.ua.cancel(&invite);
        let cancel = friend.ua.request_of("CANCEL");
        friend.ua.respond(&cancel, 200, "OK");
        friend.ua.respond(&arrived, 487, "Request Terminated");
        let failure = other.ua.status_for(&invite, 487);
        other.ua.acknowledge_failure(&invite, &failure);
        call.talks("after a CANCEL of the other");
    }
    let invite = other.calls(&other.same_names(&at("1004"), &as_of, same + 20));
    let arrived = friend.takes_invite();
    friend.ua.respond(&arrived, 486, "Busy Here");
    let failure = other.ua.status_for(&invite, 486);
    other.ua.acknowledge_failure(&invite, &failure);
    call.talks("after a failure of the other");
    call.changes();
    call.talks("after changes of its own");
    // One that comes up, under the callee's tag too, changes and ends.
    let invite = other.same_names(&at("1004"), &as_of, same + 30);
    let mut second = Call::up(other, friend, &invite, Some(&callee_tag));
    call.talks("beside the other call");
    second.talks("beside the first");
    second.changes();
    call.changes();
    call.talks("after changes of both");
    second.talks("after changes of both");
    second.bye();
    call.talks("after the BYE of the other");
    assert!(rtpengine.knows(&id));
    call.changes();
    call.talks("at last");
    call.bye();
    gone(&rtpengine, &id);
}

#[test]
fn the_end_of_the_first_call_leaves_the_media_of_the_second() {
    let (rtpengine, _exchange, mut call, other, friend) = scene();
    let id = call.invite.call_id().to_owned();
    let invite = other.same_names(&at("1004"), &call.invite, call.invite.cseq().0);
    let mut second = Call::up(other, friend, &invite, None);
    call.bye();
    second.talks("after the BYE of the first");
    second.changes();
    second.talks("after changes");
    second.bye();
    gone(&rtpengine, &id);
}

/// What rtpengine remembers of before a restart belongs to those calls.
#[test]
fn a_call_of_before_a_restart_keeps_its_media_beside_its_namesake() {
    let (rtpengine, mut exchange, mut call, other, friend) = scene();
    let id = call.invite.call_id().to_owned();
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    let callee_tag = call.b.local.rsplit_once("tag=").expect("a tag").1.to_owned();
    let invite = other.same_names(&at("1004"), &call.invite, call.invite.cseq().0);
    let mut second = Call::up(other, friend, &invite, Some(&callee_tag));
    call.talks("beside the call of after the restart");
    second.talks("beside the call of before the restart");
    second.changes();
    second.bye();
    call.talks("after the BYE of the other");
    call.changes();
    call.talks("after changes");
    call.bye();
    gone(&rtpengine, &id);
    // So does a second call of before.
    let Call { caller, callee, .. } = call;
    let Call { caller: other, callee: friend, .. } = second;
    let invite = caller.invite(&at("1002"));
    let mut call = Call::up(caller, callee, &invite, None);
    let invite = other.same_names(&at("1004"), &call.invite, call.invite.cseq().0);
    let mut second = Call::up(other, friend, &invite, None);
    assert_eq!(exchange.stop(), Some(0));
    exchange.restart();
    second.changes();
    call.talks("after changes of the second");
    second.talks("after its changes");
    second.bye();
    call.talks("after the BYE of the second");
    call.bye();
    gone(&rtpengine, call.invite.call_id());
}

/// The CANCEL of an INVITE from another socket.
fn cancel_of(invite: &Message, by: &mut Ua) -> Message {
    by.cancel(invite)
}

/// An INVITE that waits for the relay is taken back by its caller, as any other.
#[test]
fn a_neighbour_takes_no_call_back_that_waits_for_the_relay() {
    const OFFICE: [u8; 4] = [127, 0, 0, 2];
    let (_mute, exchange) = mute();
    let ua = |ip: [u8; 4], user: &str| {
        let wire = Wire::udp_from(ip.into(), exchange.udp());
        Ua::new(wire, user, DOMAIN, &format!("pw-{user}"))
    };
    let mut neighbour = ua(OFFICE, "1002");
    let mut away = ua([127, 0, 0, 3], "1003");
    assert_eq!((neighbour.register(600).status(), away.register(600).status()), (200, 200));
    let mut caller = ua(OFFICE, "1001");
    let invite = caller.call(&caller.invite(&at("1002")));
    caller.status_for(&invite, 100);
    // Whom it will ring may not, nor anybody elsewhere.
    for by in [&mut neighbour, &mut away] {
        let cancel = cancel_of(&invite, by);
        assert!(by.silent(QUIET, |m| m.status() == 200 && m.cseq() == cancel.cseq()));
    }
    assert!(caller.silent(QUIET, |m| m.status() >= 200));
    let cancel = caller.cancel(&invite);
    caller.status_for(&cancel, 200);
    caller.status_for(&invite, 487);
    // From another port, as NATs rebind, it has to say what the INVITE said.
    let mut rebound = ua(OFFICE, "1001");
    let invite = caller.call(&caller.invite(&at("1003")));
    caller.status_for(&invite, 100);
    let other_tag = invite.clone().set("From", format!("<{}>;tag=other", caller.aor()));
    let mut other_uri = invite.clone();
    other_uri.start = other_uri.start.replace("1003", "1002");
    for wrong in [other_tag, other_uri] {
        cancel_of(&wrong, &mut rebound);
    }
    assert!(caller.silent(QUIET, |m| m.status() >= 200));
    cancel_of(&invite, &mut rebound);
    caller.status_for(&invite, 487);
    // Over a connection the caller's own counts.
    let mut caller = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let mut beside = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    let invite = caller.call(&caller.invite(&at("1003")));
    caller.status_for(&invite, 100);
    cancel_of(&invite, &mut beside);
    assert!(caller.silent(QUIET, |m| m.status() >= 200));
    caller.cancel(&invite);
    caller.status_for(&invite, 487);
}
