//! Calls: who may call whom, and where it goes.

use crate::common::{World, request, uri};
use trunkline_model::{
    Agent, Authenticate, Credentials, Domain, EgressPolicy, Number, Peer, Ref, Rule, Trunk,
};
use trunkline_routing::{Question, Verdict};

/// A table of `from`, `to` and what comes of it.
fn check(world: &World, table: &[(&str, &str, &str, &str)]) {
    for (what, from, to, want) in table {
        let got = world.invite(from, to);
        assert_eq!(got.short(), *want, "{what}: {from} → {to}\n{:#?}\n{:#?}", got.words, got.lookups);
    }
}

/// Everybody knows their secret, both agents and a peer are registered.
fn busy_day() -> World {
    let mut world = World::authenticated();
    world.register("sip:1001@sip.local", "sip:1001@10.0.0.51:5060", 1000);
    world.register("sip:1002@sip.local", "sip:1002@10.0.0.50:5066;ob", 1000);
    world.register("sip:conference@sip.local", "sip:asterisk@10.0.0.60:5060", 1000);
    world
}

#[test]
fn calls_of_agents() {
    check(
        &busy_day(),
        &[
            (
                "inside the domain",
                "1001@sip.local",
                "1002@sip.local",
                "agent-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            (
                "by our address",
                "1001@192.0.2.1",
                "1002@192.0.2.1",
                "agent-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            (
                "hosts ignore case",
                "1001@SIP.local",
                "1002@sip.LOCAL:5060",
                "agent-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            (
                "users may be escaped",
                "%31001@sip.local",
                "100%32@sip.local",
                "agent-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            ("sips", "1001@sip.local", "sips:1002@sip.local", "agent-to-agent: sip:1002@10.0.0.50:5066;ob"),
            (
                "a peer by its AOR",
                "1001@sip.local",
                "conference@sip.local",
                "agent-to-peer: sip:conference@10.0.0.60:5060",
            ),
            (
                "a peer by its name",
                "1001@sip.local",
                "asterisk@sip.local",
                "agent-to-peer: sip:asterisk@10.0.0.60:5060",
            ),
            ("a peer not registered", "1001@sip.local", "freeswitch@sip.local", "480"),
            (
                "out by the first policy",
                "1001@sip.local",
                "17853178070@sip.local",
                "agent-to-pstn: sip:17853178070@sip.provider.net:7060",
            ),
            (
                "a tel URI",
                "1001@sip.local",
                "tel:+1-785-317-8070",
                "agent-to-pstn: sip:+17853178070@sip.provider.net:7060",
            ),
            (
                "parameters stay",
                "1001@sip.local",
                "sip:1785@sip.local;user=phone;transport=udp",
                "agent-to-pstn: sip:1785@sip.provider.net:7060;user=phone",
            ),
            (
                "a number of ours, to an agent",
                "1001@sip.local",
                "+19103434434@sip.local",
                "agent-to-agent: sip:1001@10.0.0.51:5060",
            ),
            (
                "a number of ours, to a peer",
                "1001@sip.local",
                "tel:+17066041487",
                "agent-to-peer: sip:+17066041487@10.0.0.60:5060",
            ),
            ("elsewhere", "1001@sip.local", "1002@elsewhere.example", "404"),
            ("nobody", "1001@sip.local", "sip:sip.local", "404"),
            ("another scheme", "1001@sip.local", "urn:service:sos", "416"),
        ],
    );
}

#[test]
fn calls_of_strangers() {
    let world = busy_day();
    check(
        &world,
        &[
            (
                "with a foreign host",
                "mallory@evil.example",
                "+17853178070@sip.local",
                "challenge 401 sip.local",
            ),
            ("with a name of ours", "nobody@sip.local", "1002@sip.local", "challenge 401 sip.local"),
            ("from nowhere to nowhere", "x@foo.example", "y@bar.example", "challenge 401 bar.example"),
            ("as one of ours, to nowhere", "nobody@sip.local", "y@bar.example", "challenge 401 sip.local"),
        ],
    );
}

#[test]
fn digests() {
    let mut world = World::new();
    let both = ("1001@sip.local", "1002@sip.local");
    for (verdict, want) in [
        (Verdict::Missing, "challenge 401 sip.local"),
        (Verdict::Wrong, "challenge 401 sip.local"),
        (Verdict::Stale, "challenge 401 sip.local stale"),
        (Verdict::Banned, "challenge 401 sip.local"),
        (Verdict::OtherTarget, "403"),
        (Verdict::Accepted, "480"),
    ] {
        world.verdicts.insert("1001".into(), verdict);
        assert_eq!(world.invite(both.0, both.1).short(), want, "{verdict:?}");
    }
    // Nobody is ever accepted as a user that does not exist, whatever the judge says.
    for verdict in [Verdict::Missing, Verdict::Wrong, Verdict::Banned, Verdict::Accepted] {
        world.verdicts.insert(String::new(), verdict);
        assert_eq!(
            world.invite("nobody@sip.local", both.1).short(),
            "challenge 401 sip.local",
            "{verdict:?}"
        );
    }
    world.options.reveal_unknown_users = true;
    assert_eq!(world.invite("nobody@sip.local", both.1).short(), "403");
    world.options.proxy_challenge = true;
    world.verdicts.clear();
    assert_eq!(world.invite(both.0, both.1).short(), "challenge 407 sip.local");
    assert_eq!(
        world.ask(&crate::common::register("sip.local", both.0, both.0)).short(),
        "challenge 401 sip.local"
    );
}

#[test]
fn which_methods_are_challenged() {
    let mut world = busy_day();
    world.verdicts.clear();
    for (mode, call, register) in [
        (Authenticate::All, "challenge 401 sip.local", "challenge 401 sip.local"),
        (Authenticate::Register, "agent-to-agent: sip:1002@10.0.0.50:5066;ob", "challenge 401 sip.local"),
        (Authenticate::Never, "agent-to-agent: sip:1002@10.0.0.50:5066;ob", "register sip:1001@sip.local"),
    ] {
        let mut domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
        domain.authenticate = mode;
        world.tables.put(domain);
        assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), call, "{mode:?}");
        let both = "1001@sip.local";
        assert_eq!(
            world.ask(&crate::common::register("sip.local", both, both)).short(),
            register,
            "{mode:?}"
        );
    }
    assert_eq!(
        world.invite("mallory@evil.example", "1002@sip.local").short(),
        "challenge 401 sip.local",
        "open to its own users only"
    );
    let nobody = "nobody@sip.local";
    assert_eq!(
        world.ask(&crate::common::register("sip.local", nobody, nobody)).short(),
        "challenge 401 sip.local"
    );
}

