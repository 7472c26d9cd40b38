//! What travels within a dialog, and what only looks as if it did.

use std::time::Duration;

use trunkline_tests::{Dialog, Exchange, Message, Ua};

use super::{DOMAIN, agents, at, phone, registered};

/// A call that is up: both phones and their sides of the dialog.
pub fn talking(exchange: &Exchange, from: &str, to: &str) -> (Ua, Dialog, Ua, Dialog) {
    let mut callee = registered(exchange, to);
    let mut caller = registered(exchange, from);
    let (a, b) = connect(&mut caller, &mut callee);
    (caller, a, callee, b)
}

/// Brings a call up between two registered phones.
pub fn connect(caller: &mut Ua, callee: &mut Ua) -> (Dialog, Dialog) {
    let invite = caller.invite(&callee.aor());
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let mut a = Dialog::of_caller(&invite, &ok);
    let ack = a.request(caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    (a, Dialog::of_callee(&arrived, &sent))
}

#[test]
fn requests_go_both_ways_without_a_challenge() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
    assert!(!a.routes.is_empty(), "the exchange stays in the way of the dialog");
    for method in ["INFO", "UPDATE", "MESSAGE", "NOTIFY", "REFER"] {
        let request = a.request(&caller, method);
        caller.send(&request);
        let arrived = callee.request_of(method);
        assert_eq!(arrived.get("Max-Forwards"), Some("69"));
        assert!(arrived.get("Route").is_none(), "our Route is taken off: {arrived:?}");
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&request, 200);
        let request = b.request(&callee, method);
        callee.send(&request);
        let arrived = caller.request_of(method);
        caller.respond(&arrived, 200, "OK");
        callee.status_for(&request, 200);
    }
    let bye = b.request(&callee, "BYE");
    callee.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&bye, 200);
}

#[test]
fn a_to_tag_alone_is_no_dialog() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut stranger = phone(&exchange, "1001");
    let invite = stranger.invite(&at("1002"));
    let invite = invite.set("To", format!("<{}>;tag=made-up", at("1002")));
    stranger.send(&invite);
    let answer = stranger.final_for(&invite);
    assert_eq!(answer.status(), 481, "{}", answer.start);
    assert!(callee.silent(Duration::from_millis(200), |m| m.method() == "INVITE"));
}

/// What a caller has learnt of our mark in one call opens no second one: it is asked who it is, and routed by the rules.
#[test]
fn the_mark_of_a_dialog_begins_none() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, _) = talking(&exchange, "1001", "1002");
    let mut elsewhere = Ua::udp(exchange.udp(), "elsewhere", DOMAIN, "");
    a.remote = format!("<{}>", elsewhere.aor());
    a.target = elsewhere.contact();
    let invite = a.request(&caller, "INVITE");
    caller.send(&invite);
    let answer = caller.final_for(&invite);
    assert!([401, 403, 404, 407].contains(&answer.status()), "{}", answer.start);
    caller.acknowledge_failure(&invite, &answer);
    for ua in [&mut elsewhere, &mut callee] {
        assert!(ua.silent(Duration::from_millis(200), |m| m.method() == "INVITE"));
    }
}

/// Phones send credentials along inside a dialog, unasked and not used yet: whoever is called could call with them.
#[test]
fn credentials_for_us_are_not_passed_on() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut a, mut callee, mut b) = talking(&exchange, "1001", "1002");
    let of = |realm: &str| {
        format!(
            "Digest username=\"1001\", realm=\"{realm}\", nonce=\"n\", uri=\"sip:x\", response=\"{}\"",
            "0".repeat(32)
        )
    };
    for method in ["INVITE", "INFO"] {
        let request = a.request(&caller, method).with("Authorization", of(DOMAIN));
        let request =
            request.with("Proxy-Authorization", of(DOMAIN)).with("Proxy-Authorization", of("elsewhere.test"));
        caller.send(&request);
        let arrived = callee.request_of(method);
        assert!(arrived.get("Authorization").is_none(), "{arrived:?}");
        assert_eq!(arrived.all("Proxy-Authorization").collect::<Vec<_>>(), [of("elsewhere.test")]);
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&request, 200);
    }
    let bye = b.request(&callee, "BYE").with("Authorization", of("SIP.test"));
    callee.send(&bye);
    assert!(caller.request_of("BYE").get("Authorization").is_none());
}

