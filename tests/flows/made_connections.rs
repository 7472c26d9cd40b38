//! Connections that the exchange makes because a phone's Contact says so.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use trunkline_tests::{Exchange, Ua, Wire, wait_for};

use super::{DOMAIN, agents, at, registered};

const MOST: usize = 5;
const QUIET: Duration = Duration::from_millis(300);

/// A phone over UDP with so many Contacts over TCP at its host; their listeners.
fn with_listeners(exchange: &Exchange, user: &str, host: Ipv4Addr, count: usize) -> (Ua, Vec<TcpListener>) {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind((host, 0)).expect("a TCP port")).collect();
    let wire = Wire::udp_from(host.into(), exchange.udp());
    let mut ua = Ua::new(wire, user, DOMAIN, &format!("pw-{user}"));
    let contact = |l: &TcpListener| {
        l.set_nonblocking(true).expect("a live socket");
        format!("<sip:{user}@{};transport=tcp>", l.local_addr().expect("bound"))
    };
    let contacts: Vec<String> = listeners.iter().map(contact).collect();
    let request = ua.register_request(600).set("Contact", contacts.join(", "));
    assert_eq!(ua.ask(&request).0.status(), 200);
    (ua, listeners)
}

#[test]
fn one_address_has_so_many_made_to_it() {
    let config = format!("workers: 1\nlimits: {{connectionsPerAddress: {MOST}}}\n");
    let exchange = Exchange::start_with(&agents(), &config, &[]);
    let mut caller = registered(&exchange, "1003");
    let (_greedy, many) = with_listeners(&exchange, "1001", [127, 0, 0, 12].into(), 2 * MOST);
    let (_other, one) = with_listeners(&exchange, "1002", [127, 0, 0, 13].into(), 1);
    let mut taken = Vec::new();
    let mut take = |from: &[TcpListener]| {
        taken.extend(from.iter().filter_map(|listener| listener.accept().ok()));
        taken.len()
    };
    caller.call(&caller.invite(&at("1001")));
    wait_for("the first connections", || (take(&many) >= MOST).then_some(()));
    caller.silent(QUIET, |m| m.status() >= 300);
    assert_eq!(take(&many), MOST);
    // Another host is reached.
    caller.call(&caller.invite(&at("1002")));
    wait_for("another phone's", || (take(&one) > MOST).then_some(()));
}
