//! Domains of different tenants: who reaches whom, and by whose ways calls leave.

use crate::common::{World, request, uri};
use trunkline_model::{
    Agent, Authenticate, Credentials, Domain, EgressPolicy, InterDomain, Number, Peer, Ref, Rule, Trunk,
};
use trunkline_routing::{Diversion, Inside, PartyName, RoutedKind, Verdict};

use Authenticate::{All, Never, Register};
use InterDomain::{Authenticated, Isolated, Open};

/// `a.example` and `b.example`, each with two agents, a peer, a number and a trunk of its own; peers without a home.
fn world(a: (Authenticate, InterDomain), b: (Authenticate, InterDomain)) -> World {
    let mut world = World::new();
    world.tables = Default::default();
    world.options.default_domain = "a.example".into();
    for (x, (authenticate, inter_domain)) in [("a", a), ("b", b)] {
        let host = format!("{x}.example");
        let mut domain = Domain::new(x, &host);
        (domain.authenticate, domain.inter_domain) = (authenticate, inter_domain);
        let rule = Rule::new(r"^(\+|0)").unwrap();
        domain.egress_policies = vec![EgressPolicy { rule, number: Ref::new(format!("number-{x}")) }];
        world.tables.put(domain);
        let mut trunk = Trunk::new(format!("trunk-{x}"), "trunk");
        trunk.inbound_uri = Some(format!("in-{x}.example"));
        trunk.uris = vec![uri(&format!("carrier-{x}.example"), 5060, 1)];
        world.tables.put(trunk);
        let digit = if x == "a" { 1 } else { 2 };
        let link = Some(format!("sip:{digit}001@{host}"));
        number(&mut world, x, &format!("+1555000{digit}"), link);
        for user in [format!("{digit}001"), format!("{digit}002")] {
            credentials(&mut world, &user);
            let mut agent = Agent::new(format!("agent-{user}"), &*user, Some(Ref::new(x)));
            agent.credentials = Some(Ref::new(format!("credentials-{user}")));
            world.tables.put(agent);
            world.register(&format!("sip:{user}@{host}"), &format!("sip:{user}@192.0.2.5{digit}"), 1000);
        }
        peer(&mut world, &format!("peer-{x}"), Some(&format!("sip:peer-{x}@{host}")));
    }
    peer(&mut world, "shared", Some("backend:shared"));
    world
}

fn credentials(world: &mut World, user: &str) {
    world.tables.put(Credentials::new(format!("credentials-{user}"), user, "secret"));
}

fn number(world: &mut World, x: &str, digits: &str, link: Option<String>) {
    let mut number =
        Number::new(format!("number-{x}"), &format!("tel:{digits}"), Some(Ref::new(format!("trunk-{x}"))));
    number.aor_link = link;
    world.tables.put(number);
}

fn peer(world: &mut World, name: &str, aor: Option<&str>) {
    credentials(world, name);
    let mut peer = Peer::new(name, name, aor);
    peer.credentials = Some(Ref::new(format!("credentials-{name}")));
    world.tables.put(peer);
    world.register(aor.unwrap_or_default(), &format!("sip:{name}@192.0.2.60"), 1000);
}

fn everybody_knows(world: &mut World) {
    for user in ["1001", "1002", "2001", "2002", "peer-a", "peer-b", "shared"] {
        world.verdicts.insert(user.into(), Verdict::Accepted);
    }
}

fn check(world: &World, table: &[(&str, &str, &str, &str)]) {
    for (what, from, to, want) in table {
        let got = world.invite(from, to);
        assert_eq!(got.short(), *want, "{what}: {from} → {to}\n{}", got.story);
    }
}

const RINGS: &str = "agent-to-agent: sip:1001@192.0.2.51";
const ASKED: &str = "challenge 401 b.example";

