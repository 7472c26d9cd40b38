//! A folder of Routr v1, routed: what its own tests call intra-domain, inter-domain, egress and ingress.

use crate::common::{World, register, request};
use trunkline_model::dialect::v1::{self, Collection, Edition};
use trunkline_model::document::Source;
use trunkline_model::{AccessControlList, Authenticate, Domain};
use trunkline_routing::{Challenge, Verdict};
use trunkline_sip::Transport;

const FILES: [(Collection, &str); 5] = [
    (
        Collection::Domains,
        "- {apiVersion: v1, kind: Domain, metadata: {name: A}, spec: {context: {domainUri: sip.local, egressPolicy: {rule: '.{5,}', numberRef: line}}}}
- {apiVersion: v1, kind: Domain, metadata: {name: B}, spec: {context: {domainUri: sip2.local, accessControlList: {deny: [10.0.0.0/8], allow: [10.0.0.99]}}}}",
    ),
    (
        Collection::Agents,
        "- {apiVersion: v1, kind: Agent, metadata: {name: A}, spec: {credentials: {username: '1001', secret: x}, domains: [sip.local]}}
- {apiVersion: v1, kind: Agent, metadata: {name: B}, spec: {credentials: {username: '1002', secret: x}, domains: [sip.local]}}
- {apiVersion: v1, kind: Agent, metadata: {name: C}, spec: {credentials: {username: '4001', secret: x}, domains: [sip2.local]}}",
    ),
    (
        Collection::Gateways,
        "- {apiVersion: v1, kind: Gateway, metadata: {name: G, ref: gw}, spec: {host: sip.provider.net, transport: tcp, credentials: {username: u, secret: s}}}",
    ),
    (
        Collection::Numbers,
        "- {apiVersion: v1, kind: Number, metadata: {ref: line, gwRef: gw}, spec: {location: {telUrl: 'tel:0000000000', aorLink: 'sip:1001@sip.local'}}}",
    ),
    (
        Collection::Peers,
        "- {apiVersion: v1, kind: Peer, metadata: {name: P}, spec: {device: astserver, credentials: {username: ast, secret: x}}}",
    ),
];

/// As a configuration of Routr v1 sets the router.
fn world() -> World {
    let files = FILES.map(|(collection, text)| (collection, Source::new("v1.yml", text)));
    let read = v1::load(&files, Edition::Late, &mut |_, _| Ok("$argon2".into()));
    let mut world = World::new();
    world.tables = read.unwrap_or_else(|report| panic!("{report}")).tables;
    world.options.peers_use_policies = true;
    for aor in ["sip:1001@sip.local", "sip:1002@sip.local", "sip:4001@sip2.local", "sip:ast@astserver"] {
        let user = aor.trim_start_matches("sip:").split('@').next().unwrap_or_default();
        world.register(aor, &format!("sip:{user}@198.51.100.50"), 1000);
    }
    world.source = "198.51.100.50:5060".parse().expect("an address");
    world
}

