//! Two tenants on one exchange: who reaches whom, by whose ways calls leave, and what a carrier is told.

use trunkline_tests::{Exchange, Resources, Ua, free_port};

use super::DOMAIN;
use super::strangers::carrier;

const BRANCH: &str = "branch.test";
const HEAD_NUMBER: &str = "+15550001";
const BRANCH_NUMBER: &str = "+15550002";

/// `sip.test` with 1003 and `branch.test` with 2001, each with its carrier, number and server.
fn tenants(inter_domain: &str, branch: &str, ports: (u16, u16)) -> Resources {
    let uri = |port: u16| format!("127.0.0.1:{port}");
    let spec = format!("    interDomain: {inter_domain}\n");
    Resources::new()
        .domain_with(DOMAIN, "all", &[(".*", HEAD_NUMBER)], &spec)
        .domain_with(BRANCH, branch, &[("^[+]", BRANCH_NUMBER)], "")
        .agent(DOMAIN, "1003", "pw-1003")
        .agent(BRANCH, "2001", "pw-2001")
        .peer("head-server", "sip:head-server@sip.test", "pw-head", "")
        .peer("branch-server", "sip:branch-server@branch.test", "pw-branch", "")
        .trunk("head", "head.test", &[(&uri(ports.0), 1, "udp")], None)
        .trunk("branch", "branch-in.test", &[(&uri(ports.1), 1, "udp")], None)
        .number(HEAD_NUMBER, "head", "sip:1003@sip.test")
        .number(BRANCH_NUMBER, "branch", "sip:2001@branch.test")
}

fn start(resources: &Resources) -> Exchange {
    Exchange::start_with(resources, "domain: sip.test\nrouting: {qualifySeconds: 0}\n", &[])
}

fn phone(exchange: &Exchange, user: &str, domain: &str) -> Ua {
    let mut ua = Ua::udp(exchange.udp(), user, domain, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200, "{user}");
    ua
}

/// The first answer, without credentials, acknowledged.
fn first_answer(ua: &mut Ua, to: &str) -> u16 {
    let invite = ua.invite(to);
    ua.send(&invite);
    let answer = ua.final_for(&invite);
    ua.acknowledge_failure(&invite, &answer);
    answer.status()
}

/// A domain that asks its own users for nothing is no way into another.
#[test]
fn a_domain_that_asks_nobody_is_no_way_into_another() {
    for branch in ["never", "register"] {
        let ports = (free_port(), free_port());
        let exchange = start(&tenants("authenticated", branch, ports));
        let mut rung = phone(&exchange, "1003", DOMAIN);
        let mut stranger = Ua::udp(exchange.udp(), "2001", BRANCH, "guess");
        let ways = [
            "sip:1003@sip.test".to_owned(),
            format!("sip:1003@{}", exchange.udp()),
            format!("sip:{HEAD_NUMBER}@branch.test"),
            "tel:+1-555-0001".to_owned(),
            "sip:head-server@branch.test".to_owned(),
            "sip:nobody@sip.test".to_owned(),
        ];
        for way in &ways {
            assert_eq!(first_answer(&mut stranger, way), 401, "{branch}: {way}");
        }
        // The real 2001 authenticates and gets through; its INVITE is the first that rang.
        let mut caller = Ua::udp(exchange.udp(), "2001", BRANCH, "pw-2001");
        let invite = caller.invite("sip:1003@sip.test");
        let invite = caller.call(&invite);
        let arrived = rung.request_of("INVITE");
        assert_eq!(arrived.call_id(), invite.call_id());
        rung.respond(&arrived, 486, "Busy Here");
        let refused = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &refused);
    }
}

#[test]
fn isolated_and_open() {
    let ports = (free_port(), free_port());
    let exchange = start(&tenants("isolated", "all", ports));
    let (mut head, mut branch) = (phone(&exchange, "1003", DOMAIN), phone(&exchange, "2001", BRANCH));
    for (caller, to) in [(&mut head, "sip:2001@branch.test"), (&mut branch, "sip:1003@sip.test")] {
        let invite = caller.invite(to);
        assert_eq!(caller.ask(&invite).0.status(), 403, "{to}");
    }
    // The number of the other is one like any other: it is called through the own carrier.
    let mut outside = carrier(&exchange, ports.1);
    let invite = branch.invite(&format!("sip:{HEAD_NUMBER}@branch.test"));
    let invite = branch.call(&invite);
    let arrived = outside.request_of("INVITE");
    assert_eq!(arrived.uri(), format!("sip:{HEAD_NUMBER}@127.0.0.1:{}", ports.1));
    outside.respond(&arrived, 486, "Busy Here");
    let refused = branch.status_for(&invite, 486);
    branch.acknowledge_failure(&invite, &refused);

    let exchange = start(&tenants("open", "never", (free_port(), free_port())));
    let mut head = phone(&exchange, "1003", DOMAIN);
    let mut caller = Ua::udp(exchange.udp(), "2001", BRANCH, "guess");
    let invite = caller.invite("sip:1003@sip.test");
    caller.send(&invite);
    let arrived = head.request_of("INVITE");
    head.respond(&arrived, 486, "Busy Here");
    let refused = caller.status_for(&invite, 486);
    caller.acknowledge_failure(&invite, &refused);
}

