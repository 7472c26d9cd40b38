//! URIs that name one phone of an AOR, RFC 5627.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua};

use super::{DOMAIN, agents, at, phone, registered};

const QUIET: Duration = Duration::from_millis(400);

/// Registers a phone of 1002 by its instance; its public and its temporary GRUU.
pub fn register(ua: &mut Ua, instance: &str) -> [String; 2] {
    let contact = format!("<{}>;+sip.instance=\"<urn:uuid:{instance}>\"", ua.contact());
    let request = ua.register_request(600).set("Contact", contact).with("Supported", "gruu");
    let (answer, _) = ua.ask(&request);
    assert_eq!(answer.status(), 200);
    let own = answer.list("Contact").into_iter().find(|c| c.contains(instance)).expect("its contact");
    ["pub-gruu", "temp-gruu"].map(|name| {
        let text = own.split(&format!(";{name}=\"")).nth(1).expect("a GRUU");
        text.split('"').next().expect("quoted").to_owned()
    })
}

/// Two phones of one user, each with its GRUUs.
fn two_phones(exchange: &Exchange) -> [(Ua, [String; 2]); 2] {
    ["00000000-0000-1000-8000-00000000000a", "00000000-0000-1000-8000-00000000000b"].map(|instance| {
        let mut ua = phone(exchange, "1002");
        let gruus = register(&mut ua, instance);
        (ua, gruus)
    })
}

fn call(caller: &mut Ua, uri: &str) -> Message {
    let invite = caller.invite(uri);
    caller.call(&invite)
}

#[test]
fn a_call_to_a_gruu_rings_one_phone() {
    let exchange = Exchange::start(&agents());
    let [(mut a, gruus_a), (mut b, gruus_b)] = two_phones(&exchange);
    assert!(gruus_a[0].starts_with(&format!("sip:1002@{DOMAIN};gr=urn:uuid:")), "{gruus_a:?}");
    assert!(gruus_a[1].ends_with(&format!("@{DOMAIN};gr")) && !gruus_a[1].contains("1002"), "{gruus_a:?}");
    let mut caller = registered(&exchange, "1001");
    for gruu in [&gruus_a[0], &gruus_b[0], &gruus_a[1], &gruus_b[1]] {
        let (wanted, other) = if gruus_a.contains(gruu) { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let invite = call(&mut caller, gruu);
        let arrived = wanted.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        assert_eq!(arrived.uri(), wanted.contact(), "the GRUU is translated");
        wanted.respond(&arrived, 486, "Busy Here");
        let failure = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &failure);
        assert!(other.silent(QUIET, |m| m.call_id() == invite.call_id()));
    }
    // The AOR still rings both.
    let invite = call(&mut caller, &at("1002"));
    for ua in [&mut a, &mut b] {
        ua.expect("INVITE", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
    }
}

#[test]
fn who_is_away_is_480_and_who_never_was_is_404() {
    let exchange = Exchange::start(&agents());
    let [(mut a, gruus), _b] = two_phones(&exchange);
    let mut caller = registered(&exchange, "1001");
    let mut status = |uri: &str| {
        let invite = caller.invite(uri);
        caller.ask(&invite).0.status()
    };
    let (public, temporary) = (&gruus[0], &gruus[1]);
    let forged = temporary.replacen("tgruu.", "tgruu.AAAA", 1);
    assert_eq!(status(&forged), 404);
    assert_eq!(status(&format!("sip:1002@{DOMAIN};gr")), 404);
    assert_eq!(status(&public.replace("1002", "4711")), 404);
    assert_eq!(status(&format!("sip:1002@{DOMAIN};gr=urn:uuid:nobody")), 480);
    // It registers under another Call-ID: the temporary one has ended, the public one lives on.
    let [public_again, temporary_again] = register(&mut a, "00000000-0000-1000-8000-00000000000a");
    assert_eq!((public_again == *public, temporary_again == *temporary), (true, false));
    assert_eq!(status(temporary), 404);
    let away = a.register_request(0).with("Supported", "gruu");
    assert_eq!(a.ask(&away).0.status(), 200);
    assert_eq!(status(public), 480, "and the user's other phone is left alone");
    assert_eq!(status(&temporary_again), 480);
}

#[test]
fn a_gruu_as_contact_finds_the_phone_within_the_dialog() {
    let exchange = Exchange::start(&agents());
    let mut callee = phone(&exchange, "1002");
    let [public, _] = register(&mut callee, "00000000-0000-1000-8000-00000000000c");
    let mut caller = phone(&exchange, "1001");
    let [_, temporary] = register(&mut caller, "00000000-0000-1000-8000-00000000000d");
    // Both show GRUUs instead of their addresses.
    let invite = caller.invite(&at("1002")).set("Contact", format!("<{temporary}>"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let ok = callee.response(&arrived, 200, "OK").set("Contact", format!("<{public}>"));
    callee.send(&ok);
    let mut b = Dialog::of_callee(&arrived, &ok);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    assert_eq!((a.target.as_str(), b.target.as_str()), (public.as_str(), temporary.as_str()));
    let ack = a.request(&caller, "ACK");
    caller.send(&ack);
    assert_eq!(callee.request_of("ACK").uri(), callee.contact());
    let info = b.request(&callee, "INFO");
    callee.send(&info);
    let arrived = caller.request_of("INFO");
    assert_eq!(arrived.uri(), caller.contact());
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&info, 200);
    // The callee moves to another address in the middle of the call: its GRUU follows.
    let mut moved = phone(&exchange, "1002");
    let gone = callee.register_request(0);
    assert_eq!(callee.ask(&gone).0.status(), 200);
    assert_eq!(register(&mut moved, "00000000-0000-1000-8000-00000000000c")[0], public);
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = moved.request_of("BYE");
    moved.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
}

#[test]
fn only_who_asks_is_told_and_the_claims_are_true() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1002");
    let contact = format!("<{}>;+sip.instance=\"<urn:uuid:1>\"", ua.contact());
    let request = ua.register_request(600).set("Contact", contact);
    assert!(!ua.ask(&request).0.list("Contact").concat().contains("gruu"));
    let options = ua.request("OPTIONS", &format!("sip:{DOMAIN}"));
    ua.send(&options);
    assert_eq!(ua.status_for(&options, 200).get("Supported"), Some("path, outbound, gruu, gin"));
    // What is not claimed cannot be required.
    let unknown = ua.register_request(600).with("Require", "path, eventlist");
    let refused = ua.ask(&unknown).0;
    assert_eq!((refused.status(), refused.get("Unsupported")), (420, Some("eventlist")));
    let known = ua.register_request(600).with("Require", "outbound, gruu, path");
    assert_eq!(ua.ask(&known).0.status(), 200);
}
