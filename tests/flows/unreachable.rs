//! A callee that cannot be reached: no 503, which would keep the caller away from the exchange (RFC 3261 §16.7 step 6).

use trunkline_tests::{Exchange, NameServer, Resources, Ua, Wire, free_port};

use super::operator::figure;
use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, phone, registered};

fn registers_at(exchange: &Exchange, user: &str, contact: &str) {
    let mut ua = phone(exchange, user);
    let request = ua.register_request(600).set("Contact", format!("<{contact}>"));
    assert_eq!(ua.ask(&request).0.status(), 200, "{contact}");
}

/// The final answer to a call, which says nothing of when to come back.
fn answered(caller: &mut Ua, to: &str) -> u16 {
    let invite = caller.call(&caller.invite(to));
    let answer = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &answer);
    assert_eq!(answer.get("Retry-After"), None, "{}", answer.start);
    answer.status()
}

#[test]
fn a_contact_that_leads_nowhere_is_480() {
    for stateless in ["off", "on"] {
        let names = NameServer::start(&[]);
        let config = format!("{}stateless: {stateless}\n", names.config(""));
        let exchange = Exchange::start_with(&agents(), &config, &[]);
        registers_at(&exchange, "1001", "sip:1001@nowhere.example.test");
        let mut caller = registered(&exchange, "1003");
        assert_eq!(answered(&mut caller, &at("1001")), 480, "stateless {stateless}");
        if stateless == "off" {
            // Nobody listens there.
            registers_at(&exchange, "1002", &format!("sip:1002@127.0.0.1:{};transport=tcp", free_port()));
            assert_eq!(answered(&mut caller, &at("1002")), 480);
        }
    }
}

/// Over UDP the network says that nobody is there (ICMP, RFC 3261 §18.4), long before the transaction would end.
#[test]
fn nobody_listens_on_udp() {
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&agents(), "", &[("TRUNKLINE_HTTP_ADDR", &http)]);
    registers_at(&exchange, "1001", &format!("sip:1001@127.0.0.1:{}", free_port()));
    let mut caller = registered(&exchange, "1003");
    for method in ["INVITE", "MESSAGE"] {
        let request = match method {
            "INVITE" => caller.invite(&at("1001")),
            _ => caller.request(method, &at("1001")),
        };
        let request = caller.call(&request);
        let answer = caller.final_for(&request);
        caller.acknowledge_failure(&request, &answer);
        assert_eq!(answer.status(), 480, "{method}");
    }
    assert_eq!(figure(&http, "trunkline_edge_undelivered_total"), 2);
    assert_eq!(figure(&http, "trunkline_edge_timeouts_total"), 0);
}

/// The next destination takes the call, and the first one counts as no less than it did: ICMP may be anybody's.
#[test]
fn the_next_destination_takes_a_call_that_does_not_arrive() {
    let port = free_port();
    let gone = format!("127.0.0.1:{}", free_port());
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("provider", "trunk.test", &[(&gone, 1, "udp"), (&format!("127.0.0.1:{port}"), 2, "udp")], None)
        .number(NUMBER, "provider", &at("1001"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut provider = Ua::new(Wire::udp_at(exchange.udp(), port), "provider", "provider.test", "");
    let mut caller = registered(&exchange, "1001");
    let invite = caller.call(&caller.invite(&at("+17853178070")));
    let arrived = provider.request_of("INVITE");
    provider.accept(&arrived);
    caller.status_for(&invite, 200);
}

#[test]
fn a_carrier_without_a_listener_is_500() {
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk("provider", "trunk.test", &[(&format!("127.0.0.1:{}", free_port()), 1, "tcp")], None)
        .number(NUMBER, "provider", &at("1001"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut caller = registered(&exchange, "1001");
    assert_eq!(answered(&mut caller, &at("+17853178070")), 500);
}

#[test]
fn without_transactions_a_callees_503_is_500_too() {
    let exchange = Exchange::start_with(&agents(), "stateless: on\n", &[]);
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let message = caller.request("MESSAGE", &at("1002"));
    caller.send(&message);
    let challenge = caller.final_for(&message);
    let message = caller.authorise(&message, &challenge, 1).expect("a challenge");
    caller.send(&message);
    let got = callee.request_of("MESSAGE");
    callee.respond(&got, 503, "Service Unavailable");
    caller.status_for(&message, 500);
}
