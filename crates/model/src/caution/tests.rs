//! Tests of the warnings.

use super::*;
use crate::resource::{AccessControlList, EgressPolicy, Rule, TrunkUri};
use crate::resource::{Domain, InterDomain};

fn tables() -> Tables {
    let mut tables = Tables::default();
    tables.put(Domain::new("d", "sip.local"));
    let mut agent = Agent::new("a", "1001", Some(Ref::new("d")));
    agent.credentials = Some(Ref::new("c"));
    tables.put(agent);
    tables.put(Credentials::new("c", "1001", "long enough"));
    for (reference, user, aor) in [("p", "asterisk", "sip:ivr@sip.local"), ("b", "voice", "backend:voice")] {
        tables.put(peer(reference, user, Some(aor)));
    }
    tables
}

fn peer(reference: &str, user: &str, aor: Option<&str>) -> Peer {
    let mut peer = Peer::new(reference, user, aor);
    peer.credentials = Some(Ref::new("c"));
    peer
}

/// The warnings about a resource, alone and among all.
fn said(tables: &Tables, resource: impl Into<Resource>) -> String {
    let (resource, mut tables) = (resource.into(), tables.clone());
    tables.put(resource.clone());
    let (of, all) = (tables.cautions_of(&resource), tables.cautions());
    assert_eq!(of, all, "{resource:?}");
    of.join("\n")
}

#[test]
fn an_open_trunk() {
    let mut tables = tables();
    let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().expect("a network")).collect();
    tables.put(AccessControlList::new("carrier", nets(&["198.51.100.0/24"]), Vec::new()));
    tables.put(AccessControlList::new("all", nets(&["0.0.0.0/0"]), Vec::new()));
    tables.put(AccessControlList::new("some", Vec::new(), nets(&["192.0.2.0/24"])));
    let mut trunk = Trunk::new("t", "carrier");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    assert_eq!(said(&tables, trunk.clone()), "", "calls come in from its own addresses only");
    trunk.inbound_uri = Some("sip.carrier.example".into());
    let open = "trunk carrier: anyone may call its numbers by sip.carrier.example; give it --acl (inbound.";
    assert!(said(&tables, trunk.clone()).starts_with(open), "{}", said(&tables, trunk));
    for (acl, open) in [("carrier", false), ("all", true), ("some", true)] {
        let listed = Trunk { acl: Some(Ref::new(acl)), ..trunk.clone() };
        assert_eq!(said(&tables, listed).contains("allows every address"), open, "{acl}");
    }
    trunk.inbound_credentials = Some(Ref::new("c"));
    assert_eq!(said(&tables, trunk.clone()), "");
    trunk.allowed_parameters = ["npdi", "npid", "colour"].map(str::to_owned).into();
    let text = said(&tables, trunk);
    assert!(text.contains("callers tell the carrier npdi, npid, colour"), "{text}");
    assert!(text.contains("`npid` is not a parameter of telephone numbers; did you mean `npdi`?"), "{text}");
    assert!(text.contains("`colour` is not a parameter of telephone numbers; known are npdi, rn"), "{text}");
}

#[test]
fn what_leads_nowhere() {
    let tables = tables();
    for (to, nowhere) in [
        ("sip:1001@sip.local", false),
        ("sip:1001@SIP.local", false),
        ("sip:ivr@sip.local", false),
        ("sip:asterisk@sip.local", false),
        ("backend:voice", false),
        ("backend:other", true),
        ("sip:1009@sip.local", true),
        ("sip:1001@elsewhere.example", true),
        ("sip:sip.local", true),
    ] {
        let mut number = Number::new("n", "tel:+17066041487", None);
        number.aor_link = Some(to.into());
        assert_eq!(said(&tables, number).contains("is not an agent or peer"), nowhere, "{to}");
        let mut agent = Agent::new("a2", "1002", Some(Ref::new("d")));
        agent.credentials = Some(Ref::new("c"));
        agent.fallback_busy = Some(to.into());
        assert_eq!(said(&tables, agent.clone()).contains("fallback.busy"), nowhere, "{to}");
        agent.fallback_no_answer = agent.fallback_busy.take();
        assert_eq!(said(&tables, agent).contains("agent 1002@sip.local: fallback.noAnswer"), nowhere);
    }
    assert!(said(&tables, Agent::new("a3", "1003", Some(Ref::new("d")))).contains("no credentials"));
    let peer = |aor| said(&tables, peer("p2", "other", aor));
    assert!(
        peer(Some("sip:x@pbx.example"))
            .contains("pbx.example, the host of its AOR, is not one of our domains")
    );
    assert_eq!((peer(Some("sip:x@sip.local")), peer(Some("backend:x")), peer(None)), Default::default());
}