/// What a call from an open domain needs to reach one that says this.
#[test]
fn a_call_from_a_domain_that_asks_nobody() {
    for asks_nobody in [Never, Register] {
        for (inter_domain, to_agent, to_peer, to_nobody, to_number) in [
            (Authenticated, ASKED, ASKED, ASKED, ASKED),
            (Open, RINGS, "agent-to-peer: sip:peer-a@192.0.2.60", "404", RINGS),
            (Isolated, "403", "403", "403", "agent-to-pstn: sip:+15550001@carrier-b.example:5060"),
        ] {
            let world = world((All, inter_domain), (asks_nobody, Authenticated));
            check(
                &world,
                &[
                    ("an agent", "2001@b.example", "1001@a.example", to_agent),
                    ("by our address", "2001@b.example", "1001@192.0.2.1", to_agent),
                    ("a peer", "2001@b.example", "peer-a@a.example", to_peer),
                    ("nobody", "2001@b.example", "nobody@a.example", to_nobody),
                    ("its number", "2001@b.example", "+15550001@b.example", to_number),
                    ("its number by tel", "2001@b.example", "tel:+1-555-0001", to_number),
                    ("inside", "2001@b.example", "2002@b.example", "agent-to-agent: sip:2002@192.0.2.52"),
                    (
                        "a shared server",
                        "2001@b.example",
                        "shared@b.example",
                        "agent-to-peer: sip:shared@192.0.2.60",
                    ),
                    (
                        "its own carrier",
                        "2001@b.example",
                        "+1900@b.example",
                        "agent-to-pstn: sip:+1900@carrier-b.example:5060",
                    ),
                ],
            );
            let by_name = world.invite("2001@b.example", "peer-a@b.example").short();
            let want = match inter_domain {
                Authenticated => ASKED,
                Open => "agent-to-peer: sip:peer-a@192.0.2.60",
                Isolated => "404",
            };
            assert_eq!(by_name, want, "another's peer by its name, {inter_domain:?}");
        }
    }
}

#[test]
fn who_has_shown_who_it_is_calls_another_domain() {
    for authenticate in [All, Register, Never] {
        let mut world = world((All, Authenticated), (authenticate, Authenticated));
        everybody_knows(&mut world);
        check(
            &world,
            &[
                ("an agent", "2001@b.example", "1001@a.example", RINGS),
                ("a peer", "2001@b.example", "peer-a@a.example", "agent-to-peer: sip:peer-a@192.0.2.60"),
                ("a number", "2001@b.example", "+15550001@b.example", RINGS),
                (
                    "a peer of there",
                    "peer-b@b.example",
                    "1001@a.example",
                    "peer-to-agent: sip:1001@192.0.2.51",
                ),
                ("a shared one", "shared@b.example", "1001@a.example", "peer-to-agent: sip:1001@192.0.2.51"),
                ("a carrier", "+1777@x.example", "+15550001@in-a.example", "from-pstn: sip:1001@192.0.2.51"),
            ],
        );
        world.verdicts.insert("2001".into(), Verdict::Wrong);
        let got = world.invite("2001@b.example", "1001@a.example").short();
        assert_eq!(got, ASKED, "{authenticate:?}");
    }
}

/// Isolation holds for both directions, and for those who authenticate.
#[test]
fn isolated_domains() {
    for (a, b) in [(Isolated, Open), (Open, Isolated), (Isolated, Isolated)] {
        let mut world = world((All, a), (All, b));
        everybody_knows(&mut world);
        check(
            &world,
            &[
                ("an agent", "2001@b.example", "1001@a.example", "403"),
                ("back", "1001@a.example", "2001@b.example", "403"),
                ("a peer", "2001@b.example", "peer-a@a.example", "403"),
                ("from a peer", "peer-b@b.example", "1001@a.example", "403"),
                ("a peer under another host", "peer-b@a.example", "1001@a.example", "403"),
                ("a peer under none of ours", "peer-b@x.example", "1001@a.example", "403"),
                ("a peer by its name", "2001@b.example", "peer-a@b.example", "404"),
                ("nobody", "2001@b.example", "nobody@a.example", "403"),
                (
                    "a number",
                    "2001@b.example",
                    "+15550001@b.example",
                    "agent-to-pstn: sip:+15550001@carrier-b.example:5060",
                ),
                ("inside", "2001@b.example", "2002@b.example", "agent-to-agent: sip:2002@192.0.2.52"),
                (
                    "a shared server calls",
                    "shared@b.example",
                    "1001@a.example",
                    "peer-to-agent: sip:1001@192.0.2.51",
                ),
                (
                    "a carrier calls",
                    "+1777@x.example",
                    "+15550001@in-a.example",
                    "from-pstn: sip:1001@192.0.2.51",
                ),
            ],
        );
        let by_peer = world.ask(&request(
            "INVITE",
            "peer-b@b.example",
            "+15550001@b.example",
            "X-DOD-Number: +15550002\r\n",
        ));
        assert_eq!(by_peer.short(), "peer-to-pstn: sip:+15550001@carrier-b.example:5060");
        assert!(by_peer.header("X-Room-Id").is_empty());
    }
}