#[test]
fn calls_are_not_authenticated_and_go_where_routr_sends_them() {
    let mut world = world();
    let egress = "sip:17853178070@sip.provider.net;transport=tcp";
    for (what, from, to, want) in [
        ("intra-domain", "1001@sip.local", "1002@sip.local", "agent-to-agent: sip:1002@198.51.100.50"),
        ("inter-domain", "1001@sip.local", "4001@sip2.local", "agent-to-agent: sip:4001@198.51.100.50"),
        ("to a peer", "1001@sip.local", "ast@sip.local", "agent-to-peer: sip:ast@198.51.100.50"),
        ("to a peer's device", "1001@sip.local", "ast@astserver", "agent-to-peer: sip:ast@198.51.100.50"),
        ("egress", "1001@sip.local", "17853178070@sip.local", &*format!("agent-to-pstn: {egress}")),
        ("a peer", "ast@astserver", "17853178070@sip.local", "challenge 401 astserver"),
        (
            "ingress",
            "17853178070@a.example",
            "0000000000@sip.provider.net",
            "from-pstn: sip:1001@198.51.100.50",
        ),
        (
            "ingress to us",
            "17853178070@a.example",
            "0000000000@192.0.2.1",
            "from-pstn: sip:1001@198.51.100.50",
        ),
        ("a number by tel", "17853178070@a.example", "tel:0000000000", "from-pstn: sip:1001@198.51.100.50"),
        (
            "a number from within",
            "1002@sip.local",
            "0000000000@sip.local",
            "agent-to-agent: sip:1001@198.51.100.50",
        ),
        ("no agent, no rule", "1001@sip.local", "1003@sip.local", "404"),
        ("no way out of there", "4001@sip2.local", "17853178070@sip2.local", "404"),
        ("a host of nobody's", "1001@sip.local", "bob@b.example", "404"),
        ("a stranger to an agent", "mallory@a.example", "1001@sip.local", "challenge 401 sip.local"),
        ("a stranger out", "mallory@a.example", "17853178070@sip.local", "challenge 401 sip.local"),
        ("a stranger through", "mallory@a.example", "bob@b.example", "challenge 401 b.example"),
    ] {
        let got = world.invite(from, to);
        assert_eq!(got.short(), want, "{what}:\n{}", got.story);
    }
    let peer = world.tables.peer_by_username(b"ast").map(|peer| peer.reference.to_string());
    world.connected = vec![("sip:ast@astserver".into(), peer.expect("the peer"))];
    let by_connection = world.invite("ast@astserver", "17853178070@sip.local");
    assert_eq!(by_connection.short(), format!("peer-to-pstn: {egress}"));
    let out = world.invite("1001@sip.local", "17853178070@sip.local");
    assert_eq!(out.header("P-Asserted-Identity"), ["\"A\" <sip:0000000000@sip.provider.net;user=phone>"]);
    assert!(out.header("Remote-Party-ID")[0].starts_with("<sip:0000000000@sip.provider.net>"));
}

#[test]
fn who_registers_is_authenticated() {
    let world = world();
    for (domain, user) in [("sip.local", "1001@sip.local"), ("astserver", "ast@astserver")] {
        let got = world.ask(&register(domain, user, user));
        assert_eq!(got.short(), format!("challenge 401 {domain}"), "{user}:\n{}", got.story);
    }
    let nobody = world.ask(&register("sip.local", "9999@sip.local", "9999@sip.local"));
    assert_eq!(nobody.short(), "challenge 401 sip.local", "like any other");
}

#[test]
fn lists_of_domains_and_of_the_exchange() {
    let mut world = world();
    world.source = "10.0.0.5:5060".parse().expect("an address");
    assert_eq!(world.invite("4001@sip2.local", "1001@sip.local").short(), "403", "denied by its domain");
    assert!(world.invite("1001@sip.local", "1002@sip.local").short().starts_with("agent-to-agent"));
    world.source = "10.0.0.99:5060".parse().expect("an address");
    assert!(world.invite("4001@sip2.local", "1001@sip.local").short().starts_with("agent-to-agent"));
    let mut deny = vec!["10.0.0.0/24".parse().expect("a network")];
    let mut allow = Vec::new();
    v1::with_default(Edition::Late, &mut allow, &mut deny);
    world.options.access = Some(AccessControlList::new("all", allow, deny));
    for method in ["INVITE", "MESSAGE", "OPTIONS"] {
        let got = world.ask(&request(method, "1001@sip.local", "1002@sip.local", ""));
        assert_eq!(got.short(), "403", "{method}: {}", got.story);
    }
    assert_eq!(world.ask(&register("sip.local", "1001@sip.local", "1001@sip.local")).short(), "403");
    world.source = "198.51.100.50:5060".parse().expect("an address");
    assert!(world.invite("1001@sip.local", "1002@sip.local").short().starts_with("agent-to-agent"));
}

#[test]
fn who_is_called_stands_elsewhere() {
    let mut world = world();
    let text = |headers: &str| {
        request("INVITE", "1001@sip.local", "none@sip.local", headers)
            .replace("To: <sip:none@sip.local>", "To: <sip:1002@sip.local>")
    };
    let told = "X-Called: \"DID\" <sip:4001@sip2.local>;x=1\r\n";
    assert_eq!(world.ask(&text(told)).short(), "404", "the Request-URI");
    world.options.to_as_aor = true;
    assert_eq!(world.ask(&text(told)).short(), "agent-to-agent: sip:1002@198.51.100.50");
    world.options.address_info = vec!["X-Other".into(), "x-called".into()];
    assert_eq!(world.ask(&text(told)).short(), "agent-to-agent: sip:4001@198.51.100.50");
    for none in ["", "X-Called: \r\n", "X-Called: <not a uri\r\n", "X-Called: 42\r\n"] {
        assert_eq!(world.ask(&text(none)).short(), "agent-to-agent: sip:1002@198.51.100.50", "{none}");
    }
    world.options.to_as_aor = false;
    assert_eq!(world.ask(&text("")).short(), "404");
}