#[test]
fn every_method_is_routed_alike() {
    let world = busy_day();
    for method in ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "NOTIFY", "INFO", "OPTIONS", "PING"] {
        let got = world.ask(&request(method, "1001@sip.local", "1002@sip.local", ""));
        assert_eq!(got.short(), "agent-to-agent: sip:1002@10.0.0.50:5066;ob", "{method}");
        assert_eq!(got.decision.record_route, matches!(method, "SUBSCRIBE" | "REFER"), "{method}");
    }
    let mwi = world.ask(&request("SUBSCRIBE", "1001@sip.local", "conference@sip.local", ""));
    assert_eq!(mwi.short(), "agent-to-peer: sip:conference@10.0.0.60:5060");
}

#[test]
fn switched_off() {
    let mut world = busy_day();
    let mut agent = Agent::clone(world.tables.agent_by_ref("agent-01").unwrap());
    agent.enabled = false;
    world.tables.put(agent);
    let mut peer = Peer::clone(world.tables.peer_by_ref("peer-01").unwrap());
    peer.enabled = false;
    world.tables.put(peer);
    check(
        &world,
        &[
            ("as a caller", "1001@sip.local", "1002@sip.local", "403"),
            ("as a callee", "1002@sip.local", "1001@sip.local", "480"),
            ("as a calling peer", "asterisk@sip.local", "1002@sip.local", "403"),
            ("as a called peer", "1002@sip.local", "conference@sip.local", "480"),
        ],
    );
    let both = "1001@sip.local";
    assert_eq!(world.ask(&crate::common::register("sip.local", both, both)).short(), "403");
}

#[test]
fn without_credentials_nobody_calls() {
    let mut world = World::authenticated();
    world.tables.put(Agent::new("agent-03", "1003", Some(Ref::new("domain-01"))));
    let mut dangling = Agent::new("agent-04", "1004", Some(Ref::new("domain-01")));
    dangling.credentials = Some(Ref::new("credentials-99"));
    world.tables.put(dangling);
    for user in ["1003@sip.local", "1004@sip.local"] {
        let want = "challenge 401 sip.local";
        assert_eq!(world.invite(user, "1002@sip.local").short(), want);
        assert_eq!(world.ask(&crate::common::register("sip.local", user, user)).short(), want);
    }
}