/// Whatever hosts a request names, it leaves by the caller's own ways.
#[test]
fn ways_out_never_cross() {
    for inter_domain in [Authenticated, Open, Isolated] {
        let mut world = world((All, inter_domain), (All, inter_domain));
        everybody_knows(&mut world);
        for from in ["2001@b.example", "%32001@B.Example", "2001@b.example:5099"] {
            for to in [
                "+1900@b.example",
                "+1900@a.example",
                "+1900@192.0.2.1",
                "tel:+1900",
                "+1900@carrier-a.example",
                "+1900@x.example",
                "sip:+1900@b.example;maddr=carrier-a.example",
                "sips:+1900@a.example",
            ] {
                let got = world.invite(from, to);
                for target in got.decision.targets.as_slice() {
                    assert_eq!(target.trunk, Some(Ref::new("trunk-b")), "{from} → {to}: {}", got.story);
                }
                for sent in &got.sent {
                    assert!(sent.contains("<sip:+15550002@carrier-b.example;user=phone>"), "{sent}");
                }
            }
        }
        for named in ["+15550001", "tel:+15550001", "tel:+1-555-0001", "+1(555)0001;x=y", "TEL:+1.555.0001"] {
            for (from, to) in
                [("peer-b@b.example", "b"), ("peer-b@a.example", "a"), ("peer-b@x.example", "x")]
            {
                let headers = format!("X-DOD-Number: {named}\r\n");
                let got =
                    world.ask(&request("INVITE", from, &format!("+1900@{to}.example"), &headers)).short();
                assert!(matches!(&*got, "404" | "403"), "{from} by {named}: {got}");
            }
        }
    }
}

#[test]
fn a_peer_names_numbers_of_its_domain() {
    let mut world = world((All, Authenticated), (All, Authenticated));
    everybody_knows(&mut world);
    number(&mut world, "free", "+15550009", None);
    let mut trunk = Trunk::new("trunk-free", "trunk");
    trunk.uris = vec![uri("carrier-free.example", 5060, 1)];
    world.tables.put(trunk);
    let mut foreign = Number::new("number-x", "tel:+15550008", Some(Ref::new("trunk-free")));
    foreign.aor_link = Some("backend:shared".into());
    world.tables.put(foreign);
    let out = |from: &str, number: &str| {
        let headers = format!("X-DOD-Number: {number}\r\n");
        world.ask(&request("INVITE", from, "+1900@x.example", &headers)).short()
    };
    for (from, number, want) in [
        ("peer-a@a.example", "+15550001", "peer-to-pstn: sip:+1900@carrier-a.example:5060"),
        ("peer-a@x.example", "tel:+1-555-0001", "peer-to-pstn: sip:+1900@carrier-a.example:5060"),
        ("peer-a@b.example", "+15550001", "peer-to-pstn: sip:+1900@carrier-a.example:5060"),
        ("peer-a@a.example", "+15550002", "404"),
        ("peer-a@b.example", "+15550002", "404"),
        ("peer-a@a.example", "+15550009", "peer-to-pstn: sip:+1900@carrier-free.example:5060"),
        ("peer-a@a.example", "+15550008", "peer-to-pstn: sip:+1900@carrier-free.example:5060"),
        ("shared@a.example", "+15550002", "peer-to-pstn: sip:+1900@carrier-b.example:5060"),
        ("peer-a@a.example", "+15559999", "404"),
    ] {
        assert_eq!(out(from, number), want, "{from} by {number}");
    }
}

