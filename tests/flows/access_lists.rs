//! What an access list of a trunk or peer says: who calls from there, and whose these addresses are.

use std::net::IpAddr;
use std::time::Duration;

use trunkline_tests::{Exchange, Resources, Ua, Wire};

use super::trunks::NUMBER;
use super::{DOMAIN, agents, at, registered};

const QUIET: Duration = Duration::from_millis(300);

fn host(last: u8) -> IpAddr {
    IpAddr::from([127, 2, 0, last])
}

fn ua_on(exchange: &Exchange, ip: IpAddr, user: &str, password: &str) -> Ua {
    Ua::new(Wire::udp_from(ip, exchange.udp()), user, DOMAIN, password)
}

/// A peer without credentials, known by a list.
fn listed_peer(resources: Resources, user: &str, more: &str) -> Resources {
    resources.raw(
        "peers.yaml",
        &format!(
            "- {{apiVersion: v2, kind: Peer, ref: {user}, metadata: {{name: {user}}}, spec: {{username: {user}{more}}}}}\n"
        ),
    )
}

/// A trunk whose list is this one.
fn listed_trunk(resources: Resources, list: &str) -> Resources {
    resources.raw(
        "trunks.yaml",
        &format!(
            "- apiVersion: v2\n  kind: Trunk\n  ref: provider\n  metadata: {{name: provider}}\n  spec:\n    inbound: {{uri: trunk.test, accessControlListRef: {list}}}\n    outbound: {{sendRegister: false, uris: [{{uri: {{host: 192.0.2.2, port: 5060, transport: udp}}, weight: 10, priority: 1, enabled: true}}]}}\n"
        ),
    )
}

/// Whoever sends from a listed address is the carrier or the peer, so no phone has calls sent there.
#[test]
fn a_listed_address_is_nobody_elses_contact() {
    let resources = listed_trunk(agents(), "carrier-list")
        .acl("carrier-list", &["127.2.0.51", "127.2.0.96/28", "0.0.0.0/0"], &["127.2.0.100/30"])
        .acl("pbx-list", &["127.2.0.60/32"], &[])
        .number(NUMBER, "provider", &at("1001"));
    let resources = listed_peer(resources, "pbx", ", accessControlListRef: pbx-list");
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    let mut caller = registered(&exchange, "1001");
    let mut callee = ua_on(&exchange, host(3), "1002", "pw-1002");
    let contact_at = |callee: &mut Ua, contact: &str| {
        let request = callee.register_request(600).set("Contact", format!("<{contact}>"));
        callee.ask(&request).0
    };
    for (address, refused) in [
        (51, true),
        (60, true),
        (96, true),
        (111, true),
        // What the list takes out, what is beside it, what only the entry for all holds.
        (101, false),
        (112, false),
        (52, false),
    ] {
        let mut there = ua_on(&exchange, host(address), "there", "");
        let port = there.wire.local().port();
        // A private address in the URI itself would be reached by the phone's flow alone.
        for contact in [
            format!("sip:+19005551234@sbc.example:{port};maddr={}", host(address)),
            format!("sip:+19005551234@sbc.example:{port};maddr=[::ffff:{}]", host(address)),
        ] {
            let answer = contact_at(&mut callee, &contact);
            assert_eq!(answer.status(), if refused { 403 } else { 200 }, "{contact}: {}", answer.start);
            if refused {
                assert!(answer.start.ends_with("Contact Leads to a Trunk or Peer"), "{}", answer.start);
            }
        }
        let message = caller.request("MESSAGE", &at("1002"));
        caller.call(&message);
        assert_eq!(there.silent(QUIET, |m| m.method() == "MESSAGE"), refused, "{address}");
        let away = callee.register_request(0).set("Contact", "*");
        assert_eq!(callee.ask(&away).0.status(), 200);
    }
    // A phone at such an address is still reached where it is.
    let mut beside = ua_on(&exchange, host(60), "1003", "pw-1003");
    assert_eq!(beside.register(600).status(), 200);
    let mut within = ua_on(&exchange, host(97), "1002", "pw-1002");
    assert_eq!(within.register(600).status(), 200);
    for (user, phone) in [("1003", &mut beside), ("1002", &mut within)] {
        let message = caller.request("MESSAGE", &at(user));
        let sent = caller.call(&message);
        let arrived = phone.request_of("MESSAGE");
        phone.respond(&arrived, 200, "OK");
        caller.status_for(&sent, 200);
    }
}

#[test]
fn a_very_wide_list_is_warned_of() {
    let resources = listed_trunk(agents(), "wide").acl("wide", &["10.0.0.0/8"], &[]);
    let exchange = Exchange::start_with(&resources, "routing: {qualifySeconds: 0}\n", &[]);
    assert!(exchange.log().contains("very wide"), "{}", exchange.log());
    let narrow = listed_trunk(agents(), "narrow").acl("narrow", &["10.0.0.0/24"], &[]);
    let exchange = Exchange::start_with(&narrow, "routing: {qualifySeconds: 0}\n", &[]);
    assert!(!exchange.log().contains("very wide"), "{}", exchange.log());
}

