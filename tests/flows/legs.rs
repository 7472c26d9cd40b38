//! A callee that makes many dialogs of one request takes nobody else's room: neither of whom the call goes on to, nor of who
//! rings beside it.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua, Wire, free_port, wait_for_every};

use super::byes::{are_up, bye, reaches};
use super::records::ended;
use super::{agents, at, registered, with_fallback};

/// More than the exchange keeps of one request.
const MANY: usize = 40;
const QUIET: Duration = Duration::from_millis(300);

/// Early dialogs under so many tags.
fn flood(ua: &mut Ua, invite: &Message) {
    for n in 0..MANY {
        let early = ua.response(invite, 183, "Session Progress");
        let to = format!("{};tag=flood{n}", invite.get("To").unwrap_or_default());
        ua.send(&early.set("To", to).set("Contact", format!("<{}>", ua.contact())));
    }
}

/// The caller has the 200: both sides reach each other, and hang up.
fn talk(caller: &mut Ua, invite: &Message, callee: (&mut Ua, &Message)) {
    let (callee, arrived) = callee;
    let sent = callee.accept(arrived);
    let ok = caller.status_for(invite, 200);
    let (mut a, mut b) = (Dialog::of_caller(invite, &ok), Dialog::of_callee(arrived, &sent));
    let ack = a.request(caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    for method in ["INFO", "INVITE"] {
        reaches((caller, &mut a), callee, method);
        reaches((callee, &mut b), caller, method);
    }
    let answer = bye((caller, &mut a), callee, 200, "OK");
    assert_eq!(answer.status(), 200);
}

#[test]
fn whoever_the_call_is_diverted_to_has_a_dialog() {
    let exchange = Exchange::start(&with_fallback());
    let [mut caller, mut first, mut second] =
        ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = first.request_of("INVITE");
    flood(&mut first, &arrived);
    first.respond(&arrived, 486, "Busy Here");
    let diverted = second.request_of("INVITE");
    talk(&mut caller, &invite, (&mut second, &diverted));
    ended(&exchange, 1);
}

#[test]
fn the_next_carrier_has_a_dialog() {
    let ports = [free_port(), free_port()];
    let [one, two] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)).to_string());
    let resources = super::trunks::with_trunk(&[(&one, 1, "udp"), (&two, 2, "udp")]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let carrier = |port| Ua::new(Wire::udp_at(exchange.udp(), port), "carrier", "carrier.test", "");
    let [mut first, mut second] = ports.map(carrier);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("+15551234567"));
    let invite = caller.call(&invite);
    let arrived = first.request_of("INVITE");
    flood(&mut first, &arrived);
    first.respond(&arrived, 503, "Service Unavailable");
    let next = second.request_of("INVITE");
    talk(&mut caller, &invite, (&mut second, &next));
    ended(&exchange, 1);
}

/// The early dialog of a phone that rings beside the one of many tags takes requests, and so does the call it becomes.
#[test]
fn who_rings_beside_it_keeps_its_dialog() {
    let exchange = Exchange::start(&agents());
    let mut phones = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let [on_loud, on_honest] = phones.each_mut().map(|ua| ua.request_of("INVITE"));
    let [loud, honest] = &mut phones;
    let ringing = honest.response(&on_honest, 180, "Ringing");
    let ringing = ringing.set("Contact", format!("<{}>", honest.contact()));
    honest.send(&ringing);
    let heard = caller.expect("180", |m| m.status() == 180);
    flood(loud, &on_loud);
    let last = format!("flood{}", MANY - 1);
    caller.expect("all of them", |m| m.status() == 183 && m.tag("To") == Some(last.as_str()));
    let mut early = Dialog::of_caller(&invite, &heard);
    reaches((&mut caller, &mut early), honest, "UPDATE");
    let sent = honest.accept(&on_honest);
    let ok = caller.status_for(&invite, 200);
    let cancel = loud.request_of("CANCEL");
    loud.respond(&cancel, 200, "OK");
    loud.respond(&on_loud, 487, "Request Terminated");
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&on_honest, &sent));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    honest.request_of("ACK");
    reaches((honest, &mut b), &mut caller, "INFO");
    bye((honest, &mut b), &mut caller, 200, "OK");
    ended(&exchange, 1);
}

