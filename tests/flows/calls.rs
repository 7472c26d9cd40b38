//! Agent to agent, by SIPp over UDP and TCP: answered, busy, unanswered, cancelled, held, transferred.

use std::net::TcpListener;

use trunkline_tests::{Exchange, Resources, Sipp, SippRun, Ua, Wire, free_port, wait_for};

use super::{DOMAIN, agents, registered};

/// Registers a user for a port that SIPp takes afterwards.
pub fn seat(exchange: &Exchange, user: &str, transport: &'static str) -> u16 {
    let port = free_port();
    let password = format!("pw-{user}");
    match transport {
        "u1" => {
            let mut ua = Ua::new(Wire::udp_at(exchange.udp(), port), user, DOMAIN, &password);
            assert_eq!(ua.register(600).status(), 200);
        }
        _ => {
            let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &password);
            let contact = format!("<sip:{user}@127.0.0.1:{port};transport=tcp>");
            let request = ua.register_request(600).set("Contact", contact);
            assert_eq!(ua.ask(&request).0.status(), 200);
        }
    }
    port
}

/// Registers 1002 for a port and starts SIPp there.
pub fn callee(
    exchange: &Exchange,
    scenario: &str,
    transport: &'static str,
    fill: &[(&str, &str)],
) -> SippRun {
    let port = seat(exchange, "1002", transport);
    let sipp =
        Sipp::new(scenario).port(port).transport(transport).fill("USER", "1002").fill("DOMAIN", DOMAIN);
    let sipp = fill.iter().fold(sipp, |sipp, (name, value)| sipp.fill(name, value));
    sipp.fill("RINGS", "180 Ringing").start()
}

/// SIPp as 1001, calling 1002.
pub fn caller(exchange: &Exchange, scenario: &str, transport: &'static str) -> Sipp {
    let sipp = Sipp::new(scenario).to(exchange.udp()).transport(transport);
    sipp.fill("FROM", "1001").fill("TO", "1002").fill("DOMAIN", DOMAIN).fill("PASSWORD", "pw-1001")
}

fn pair(uac: &str, uas: &str, from: &'static str, to: &'static str, fill: &[(&str, &str)]) {
    let exchange = Exchange::start(&agents());
    let callee = callee(&exchange, uas, to, fill);
    let sipp = caller(&exchange, uac, from);
    fill.iter().fold(sipp, |sipp, (name, value)| sipp.fill(name, value)).run();
    callee.finish();
}

#[test]
fn answered_udp_to_udp() {
    pair("uac_call", "uas_call", "u1", "u1", &[]);
}

#[test]
fn answered_tcp_to_tcp() {
    pair("uac_call", "uas_call", "t1", "t1", &[]);
}

#[test]
fn answered_udp_to_tcp() {
    pair("uac_call", "uas_call", "u1", "t1", &[]);
}

#[test]
fn answered_tcp_to_udp() {
    pair("uac_call", "uas_call", "t1", "u1", &[]);
}

#[test]
fn busy() {
    pair("uac_fail", "uas_refuse", "u1", "u1", &[("STATUS", "486"), ("REASON", "Busy Here")]);
}

#[test]
fn busy_over_tcp() {
    pair("uac_fail", "uas_refuse", "t1", "t1", &[("STATUS", "486"), ("REASON", "Busy Here")]);
}

/// Nobody answers within the second that the agent's phone rings: it is cancelled, the caller hears 408.
fn unanswered(transport: &'static str) {
    let fallback = ", fallback: {noAnswerSeconds: 1}";
    let resources = Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent_with(DOMAIN, "1002", "pw-1002", fallback);
    let exchange = Exchange::start(&resources);
    let callee = callee(&exchange, "uas_cancelled", transport, &[]);
    caller(&exchange, "uac_fail", transport).fill("STATUS", "408").run();
    callee.finish();
}

#[test]
fn unanswered_over_udp() {
    unanswered("u1");
}

#[test]
fn unanswered_over_tcp() {
    unanswered("t1");
}

#[test]
fn declined_over_tcp() {
    pair("uac_fail", "uas_refuse", "t1", "t1", &[("STATUS", "603"), ("REASON", "Decline")]);
}

#[test]
fn cancelled() {
    pair("uac_cancel", "uas_cancelled", "u1", "u1", &[]);
}

#[test]
fn cancelled_over_tcp() {
    pair("uac_cancel", "uas_cancelled", "t1", "t1", &[]);
}

#[test]
fn hold_and_update_both_ways() {
    pair("uac_hold", "uas_hold", "u1", "u1", &[]);
}

#[test]
fn hold_and_update_both_ways_over_tcp() {
    pair("uac_hold", "uas_hold", "t1", "t1", &[]);
}

#[test]
fn blind_transfer() {
    pair("uac_refer", "uas_refer", "u1", "u1", &[("TARGET", "1003"), ("REPLACES", "")]);
}

