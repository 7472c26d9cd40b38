//! REGISTER: whose AOR it is and who may register it.

mod common;

use common::{World, register};
use trunkline_model::{Agent, Peer};

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
    assert_eq!(known.plan.realm, unknown.plan.realm);
    assert_eq!(known.plan.algorithms, unknown.plan.algorithms);
    assert_eq!(known.plan.algorithms.len(), 2);
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
