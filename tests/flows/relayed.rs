//! Proxies that carry many clients over one connection: it proves none of them.

use std::time::Duration;

use trunkline_tests::{Exchange, Message, Resources, Ua, Wire, free_port};

use super::operator::ok;
use super::trunks::NUMBER;
use super::{DOMAIN, at};

const OUTSIDE: &str = "sip:+15551234567@sip.test";

fn resources(authenticate: &str, carrier: &str) -> Resources {
    Resources::new()
        .domain_with(DOMAIN, authenticate, &[(r"^\+1555[0-9]{7}$", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .agent(DOMAIN, "1002", "pw-1002")
        .peer("pbx", &at("pbx"), "pw-pbx", "")
        .trunk("provider", "trunk.test", &[(carrier, 1, "udp")], None)
        .number(NUMBER, "provider", &at("1002"))
}

/// A Via that the proxy got from one of its clients, with where it saw it.
fn client(n: u8) -> String {
    format!("SIP/2.0/UDP 10.1.1.{n}:5060;branch=z9hG4bKlow{n}{};received=10.1.1.{n};rport=5060", free_port())
}

fn registered_over(exchange: &Exchange, user: &str, relayed: bool, path: bool) -> Ua {
    let mut ua = Ua::tcp(exchange.tcp(), user, DOMAIN, &format!("pw-{user}"));
    let mut request = ua.register_request(600);
    if relayed {
        request = request.with("Via", client(1));
    }
    if path {
        let path = format!("<sip:{};transport=tcp;lr>", ua.wire.local());
        request = request.with("Path", path).with("Supported", "path");
    }
    assert_eq!(ua.ask(&request).0.status(), 200);
    ua
}

#[test]
fn a_proxys_connection_proves_nobody_behind_it() {
    for (authenticate, user) in [("egress", "1001"), ("egress", "pbx"), ("never", "pbx"), ("register", "pbx")]
    {
        let port = free_port();
        let config = "routing: {qualifySeconds: 0}\n";
        let exchange =
            Exchange::start_with(&resources(authenticate, &format!("127.0.0.1:{port}")), config, &[]);
        let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "trunk.test", "");
        for (relayed, path, through) in [
            (true, true, true),
            (true, false, true),
            (false, true, false),
            (false, false, true),
            (false, false, false),
        ] {
            let what = format!("{authenticate}, {user}: {relayed} {path} {through}");
            let mut proxy = registered_over(&exchange, user, relayed, path);
            let mut invite = proxy.invite(OUTSIDE).with("X-DOD-Number", NUMBER);
            if through {
                // Somebody else behind the proxy, or nobody could say who.
                invite = invite.with("Via", client(2));
            }
            proxy.send(&invite);
            if relayed || path || through {
                let answer = proxy.final_for(&invite);
                proxy.acknowledge_failure(&invite, &answer);
                assert_eq!(answer.status(), 401, "{what}");
                let calls = |m: &Message| m.method() == "INVITE";
                assert!(carrier.silent(Duration::from_millis(50), calls), "{what}");
                // Its secret is as good there as anywhere.
                invite = proxy.authorise(&invite, &answer, 1).expect("a challenge");
                proxy.send(&invite);
            }
            let arrived = carrier.request_of("INVITE");
            carrier.respond(&arrived, 486, "Busy Here");
            let answer = proxy.final_for(&invite);
            proxy.acknowledge_failure(&invite, &answer);
            assert_eq!(answer.status(), 486, "{what}");
        }
    }
}

/// A connection proves its client as long as the registration lives.
#[test]
fn a_connection_whose_registration_was_removed_calls_nobody_out() {
    let port = free_port();
    let config = "routing: {qualifySeconds: 0}\n";
    let exchange = Exchange::start_with(&resources("egress", &format!("127.0.0.1:{port}")), config, &[]);
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "trunk.test", "");
    let mut phone = registered_over(&exchange, "1001", false, false);
    for (kicked, status) in [(false, 486), (true, 401)] {
        if kicked {
            ok(&exchange, &["registrations", "kick", &phone.aor()]);
        }
        let invite = phone.invite(OUTSIDE);
        phone.send(&invite);
        if !kicked {
            let arrived = carrier.request_of("INVITE");
            carrier.respond(&arrived, 486, "Busy Here");
        }
        let answer = phone.final_for(&invite);
        phone.acknowledge_failure(&invite, &answer);
        assert_eq!(answer.status(), status, "kicked: {kicked}");
    }
    assert!(carrier.silent(Duration::from_millis(50), |m| m.method() == "INVITE"));
}

/// Where REGISTER is not authenticated a registered connection shows nothing.
#[test]
fn a_connection_that_registered_without_a_proof_calls_nobody_out() {
    let port = free_port();
    let config = "routing: {qualifySeconds: 0, authenticate: egress}\n";
    let exchange = Exchange::start_with(&resources("never", &format!("127.0.0.1:{port}")), config, &[]);
    let mut carrier = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "trunk.test", "");
    let mut anybody = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "");
    assert_eq!(anybody.register(600).status(), 200, "nobody is asked");
    let invite = anybody.invite(OUTSIDE);
    anybody.send(&invite);
    let answer = anybody.final_for(&invite);
    anybody.acknowledge_failure(&invite, &answer);
    assert_eq!(answer.status(), 401);
    assert!(carrier.silent(Duration::from_millis(50), |m| m.method() == "INVITE"));
}

/// Nor does it have a phone call somebody else, outside a dialog or inside one.
#[test]
fn a_connection_that_registered_without_a_proof_transfers_nobody() {
    let exchange =
        Exchange::start_with(&resources("never", "127.0.0.1:9"), "routing: {qualifySeconds: 0}\n", &[]);
    let mut phone = Ua::tcp(exchange.tcp(), "1002", DOMAIN, "pw-1002");
    let mut anybody = Ua::tcp(exchange.tcp(), "1001", DOMAIN, "pw-1001");
    assert_eq!((phone.register(600).status(), anybody.register(600).status()), (200, 200));
    let (mut dialog, _) = super::dialogs::connect(&mut anybody, &mut phone);
    let inside = dialog.request(&anybody, "REFER");
    for request in [anybody.request("REFER", &at("1002")), inside] {
        let request = request.with("Refer-To", format!("<{OUTSIDE}>"));
        anybody.send(&request);
        let answer = anybody.status_for(&request, 401);
        assert!(phone.silent(Duration::from_millis(50), |m| m.method() == "REFER"));
        // Who knows the secret may.
        let request = anybody.authorise(&request, &answer, 1).expect("a challenge");
        anybody.send(&request);
        let arrived = phone.request_of("REFER");
        phone.respond(&arrived, 202, "Accepted");
        anybody.status_for(&request, 202);
    }
}
