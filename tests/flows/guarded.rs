//! Ways a request must not take: without TLS for a SIPS URI, to a carrier because a phone says so. And what must go on
//! without transactions.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::{
    Authority, Dialog, Exchange, NameServer, Record, Resources, Ua, Wire, free_port, wait_for,
};

use super::{DOMAIN, agents, at, phone, registered};

#[test]
fn a_sips_uri_is_reached_over_tls_or_not_at_all() {
    let authority = Authority::new();
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let env = [("TRUNKLINE_LISTEN_TLS", &*tls.to_string())];
    let exchange = Exchange::start_with(&agents(), &authority.config(&["127.0.0.1"]), &env);
    let secure = |user: &str| Ua::new(Wire::tls(tls, &authority), user, DOMAIN, &format!("pw-{user}"));
    let mut caller = secure("1001");
    let mut plain = registered(&exchange, "1002");
    let sips = |user: &str| at(user).replacen("sip:", "sips:", 1);

    let invite = caller.invite(&sips("1002"));
    let refusal = caller.ask(&invite).0;
    assert_eq!(refusal.status(), 480, "{}", refusal.start);
    assert!(refusal.get("Warning").is_some_and(|w| w.starts_with("380 ")), "{refusal:?}");
    assert!(plain.silent(Duration::from_millis(200), |m| m.method() == "INVITE"));

    // With a phone on TLS beside it that one rings, and it alone.
    let mut callee = secure("1002");
    assert_eq!(callee.register(600).status(), 200);
    let invite = caller.invite(&sips("1002"));
    let invite = caller.call(&invite);
    let arrived = callee.request_of("INVITE");
    let sent = callee.accept(&arrived);
    let ok = caller.status_for(&invite, 200);
    let ack = Dialog::of_caller(&invite, &ok).request(&caller, "ACK");
    caller.send(&ack);
    callee.request_of("ACK");
    let mut b = Dialog::of_callee(&arrived, &sent);
    let bye = b.request(&callee, "BYE");
    callee.send(&bye);
    let arrived = caller.request_of("BYE");
    caller.respond(&arrived, 200, "OK");
    callee.status_for(&bye, 200);
    assert!(plain.silent(Duration::from_millis(200), |m| m.method() == "INVITE"));
}

/// Whoever registers a carrier as its own phone would have calls to itself go there as the exchange's, past all rules.
#[test]
fn a_phone_is_no_way_to_a_carrier() {
    const GATEWAY: &str = "gateway.provider.test";
    let ports = [free_port(), free_port()];
    let uris =
        ["192.0.2.2:5060".into(), format!("{GATEWAY}:{}", ports[1]), format!("127.0.0.2:{}", ports[0])];
    let resources = Resources::new()
        .domain(DOMAIN, "all")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .trunk("provider", "trunk.test", &uris.each_ref().map(|at| (at.as_str(), 1, "udp")), None);
    let config = format!(
        "dns: {{hosts: {{{GATEWAY}: [192.0.2.3], mallory.test: [192.0.2.3]}}}}\nrouting: {{qualifySeconds: 0}}\n"
    );
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let mut mallory = phone(&exchange, "1001");
    let premium =
        ["192.0.2.2", "192.0.2.2:5080", GATEWAY, "192.0.2.3", "mallory.test", "192.0.2.9;maddr=192.0.2.2"];
    for host in premium {
        let request = mallory.register_request(600).set("Contact", format!("<sip:+1900@{host}>"));
        let answer = mallory.ask(&request).0;
        assert_eq!(answer.status(), 403, "{host}: {}", answer.start);
    }
    let request = mallory.register_request(600).with("Path", "<sip:192.0.2.2;lr>").with("Supported", "path");
    assert_eq!(mallory.ask(&request).0.status(), 403);
    let mut caller = registered(&exchange, "1002");
    let invite = caller.invite(&at("1001"));
    assert_eq!(caller.ask(&invite).0.status(), 480, "nobody is registered");

    // A gateway at a trunk's address may have a user of its own.
    let wire = Wire::udp_from([127, 0, 0, 2].into(), exchange.udp());
    let mut gateway = Ua::new(wire, "1001", DOMAIN, "pw-1001");
    assert_eq!(gateway.register(600).status(), 200);
    let invite = caller.invite(&at("1001"));
    caller.call(&invite);
    gateway.request_of("INVITE");
}

