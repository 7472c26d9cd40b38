//! One busy source on two workers: its calls are shared, none is broken or doubled while that begins and ends.

use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, Resources, Ua, free_port};

use super::DOMAIN;
use super::carrier::Carrier;
use super::operator::get;

/// Whoever sends more than a few requests a second is shared, and no longer so when it was calm for a second.
const EAGER: &str = "workers: 2\nhandover: {busyPercent: 0, calmSeconds: 1}\n";

/// How long the calls go on: `TRUNKLINE_SOAK_SECONDS`, else 6.
fn soak() -> Duration {
    let seconds = std::env::var("TRUNKLINE_SOAK_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

fn figure(http: &str, name: &str) -> u64 {
    let (_, text) = get(http, "/metrics");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
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
        let (shared, calm) = (told("by all shards") + told("all shards serve it"), told("has been calm"));
        carrier.run_until_told(|| told("by all shards") + told("all shards serve it") > shared);
        carrier.run(Duration::from_millis(1_500), 16);
        let handed_over = figure(&http, "trunkline_edge_handed_over_total") - before;
        assert!(handed_over > 0, "nothing was handed over");
        let slowly = Duration::from_millis(200);
        let what = "a calm source returns";
        carrier.run_slowly(slowly, Duration::from_secs(20), what, || told("has been calm") > calm);
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
