//! What a stranger sees: one answer, whoever it says it is.

use crate::common::{Decided, World, register, request};
use trunkline_model::{Agent, Authenticate, Credentials, DigestAlgorithm, Domain, Peer, Ref};
use trunkline_routing::Verdict;

/// Four agents of `sip.local` and `branch.local`, and peers of every kind. Nobody knows a secret.
fn world(authenticate: Authenticate) -> World {
    let mut world = World::new();
    let mut domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
    domain.authenticate = authenticate;
    domain.acl = None;
    world.tables.put(domain);
    let mut branch = Domain::new("branch", "branch.local");
    branch.algorithms = vec![DigestAlgorithm::Sha256];
    world.tables.put(branch);
    for (n, home) in ["domain-01", "branch"].into_iter().enumerate() {
        let mut off = Agent::new(format!("off-{n}"), "off", Some(Ref::new(home)));
        off.credentials = Some(Ref::new("credentials-01"));
        off.enabled = false;
        world.tables.put(off);
        world.tables.put(Agent::new(format!("bare-{n}"), "bare", Some(Ref::new(home))));
        let mut dangling = Agent::new(format!("dangling-{n}"), "dangling", Some(Ref::new(home)));
        dangling.credentials = Some(Ref::new("nowhere"));
        world.tables.put(dangling);
        let mut known = Agent::new(format!("known-{n}"), "known", Some(Ref::new(home)));
        known.credentials = Some(Ref::new("credentials-02"));
        world.tables.put(known);
    }
    let peers = [
        ("asterisk-b", Some("backend:voice")),
        ("bare-peer", None),
        ("branch-peer", Some("sip:x@branch.local")),
    ];
    for (name, aor) in peers {
        let mut peer = Peer::new(name, name, aor);
        peer.credentials = Some(Ref::new("credentials-03"));
        world.tables.put(peer);
    }
    let mut off = Peer::new("off-peer", "off-peer", None);
    off.enabled = false;
    world.tables.put(off);
    let mut listed = Peer::new("listed", "listed", Some("backend:listed"));
    (listed.acl, listed.credentials) = (Some(Ref::new("acl-elsewhere")), Some(Ref::new("credentials-03")));
    world.tables.put(listed);
    let mut by_list = Peer::new("by-list", "by-list", None);
    by_list.acl = Some(Ref::new("acl-elsewhere"));
    world.tables.put(by_list);
    let elsewhere = vec!["203.0.113.7/32".parse().unwrap()];
    world.tables.put(trunkline_model::AccessControlList::new("acl-elsewhere", elsewhere, vec![]));
    world
}

const NAMES: [&str; 10] = [
    "nobody",
    "off",
    "bare",
    "dangling",
    "known",
    "asterisk-b",
    "bare-peer",
    "branch-peer",
    "off-peer",
    "listed",
];

/// Everything of an answer that goes over the wire.
fn seen(got: &Decided) -> String {
    format!("{} {:?}", got.short(), got.decision.algorithms)
}