#[test]
fn lists_look_at_the_source_of_the_packet() {
    let mut world = busy_day();
    world.source = "10.0.0.50:5066".parse().unwrap();
    check(
        &world,
        &[
            ("an agent of a domain with a list", "1001@sip.local", "1002@sip.local", "403"),
            ("a trunk with a list", "+1785@carrier.example", "+18295863314@trunk02.acme.com", "403"),
            ("a trunk without", "+1785@carrier.example", "+18095863314@trunk03.acme.com", "480"),
        ],
    );
    let both = "1001@sip.local";
    assert_eq!(
        world.ask(&crate::common::register("sip.local", both, both)).short(),
        "403",
        "and no challenge"
    );
    world.source = "[::ffff:127.0.0.1]:5066".parse().unwrap();
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").decision.targets.as_slice().len(), 1);
    world.source = "[2001:db8::1]:5066".parse().unwrap();
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "403");
    let mut peer = Peer::clone(world.tables.peer_by_ref("peer-01").unwrap());
    peer.acl = Some(Ref::new("acl-77"));
    world.tables.put(peer);
    let missing = |world: &World| world.invite("asterisk@foo.example", "1002@sip.local").short();
    assert_eq!(missing(&world), "403", "a missing list: who knows the secret is told");
    world.verdicts.clear();
    assert_eq!(missing(&world), "challenge 401 sip.local", "nobody else learns that there is such a peer");
}

#[test]
fn calls_of_peers() {
    let mut world = busy_day();
    check(
        &world,
        &[
            (
                "to an agent",
                "asterisk@sip.local",
                "1002@sip.local",
                "peer-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            (
                "under any host",
                "asterisk@10.0.0.60",
                "1002@sip.local",
                "peer-to-agent: sip:1002@10.0.0.50:5066;ob",
            ),
            (
                "to a peer",
                "freeswitch@sip.local",
                "conference@sip.local",
                "peer-to-peer: sip:conference@10.0.0.60:5060",
            ),
            ("out without a number", "asterisk@sip.local", "+17853178070@sip.local", "400"),
        ],
    );
    world.verdicts.remove("asterisk");
    assert_eq!(world.invite("asterisk@sip.local", "1002@sip.local").short(), "challenge 401 sip.local");
    world.verdicts.insert("asterisk".into(), Verdict::Accepted);
    let out = |headers: &str| {
        world.ask(&request("INVITE", "asterisk@sip.local", "+17853178070@sip.local", headers))
    };
    let got = out("X-DOD-Number: +18095863314\r\n");
    assert_eq!(got.short(), "peer-to-pstn: sip:+17853178070@sip.provider.net:7060");
    assert_eq!(got.header("Privacy"), ["none"]);
    assert_eq!(got.header("P-Asserted-Identity"), ["<sip:+18095863314@sip.provider.net;user=phone>"]);
    let got = out("X-DOD-Number: +18095863314\r\nX-DOD-Privacy: id\r\n");
    assert_eq!(got.header("Privacy"), ["id"]);
    assert_eq!(out("X-DOD-Number: +1\r\n").short(), "404");
    assert_eq!(out("X-DOD-Number:\r\n").short(), "400");
}

#[test]
fn a_peer_at_a_fixed_address() {
    let mut world = busy_day();
    let mut peer = Peer::new("peer-03", "pbx", Some("sip:pbx@sip.local"));
    peer.contact_addr = Some("10.0.0.70:5080".into());
    world.tables.put(peer);
    check(
        &world,
        &[("from a phone", "1001@sip.local", "pbx@sip.local", "agent-to-peer: sip:pbx@10.0.0.70:5080")],
    );
    world.register("sip:pbx@sip.local", "sip:pbx@10.0.0.71", 1000);
    check(&world, &[("registered", "1001@sip.local", "pbx@sip.local", "agent-to-peer: sip:pbx@10.0.0.71")]);
}

#[test]
fn calls_from_outside() {
    let mut world = busy_day();
    check(
        &world,
        &[
            (
                "to an agent",
                "+1785@carrier.example",
                "+18295863314@trunk02.acme.com",
                "from-pstn: sip:1001@10.0.0.51:5060",
            ),
            (
                "to a peer",
                "+1785@carrier.example",
                "+17066041487@trunk01.acme.com",
                "from-pstn: sip:+17066041487@10.0.0.60:5060",
            ),
            ("to nobody there", "+1785@carrier.example", "+14045551212@trunk01.acme.com", "480"),
            ("through another trunk", "+1785@carrier.example", "+17066041487@trunk02.acme.com", "403"),
            ("to no number", "+1785@carrier.example", "+1999@trunk01.acme.com", "404"),
            ("past the exchange", "+1785@carrier.example", "1001@trunk01.acme.com", "404"),
        ],
    );
    world.verdicts.remove("pbx-1");
    check(
        &world,
        &[
            (
                "by digest",
                "+1785@carrier.example",
                "+18295863314@trunk02.acme.com",
                "challenge 401 trunk02.acme.com",
            ),
            (
                "by list",
                "+1785@carrier.example",
                "+19103434434@trunk01.acme.com",
                "from-pstn: sip:1001@10.0.0.51:5060",
            ),
        ],
    );
}