/// Whatever a caller writes, its call leaves by its own carrier under its own number.
#[test]
fn no_call_leaves_by_anothers_carrier() {
    let ports = (free_port(), free_port());
    let exchange = start(&tenants("open", "all", ports));
    let (mut head, mut branch) = (carrier(&exchange, ports.0), carrier(&exchange, ports.1));
    let mut caller = phone(&exchange, "2001", BRANCH);
    let mut server = Ua::udp(exchange.udp(), "branch-server", BRANCH, "pw-branch");
    for to in [
        "sip:+1900@sip.test".to_owned(),
        "sip:+1900@branch.test".to_owned(),
        "tel:+1-900".to_owned(),
        format!("sip:+1900@{}", exchange.udp()),
    ] {
        let invite = caller.invite(&to);
        let invite = caller.call(&invite);
        let arrived = branch.expect(&to, |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        assert_eq!(arrived.uri(), format!("sip:+1900@127.0.0.1:{}", ports.1), "{to}");
        assert_eq!(arrived.get("P-Asserted-Identity"), Some("<sip:+15550002@127.0.0.1;user=phone>"), "{to}");
        branch.respond(&arrived, 486, "Busy Here");
        let refused = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &refused);
    }
    for number in [HEAD_NUMBER, "tel:+1-555-0001", "+1(555)0001;x"] {
        for host in [BRANCH, DOMAIN, "far.example"] {
            server.domain = host.to_owned();
            let invite = server.invite(&format!("sip:+1900@{host}")).with("X-DOD-Number", number);
            let (answer, _) = server.ask(&invite);
            assert_eq!(answer.status(), 404, "{number} from {host}: {}", answer.start);
        }
    }
    // The first thing the other's carrier hears of is a call of the other's.
    let mut own = phone(&exchange, "1003", DOMAIN);
    let invite = own.invite("sip:+1900@sip.test");
    let invite = own.call(&invite);
    assert_eq!(head.request_of("INVITE").call_id(), invite.call_id());
}

/// A rule that blocks a number blocks it in every spelling, and nothing the caller adds reaches the carrier.
#[test]
fn a_carrier_gets_the_number_the_rule_saw() {
    let (premium, usual) = (free_port(), free_port());
    let uri = |port: u16| format!("127.0.0.1:{port}");
    let resources = Resources::new()
        .domain_with(DOMAIN, "all", &[(r"^[+]1900", "+15550009"), (".*", HEAD_NUMBER)], "")
        .agent(DOMAIN, "1003", "pw-1003")
        .trunk("premium", "premium.test", &[(&uri(premium), 1, "udp")], None)
        .trunk_with("usual", "usual.test", &[(&uri(usual), 1, "udp")], None, "allowedParameters: [npdi, rn]")
        .number("+15550009", "premium", "sip:1003@sip.test")
        .number(HEAD_NUMBER, "usual", "sip:1003@sip.test");
    let exchange = start(&resources);
    let (mut premium_ua, mut usual_ua) = (carrier(&exchange, premium), carrier(&exchange, usual));
    let mut caller = phone(&exchange, "1003", DOMAIN);
    let mut call = |to: &str, at: &mut Ua| {
        let invite = caller.invite(to);
        let invite = caller.call(&invite);
        let arrived = at.expect(to, |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
        at.respond(&arrived, 486, "Busy Here");
        let refused = caller.status_for(&invite, 486);
        caller.acknowledge_failure(&invite, &refused);
        arrived
    };
    for spelling in [
        "sip:+1%39005551234@sip.test",
        "tel:+1-900-555-1234",
        "sip:+1(900)5551234;npdi@sip.test",
        "sip:+1.900.555.1234;rn=+15551111;cic=+1-6789@sip.test;user=phone",
        "sip:%2B1900555%2D1234@sip.test;npdi",
    ] {
        let arrived = call(spelling, &mut premium_ua);
        let phone = if spelling.contains("user=phone") { ";user=phone" } else { "" };
        assert_eq!(arrived.uri(), format!("sip:+19005551234@127.0.0.1:{premium}{phone}"), "{spelling}");
        let to = arrived.get("To").unwrap_or_default();
        assert!(!["npdi", "rn=", "cic="].iter().any(|name| to.contains(name)), "{to}");
    }
    for (form, misshapen) in [(",", "+1555,,,1900"), ("space", "+1555%20+1900"), ("star", "+1555*1900%23")] {
        let invite = caller.invite(&format!("sip:{misshapen}@sip.test"));
        assert_eq!(caller.ask(&invite).0.status(), 404, "{form}");
    }
    let mut call = |to: &str, at: &mut Ua| {
        let invite = caller.invite(to);
        let invite = caller.call(&invite);
        at.expect(to, |m| m.method() == "INVITE" && m.call_id() == invite.call_id())
    };
    let arrived = call("sip:+1-555-777;npdi;rn=+15551111;cic=+1-6789@sip.test", &mut usual_ua);
    assert_eq!(arrived.uri(), format!("sip:+1555777;npdi;rn=+15551111@127.0.0.1:{usual}"));
}