#[test]
fn policies_without_a_way_out() {
    let mut tables = tables();
    let mut trunk = Trunk::new("t", "carrier");
    trunk.inbound_uri = Some("in.example".into());
    trunk.inbound_credentials = Some(Ref::new("c"));
    tables.put(Number::new("n1", "tel:+1", None));
    tables.put(Number::new("n2", "tel:+2", Some(Ref::new("t"))));
    tables.put(trunk.clone());
    let mut domain = Domain::new("d2", "b.example");
    domain.egress_policies = ["n1", "n2"]
        .map(|number| EgressPolicy {
            rule: Rule::new("^1[0-9]{8}$").expect("a rule"),
            number: Ref::new(number),
        })
        .into();
    let text = said(&tables, domain.clone());
    assert!(text.contains("`^1[0-9]{8}$` has no effect: n1 has no trunk"), "{text}");
    assert!(text.contains("n2 is at trunk carrier, which has no destination"), "{text}");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    tables.put(trunk);
    domain.egress_policies.remove(0);
    assert_eq!(said(&tables, domain), "");
}

#[test]
fn who_proves_nothing() {
    let mut tables = tables();
    let with = |authenticate| Domain { authenticate, ..Domain::new("d2", "b.example") };
    assert_eq!(said(&tables, with(Authenticate::All)), "");
    let never = said(&tables, with(Authenticate::Never));
    assert!(never.starts_with("domain b.example: authenticate: never: anyone who writes"), "{never}");
    assert!(never.ends_with("; restrict the senders by accessControlListRef"), "{never}");
    assert!(said(&tables, with(Authenticate::Register)).contains("authenticate: register"));
    let egress = said(&tables, with(Authenticate::Egress));
    assert!(egress.contains("authenticate: egress: anyone") && egress.contains("calls the other agents"));
    tables.put(with(Authenticate::Register));
    let agent = |reference: &str, domain: &str| Agent::new(reference, "1009", Some(Ref::new(domain)));
    let open = Domain { inter_domain: InterDomain::Open, ..Domain::new("d3", "c.example") };
    // Without agents there is nobody to call, and nobody who calls.
    let open = open.into();
    for (reference, domain) in [("a8", "d3"), ("a9", "d2")] {
        assert_eq!(tables.cautions_of(&open), [""; 0]);
        tables.put(agent(reference, domain));
    }
    assert_eq!(
        tables.cautions_of(&open),
        [
            "domain c.example: interDomain: open: callers from b.example need not authenticate there, and so not here"
        ]
    );
}

#[test]
fn who_pays_is_said_first() {
    let mut tables = tables();
    let mut trunk = Trunk::new("t", "carrier");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    tables.put(trunk.clone());
    tables.put(Number::new("n", "tel:+1", Some(Ref::new("t"))));
    let with = |authenticate| {
        let policy = EgressPolicy { rule: Rule::new(rules::NARROW).expect("a rule"), number: Ref::new("n") };
        Domain { authenticate, egress_policies: vec![policy], ..Domain::new("d2", "b.example") }
    };
    let whoever = "anyone who writes an agent's name into From calls out through carrier at your expense,";
    for (authenticate, then) in [
        (Authenticate::Never, "calls as that agent, and gets its calls by a REGISTER; restrict"),
        (Authenticate::Register, "and calls as that agent; restrict"),
    ] {
        let text = said(&tables, with(authenticate));
        assert!(text.contains(&format!("{whoever} {then}")), "{text}");
    }
    assert!(!said(&tables, with(Authenticate::Egress)).contains("expense"));
    // What the configuration asks of everybody.
    tables.put(with(Authenticate::Register));
    let of = |asked| tables.cautions_where(asked).join("\n");
    assert!(of(Asked::Domain).contains("expense"));
    let egress = of(Asked::Egress);
    assert!(
        !egress.contains("expense") && egress.contains("calls the other agents as that agent"),
        "{egress}"
    );
    assert!(!of(Asked::All).contains("anyone who writes"));
    tables.put(with(Authenticate::Never));
    let all = tables.cautions_where(Asked::All).join("\n");
    assert!(all.contains("into From gets its calls by a REGISTER; restrict"), "{all}");
    tables.put(with(Authenticate::Register));
    tables.put(Agent::new("a3", "1003", Some(Ref::new("d"))));
    assert!(tables.cautions()[0].contains(whoever), "{:?}", tables.cautions());
    trunk.uris.clear();
    tables.put(trunk);
    assert!(!tables.cautions().join("\n").contains("expense"), "there is no way out");
}

#[test]
fn carriers_that_may_challenge_phones() {
    let mut tables = tables();
    assert_eq!(tables.passed_challenges(), None);
    let mut trunk = Trunk::new("t", "carrier");
    tables.put(trunk.clone());
    assert_eq!(tables.passed_challenges(), None, "it gets no calls");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    tables.put(trunk.clone());
    let text = tables.passed_challenges().expect("a warning");
    assert!(text.starts_with("trunk carrier: without outbound.credentialsRef"), "{text}");
    for n in 1..7 {
        tables.put(Trunk { name: format!("carrier {n}"), ..Trunk::new(format!("t{n}"), "") });
        tables.put(Trunk { uris: trunk.uris.clone(), ..Trunk::new(format!("u{n}"), format!("other {n}")) });
    }
    let text = tables.passed_challenges().expect("a warning");
    assert!(text.starts_with("trunks carrier, other 1, other 2, other 3, other 4 and 2 more: "), "{text}");
    trunk.outbound_credentials = Some(Ref::new("c"));
    tables.put(trunk);
    assert!(!tables.passed_challenges().expect("a warning").contains("carrier,"));
}