#[test]
fn a_carrier_may_call_our_address() {
    let mut world = busy_day();
    check(
        &world,
        &[(
            "listed",
            "+1785@carrier.example",
            "+19103434434@192.0.2.1",
            "from-pstn: sip:1001@10.0.0.51:5060",
        )],
    );
    world.source = "198.51.100.9:5060".parse().unwrap();
    let call = ("+1785@carrier.example", "+18095863314@192.0.2.1");
    assert_eq!(world.invite(call.0, call.1).short(), "challenge 401 sip.local", "from elsewhere");
    world.trunk_addresses = vec![("sip.provider.net".into(), "198.51.100.9".parse().unwrap())];
    world.register("sip:voice@sip.local", "sip:freeswitch@10.0.0.61", 1000);
    assert_eq!(world.invite(call.0, call.1).short(), "from-pstn: sip:+18095863314@10.0.0.61");
    let mut trunk = Trunk::clone(world.tables.trunk_by_ref("trunk-03").unwrap());
    trunk.uris = vec![uri("198.51.100.9", 5060, 1)];
    world.tables.put(trunk);
    world.trunk_addresses.clear();
    assert_eq!(world.invite(call.0, call.1).short(), "from-pstn: sip:+18095863314@10.0.0.61");
}

#[test]
fn a_carrier_that_calls_our_bare_contact_names_the_number_in_to() {
    let world = busy_day();
    let called = |target: &str| {
        let (from, to) = ("sip:+1785@carrier.example", "sip:+19103434434@carrier.example");
        let text = crate::common::request("INVITE", from, to, "");
        let (_, rest) = text.split_once("\r\n").unwrap();
        world.ask(&format!("INVITE {target} SIP/2.0\r\n{rest}")).short()
    };
    assert_eq!(called("sip:192.0.2.1;bnc"), "from-pstn: sip:1001@10.0.0.51:5060");
    assert_eq!(called("sip:nobody@192.0.2.1"), "challenge 401 sip.local", "who is named there counts");
}

#[test]
fn affinity_and_extra_headers() {
    let world = busy_day();
    let got = world.invite("+1785@carrier.example", "+17066041487@trunk01.acme.com");
    assert_eq!(got.header("X-Room-Id"), ["jsa-shqm-iyo"]);
    assert_eq!(got.affinity.as_deref(), Some("jsa-shqm-iyo"), "what the number adds counts too");
    let text = request("INVITE", "+1785@c.example", "+17066041487@trunk01.acme.com", "X-Room-Id: blue\r\n");
    assert_eq!(world.ask(&text).affinity.as_deref(), Some("blue"));
}

/// RFC 3261 §19.1.1: a Request-URI has no header fields; a user may have a question mark.
#[test]
fn header_fields_of_a_contact_stay_behind() {
    let mut world = World::authenticated();
    world.register("sip:1002@sip.local", "sip:a?b@10.0.0.1;x=y?Route=%3Csip:z%3E", 1000);
    let want = "agent-to-agent: sip:a?b@10.0.0.1;x=y";
    check(&world, &[("without them", "1001@sip.local", "1002@sip.local", want)]);
}

#[test]
fn forking_by_q() {
    let mut world = World::authenticated();
    for (contact, q) in [("sip:a@10.0.0.1", 500), ("sip:b@10.0.0.2", 1000), ("sip:c@10.0.0.3", 500)] {
        world.register("sip:1002@sip.local", contact, q);
    }
    let want = "agent-to-agent: sip:b@10.0.0.2 | sip:a@10.0.0.1 sip:c@10.0.0.3";
    check(&world, &[("both at once after the first", "1001@sip.local", "1002@sip.local", want)]);
}