#[test]
fn blind_transfer_over_tcp() {
    pair("uac_refer", "uas_refer", "t1", "t1", &[("TARGET", "1003"), ("REPLACES", "")]);
}

/// Two phones of 1002 behave as these scenarios say, and the caller's sees what comes of it.
fn forked(transport: &'static str, one: &str, other: &str, uac: &str, fill: &[(&str, &str)]) {
    let exchange = Exchange::start(&agents());
    let callees = [one, other].map(|scenario| callee(&exchange, scenario, transport, fill));
    let sipp = caller(&exchange, uac, transport);
    fill.iter().fold(sipp, |sipp, (name, value)| sipp.fill(name, value)).run();
    callees.into_iter().for_each(SippRun::finish);
}

#[test]
fn forked_one_answers_the_other_is_cancelled() {
    ["u1", "t1"].into_iter().for_each(|t| forked(t, "uas_call", "uas_cancelled", "uac_call", &[]));
}

#[test]
fn forked_one_is_busy_the_other_answers() {
    let busy = [("STATUS", "486"), ("REASON", "Busy Here")];
    ["u1", "t1"].into_iter().for_each(|t| forked(t, "uas_refuse", "uas_call", "uac_call", &busy));
}

#[test]
fn forked_both_are_busy() {
    let busy = [("STATUS", "486"), ("REASON", "Busy Here")];
    ["u1", "t1"].into_iter().for_each(|t| forked(t, "uas_refuse", "uas_refuse", "uac_fail", &busy));
}

#[test]
fn forked_and_declined_everywhere() {
    let decline = [("STATUS", "603"), ("REASON", "Decline")];
    ["u1", "t1"].into_iter().for_each(|t| forked(t, "uas_refuse", "uas_cancelled", "uac_fail", &decline));
}

#[test]
fn forked_and_cancelled_by_the_caller() {
    for transport in ["u1", "t1"] {
        let exchange = Exchange::start(&agents());
        // One rings; of the other only the exchange hears.
        let callees = ["180 Ringing", "100 Trying"]
            .map(|rings| callee(&exchange, "uas_cancelled", transport, &[("RINGS", rings)]));
        caller(&exchange, "uac_cancel", transport).run();
        callees.into_iter().for_each(SippRun::finish);
    }
}

#[test]
fn a_hundred_calls_at_fifty_a_second() {
    let exchange = Exchange::start(&agents());
    let port = seat(&exchange, "1002", "u1");
    let uas = Sipp::new("uas_call").port(port).calls(100).fill("USER", "1002").fill("DOMAIN", DOMAIN).start();
    caller(&exchange, "uac_call", "u1").calls(100).arg("-r").arg("50").run();
    uas.finish();
}

#[test]
fn an_agent_without_a_phone_is_480() {
    let exchange = Exchange::start(&agents());
    caller(&exchange, "uac_fail", "u1").fill("STATUS", "480").run();
}

#[test]
fn a_long_invite_goes_over_tcp_when_the_phone_hears_it() {
    // RFC 3261 §18.1.1: over 1300 bytes a datagram is not enough.
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let listener = TcpListener::bind(callee.wire.local()).expect("the same port number");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&super::at("1002")).with("X-Long", "l".repeat(1400));
    let accepted = std::thread::spawn(move || {
        let mut ua = Ua::new(Wire::accept(&listener), "1002", DOMAIN, "");
        let invite = ua.request_of("INVITE");
        ua.respond(&invite, 486, "Busy Here");
        invite
    });
    let invite = caller.call(&invite);
    caller.status_for(&invite, 486);
    let seen = accepted.join().expect("the callee's thread");
    assert!(seen.get("Via").is_some_and(|via| via.starts_with("SIP/2.0/TCP")), "{seen:?}");
    assert!(callee.silent(std::time::Duration::from_millis(50), |m| m.method() == "INVITE"));
}

#[test]
fn a_long_invite_falls_back_to_udp_when_tcp_is_refused() {
    let exchange = Exchange::start(&agents());
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&super::at("1002")).with("X-Long", "l".repeat(1400));
    let invite = caller.call(&invite);
    let seen = callee.request_of("INVITE");
    callee.respond(&seen, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
}

#[test]
fn a_call_that_rings_at_a_stop_gets_its_answer() {
    let mut exchange = Exchange::start(&agents());
    let [mut caller, mut callee, mut late] = ["1001", "1002", "1003"].map(|user| registered(&exchange, user));
    let invite = caller.invite(&super::at("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    exchange.signal("TERM");
    wait_for("the exchange to drain", || exchange.log().contains("draining").then_some(()));
    let refused = late.invite(&super::at("1002"));
    assert_eq!(late.ask(&refused).0.status(), 503, "no new calls");
    callee.accept(&arrived);
    caller.status_for(&invite, 200);
    wait_for("the exchange to end", || (!exchange.alive()).then_some(()));
}