/// What a carrier's name led to is known right after a restart, though no name server answers any more.
#[test]
fn a_carriers_name_is_known_after_a_restart_without_name_servers() {
    let names = NameServer::start(&[("gateway.provider.test", Record::A([192, 0, 2, 77].into()))]);
    let uris = [("gateway.provider.test:5060", 1, "udp")];
    let resources = agents().trunk("provider", "trunk.test", &uris, None);
    let config = format!("routing: {{qualifySeconds: 0}}\n{}", names.config(""));
    let mut exchange = Exchange::start_with(&resources, &config, &[]);
    let mallory_at_it = |exchange: &Exchange| {
        let mut mallory = phone(exchange, "1001");
        let request = mallory.register_request(600).set("Contact", "<sip:+1900@192.0.2.77>");
        mallory.ask(&request).0.status()
    };
    wait_for("the name to be found", || (mallory_at_it(&exchange) == 403).then_some(()));
    names.hush();
    for _ in 0..2 {
        exchange.stop();
        exchange.restart();
        assert_eq!(mallory_at_it(&exchange), 403);
    }
}

#[test]
fn without_transactions_a_cancel_and_an_ack_follow_their_invite() {
    let resources =
        Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "x").agent(DOMAIN, "1002", "x");
    let exchange = Exchange::start_with(&resources, "stateless: on\n", &[]);
    let mut callee = registered(&exchange, "1002");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    caller.send(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.status_for(&invite, 180);
    let cancel = caller.cancel(&invite);
    let cancelled = callee.request_of("CANCEL");
    assert_eq!(cancelled.branch(), arrived.branch(), "what RFC 3261 §9.2 finds the INVITE by");
    callee.respond(&cancelled, 200, "OK");
    caller.final_for(&cancel);
    callee.respond(&arrived, 487, "Request Terminated");
    let failure = caller.status_for(&invite, 487);
    caller.acknowledge_failure(&invite, &failure);
    let ack = callee.request_of("ACK");
    assert_eq!(ack.branch(), arrived.branch(), "RFC 3261 §17.2.3");

    // Whoever had a request of ours cannot send us elsewhere with what looks like its response.
    let invite = caller.invite(&at("1002"));
    caller.send(&invite);
    let arrived = callee.request_of("INVITE");
    let mut victim = phone(&exchange, "1003");
    let mut forged = callee.response(&arrived, 180, "Ringing");
    let vias: Vec<_> = forged.headers.iter_mut().filter(|(name, _)| name == "Via").collect();
    let (_, second) = vias.into_iter().nth(1).expect("the caller's Via");
    *second = second.replace(&caller.wire.local().to_string(), &victim.wire.local().to_string());
    *second = second.replace(
        &format!("rport={}", caller.wire.local().port()),
        &format!("rport={}", victim.wire.local().port()),
    );
    callee.send(&forged);
    assert!(victim.silent(Duration::from_millis(300), |_| true));
}

#[test]
fn without_transactions_nothing_follows_an_invite_that_was_not_let_through() {
    let exchange = Exchange::start_with(&agents(), "stateless: on\n", &[]);
    let mut callee = registered(&exchange, "1002");
    let mut other = registered(&exchange, "1003");
    let mut stranger = phone(&exchange, "1001");
    // Without an INVITE.
    let invite = stranger.invite(&at("1002"));
    let cancel = stranger.cancel(&invite);
    stranger.status_for(&cancel, 481);
    let failure = stranger.response(&invite, 486, "Busy Here");
    stranger.acknowledge_failure(&invite, &failure);
    // With one that was challenged.
    stranger.send(&invite);
    assert!([401, 407].contains(&stranger.final_for(&invite).status()));
    let cancel = stranger.cancel(&invite);
    stranger.status_for(&cancel, 481);
    stranger.acknowledge_failure(&invite, &failure);
    assert!(callee.silent(Duration::from_millis(300), |_| true));
    // After the right digest both follow, and only to where the INVITE went.
    let sent = stranger.call(&invite);
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    stranger.status_for(&sent, 180);
    let mut elsewhere = sent.clone();
    elsewhere.start = elsewhere.start.replace("1002", "1003");
    let cancel = stranger.cancel(&elsewhere);
    stranger.status_for(&cancel, 481);
    stranger.cancel(&sent);
    let cancelled = callee.request_of("CANCEL");
    callee.respond(&cancelled, 200, "OK");
    callee.respond(&arrived, 487, "Request Terminated");
    let failure = stranger.status_for(&sent, 487);
    stranger.acknowledge_failure(&sent, &failure);
    callee.request_of("ACK");
    assert!(other.silent(Duration::from_millis(300), |_| true));
}