/// Whatever is asked from an address that nothing is taken from, the answer says why it is refused.
#[test]
fn a_refused_address_is_told_why() {
    let config = "accessControl: {allow: [127.0.0.0/16]}\n";
    let exchange = Exchange::start_with(&agents(), config, &[]);
    let mut away = ua_on(&exchange, host(70), "1001", "pw-1001");
    let requests = [
        away.request("OPTIONS", &format!("sip:{DOMAIN}")),
        away.request("OPTIONS", &at("1002")),
        away.register_request(60),
        away.request("MESSAGE", &at("1002")),
    ];
    for request in requests {
        let (answer, _) = away.ask(&request);
        assert_eq!(answer.status(), 403, "{}", request.start);
        let warning = answer.get("Warning").unwrap_or_default();
        assert!(
            warning.contains("Source Address Refused by Access Control List"),
            "{}: {warning}",
            request.start
        );
    }
}

/// The answer to a first INVITE, and to one with a digest.
fn answers(ua: &mut Ua, to: &str) -> (String, String) {
    let invite = ua.invite(to);
    ua.send(&invite);
    let first = ua.final_for(&invite);
    ua.acknowledge_failure(&invite, &first);
    let Some(again) = ua.authorise(&invite, &first, 1) else { return (first.start.clone(), first.start) };
    ua.send(&again);
    let last = ua.final_for(&again);
    ua.acknowledge_failure(&again, &last);
    (first.start, last.start)
}

/// A list and no credentials: the list shows who calls, also where all are asked for a digest. A list and credentials: both.
#[test]
fn a_peer_is_known_by_its_own_list() {
    for aor in ["", ", aor: \"sip:pbx@sip.test\"", ", aor: \"backend:pbx\""] {
        let list = format!("{aor}, accessControlListRef: pbx-list");
        let resources = listed_peer(agents(), "pbx", &list).acl("pbx-list", &["127.2.0.60"], &[]);
        let resources = resources.peer("gate", "backend:gate", "pw-gate", ", accessControlListRef: pbx-list");
        let exchange = Exchange::start(&resources);
        let mut callee = registered(&exchange, "1001");
        let mut rings = |caller: &mut Ua| {
            let invite = caller.invite(&at("1001"));
            let invite = caller.call(&invite);
            let arrived =
                callee.expect("the call", |m| m.method() == "INVITE" && m.call_id() == invite.call_id());
            callee.respond(&arrived, 486, "Busy Here");
            let failure = caller.status_for(&invite, 486);
            caller.acknowledge_failure(&invite, &failure);
            invite
        };
        let mut pbx = ua_on(&exchange, host(60), "pbx", "none");
        assert!(rings(&mut pbx).get("Authorization").is_none(), "{aor}: it has none to show");
        assert_eq!(pbx.register(600).status(), 200, "{aor}");
        let mut gate = ua_on(&exchange, host(60), "gate", "pw-gate");
        assert!(rings(&mut gate).get("Authorization").is_some(), "{aor}: both are needed");
        let mut guess = ua_on(&exchange, host(60), "gate", "wrong");
        assert!(answers(&mut guess, &at("1001")).1.contains(" 401 "));
        // From elsewhere it is a stranger; who knows its secret is told why.
        for (user, password, last) in [
            ("pbx", "x", " 401 "),
            ("gate", "wrong", " 401 "),
            ("nobody", "x", " 401 "),
            ("gate", "pw-gate", " 403 Address Not on the List"),
        ] {
            let mut away = ua_on(&exchange, host(61), user, password);
            let (first, second) = answers(&mut away, &at("1001"));
            assert!(first.contains(" 401 ") && second.contains(last), "{user}: {first}, {second}");
            let register = away.register(600);
            assert!(register.start.contains(last), "{user}: {}", register.start);
        }
    }
}

/// Outside the list of the domain in From nobody is told apart, peers with a home elsewhere included.
#[test]
fn a_domains_list_holds_for_peers_that_call_under_it() {
    let resources = agents()
        .domain_with("closed.test", "all", &[], "    accessControlListRef: inside\n")
        .agent("closed.test", "2001", "pw-2001")
        .acl("inside", &["127.2.0.70"], &["0.0.0.0/0"])
        .peer("voice", "sip:voice@sip.test", "pw-voice", "")
        .peer("pool", "backend:pool", "pw-pool", "")
        .peer("own", "backend:own", "pw-own", ", accessControlListRef: own-list")
        .acl("own-list", &["127.2.0.80"], &[]);
    let exchange = Exchange::start(&resources);
    let start = |ip: IpAddr, user: &str, password: &str| {
        let mut ua = Ua::new(Wire::udp_from(ip, exchange.udp()), user, "closed.test", password);
        answers(&mut ua, "sip:nobody@closed.test")
    };
    for user in ["2001", "nobody", "voice", "pool", "own"] {
        let (first, _) = start(host(71), user, "x");
        assert!(first.contains(" 403 "), "{user}: {first}");
    }
    for (ip, user, password) in [(host(70), "voice", "pw-voice"), (host(80), "own", "pw-own")] {
        let (_, last) = start(ip, user, password);
        let refused = [" 401 ", " 403 "].iter().any(|status| last.contains(status));
        assert!(!refused, "{user} passes the list that holds for it: {last}");
    }
}