#[test]
fn short_passwords() {
    let mut tables = tables();
    let text = said(&tables, Credentials::new("c2", "1002", "1234567"));
    assert!(text.contains("c2: its password has 7 characters") && !text.contains("1234567"), "{text}");
    assert!(
        said(&tables, Credentials::new("c2", "1002-at-home", "1002-at-home")).contains("is its user name")
    );
    assert_eq!(said(&tables, Credentials::new("c2", "1002", "12345678")), "");
    let mut trunk = Trunk::new("t", "carrier");
    trunk.outbound_credentials = Some(Ref::new("c2"));
    tables.put(trunk);
    assert_eq!(said(&tables, Credentials::new("c2", "account", "1234")), "", "the carrier's choice");
}

#[test]
fn rules_of_egress() {
    let mut tables = tables();
    let mut trunk = Trunk::new("t", "carrier");
    trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
    tables.put(trunk);
    tables.put(Number::new("n", "tel:+1", Some(Ref::new("t"))));
    let with = |rule: &str| {
        let mut domain = Domain::new("d2", "b.example");
        let rule = Rule::new(rule).expect("a rule");
        domain.egress_policies = vec![EgressPolicy { rule, number: Ref::new("n") }];
        said(&tables, domain)
    };
    let world = "domain b.example: the egress rule `.*` lets out calls to every number in the world; name";
    assert!(with(".*").starts_with(world), "{}", with(".*"));
    assert!(with("49[2-9]").contains("`49[2-9]` matches anywhere"));
    assert!(with(r"^\+49[2-9]").contains(r"`^\+49[2-9]` lets anything follow"));
    assert!(
        with(r"^\+49[2-9][0-9]{4,12}$")
            .contains("premium-rate or satellite numbers: +49900… (Germany); name")
    );
    assert_eq!(with(rules::NARROW), "");
}

#[test]
fn lists_that_prove_little() {
    let mut tables = tables();
    let mut list = |name: &str, nets: &[&str]| {
        let allow = nets.iter().map(|net| net.parse().expect("a network")).collect();
        tables.put(AccessControlList::new(name, allow, Vec::new()));
    };
    list("narrow", &["192.0.2.0/24"]);
    list("wide", &["10.0.0.0/8"]);
    list("halves", &["0.0.0.0/1", "128.0.0.0/1"]);
    list("all", &["0.0.0.0/0"]);
    let mut trunk = Trunk::new("t", "carrier");
    trunk.inbound_uri = Some("in.example".into());
    for (acl, carrier, alone, both) in [
        ("narrow", "", "", ""),
        ("wide", "10.0.0.0/8 is taken for the carrier", "from there is this peer", "no phone is reached"),
        ("halves", "anyone may call", "names no network", ""),
        ("all", "anyone may call", "names no network", ""),
    ] {
        let reference = Ref::new(acl);
        let acl = Some(reference.clone());
        let bare = Peer { acl: acl.clone(), ..Peer::new("p2", "pbx", None) };
        let listed = Peer { acl: acl.clone(), ..peer("p2", "pbx", None) };
        let trunk = Trunk { acl: acl.clone(), ..trunk.clone() };
        for (text, want) in [
            (said(&tables, trunk.clone()), carrier),
            (said(&tables, bare), alone),
            (said(&tables, listed), both),
        ] {
            assert!(text.contains(want) && text.is_empty() == want.is_empty(), "{acl:?}: {text}");
        }
        // Said to whoever changes the list, too.
        let mut tables = tables.clone();
        tables.put(trunk);
        let list = tables.acl_by_ref(reference.as_str()).expect("the list").clone();
        let text = tables.cautions_of(&list.into()).join("\n");
        assert!(text.contains(carrier) && text.is_empty() == carrier.is_empty(), "{text}");
    }
    assert!(said(&tables, Peer::new("p2", "pbx", None)).contains("neither credentials nor an access list"));
    let never = Domain { authenticate: Authenticate::Never, ..Domain::new("d2", "b.example") };
    let never = |acl: &str| said(&tables, Domain { acl: Some(Ref::new(acl)), ..never.clone() });
    assert!(
        never("halves").ends_with("its access list allows every address")
            && !never("narrow").contains("list")
    );
}

#[test]
fn a_carrier_that_calls_by_a_domain_of_ours() {
    let tables = tables();
    let mut trunk = Trunk::new("t", "carrier");
    trunk.inbound_credentials = Some(Ref::new("c"));
    trunk.inbound_uri = Some("SIP.local".into());
    assert!(said(&tables, trunk).contains("its inbound.uri sip.local is a domain of ours too"));
}
