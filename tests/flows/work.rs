//! The work that a message makes grows with its size, whatever it is filled with.

use trunkline_tests::{Exchange, Resources, Ua, Wire, free_port, grows_with_size};

use super::trunks::{NUMBER, provider};
use super::{DOMAIN, agents, at, registered};

/// An agent, and a carrier that takes its calls.
fn exchange(port: u16) -> (Exchange, Ua) {
    let destinations = [(&*format!("127.0.0.1:{port}"), 1, "udp")];
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", NUMBER)], "")
        .agent(DOMAIN, "1001", "pw-1001")
        .trunk_with("provider", "trunk.test", &destinations, None, "sendRegister: false")
        .number(NUMBER, "provider", &at("1001"));
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut carrier = provider(port);
    let Wire::Udp { server, .. } = &mut carrier.wire else { unreachable!("made on UDP") };
    *server = exchange.udp();
    (exchange, carrier)
}

/// What a carrier is not told is looked for in each URI.
#[test]
fn headers_on_their_way_to_a_carrier() {
    let port = free_port();
    let (exchange, mut carrier) = exchange(port);
    let mut caller = registered(&exchange, "1001");
    for (begin, part, end) in [
        ("<sip:a", ";a", ""),
        ("<sip:a", ";a", "@h>"),
        ("<sip:a@h", ";a=%22", ">"),
        ("sip:a", ";a=\"", ""),
        ("sip:a@h", " \" x=\"", ""),
        ("sip:a", ";a=\"\\", ""),
        ("sip:a", "<;a", ""),
        ("sip:a", ",;a", ""),
        ("sip:a", "%3b%3c", ""),
    ] {
        grows_with_size(&format!("{begin}{part}"), exchange.pid(), 6_000, |size| {
            let value = format!("{begin}{}{end}", part.repeat(size / part.len()));
            let invite = caller.call(&caller.invite(&at("+1555")).with("X-Long", value));
            let arrived = carrier.request_of("INVITE");
            carrier.respond(&arrived, 486, "Busy Here");
            let busy = caller.status_for(&invite, 486);
            caller.acknowledge_failure(&invite, &busy);
        });
    }
}

/// A callee fills Record-Route with values that look like our own.
#[test]
fn record_routes_of_responses() {
    let exchange = Exchange::start(&agents());
    let (mut caller, mut callee) = (registered(&exchange, "1001"), registered(&exchange, "1002"));
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    let own = arrived.get("Record-Route").expect("our own").to_owned();
    let forged = ["A", "B"].map(|end| own.replacen(">", &format!("{end}>"), 1));
    let ringing = callee.response(&arrived, 183, "Session Progress");
    for own_one in [false, true] {
        grows_with_size("Record-Route", exchange.pid(), 100, |size| {
            // Two that differ, as equal ones count once.
            let mut values: Vec<&str> = (0..size).map(|n| &*forged[n % 2]).collect();
            if own_one {
                values.push(&own);
            }
            callee.send(&ringing.clone().set("Record-Route", values.join(", ")));
            caller.expect_again("183", |m| m.status() == 183);
        });
    }
    callee.respond(&arrived, 486, "Busy Here");
    caller.status_for(&invite, 486);
}

/// A phone fills its Contacts with names of TLS hosts, always other ones.
#[test]
fn names_of_tls_hosts() {
    let config = "registrar: {maxContacts: 20, replaceOldestContact: on}\n";
    let exchange = Exchange::start_with(&agents(), config, &[]);
    let mut phone = registered(&exchange, "1001");
    let mut names = 0;
    grows_with_size("names of TLS hosts", exchange.pid(), 1_000, |size| {
        for _ in 0..size / 20 {
            names += 20;
            let contacts: Vec<String> =
                (names - 20..names).map(|n| format!("<sips:1001@host-{n}.localhost>")).collect();
            let request = phone.register_request(600).set("Contact", contacts.join(", "));
            assert_eq!(phone.ask(&request).0.status(), 200);
        }
    });
}