#[test]
fn calls_get_one_answer() {
    let mut world = world(Authenticate::All);
    // Right, wrong or no digest: without knowing a secret the answer stays.
    for verdict in [Verdict::Missing, Verdict::Wrong] {
        for user in ["", "1001", "1002", "asterisk"] {
            world.verdicts.insert(user.into(), verdict);
        }
        for host in ["sip.local", "branch.local", "192.0.2.1", "elsewhere.example"] {
            for target in [
                "1002@sip.local",
                "nobody@sip.local",
                "known@branch.local",
                "tel:+19005551234",
                "x@y.example",
            ] {
                for method in ["INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS"] {
                    let ask = |name: &str| world.ask(&request(method, &format!("{name}@{host}"), target, ""));
                    let unknown = seen(&ask("nobody"));
                    assert!(unknown.starts_with("challenge"), "{host} {target}: {unknown}");
                    for name in NAMES {
                        assert_eq!(
                            seen(&ask(name)),
                            unknown,
                            "{method} {name}@{host} to {target}, {verdict:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn registrations_get_one_answer() {
    for authenticate in [Authenticate::All, Authenticate::Register] {
        let world = world(authenticate);
        for (from, to) in NAMES.into_iter().flat_map(|from| NAMES.map(|to| (from, to))) {
            let got =
                world.ask(&register("sip.local", &format!("{from}@sip.local"), &format!("{to}@sip.local")));
            assert_eq!(got.short(), "challenge 401 sip.local", "{from} for {to}");
        }
    }
}

/// Where nobody is asked for a digest the agents that may call can be told from others. Those that may not cannot.
#[test]
fn an_open_domain_tells_nothing_of_those_who_may_not() {
    for authenticate in [Authenticate::Register, Authenticate::Never] {
        let world = world(authenticate);
        for name in NAMES.into_iter().filter(|name| !matches!(*name, "bare" | "dangling" | "known")) {
            let from = format!("{name}@sip.local");
            let got = world.invite(&from, "1002@sip.local").short();
            assert_eq!(got, "challenge 401 sip.local", "{name}, {authenticate:?}");
            let got = world.ask(&register("sip.local", &from, &from)).short();
            assert_eq!(got, "challenge 401 sip.local", "{name} registers, {authenticate:?}");
        }
    }
}

/// Who has shown who it is learns what is wrong.
#[test]
fn the_right_digest_tells_the_reason() {
    let mut world = world(Authenticate::All);
    world.verdicts.insert("1001".into(), Verdict::Accepted);
    let got = world.invite("off@sip.local", "1002@sip.local");
    assert_eq!(got.short(), "403");
    assert!(got.story.contains("the caller is disabled"), "{}", got.story);
    assert_eq!(world.ask(&register("sip.local", "off@sip.local", "off@sip.local")).short(), "403");
    // Another's AOR, with whatever secret: it is compared with none.
    for verdict in [Verdict::Accepted, Verdict::Wrong, Verdict::Banned] {
        world.verdicts.insert("1001".into(), verdict);
        world.verdicts.insert(String::new(), Verdict::Missing);
        let third = |world: &World| world.ask(&register("sip.local", "1001@sip.local", "1002@sip.local"));
        assert_eq!(third(&world).short(), "challenge 401 sip.local", "its digest is not looked at");
        world.verdicts.insert(String::new(), Verdict::Wrong);
        assert_eq!(third(&world).short(), "403");
    }
    world.verdicts.insert("1001".into(), Verdict::Accepted);
    let got = world.ask(&register("sip.local", "1001@sip.local", "1002@sip.local"));
    assert!(got.story.contains("nobody may register another's AOR"), "{}", got.story);
    // Somebody without credentials stays out, whatever is offered; the operator is told why.
    world.verdicts.insert(String::new(), Verdict::Accepted);
    let got = world.invite("bare@sip.local", "1002@sip.local");
    assert_eq!(got.short(), "challenge 401 sip.local");
    assert!(got.story.contains("no credentials"), "{}", got.story);
}

/// A party without a home is nobody's guest: no domain's rules let it in.
#[test]
fn a_peer_without_a_home_shows_who_it_is() {
    for authenticate in [Authenticate::Never, Authenticate::Register] {
        let mut world = world(authenticate);
        let headers = "X-DOD-Number: +17066041487\r\n";
        let out = |world: &World, name: &str, host: &str| {
            world
                .ask(&request("INVITE", &format!("{name}@{host}"), "+19005551234@sip.local", headers))
                .short()
        };
        let carrier = "peer-to-pstn: sip:+19005551234@sip.provider.net:7060";
        let challenged = |got: String| assert!(got.starts_with("challenge"), "{got}");
        for name in ["asterisk-b", "bare-peer", "listed", "branch-peer"] {
            for host in ["sip.local", "branch.local", "192.0.2.1", "elsewhere.example"] {
                challenged(out(&world, name, host));
                let from = format!("{name}@{host}");
                challenged(world.invite(&from, "1002@sip.local").short());
            }
        }
        // By its connection, its own only and where the peer registered.
        world.connected = vec![("backend:voice".into(), "asterisk-b".into())];
        assert_eq!(out(&world, "asterisk-b", "sip.local"), carrier);
        challenged(out(&world, "bare-peer", "sip.local"));
        world.connected = vec![("sip:bare-peer@sip.local".into(), "bare-peer".into())];
        assert_eq!(out(&world, "bare-peer", "sip.local"), carrier);
        // Another party of that name, an agent's, is none.
        world.connected = vec![("sip:bare-peer@sip.local".into(), "agent-01".into())];
        challenged(out(&world, "bare-peer", "sip.local"));
        world.connected.clear();
        // By its own list.
        world.source = "203.0.113.7:5060".parse().unwrap();
        assert_eq!(out(&world, "by-list", "sip.local"), carrier);
        challenged(out(&world, "asterisk-b", "sip.local"));
        challenged(out(&world, "listed", "sip.local"));
        // By digest.
        world.verdicts.insert("asterisk".into(), Verdict::Accepted);
        assert_eq!(out(&world, "asterisk-b", "sip.local"), carrier);
        assert_eq!(out(&world, "bare-peer", "sip.local"), carrier);
    }
}

/// A list of its own is no digest where one is asked of all.
#[test]
fn a_list_does_not_replace_a_digest() {
    let mut world = world(Authenticate::All);
    world.source = "203.0.113.7:5060".parse().unwrap();
    world.connected = vec![("backend:listed".into(), "listed".into())];
    assert_eq!(world.invite("listed@sip.local", "1002@sip.local").short(), "challenge 401 sip.local");
    // With no credentials it is all there is to show; from elsewhere it is nothing.
    let by_list = |world: &World| world.invite("by-list@sip.local", "1002@sip.local").short();
    assert_eq!(by_list(&world), "480", "it is let in, and nobody is there");
    let (from, to) = ("by-list@sip.local", "1002@sip.local");
    assert!(
        world.ask(&register("sip.local", from, from)).short().starts_with("register sip:by-list@sip.local")
    );
    assert_eq!(world.ask(&register("sip.local", "1001@sip.local", from)).short(), "challenge 401 sip.local");
    world.source = "203.0.113.8:5060".parse().unwrap();
    assert_eq!(world.invite(from, to).short(), "challenge 401 sip.local");
    // Who knows the secret is told what is wrong.
    world.verdicts.insert("asterisk".into(), Verdict::Accepted);
    let told = world.invite("listed@sip.local", to).decision.outcome;
    assert_eq!(told, trunkline_routing::Outcome::reply(trunkline_reasons::Reason::AclPeer));
}

/// A number of another trunk is 403 and one of nobody's 404, once the carrier has shown who it is.
#[test]
fn numbers_of_a_trunk_are_told_to_its_carrier() {
    let mut world = World::new();
    let ask = |world: &World, number: &str| {
        world.invite("x@carrier.example", &format!("{number}@trunk02.acme.com")).short()
    };
    for number in ["+18295863314", "+17066041487", "+1555"] {
        assert_eq!(ask(&world, number), "challenge 401 trunk02.acme.com", "{number}");
    }
    world.tables.put(Credentials::new("credentials-04", "pbx-1", "1234"));
    world.verdicts.insert("pbx-1".into(), Verdict::Accepted);
    assert_eq!(ask(&world, "+17066041487"), "403");
    assert_eq!(ask(&world, "+1555"), "404");
}