#[test]
fn trunks_fail_over() {
    let mut world = World::authenticated();
    let mut trunk = Trunk::clone(world.tables.trunk_by_ref("trunk-01").unwrap());
    trunk.uris = vec![uri("b.example", 5060, 20), uri("a.example", 5060, 10), uri("off.example", 5060, 1)];
    trunk.uris[2].enabled = false;
    trunk.timeout_ms = 700;
    world.tables.put(trunk);
    let mut domain = Domain::clone(world.tables.domain_by_uri(b"sip.local").unwrap());
    let policy = |rule: &str, n: &str| EgressPolicy { rule: Rule::new(rule).unwrap(), number: Ref::new(n) };
    domain.egress_policies = vec![
        policy("^00", "number-99"),
        policy("^\\d", "number-01"),
        policy("^\\d", "number-02"),
        policy("^1", "number-04"),
        policy("^2", "number-99"),
    ];
    world.tables.put(domain);
    let from = "1001@sip.local";
    let two =
        "agent-to-pstn: sip:1785@a.example:5060 | sip:1785@b.example:5060 | sip:1785@sip.provider.net:7060";
    check(&world, &[("by priority, then by the next rule", from, "1785@sip.local", two)]);
    let got = world.invite(from, "1785@sip.local");
    let targets = got.decision.targets.as_slice();
    assert_eq!(targets[0].timeout_ms, Some(700));
    assert_eq!(targets[0].trunk_uri, 1);
    assert_eq!(targets[2].trunk, Some(Ref::new("trunk-03")));
    assert_eq!(targets[2].credentials, Some(Ref::new("credentials-04")));
    // Each trunk hears of its own number and host.
    assert_eq!(got.header_of(0, "P-Asserted-Identity"), ["<sip:+17066041487@a.example;user=phone>"]);
    assert_eq!(got.header_of(2, "P-Asserted-Identity"), ["<sip:+18095863314@sip.provider.net;user=phone>"]);
    world.down.insert("trunk-01".into(), 0b10);
    let last = "agent-to-pstn: sip:2785@b.example:5060 | sip:2785@a.example:5060";
    check(&world, &[("a dead one last", from, "2785@sip.local", last)]);
    check(&world, &[("no rule", from, "abc@sip.local", "404"), ("tel", from, "tel:abc", "404")]);
    let mut trunk = Trunk::clone(world.tables.trunk_by_ref("trunk-01").unwrap());
    trunk.uris.clear();
    world.tables.put(trunk);
    check(&world, &[("nowhere to go", from, "2785@sip.local", "503")]);
}

#[test]
fn unavailable_is_503() {
    let mut world = busy_day();
    let kinds: [fn(&Question<'_>) -> bool; 5] = [
        |l| matches!(l, Question::Domain(_)),
        |l| matches!(l, Question::Agent { .. }),
        |l| matches!(l, Question::Credentials(_)),
        |l| matches!(l, Question::Acl(_)),
        |l| matches!(l, Question::Number(_)),
    ];
    for kind in kinds {
        world.unavailable = Some(kind);
        assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "503");
    }
    world.unavailable = None;
    world.location_is_down = true;
    assert_eq!(world.invite("1001@sip.local", "1002@sip.local").short(), "503");
    world.location_is_down = false;
    world.unavailable = Some(|l| matches!(l, Question::TrunkState(_)));
    assert_eq!(world.invite("1001@sip.local", "1785@sip.local").decision.targets.as_slice().len(), 1);
}

#[test]
fn two_domains() {
    let mut world = busy_day();
    world.tables.put(Domain::new("domain-02", "other.example"));
    let mut agent = Agent::new("agent-21", "1001", Some(Ref::new("domain-02")));
    agent.credentials = Some(Ref::new("credentials-21"));
    world.tables.put(agent);
    world.tables.put(Credentials::new("credentials-21", "u21", "secret"));
    world.register("sip:1001@other.example", "sip:x@10.9.9.9", 1000);
    check(
        &world,
        &[
            (
                "names are per domain",
                "1002@sip.local",
                "1001@other.example",
                "agent-to-agent: sip:x@10.9.9.9",
            ),
            ("the caller's realm", "1001@other.example", "1002@sip.local", "challenge 401 other.example"),
        ],
    );
    world.verdicts.insert("u21".into(), Verdict::Accepted);
    check(&world, &[("no way out of its own", "1001@other.example", "1785@sip.local", "404")]);
}

#[test]
fn a_number_without_trunk_or_link() {
    let mut world = busy_day();
    world.tables.put(Number::new("number-20", "tel:+15550001", None));
    check(
        &world,
        &[
            ("inside", "1001@sip.local", "+15550001@sip.local", "404"),
            ("outside", "+1785@carrier.example", "+15550001@trunk01.acme.com", "403"),
            ("by our address", "+1785@carrier.example", "+15550001@192.0.2.1", "challenge 401 sip.local"),
        ],
    );
}