/// As in Routr v1: a peer that names no number leaves by policies, its own.
#[test]
fn policies_of_peers() {
    for (inter_domain, b_has_policies, want) in [
        (Authenticated, true, "peer-to-pstn: sip:+1900@carrier-b.example:5060"),
        (Open, true, "peer-to-pstn: sip:+1900@carrier-b.example:5060"),
        (Open, false, "peer-to-pstn: sip:+1900@carrier-a.example:5060"),
        (Authenticated, false, "404"),
        (Isolated, false, "403"),
    ] {
        let mut world = world((All, inter_domain), (All, Open));
        everybody_knows(&mut world);
        world.options.peers_use_policies = true;
        if !b_has_policies {
            let mut b = Domain::clone(world.tables.domain_by_uri(b"b.example").unwrap());
            b.egress_policies.clear();
            world.tables.put(b);
        }
        check(&world, &[("another's host", "peer-b@b.example", "+1900@a.example", want)]);
    }
}

/// Fallbacks and links lead no further than the caller may go.
#[test]
fn diversions_and_links_do_not_cross() {
    for (inter_domain, shown, want) in [
        (Open, false, RINGS),
        (Authenticated, false, "challenge 401 b.example"),
        (Authenticated, true, RINGS),
        (Isolated, true, "480"),
    ] {
        let mut world = world((All, inter_domain), (Never, Open));
        if shown {
            everybody_knows(&mut world);
        }
        let mut agent = Agent::clone(world.tables.agent_by_ref("agent-2002").unwrap());
        agent.fallback_no_answer = Some("sip:1001@a.example".into());
        world.tables.put(agent);
        world.bindings.remove("sip:2002@b.example");
        let got = world.invite("2001@b.example", "2002@b.example");
        assert_eq!(got.short(), want, "{inter_domain:?} {shown}: {}", got.story);
        // The same once it rang: nobody can be asked then.
        let caller = PartyName { kind: RoutedKind::Agent, reference: Some(Ref::new("agent-2001")) };
        let diversion = Diversion {
            from: "sip:2002@b.example",
            to: "sip:1001@a.example",
            cause: 486,
            caller: &caller,
            proven: shown,
            account: None,
            by_phone: false,
        };
        let text = request("INVITE", "2001@b.example", "2002@b.example", "");
        let got = world.ask_diverted(&text, Some(diversion)).short();
        assert_eq!(got, if want == RINGS { RINGS } else { "480" }, "{inter_domain:?} {shown}");
    }
}

/// Who isolates a domain isolates it from what others send on, too, whoever called them.
#[test]
fn what_is_sent_on_stays_out_of_an_isolated_domain() {
    for (a, b, want) in [
        (Isolated, Open, "480"),
        (Open, Isolated, "480"),
        (Authenticated, Open, "from-pstn: sip:1001@192.0.2.51"),
    ] {
        let mut world = world((All, a), (All, b));
        let mut agent = Agent::clone(world.tables.agent_by_ref("agent-2001").unwrap());
        agent.fallback_no_answer = Some("sip:1001@a.example".into());
        world.tables.put(agent);
        let carrier = ("+1777@x.example", "+15550002@in-b.example");
        let text = request("INVITE", carrier.0, carrier.1, "");
        let caller = PartyName { kind: RoutedKind::Pstn, reference: Some(Ref::new("trunk-b")) };
        for to in ["sip:1001@a.example", "sip:peer-a@a.example"] {
            let from = "sip:2001@b.example";
            let diversion = Diversion {
                from,
                to,
                cause: 486,
                caller: &caller,
                account: None,
                proven: false,
                by_phone: false,
            };
            let got = world.ask_diverted(&text, Some(diversion));
            assert_eq!(got.short() == "480", want == "480", "busy, to {to}: {}", got.story);
        }
        world.bindings.remove("sip:2001@b.example");
        let got = world.invite(carrier.0, carrier.1);
        assert_eq!(got.short(), want, "no phone: {}", got.story);
        // By a contact that leads back to us: a phone's word.
        let trunk = Ref::new("trunk-b");
        let inside = Inside { trunk: Some(&trunk), by: b"sip:2001@b.example", ..Inside::default() };
        let text = request("INVITE", carrier.0, "1001@a.example", "");
        let got = world.ask_inside(&text, inside);
        assert_eq!(got.short(), "480", "by a contact: {}", got.story);
        let got = world.ask_inside(&text, Inside { by: b"sip:1002@a.example", ..inside });
        assert_eq!(got.short(), "from-pstn: sip:1001@192.0.2.51", "within the domain: {}", got.story);
    }
}

