//! What the exchange refuses, and by which status.

use std::time::Duration;

use trunkline_tests::{Exchange, Resources, Ua};

use super::{DOMAIN, agents, at, phone, registered};

#[test]
fn a_call_needs_credentials() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut stranger = Ua::udp(exchange.udp(), "1001", DOMAIN, "guessed");
    let invite = stranger.invite(&at("1002"));
    let (answer, _) = stranger.ask(&invite);
    assert!([401, 403, 407].contains(&answer.status()), "{}", answer.start);
    assert!(callee.silent(Duration::from_millis(100), |m| m.method() == "INVITE"));
}

#[test]
fn a_foreign_domain_is_no_relay() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite("sip:someone@elsewhere.example");
    assert_eq!(caller.ask(&invite).0.status(), 404);
    let mut stranger = Ua::udp(exchange.udp(), "mallory", "elsewhere.example", "");
    let invite = stranger.invite("sip:someone@elsewhere.example");
    stranger.send(&invite);
    let status = stranger.final_for(&invite).status();
    assert!([401, 403, 404, 407].contains(&status), "{status}");
}

#[test]
fn no_hops_left_is_483() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let request = caller.request("MESSAGE", &at("1002")).set("Max-Forwards", "0");
    assert_eq!(caller.ask(&request).0.status(), 483);
    assert!(callee.silent(Duration::from_millis(100), |m| m.method() == "MESSAGE"));
}

#[test]
fn a_loop_is_482() {
    let exchange = Exchange::start(
        &Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x"),
    );
    let mut callee = phone(&exchange, "1002");
    assert_eq!(callee.register(600).status(), 200);
    let mut caller = phone(&exchange, "1001");
    let message = caller.request("MESSAGE", &at("1002"));
    caller.send(&message);
    let arrived = callee.request_of("MESSAGE");
    // The next hop sends it back to where it was addressed, one Via longer.
    let mut back = arrived.clone();
    back.start.clone_from(&message.start);
    back.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Route"));
    back.headers.insert(0, ("Via".to_owned(), callee.via()));
    callee.send(&back);
    callee.expect("482", |m| m.status() == 482);
}

#[test]
fn unknown_extensions_schemes_and_versions() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let request = ua.request("MESSAGE", &at("1002")).with("Proxy-Require", "teleport");
    ua.send(&request);
    let answer = ua.status_for(&request, 420);
    assert_eq!(answer.get("Unsupported"), Some("teleport"));
    let mut request = ua.request("MESSAGE", &at("1002"));
    request.start = "MESSAGE mailto:a@b SIP/2.0".to_owned();
    ua.send(&request);
    ua.expect("416", |m| m.status() == 416);
}

#[test]
fn an_access_list_refuses_a_source() {
    let acl = Resources::new()
        .acl("closed", &["10.0.0.0/8"], &["0.0.0.0/0"])
        .domain_with(DOMAIN, "all", &[], "    accessControlListRef: closed\n")
        .agent(DOMAIN, "1001", "pw-1001");
    let exchange = Exchange::start(&acl);
    let mut ua = phone(&exchange, "1001");
    assert_eq!(ua.register(600).status(), 403);
}

#[test]
fn a_disabled_agent_neither_registers_nor_is_called() {
    let resources = agents().agent_with(DOMAIN, "1009", "pw-1009", ", enabled: false");
    let exchange = Exchange::start(&resources);
    let mut off = phone(&exchange, "1009");
    assert_eq!(off.register(600).status(), 403);
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1009"));
    let status = caller.ask(&invite).0.status();
    assert!([403, 404, 480].contains(&status), "{status}");
}

#[test]
fn an_ack_out_of_the_blue_and_a_stray_response_are_dropped() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut ua = phone(&exchange, "1001");
    let ack = ua.request("ACK", &at("1002"));
    ua.send(&ack);
    let ask = ua.request("OPTIONS", &format!("sip:{DOMAIN}"));
    let stray = ua.response(&ask, 200, "OK");
    ua.send(&stray);
    assert!(ua.silent(Duration::from_millis(200), |m| m.status() > 0), "an ACK is never answered");
    assert!(callee.silent(Duration::from_millis(100), |m| m.method() == "ACK"));
}

#[test]
fn a_cancel_for_nothing_is_481() {
    let exchange = Exchange::start(&agents());
    let mut ua = phone(&exchange, "1001");
    let invite = ua.invite(&at("1002"));
    let cancel = ua.cancel(&invite);
    ua.status_for(&cancel, 481);
}

#[test]
fn failed_guesses_are_stopped_and_the_right_secret_still_counts_elsewhere() {
    let exchange = Exchange::start(&agents());
    let mut guesser = Ua::udp(exchange.udp(), "1001", DOMAIN, "guess");
    for _ in 0..30 {
        assert_eq!(guesser.register(600).status(), 401);
    }
    guesser.password = "pw-1001".into();
    assert_eq!(guesser.register(600).status(), 401, "whoever guessed so often is told nothing");
    assert_eq!(phone(&exchange, "1001").register(600).status(), 200, "the same user on another port");
    assert_eq!(phone(&exchange, "1002").register(600).status(), 200, "another user of the same source");
}

/// RFC 3261 §16.7 step 3: it is for nobody but us.
#[test]
fn a_response_without_the_callers_via_goes_nowhere() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let right = callee.response(&arrived, 180, "Ringing");
    let ours = right.get("Via").expect("ours stands first").to_owned();
    callee.send(&right.without("Via").with("Via", ours));
    assert!(caller.silent(Duration::from_millis(200), |m| m.status() == 180));
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    // That it was refused is true all the same.
    let busy = callee.response(&arrived, 486, "Busy Here");
    let ours = busy.get("Via").expect("ours stands first").to_owned();
    callee.send(&busy.without("Via").with("Via", ours));
    let failure = caller.status_for(&invite, 486);
    assert_eq!(failure.get("Via").map(|via| via.contains(&caller.wire.local().to_string())), Some(true));
    caller.acknowledge_failure(&invite, &failure);
}