/// A BYE with these Routes from a socket that has no part in the call: what came back. The callee gets none.
fn bye_with(exchange: &Exchange, dialog: &Dialog, routes: Vec<String>, callee: &mut Ua) -> Message {
    let mut stranger = Ua::udp(exchange.udp(), "1003", DOMAIN, "pw-1003");
    let mut forged = dialog.clone();
    forged.routes = routes;
    let bye = forged.request(&stranger, "BYE");
    stranger.send(&bye);
    let answer = stranger.final_for(&bye);
    assert!(
        callee.silent(Duration::from_millis(100), |m| m.method() == "BYE"),
        "{:?} is a way",
        forged.routes
    );
    answer
}

#[test]
fn a_route_without_our_mark_opens_no_relay() {
    let exchange = Exchange::start(&agents());
    let (_caller, a, mut callee, _b) = talking(&exchange, "1001", "1002");
    // The address alone, and the mark with one character changed.
    let bare = vec![format!("<sip:{};lr>", exchange.udp())];
    assert!(bye_with(&exchange, &a, bare, &mut callee).status() >= 400);
    let bent: Vec<String> = a.routes.iter().map(|route| bend(route)).collect();
    assert!(bye_with(&exchange, &a, bent, &mut callee).status() >= 400);
}

/// Changes one letter or digit in the longest parameter value of a Route.
fn bend(route: &str) -> String {
    let longest = route
        .trim_end_matches('>')
        .split(';')
        .filter_map(|p| p.split_once('='))
        .map(|(_, v)| v)
        .max_by_key(|v| v.len());
    let value = longest.expect("our Route carries a mark");
    let last = value.chars().last().expect("not empty");
    let other = if last == 'a' { 'b' } else { 'a' };
    route.replace(value, &format!("{}{other}", &value[..value.len() - last.len_utf8()]))
}

#[test]
fn a_bye_for_no_call_is_481_or_challenged() {
    let exchange = Exchange::start(&agents());
    let mut stranger = phone(&exchange, "1001");
    let bye = stranger.request("BYE", &at("1002")).set("To", format!("<{}>;tag=gone", at("1002")));
    stranger.send(&bye);
    let status = stranger.final_for(&bye).status();
    assert!([401, 404, 407, 480, 481].contains(&status), "{status}");
}

#[test]
fn message_and_subscribe_are_routed_like_a_call() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    for method in ["MESSAGE", "SUBSCRIBE", "PUBLISH"] {
        let request = caller.request(method, &at("1002")).with("Event", "message-summary");
        caller.send(&request);
        let challenge = caller.final_for(&request);
        let retry = caller.authorise(&request, &challenge, 1).expect("a challenge");
        caller.send(&retry);
        let arrived = callee.request_of(method);
        assert!(
            arrived.get("Authorization").is_none() && arrived.get("Proxy-Authorization").is_none(),
            "{arrived:?}"
        );
        callee.respond(&arrived, 200, "OK");
        caller.status_for(&retry, 200);
    }
}

#[test]
fn the_exchange_answers_options_itself() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    for target in [format!("sip:{DOMAIN}"), format!("sip:{}", exchange.udp())] {
        let request = ua.request("OPTIONS", &target);
        ua.send(&request);
        let answer = ua.status_for(&request, 200);
        assert!(answer.tag("To").is_some());
    }
    // The same over a stream, where keep-alives of RFC 5626 stand between messages.
    let mut ua = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    ua.wire.send(b"\r\n\r\n");
    let request = ua.request("OPTIONS", &format!("sip:{DOMAIN}"));
    ua.send(&request);
    ua.status_for(&request, 200);
}
