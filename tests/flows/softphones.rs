//! Two softphones that people use (baresip) register and call each other, over each transport they know.

use trunkline_tests::{Baresip, Exchange, exchange_command, free_port, wait_for};

use super::{DOMAIN, agents};

#[test]
fn softphones_call_each_other_across_transports() {
    let tls = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&agents(), "", &[("TRUNKLINE_LISTEN_TLS", &tls)]);
    for (calls, (from, to)) in [("udp", "tcp"), ("tcp", "tls"), ("tls", "udp")].into_iter().enumerate() {
        let start = |user: &str, transport| {
            let at = if transport == "tls" { tls.parse().expect("an address") } else { exchange.udp() };
            Baresip::registered(user, DOMAIN, &format!("pw-{user}"), at, transport)
        };
        let (mut caller, mut callee) = (start("1001", from), start("1002", to));
        caller.command("dial", "1002");
        callee.event("CALL_INCOMING");
        caller.event("CALL_RINGING");
        callee.command("accept", "");
        for phone in [&mut caller, &mut callee] {
            phone.event("CALL_ESTABLISHED");
        }
        // A re-INVITE from each side.
        for (one, other) in [(0, 1), (1, 0)] {
            let phones = [&mut caller, &mut callee];
            for change in ["hold", "resume"] {
                phones[one].command(change, "");
                phones[other].offer();
            }
        }
        callee.command("hangup", "");
        caller.event("CALL_CLOSED");
        // The record is written behind the call.
        let records = wait_for("the record", || {
            let output = exchange_command(&exchange).args(["calls", "records", "--json"]).output().ok()?;
            let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).ok()?;
            (records.len() > calls).then_some(records)
        });
        assert!(records.iter().all(|r| r["cause"] == "NORMAL_CLEARING"), "{from} to {to}: {records:?}");
    }
}