/// A contact leads an agent's call no further than the agent could go.
#[test]
fn contacts_lead_no_further() {
    for (a, proven, want) in [
        (Open, false, RINGS),
        (Authenticated, false, "480"),
        (Authenticated, true, RINGS),
        (Isolated, true, "480"),
    ] {
        let world = world((All, a), (Never, Open));
        let caller = Ref::new("agent-2001");
        let inside = Inside { caller: Some(&caller), by: b"sip:2002@b.example", proven, ..Inside::default() };
        let got = world.ask_inside(&request("INVITE", "2001@b.example", "1001@a.example", ""), inside);
        assert_eq!(got.short(), want, "{a:?} {proven}: {}", got.story);
        let out = world.ask_inside(&request("INVITE", "2001@b.example", "+1900@b.example", ""), inside);
        assert_eq!(out.short(), "404", "by a phone's word nothing leaves");
    }
}

/// What an agent shows is remembered for whom the call goes on to.
#[test]
fn a_plan_says_whether_the_caller_has_shown_who_it_is() {
    for (authenticate, to, want) in
        [(All, "2002@b.example", true), (Never, "2002@b.example", false), (Never, "1001@a.example", true)]
    {
        let mut world = world((All, Authenticated), (authenticate, Authenticated));
        everybody_knows(&mut world);
        assert_eq!(world.invite("2001@b.example", to).decision.proven, want, "{authenticate:?} {to}");
    }
}

/// ACK and CANCEL cannot be challenged: they follow an INVITE that was, and go where it went.
#[test]
fn what_cannot_be_challenged_goes_where_its_invite_went() {
    for (inter_domain, want) in [(Authenticated, RINGS), (Open, RINGS), (Isolated, "403")] {
        let world = world((All, inter_domain), (Never, Open));
        for method in ["ACK", "CANCEL"] {
            let got = world.ask(&request(method, "2001@b.example", "1001@a.example", ""));
            assert_eq!(got.short(), want, "{inter_domain:?} {method}");
        }
    }
}

/// A phone that sends on a carrier's call reaches no more of another domain than its own domain does: nobody shows there who it is.
#[test]
fn a_phone_sends_a_carrier_into_no_other_domain() {
    let caller = PartyName { kind: RoutedKind::Pstn, reference: Some(Ref::new("trunk-b")) };
    let text = request("INVITE", "+1777@x.example", "+15550002@in-b.example", "");
    for (a, by_phone, want) in [
        (Isolated, true, "480"),
        (Authenticated, true, "480"),
        (Open, true, "rings"),
        (Authenticated, false, "rings"),
    ] {
        let mut world = world((All, a), (All, Authenticated));
        world.register("sip:peer-a@a.example", "sip:peer-a@192.0.2.61", 1000);
        // The name of a peer of a.example, in the phone's own domain; and an agent there.
        for to in ["sip:peer-a@b.example", "sip:1001@a.example"] {
            let from = "sip:2001@b.example";
            let diversion =
                Diversion { from, to, cause: 302, caller: &caller, account: None, proven: false, by_phone };
            let got = world.ask_diverted(&text, Some(diversion));
            let short = got.short();
            let rings = short.starts_with("from-pstn: ");
            assert_eq!(if rings { "rings" } else { &short }, want, "{a:?} {by_phone} {to}: {}", got.story);
        }
        // As a Contact that leads to us says it.
        let trunk = Ref::new("trunk-b");
        let inside = Inside { trunk: Some(&trunk), by: b"sip:2001@b.example", ..Inside::default() };
        let inside = Inside { may_leave: !by_phone, ..inside };
        let text = request("INVITE", "+1777@x.example", "peer-a@b.example", "");
        let got = world.ask_inside(&text, inside);
        let short = got.short();
        let rings = short.starts_with("from-pstn: ");
        assert_eq!(if rings { "rings" } else { &short }, want, "{a:?} {by_phone}: {}", got.story);
    }
}