/// With `spec.auth.calls: egress`, its default.
#[test]
fn who_calls_out_shows_who_it_is() {
    let mut world = world();
    world.options.challenge = Challenge::Egress;
    let out = |world: &World, from: &str| world.invite(from, "17853178070@sip.local").short();
    let through = "sip:17853178070@sip.provider.net;transport=tcp";
    // Whoever names an agent or a peer in From.
    assert_eq!(out(&world, "1001@sip.local"), "challenge 401 sip.local");
    assert_eq!(out(&world, "ast@astserver"), "challenge 401 astserver");
    // Inside nobody is asked, and neither is who calls in.
    assert!(world.invite("1001@sip.local", "1002@sip.local").short().starts_with("agent-to-agent"));
    assert!(
        world.invite("17853178070@a.example", "0000000000@sip.provider.net").short().starts_with("from-pstn")
    );
    assert_eq!(world.invite("1001@sip.local", "1003@sip.local").short(), "404", "no rule matches");
    // A connection that the caller registered by says who it is; a datagram says nothing.
    let agent = world.tables.agents().find(|a| a.username == "1001");
    let peer = world.tables.peer_by_username(b"ast");
    world.connected = vec![
        ("sip:1001@sip.local".into(), agent.unwrap().reference.to_string()),
        ("sip:ast@astserver".into(), peer.unwrap().reference.to_string()),
    ];
    assert_eq!(out(&world, "1001@sip.local"), "challenge 401 sip.local", "over UDP");
    world.transport = Transport::Tcp;
    assert_eq!(out(&world, "1001@sip.local"), format!("agent-to-pstn: {through}"));
    assert_eq!(out(&world, "ast@astserver"), format!("peer-to-pstn: {through}"));
    assert_eq!(out(&world, "1002@sip.local"), "challenge 401 sip.local", "another's connection");
    // With a right answer it goes on.
    world.transport = Transport::Udp;
    world.verdicts.insert("1001".into(), Verdict::Accepted);
    assert_eq!(out(&world, "1001@sip.local"), format!("agent-to-pstn: {through}"));
    world.verdicts.insert("1001".into(), Verdict::Wrong);
    assert_eq!(out(&world, "1001@sip.local"), "challenge 401 sip.local");
}

/// With `authenticate: egress` of a domain, which is what `trunkline migrate` writes.
#[test]
fn who_calls_out_of_a_domain_shows_who_it_is() {
    let mut world = world();
    let domains: Vec<Domain> = world.tables.domains().map(|domain| Domain::clone(domain)).collect();
    let domain = domains.into_iter().find(|domain| domain.domain_uri == "sip.local").unwrap();
    world.tables.put(Domain { authenticate: Authenticate::Egress, ..domain });
    let out = |world: &World, from: &str| world.invite(from, "17853178070@sip.local").short();
    assert_eq!(out(&world, "1001@sip.local"), "challenge 401 sip.local");
    // A peer of another home, by the policies of this domain.
    assert_eq!(out(&world, "ast@astserver"), "challenge 401 astserver");
    assert!(world.invite("1001@sip.local", "1002@sip.local").short().starts_with("agent-to-agent"));
    world.verdicts.insert("1001".into(), Verdict::Accepted);
    assert!(out(&world, "1001@sip.local").starts_with("agent-to-pstn"));
}

#[test]
fn everybody_shows_who_it_is_where_that_is_asked() {
    let mut world = world();
    world.options.challenge = Challenge::All;
    for (from, to) in [
        ("1001@sip.local", "1002@sip.local"),
        ("ast@astserver", "1002@sip.local"),
        ("1001@sip.local", "17853178070@sip.local"),
    ] {
        assert!(world.invite(from, to).short().starts_with("challenge 401"), "{from} {to}");
    }
    assert!(
        world.invite("17853178070@a.example", "0000000000@sip.provider.net").short().starts_with("from-pstn")
    );
}

