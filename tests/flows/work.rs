//! The work that a message makes grows with its size, whatever it is filled with.

use trunkline_tests::{Exchange, Resources, Ua, Wire, free_port, grows_with_size};

use super::trunks::{NUMBER, provider};
use super::{DOMAIN, at, registered};

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
