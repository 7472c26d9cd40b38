//! `/metrics` by the field's names, and the dashboard and alert rules in `deploy/` that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use trunkline_tests::{Exchange, Resources, Ua, free_port, wait_for};

use super::operator::get;
use super::{DOMAIN, at};

fn deploy(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn started(resources: &Resources) -> (Exchange, String) {
    let http = format!("127.0.0.1:{}", free_port());
    (
        Exchange::start_with(resources, "events: {file: events.jsonl}\n", &[("TRUNKLINE_HTTP_ADDR", &http)]),
        http,
    )
}

/// All samples: name with labels, value.
fn samples(http: &str) -> BTreeMap<String, f64> {
    let (_, text) = get(http, "/metrics");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
    };
    lines.map(sample).collect()
}

/// A call that is answered and ended, one that is refused as busy, and a wrong password.
fn traffic(exchange: &Exchange) {
    let (mut caller, mut a, mut callee, _) = super::dialogs::talking(exchange, "1001", "1002");
    let bye = a.request(&caller, "BYE");
    caller.send(&bye);
    let arrived = callee.request_of("BYE");
    callee.respond(&arrived, 200, "OK");
    caller.status_for(&bye, 200);
    let invite = caller.call(&caller.invite(&at("1002")));
    let arrived = callee.request_of("INVITE");
    callee.respond(&arrived, 180, "Ringing");
    caller.expect("180", |m| m.status() == 180);
    callee.respond(&arrived, 486, "Busy Here");
    let failure = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &failure);
    let mut guesser = Ua::udp(exchange.udp(), "1003", DOMAIN, "wrong");
    guesser.register(600);
}

#[test]
fn what_happened_is_counted() {
    let (exchange, http) = started(&super::agents());
    traffic(&exchange);
    let all = samples(&http);
    let value = |name: &str| *all.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", all.keys()));
    assert_eq!(value(r#"trunkline_sip_responses_total{code="486"}"#), 1.0);
    assert_eq!(value(r#"trunkline_sip_responses_total{code="180"}"#), 1.0);
    assert!(value(r#"trunkline_sip_responses_total{code="200"}"#) >= 4.0, "two phones, a call, its BYE");
    assert_eq!(value(r#"trunkline_reasons_total{reason="callee.rejected"}"#), 1.0);
    assert!(value("trunkline_edge_auth_failed_total") >= 1.0);
    for (name, count) in [("setup", 1.0), ("duration", 1.0), ("ring_delay", 1.0)] {
        let name = format!("trunkline_call_{name}_seconds");
        assert_eq!(value(&format!("{name}_count")), count, "{name}");
        assert_eq!(value(&format!("{name}_bucket{{le=\"+Inf\"}}")), count, "{name}");
    }
    assert_eq!(value("trunkline_bans"), 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_cpu_seconds_total") > 0.0 && value("process_threads") > 1.0);
    assert!(all.keys().any(|name| name.starts_with("trunkline_build_info{version=")));
    let expiry =
        all.iter().find(|(name, _)| name.starts_with("trunkline_tls_certificate_expiry_timestamp_seconds{"));
    assert!(expiry.is_some_and(|(_, end)| *end > 1.7e9), "{:?}", all.keys());
}

/// The words of PromQL expressions that can be names of metrics of ours.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("trunkline_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_dashboard_and_the_alert_rules_name_metrics_that_exist() {
    let mut wanted = BTreeSet::new();
    let dashboard = std::fs::read_to_string(deploy("grafana/trunkline.json")).expect("the dashboard");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    for target in panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets")) {
        wanted.extend(names(target["expr"].as_str().expect("an expression")));
    }
    assert!(panels.len() > 10 && wanted.len() > 20, "{wanted:?}");
    let rules = std::fs::read_to_string(deploy("prometheus/trunkline.rules.yml")).expect("the rules");
    // Descriptions name metrics, too; those have to exist as well.
    wanted.extend(names(&rules));
    // A family without a sample is left out of /metrics, so there are a trunk, a registration at its carrier and a peer.
    let resources = super::trunk_registration::resources(free_port(), "udp", "pw");
    let silent = format!(", contactAddr: \"127.0.0.1:{}\"", free_port());
    let (exchange, http) = started(&resources.peer("pbx", "sip:pbx@sip.test", "pw", &silent));
    traffic(&exchange);
    let text = wait_for("the registration at the carrier to be tried", || {
        let (_, text) = get(&http, "/metrics");
        text.contains("# TYPE trunkline_trunk_registered ").then_some(text)
    });
    let declared = |name: &str| {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_histogram = |family| text.contains(&format!("# TYPE {family} histogram"));
        text.contains(&format!("# TYPE {name} ")) || family.is_some_and(is_histogram)
    };
    let missing: Vec<_> = wanted.iter().filter(|name| !declared(name)).collect();
    assert!(missing.is_empty(), "not in /metrics: {missing:?}\n{text}");
}

fn promtool(arguments: &[&str], input: Option<&str>) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(deploy("prometheus")).stdin(Stdio::piped());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: cargo xtask install brings it");
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("written");
    }
    let output = child.wait_with_output().expect("its end");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[test]
fn promtool_accepts_rules_and_metrics() {
    assert!(promtool(&["check", "rules", "trunkline.rules.yml"], None).contains("SUCCESS"));
    assert!(promtool(&["check", "config", "--syntax-only", "prometheus.yml"], None).contains("SUCCESS"));
    promtool(&["test", "rules", "trunkline.test.yml"], None);
    let (exchange, http) = started(&super::agents());
    traffic(&exchange);
    promtool(&["check", "metrics"], Some(&get(&http, "/metrics").1));
}
