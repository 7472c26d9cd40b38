//! Callers who withhold their name in From: what else they name does not show who exists.

use trunkline_tests::{Exchange, Message, Resources, Ua};

use super::strangers::seen;
use super::{DOMAIN, agents, at};

const ANONYMOUS: [&str; 3] = ["sip:anonymous@anonymous.invalid", "sip:anonymous@sip.test", "sip:u@x.invalid"];

/// Two more domains, one with other algorithms and one whose list refuses everybody here; peers at home in them.
fn accounts() -> Resources {
    agents()
        .domain_with("b.test", "all", &[], "    algorithms: [SHA-256]\n")
        .agent("b.test", "2001", "pw")
        .agent_with("b.test", "2002", "pw", ", enabled: false")
        .acl("far-list", &["203.0.113.7"], &["127.0.0.0/8"])
        .domain_with("c.test", "all", &[], "    accessControlListRef: far-list\n")
        .agent("c.test", "3001", "pw")
        .peer("pbx", "sip:pbx@b.test", "pw", "")
        .peer("far", "sip:far@c.test", "pw", "")
}

/// Somebody who exists, and nobody, at the same host.
const NAMES: [(&str, &str); 8] = [
    ("sip:1001@sip.test", "sip:1999@sip.test"),
    ("sip:2001@b.test", "sip:2999@b.test"),
    ("sip:2002@b.test", "sip:2999@b.test"),
    ("sip:3001@c.test", "sip:3999@c.test"),
    ("sip:pbx@b.test", "sip:pbq@b.test"),
    ("sip:far@c.test", "sip:faq@c.test"),
    ("sip:far@far.example", "sip:faq@far.example"),
    ("sip:pbx@far.example", "sip:pbq@far.example"),
];

fn targets(exchange: &Exchange) -> [String; 5] {
    let own = format!("sip:x@{}", exchange.udp());
    [at("1001"), "sip:2001@b.test".into(), "sip:q@nowhere.example".into(), own, "tel:+4922".into()]
}

fn answer(exchange: &Exchange, request: impl FnOnce(&Ua) -> Message) -> String {
    // What goes to an unproven source over UDP is limited.
    let mut ua = Ua::tcp(exchange.tcp(), "nobody", DOMAIN, "");
    let request = request(&ua);
    ua.send(&request);
    let answer = ua.final_for(&request);
    ua.acknowledge_failure(&request, &answer);
    seen(&answer)
}

#[test]
fn what_is_named_beside_from_shows_nobody_who_exists() {
    let exchange = Exchange::start(&accounts());
    for (method, to) in targets(&exchange).iter().flat_map(|to| [("MESSAGE", to), ("INVITE", to)]) {
        for (there, not) in NAMES {
            let named = |name: &str, from: &str, how: &str| {
                let (user, host) = name[4..].split_once('@').unwrap_or_default();
                let digest = format!(
                    "Digest username=\"{user}\", realm=\"{host}\", nonce=\"x\", uri=\"{to}\", response=\"{:032}\"",
                    0
                );
                answer(&exchange, |ua| {
                    let request = ua.request(method, to).set("From", format!("<{from}>;tag=1"));
                    match how {
                        "digest" => request.with("Authorization", digest),
                        "preferred" => request.with("P-Preferred-Identity", format!("<{name}>")),
                        _ => request
                            .with("P-Preferred-Identity", format!("<{name}>"))
                            .with("P-Preferred-Identity", "<sip:2001@b.test>"),
                    }
                })
            };
            for (from, how) in
                ANONYMOUS.iter().flat_map(|from| ["digest", "preferred", "two"].map(|how| (from, how)))
            {
                let both = (named(there, from, how), named(not, from, how));
                assert_eq!(both.0, both.1, "{method} {to} from {from}, {how}: {there}, {not}");
            }
        }
    }
}

/// A peer with a home whose list refuses the address, under any host in From.
#[test]
fn a_list_of_a_peers_home_shows_nobody_who_exists() {
    let exchange = Exchange::start(&accounts());
    for (method, to) in targets(&exchange).iter().flat_map(|to| [("MESSAGE", to), ("INVITE", to)]) {
        for (there, not) in NAMES {
            let named = |name: &str| {
                answer(&exchange, |ua| ua.request(method, to).set("From", format!("<{name}>;tag=1")))
            };
            assert_eq!(named(there), named(not), "{method} {to}: {there}, {not}");
        }
    }
    // Who knows its secret learns what is wrong.
    let mut far = Ua::tcp(exchange.tcp(), "far", "far.example", "pw");
    let request = far.request("MESSAGE", &at("1001"));
    assert_eq!(far.ask(&request).0.start, "SIP/2.0 403 Address Not on the List");
}
