//! One busy source on two workers: its calls are shared, none is broken or doubled while that begins and ends.

use std::time::{Duration, Instant};

use std::collections::HashMap;

use trunkline_tests::{Exchange, Message, NameServer, Record, Resources, Ua, Wire, free_port, wait_for};

use super::carrier::Carrier;
use super::names::{DIALLED, with_trunk};
use super::operator::figure;
use super::{DOMAIN, at};

/// Whoever sends more than a few requests a second is shared, and no longer so when it was calm for a second.
const EAGER: &str = "workers: 2\nhandover: {busyPercent: 0, calmSeconds: 1}\n";

/// How long the calls go on: `TRUNKLINE_SOAK_SECONDS`, else 6.
fn soak() -> Duration {
    let seconds = std::env::var("TRUNKLINE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// Busy and calm by turns; at the end every call has had its one fate.
fn busy_and_calm(caller: impl FnOnce(&Exchange) -> Ua) {
    let resources =
        Resources::new().domain(DOMAIN, "never").agent(DOMAIN, "1001", "-").agent(DOMAIN, "1002", "-");
    let http = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&resources, EAGER, &[("TRUNKLINE_HTTP_ADDR", &http)]);
    let mut callee = Ua::udp(exchange.udp(), "1002", DOMAIN, "-");
    assert_eq!(callee.register(600).status(), 200);
    let mut carrier = Carrier::new(caller(&exchange), callee);
    let told = |what: &str| exchange.log().matches(what).count();
    let (begin, end) = (Instant::now(), Instant::now() + soak());
    let mut turns = 0;
    while turns == 0 || Instant::now() < end {
        let before = figure(&http, "trunkline_edge_handed_over_total");
        let (shared, calm) = (told("are moved to other workers"), told("has been calm"));
        carrier.run_until_told(|| told("are moved to other workers") > shared);
        carrier.run(Duration::from_millis(1_500), 16);
        let handed_over = figure(&http, "trunkline_edge_handed_over_total") - before;
        assert!(handed_over > 0, "nothing was handed over");
        let slowly = Duration::from_millis(500);
        let what = "a calm source returns";
        carrier.run_slowly(slowly, what, || told("has been calm") > calm);
        turns += 1;
    }
    carrier.end();
    println!(
        "handover: {} calls in {:.1} s, {turns} turns, {} requests handed over, {} repeated for want of an answer",
        carrier.done,
        begin.elapsed().as_secs_f64(),
        figure(&http, "trunkline_edge_handed_over_total"),
        carrier.repeated,
    );
    for name in ["handover_dropped", "stray_acks", "timeouts"] {
        assert_eq!(figure(&http, &format!("trunkline_edge_{name}_total")), 0, "{name}");
    }
    assert_eq!(figure(&http, "trunkline_edge_calls_total"), carrier.done as u64, "a call was begun twice");
}

#[test]
fn one_socket_of_a_carrier() {
    busy_and_calm(|exchange| Ua::udp(exchange.udp(), "1001", DOMAIN, "-"));
}

#[test]
fn one_connection_of_a_carrier() {
    busy_and_calm(|exchange| Ua::tcp(exchange.tcp(), "1001", DOMAIN, "-"));
}

/// INVITEs wait at one worker until a name is known; meanwhile their source is shared. Their repetitions belong to that
/// worker all the same, or each would be begun twice.
#[test]
fn calls_that_wait_for_a_name_are_begun_once() {
    const CALLS: usize = 12;
    let port = free_port();
    let names = NameServer::start_silent(&[("slow.provider.test", Record::A([127, 0, 0, 2].into()))]);
    let resources = with_trunk(&format!("host: slow.provider.test, port: {port}, transport: udp"));
    let config = format!("{EAGER}{}routing: {{qualifySeconds: 0}}\n", names.config(""));
    let exchange = Exchange::start_with(&resources, &config, &[]);
    let socket = std::net::UdpSocket::bind(("127.0.0.2", port)).expect("an address of loopback");
    let mut gateway = Ua::new(Wire::Udp { socket, server: exchange.udp() }, "gateway", "provider.test", "");
    let mut caller = Ua::udp(exchange.udp(), "1001", DOMAIN, "pw-1001");
    let challenged: Vec<Message> = (0..CALLS)
        .map(|_| {
            let invite = caller.invite(&at(DIALLED));
            caller.call(&invite)
        })
        .collect();
    wait_for("the name to be asked for", || (names.asked() > 0).then_some(()));
    wait_for("the source to be handed over", || {
        (0..50).for_each(|_| {
            let ping = caller.request("OPTIONS", &format!("sip:{DOMAIN}"));
            caller.send(&ping);
            caller.final_for(&ping);
        });
        exchange.log().contains("are moved to other workers").then_some(())
    });
    challenged.iter().for_each(|invite| caller.send(invite));
    names.speak();
    let mut branches: HashMap<String, String> = HashMap::new();
    let mut busy = 0;
    while busy < CALLS {
        if let Some(m) = gateway.wait(Duration::from_millis(1), |_| true)
            && m.method() == "INVITE"
        {
            let branch = m.branch().unwrap_or_default().to_owned();
            let first = branches.entry(m.call_id().to_owned()).or_insert_with(|| branch.clone());
            assert_eq!(*first, branch, "an INVITE was begun twice");
            gateway.respond(&m, 486, "Busy Here");
        }
        if let Some(m) = caller.wait(Duration::from_millis(1), |m| m.status() >= 300) {
            assert_eq!(m.status(), 486, "{}", m.start);
            let invite = challenged.iter().find(|i| i.call_id() == m.call_id()).expect("one of ours");
            caller.acknowledge_failure(invite, &m);
            busy += 1;
        }
    }
    let later = Duration::from_millis(300);
    let again = gateway.wait(later, |m| {
        m.method() == "INVITE" && branches.get(m.call_id()).is_none_or(|b| m.branch() != Some(b))
    });
    assert_eq!(again, None);
    assert_eq!(branches.len(), CALLS);
}
