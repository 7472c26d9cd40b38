//! What the log tells of refused requests, and what fail2ban makes of it.

use std::process::Command;

use trunkline_tests::{Exchange, Ua, wait_for};

use super::{DOMAIN, agents, at, registered};

/// A call whose client does not answer the challenge leaves a record and a line, one whose client does leaves none.
#[test]
fn a_call_that_is_given_up_after_its_challenge_is_recorded() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let answered = caller.invite(&at("1002"));
    assert_eq!(caller.ask(&answered).0.status(), 480);
    let mut scanner = Ua::udp(exchange.udp(), "1003", DOMAIN, "none");
    let invite = scanner.invite(&at("1002"));
    scanner.send(&invite);
    let challenge = scanner.final_for(&invite);
    assert_eq!(challenge.status(), 401);
    scanner.acknowledge_failure(&invite, &challenge);
    let line = wait_for("the line of the call", || {
        let log = exchange.log();
        log.lines().find(|line| line.contains("reason=\"auth.unanswered\"")).map(str::to_owned)
    });
    for part in
        ["refused source=127.0.0.1", "status=401", "method=\"INVITE\"", "1003@sip.test", invite.call_id()]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    let told = wait_for("its record", || {
        let told = super::records::told(&exchange, &["--reason", "auth.unanswered"]);
        (!told.is_empty()).then_some(told)
    });
    assert_eq!(told.len(), 1, "the other call went on: {told:?}");
    let record = &told[0];
    assert_eq!(
        (record["callId"].as_str(), record["status"].as_u64()),
        (Some(invite.call_id()), Some(401)),
        "{record}"
    );
    assert!(record["endedMs"].as_u64() >= record["startedMs"].as_u64().map(|at| at + 10_000), "{record}");
    assert_eq!(exchange.log().matches("auth.unanswered").count(), 1);
}

/// The lines about refusals, once there are so many.
fn refused(exchange: &Exchange, count: usize) -> Vec<String> {
    wait_for("the refusals in the log", || {
        let log = exchange.log();
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("refusal_log: refused")).map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[test]
fn each_refusal_has_a_line_and_fail2ban_reads_the_failed_logins() {
    let exchange = Exchange::start(&agents());
    let mut caller = registered(&exchange, "1001");
    let invite = caller.invite(&at("1002"));
    let (answer, _) = caller.ask(&invite);
    assert_eq!(answer.status(), 480);
    let mut guesser = Ua::udp(exchange.udp(), "1002", DOMAIN, "wrong");
    let request = guesser.register_request(600);
    assert_eq!(guesser.ask(&request).0.status(), 401);
    // What a stranger writes does not look like a source.
    let mut forger = Ua::udp(exchange.udp(), "1003", DOMAIN, "wrong");
    let from = format!("\"x\" <sip:1003@{DOMAIN};x=source=192.0.2.66>;tag=1");
    let request = forger.register_request(600).set("From", from);
    let (answer, _) = forger.ask(&request);
    assert!(answer.status() >= 400);

    let lines = refused(&exchange, 3);
    let of = |reason: &str| {
        let found = lines.iter().find(|line| line.contains(&format!("reason=\"{reason}\"")));
        found.unwrap_or_else(|| panic!("no {reason} in {lines:#?}")).clone()
    };
    let nobody = of("callee.not-registered");
    for part in [
        "source=127.0.0.1",
        "status=480",
        "transport=udp",
        "method=\"INVITE\"",
        "1001@sip.test",
        "1002@sip.test",
    ] {
        assert!(nobody.contains(part), "{part}: {nobody}");
    }
    // Lines of different shards come in any order.
    let wrong = |line: &&String| line.contains("reason=\"auth.wrong-password\"");
    assert!(lines.iter().filter(wrong).any(|line| line.contains("from=\"sip:1002@sip.test\"")), "{lines:#?}");
    assert!(!exchange.log().contains("pw-1001"));

    let log = exchange.folder().join("trunkline.log");
    std::fs::write(&log, exchange.log()).expect("a file");
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/fail2ban/filter.d/trunkline.conf");
    let out = Command::new("fail2ban-regex")
        .args(["--out", "ip"])
        .arg(&log)
        .arg(filter)
        .output()
        .expect("fail2ban-regex runs: cargo xtask install brings it");
    let found = String::from_utf8_lossy(&out.stdout);
    let sources: Vec<&str> = found.lines().filter(|line| !line.is_empty()).collect();
    assert!(sources.len() >= 2 && sources.iter().all(|ip| *ip == "127.0.0.1"), "{found}\n{lines:#?}");
}