/// The world with a peer that has no device: it registered in the first domain, from its own address.
fn with_a_peer_of_an_address() -> World {
    let mut world = world();
    let mut files = FILES.map(|(collection, text)| (collection, text.to_owned())).to_vec();
    for (collection, text) in &mut files {
        match collection {
            Collection::Peers => {
                text.push_str("\n- {apiVersion: v1, kind: Peer, metadata: {name: Q}, spec: {credentials: {username: pbx, secret: x}}}");
            }
            Collection::Numbers => {
                text.push_str("\n- {apiVersion: v1, kind: Number, metadata: {ref: two, gwRef: gw}, spec: {location: {telUrl: 'tel:0000000002', aorLink: 'sip:pbx@192.168.1.2'}}}");
            }
            _ => {}
        }
    }
    let files: Vec<_> =
        files.iter().map(|(collection, text)| (*collection, Source::new("v1.yml", text.as_str()))).collect();
    let read = v1::load(&files, Edition::Late, &mut |_, _| Ok("$argon2".into()));
    world.tables = read.unwrap_or_else(|report| panic!("{report}")).tables;
    world.register("sip:pbx@sip.local", "sip:pbx@192.168.1.2:6060", 1000);
    world
}

#[test]
fn a_peer_without_a_device_is_called_by_its_address() {
    let world = with_a_peer_of_an_address();
    let reached = "agent-to-peer: sip:pbx@192.168.1.2:6060";
    for (from, to, want) in [
        ("1001@sip.local", "pbx@sip.local", reached),
        ("1001@sip.local", "pbx@192.168.1.2", reached),
        ("1001@sip.local", "pbx@192.168.1.2:6060", reached),
        ("1001@sip.local", "pbx@192.168.1.2:5060", "404"),
        ("1001@sip.local", "pbx@192.168.1.3", "404"),
        ("1001@sip.local", "ast@198.51.100.50", "404"),
        ("1001@sip.local", "somebody@192.168.1.2", "404"),
        ("mallory@a.example", "pbx@192.168.1.2", "challenge 401 192.168.1.2"),
        (
            "17853178070@a.example",
            "0000000002@sip.provider.net",
            "from-pstn: sip:0000000002@192.168.1.2:6060",
        ),
        ("1002@sip.local", "0000000002@sip.local", "agent-to-peer: sip:0000000002@192.168.1.2:6060"),
    ] {
        let got = world.invite(from, to);
        assert_eq!(got.short(), want, "{from} to {to}:\n{}", got.story);
    }
    let mut gone = with_a_peer_of_an_address();
    gone.bindings.remove("sip:pbx@sip.local");
    assert_eq!(gone.invite("1001@sip.local", "pbx@192.168.1.2").short(), "404");
    assert_eq!(gone.invite("17853178070@a.example", "0000000002@sip.provider.net").short(), "480");
    // Of two instances the one at that address.
    let mut two = with_a_peer_of_an_address();
    two.register("sip:pbx@sip.local", "sip:pbx@192.168.1.9:6060", 1000);
    for address in ["192.168.1.2", "192.168.1.9"] {
        let got = two.invite("1001@sip.local", &format!("pbx@{address}"));
        assert_eq!(got.short(), format!("agent-to-peer: sip:pbx@{address}:6060"), "{}", got.story);
    }
}

#[test]
fn a_peer_without_a_device_registers_by_its_address() {
    let mut world = with_a_peer_of_an_address();
    world.source = "192.168.1.2:6060".parse().expect("an address");
    for (of, want) in [
        ("pbx@sip.local", "challenge 401 sip.local"),
        ("pbx@192.168.1.2", "challenge 401 sip.local"),
        // Of another address, of a name, of somebody who is no such peer.
        ("pbx@192.168.1.3", "404"),
        ("pbx@elsewhere.example", "404"),
        ("1001@192.168.1.2", "404"),
        ("ast@192.168.1.2", "404"),
    ] {
        let got = world.ask(&register("sip.local", of, of));
        assert_eq!(got.short(), want, "{of}:\n{}", got.story);
    }
    world.verdicts.insert("pbx".into(), Verdict::Accepted);
    let got = world.ask(&register("sip.local", "pbx@192.168.1.2", "pbx@192.168.1.2"));
    assert!(got.short().starts_with("register"), "{}", got.short());
    assert_eq!(String::from_utf8_lossy(&got.decision.aor), "sip:pbx@sip.local");
}