/// A phone that only rang has a mark of the call that another phone of its account took. Its BYE, under its own tag or one that it makes
/// up, does not end that.
#[test]
fn who_only_rang_ends_nothing() {
    let exchange = Exchange::start(&agents());
    let mut phones = [registered(&exchange, "1002"), registered(&exchange, "1002")];
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("1002")));
    let [on_rung, on_honest] = phones.each_mut().map(|ua| ua.request_of("INVITE"));
    let [rung, honest] = &mut phones;
    let early = rung.response(&on_rung, 183, "Session Progress");
    let early = early.set("Contact", format!("<{}>", rung.contact()));
    rung.send(&early);
    caller.expect("183", |m| m.status() == 183);
    let sent = honest.accept(&on_honest);
    let ok = caller.status_for(&invite, 200);
    let (mut a, mut b) = (Dialog::of_caller(&invite, &ok), Dialog::of_callee(&on_honest, &sent));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    honest.request_of("ACK");
    rung.request_of("CANCEL");
    let of_rung = Dialog::of_callee(&on_rung, &early);
    let mut nobodys = of_rung.clone();
    nobodys.local = format!("<{}>;tag=none", at("1002"));
    for (whose, mut dialog) in [("its own", of_rung), ("nobody's", nobodys)] {
        let bye = dialog.request(rung, "BYE");
        rung.send(&bye);
        // It may get to the caller, who knows nothing of it.
        if let Some(arrived) = caller.wait(QUIET, |m| m.method() == "BYE") {
            caller.respond(&arrived, 481, "Call/Transaction Does Not Exist");
        }
        assert_eq!(rung.final_for(&bye).status(), 481, "{whose} tag");
        are_up(&exchange, 1, whose);
    }
    reaches((&mut caller, &mut a), honest, "INFO");
    reaches((honest, &mut b), &mut caller, "INFO");
    bye((&mut caller, &mut a), honest, 200, "OK");
    ended(&exchange, 1);
}

/// RFC 6665 §4.2.1.1: a notifier grants no longer a subscription than was asked for.
#[test]
fn a_subscription_ends_when_it_was_asked_to() {
    for mode in super::forged::MODES {
        let exchange = Exchange::start_with(&agents(), mode, &[]);
        let [mut subscriber, mut notifier] = ["1001", "1002"].map(|user| registered(&exchange, user));
        let subscribe = subscriber.request("SUBSCRIBE", &at("1002"));
        let subscribe = subscribe.with("Event", "x").with("Expires", "1");
        subscriber.send(&subscribe);
        let challenge = subscriber.final_for(&subscribe);
        let subscribe = subscriber.authorise(&subscribe, &challenge, 1).expect("a challenge");
        subscriber.send(&subscribe);
        let arrived = notifier.request_of("SUBSCRIBE");
        let sent = notifier.response(&arrived, 200, "OK").with("Expires", "4294967295");
        notifier.send(&sent);
        subscriber.status_for(&subscribe, 200);
        let mut b = Dialog::of_callee(&arrived, &sent);
        reaches((&mut notifier, &mut b), &mut subscriber, "MESSAGE");
        wait_for_every(std::time::Duration::from_secs(1), "the end of the subscription", || {
            // What the notifier repeats says nothing new.
            notifier.send(&sent);
            let late = b.request(&notifier, "MESSAGE");
            notifier.send(&late);
            let mut refused = None;
            while refused.is_none() {
                if let Some(got) =
                    subscriber.wait(std::time::Duration::from_millis(20), |m| m.method() == "MESSAGE")
                {
                    subscriber.respond(&got, 200, "OK");
                }
                refused = notifier.wait(std::time::Duration::from_millis(20), |m| {
                    m.status() >= 200 && m.cseq() == late.cseq()
                });
            }
            refused.filter(|m| m.status() == 481)
        });
    }
}
