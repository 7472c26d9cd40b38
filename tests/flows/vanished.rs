//! The other end of a connection vanishes without a word: the kernel watches it, and nobody waits for it any longer.

use std::net::SocketAddr;
use std::process::Command;

use trunkline_tests::{Exchange, Network, Side, Ua, Wire, wait_for};

use super::autopsies::exchange_outside;
use super::{DOMAIN, agents, at};

/// What the kernel says of the exchange's side of a connection from this address.
fn connection(server: SocketAddr, phone: SocketAddr) -> String {
    let ports = format!("( sport = :{} and dport = :{} )", server.port(), phone.port());
    let ss = Command::new("ss").args(["-Htno", "state", "established", &ports]).output();
    String::from_utf8_lossy(&ss.expect("`ss` starts: cargo xtask install").stdout).into_owned()
}

#[test]
fn the_other_end_of_a_connection_is_watched() {
    let (exchange, ws) = Exchange::start_ws(&agents());
    let tcp = exchange.tcp();
    let phone = Ua::tcp(tcp, "1001", DOMAIN, "pw-1001");
    let browser = Ua::ws(ws, "1002", DOMAIN, "pw-1002");
    for (server, mut ua) in [(tcp, phone), (ws, browser)] {
        assert_eq!(ua.register(600).status(), 200);
        let local = ua.wire.local();
        wait_for("the timer of keep-alives", || {
            connection(server, local).contains("timer:(keepalive,").then_some(())
        });
    }
}

/// What is sent to it is not acknowledged: its connection ends when a transaction would (TCP_USER_TIMEOUT), and the next caller is told
/// at once. Without that the kernel would try for a quarter of an hour.
#[test]
fn who_acknowledges_nothing_is_not_waited_for_twice() {
    let network = Network::behind_a_nat();
    let exchange = exchange_outside(&network);
    let server = SocketAddr::from((Network::EXCHANGE, exchange.udp().port()));
    let wire = network.on(Side::Inside, || Wire::tcp(server));
    let mut phone = Ua::new(wire, "1002", DOMAIN, "pw-1002");
    assert_eq!(phone.register(600).status(), 200);
    let wire = network.on(Side::Outside, || Wire::udp_from(Network::OUTSIDE.into(), server));
    let mut caller = Ua::new(wire, "1001", DOMAIN, "pw-1001");
    network.within(Side::Nat, "iptables -I FORWARD -j DROP");
    let invite = caller.call(&caller.invite(&at("1002")));
    let first = caller.final_for(&invite);
    caller.acknowledge_failure(&invite, &first);
    assert!(matches!(first.status(), 408 | 480), "{}", first.start);
    network.on(Side::Outside, || {
        wait_for("the end of the connection", || {
            let ss = Command::new("ss")
                .args(["-Htn", "state", "established", "dst", &Network::NAT.to_string()])
                .output();
            ss.expect("`ss` starts").stdout.is_empty().then_some(())
        });
    });
    let invite = caller.call(&caller.invite(&at("1002")));
    assert_eq!(caller.final_for(&invite).status(), 480);
}
