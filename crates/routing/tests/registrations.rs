//! REGISTER: whose AOR it is and who may register it.

use crate::common::{World, register, request};
use trunkline_model::{AccessControlList, Agent, Authenticate, Domain, EgressPolicy, Peer, Ref, Rule};

fn check(world: &World, table: &[(&str, &str, &str, &str, &str)]) {
    for (what, domain, from, to, want) in table {
        let got = world.ask(&register(domain, from, to));
        assert_eq!(got.short(), *want, "{what}\n{:#?}\n{:#?}", got.words, got.lookups);
    }
}

#[test]
fn who_may_register_what() {
    let a = "1001@sip.local";
    check(
        &World::authenticated(),
        &[
            ("an agent", "sip.local", a, a, "register sip:1001@sip.local"),
            (
                "by our address",
                "192.0.2.1",
                "1001@192.0.2.1",
                "1001@192.0.2.1",
                "register sip:1001@sip.local",
            ),
            ("mixed", "sip.local", "1001@192.0.2.1", "1001@SIP.LOCAL", "register sip:1001@sip.local"),
            ("escaped", "sip.local", "%31001@sip.local", a, "register sip:1001@sip.local"),
            ("another's AOR", "sip.local", "1002@sip.local", a, "403"),
            ("from another host", "sip.local", "1001@evil.example", a, "403"),
            ("an AOR of another domain", "sip.local", a, "1001@evil.example", "404"),
            ("a domain that is not ours", "evil.example", a, a, "404"),
            ("nobody", "sip.local", "nobody@sip.local", "nobody@sip.local", "challenge 401 sip.local"),
            (
                "a peer by its name",
                "sip.local",
                "asterisk@sip.local",
                "asterisk@sip.local",
                "register sip:conference@sip.local",
            ),
            (
                "a peer by its AOR",
                "sip.local",
                "conference@sip.local",
                "conference@sip.local",
                "register sip:conference@sip.local",
            ),
            (
                "a peer, AOR under its name",
                "sip.local",
                "asterisk@sip.local",
                "conference@sip.local",
                "register sip:conference@sip.local",
            ),
            ("a peer's AOR under another", "sip.local", "1001@sip.local", "conference@sip.local", "403"),
            ("no user", "sip.local", a, "sip.local", "404"),
        ],
    );
    let mut open = World::authenticated();
    open.options.third_party_registration = true;
    check(
        &open,
        &[
            ("a third party", "sip.local", "1002@sip.local", a, "register sip:1001@sip.local"),
            ("a third party nobody knows", "sip.local", "nobody@sip.local", a, "challenge 401 sip.local"),
            ("for nobody", "sip.local", "1002@sip.local", "nobody@sip.local", "404"),
        ],
    );
}

#[test]
fn unknown_users_are_challenged_like_known_ones() {
    let world = World::new();
    let of = |user: &str| world.ask(&register("sip.local", user, user));
    let (known, unknown) = (of("1001@sip.local"), of("nobody@sip.local"));
    assert_eq!(known.outcome, unknown.outcome);
    assert_eq!(known.decision.realm, unknown.decision.realm);
    assert_eq!(known.decision.algorithms, unknown.decision.algorithms);
    assert_eq!(known.decision.algorithms.len(), 2);
}

#[test]
fn limits_of_the_resource() {
    let mut world = World::authenticated();
    let mut agent = Agent::clone(world.tables.agent_by_ref("agent-01").unwrap());
    (agent.max_contacts, agent.expires) = (Some(2), Some(120));
    world.tables.put(agent);
    let mut peer = Peer::clone(world.tables.peer_by_ref("peer-02").unwrap());
    peer.aor = Some("backend:voice".into());
    peer.expires = Some(30);
    world.tables.put(peer);
    let (a, p) = ("1001@sip.local", "freeswitch@sip.local");
    check(
        &world,
        &[
            ("an agent", "sip.local", a, a, "register sip:1001@sip.local max 2 expires 120"),
            ("a peer", "sip.local", p, p, "register backend:voice expires 30"),
        ],
    );
}

/// A domain that asks nobody for a digest is no back door to the peers of another.
#[test]
fn a_peer_is_at_home_where_its_aor_is() {
    let mut world = World::new();
    let mut lab = Domain::new("domain-02", "lab.local");
    lab.authenticate = Authenticate::Never;
    world.tables.put(lab);
    let mut peer = Peer::new("peer-03", "mixer", Some("sip:mixer@lab.local"));
    peer.credentials = Some(Ref::new("credentials-03"));
    world.tables.put(peer);
    let (stranger, home) = ("asterisk@lab.local", "mixer@lab.local");
    check(
        &world,
        &[
            ("another domain's", "lab.local", stranger, stranger, "challenge 401 lab.local"),
            ("its own", "lab.local", home, home, "challenge 401 lab.local"),
        ],
    );
    let out = |world: &World, from: &str| {
        let number = "X-DOD-Number: tel:+17066041487\r\n";
        world.ask(&request("INVITE", from, "+17853178070@lab.local", number)).short()
    };
    assert_eq!(out(&world, stranger), "challenge 401 lab.local");
    assert_eq!(out(&world, home), "challenge 401 lab.local");
    world.connected = vec![("sip:mixer@lab.local".into(), "peer-03".into())];
    assert_eq!(out(&world, home), "404", "the number is another domain's");
    let mut lab = Domain::clone(world.tables.domain_by_uri(b"lab.local").unwrap());
    let rule = Rule::new("^none$").unwrap();
    lab.egress_policies = vec![EgressPolicy { rule, number: Ref::new("number-01") }];
    world.tables.put(lab);
    let number = "X-DOD-Number: tel:+1(706)604-1487\r\n";
    let got = world.ask(&request("INVITE", home, "+17853178070@lab.local", number));
    assert_eq!(got.short(), "peer-to-pstn: sip:+17853178070@sip.provider.net:7060", "its own by a policy");
}

#[test]
fn a_peers_own_list_goes_before_that_of_the_domain() {
    let mut world = World::authenticated();
    world.source = "203.0.113.5:5060".parse().unwrap();
    let p = "freeswitch@sip.local";
    check(&world, &[("the domain's", "sip.local", p, p, "403")]);
    let deny = vec!["0.0.0.0/0".parse().unwrap()];
    world.tables.put(AccessControlList::new("acl-02", vec!["203.0.113.0/24".parse().unwrap()], deny));
    let mut peer = Peer::clone(world.tables.peer_by_ref("peer-02").unwrap());
    peer.acl = Some(Ref::new("acl-02"));
    world.tables.put(peer);
    check(&world, &[("its own", "sip.local", p, p, "register sip:voice@sip.local")]);
}

/// From may be a telephone number, which names no domain (RFC 3966).
#[test]
fn a_challenge_always_has_a_realm() {
    let asked = World::new().ask(&request("INVITE", "tel:+4930123456", "tel:+4930999999", ""));
    assert_eq!(asked.short(), "challenge 401 sip.local");
}
