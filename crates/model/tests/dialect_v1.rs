//! Folders of Routr v1 in both editions: what they become, what the REST API will show of them, what is said about
//! mistakes.

use std::path::Path;
use std::sync::Arc;

use trunkline_model::dialect::v1::{self, Collection, Edition, Loaded};
use trunkline_model::document::{Report, Source};
use trunkline_model::{Authenticate, CallLimits, Kind, Privacy, Ref, Role, ShownAs};

/// The files of a folder among the tests' data.
fn folder(name: &str) -> Vec<(Collection, Arc<Source>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/routr-v1").join(name);
    let mut found = Vec::new();
    for collection in Collection::ALL {
        for stem in collection.names() {
            for suffix in ["yml", "yaml"] {
                let file = format!("{stem}.{suffix}");
                if let Ok(text) = std::fs::read_to_string(folder.join(&file)) {
                    found.push((collection, Source::new(file, text)));
                }
            }
        }
    }
    found
}

fn read(files: &[(Collection, Arc<Source>)], edition: Edition) -> Result<Loaded, Report> {
    v1::load(files, edition, &mut |user, secret| Ok(format!("$argon2 of {user} and {secret}")))
}

fn loaded(name: &str, edition: Edition) -> Loaded {
    read(&folder(name), edition).unwrap_or_else(|report| panic!("{report}"))
}

fn one(collection: Collection, text: &str) -> Vec<(Collection, Arc<Source>)> {
    vec![(collection, Source::new("test.yml", text))]
}

#[test]
fn an_early_folder_becomes_the_model() {
    let Loaded { tables, documents } = loaded("rc2", Edition::Rc2);
    let domain = tables.domain_by_uri(b"sip.local").expect("the domain");
    assert_eq!((domain.reference.as_str(), domain.authenticate), ("dmb68d9c", Authenticate::Register));
    assert_eq!(domain.egress(b"17853178070").map(|p| p.number.as_str()), Some("dd50baa4"));
    let acl = tables.acl_by_ref(domain.acl.as_ref().expect("a list")).expect("the list");
    let allows = |ip: &str| acl.allows(ip.parse().expect("an address"));
    assert!(allows("127.0.0.1") && allows("10.1.2.3"));
    assert!(!allows("203.0.113.7"));
    assert!(!allows("192.0.2.1"), "early editions deny whom no rule names");

    let agent = tables.agent(Some(&domain.reference), b"1001").expect("the agent");
    assert_eq!(agent.reference.as_str(), "ag3f77f6");
    let secret = tables.credentials_by_ref(agent.credentials.as_ref().expect("some")).expect("credentials");
    assert_eq!((secret.username.as_str(), secret.password.as_str()), ("1001", "1234"));
    let branch = tables.domain_by_uri(b"sip2.local").expect("the branch");
    assert_eq!(branch.authenticate, Authenticate::All, "by a key of our own");
    let refs = [&domain, &branch]
        .map(|d| tables.agent(Some(&d.reference), b"1002").map(|a| a.reference.to_string()));
    assert_eq!(refs, [Some("ag636a89".into()), Some("ag636a89-2".into())], "one for each domain");

    let trunk = tables.trunk_by_inbound_uri(b"sip.provider.net").expect("the gateway");
    assert_eq!(trunk.reference.as_str(), "gweef506");
    assert!(trunk.send_register, "early gateways with credentials register");
    let secret = tables.credentials_by_ref(trunk.outbound_credentials.as_ref().expect("some"));
    assert_eq!(secret.map(|c| c.username.as_str()), Some("account"));
    let from = tables.acl_by_ref(trunk.acl.as_ref().expect("a list")).expect("the list");
    assert!(from.allows("198.51.100.1".parse().expect("ip")), "its calls come from anywhere");
    let number = tables.number_by_tel(b"0000000000").expect("the number");
    assert_eq!((number.reference.as_str(), number.trunk.as_ref()), ("dd50baa4", Some(&trunk.reference)));
    assert_eq!(number.geo.country_iso_code.as_deref(), Some("US"));
    let peer = tables.peer_by_aor(b"sip:ast@astserver").expect("the peer");
    assert_eq!(peer.contact_addr.as_deref(), Some("192.0.2.20:6060"));
    let device = tables.domain_by_uri(b"astserver").expect("its device is a host of ours");
    assert_eq!(device.authenticate, Authenticate::Register);
    let user = tables.user_by_username(b"admin").expect("the user");
    assert_eq!((user.reference.as_str(), user.role), ("us801fc3", Role::Admin));
    assert_eq!(user.password_hash.as_deref(), Some("$argon2 of admin and changeit"));

    assert_eq!(documents.of(Collection::Agents).len(), 2, "documents, not what they became");
    assert_eq!(documents.of(Collection::Numbers)[0]["metadata"]["ref"], "dd50baa4");
    assert_eq!(documents.of(Collection::Gateways)[0]["spec"]["registries"][0], "r1.provider.net");
}

#[test]
fn a_late_folder_becomes_the_model() {
    let Loaded { tables, documents } = loaded("late", Edition::Late);
    let domain = tables.domain_by_uri(b"sip.local").expect("the domain");
    assert_eq!(domain.reference.as_str(), "dmba89f9f");
    assert!(domain.egress(b"17853178070").is_some());
    assert!(domain.egress(b"1002").is_none() && domain.egress(b"x12345").is_none(), "the whole user");
    let acl = tables.acl_by_ref(domain.acl.as_ref().expect("a list")).expect("the list");
    assert!(acl.allows("192.0.2.1".parse().expect("ip")), "late editions allow whom no rule names");
    assert!(!acl.allows("203.0.113.7".parse().expect("ip")));
    let agent = tables.agent(Some(&domain.reference), b"1001").expect("the agent");
    assert_eq!((agent.reference.as_str(), agent.privacy), ("agc300a1c6", Privacy::Private));
    assert_eq!(agent.max_contacts, Some(3));
    let trunk = tables.trunk_by_ref("gw50a1a4ca").expect("the gateway");
    assert!(trunk.send_register);
    assert_eq!(trunk.uris[0].to_string(), "tcp sip.provider.net:5061");
    assert_eq!(tables.number_by_tel(b"+17853178070").map(|n| n.reference.as_str()), Some("main-line"));
    assert_eq!(tables.count(Kind::Number), 2);
    let shown = &documents.of(Collection::Agents)[0];
    assert_eq!((&shown["spec"]["colour"], &shown["metadata"]["ref"]), (&"blue".into(), &"agc300a1c6".into()));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let report = read(&folder("bad"), Edition::Late).expect_err("bad files").to_string();
    for line in [
        "a Peer in the file of agents: it belongs in peers.yml",
        "agents.yml:2:9",
        "the secret is required",
        "agents.yml:7:7",
        "unknown key `egresPolicy` (did you mean `egressPolicy`?)",
        "domains.yml:8:7",
        "`everybody` is not an address or network",
        "domains.yml:12:16",
    ] {
        assert!(report.contains(line), "{line}\n{report}");
    }
}

#[test]
fn what_does_not_fit_together_is_said_in_the_words_of_routr() {
    let mut files = folder("late");
    let agents = "- apiVersion: v1beta1\n  kind: Agent\n  metadata: {name: Bo}\n  spec:\n    credentials: {username: '1003', secret: x}\n    domains: [sip.local, sip.locl]\n";
    files.push((Collection::Agents, Source::new("more.yml", agents)));
    let gateway = "- {apiVersion: v1, kind: Number, metadata: {gwRef: gw50a1a4cb}, spec: {location: {telUrl: 'tel:1', aorLink: 'sip:1@x'}}}";
    files.push((Collection::Numbers, Source::new("numbers2.yml", gateway)));
    let report = read(&files, Edition::Late).expect_err("bad files").to_string();
    for line in [
        "there is no Domain with domainUri `sip.locl` (did you mean `sip.local`?)",
        "more.yml:6:26",
        "there is no Gateway `gw50a1a4cb` (did you mean `gw50a1a4ca`?)",
        "numbers2.yml:1:52",
    ] {
        assert!(report.contains(line), "{line}\n{report}");
    }
}

#[test]
fn what_stands_twice_is_shown_with_both_places() {
    let mut files = folder("late");
    let domain =
        "- {apiVersion: v1, kind: Domain, metadata: {name: X}, spec: {context: {domainUri: SIP.local}}}";
    files.push((Collection::Domains, Source::new("more.yml", domain)));
    let report = read(&files, Edition::Late).expect_err("twice").to_string();
    for line in ["already used by dmba89f9f", "more.yml:1:", "dmba89f9f stands at domains.yaml:3:"] {
        assert!(report.contains(line), "{line}\n{report}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let table = [
        (
            Collection::Agents,
            "metadata: {name: A}, spec: {credentials: {username: a, secret: b}}",
            "the domains are required",
        ),
        (
            Collection::Agents,
            "metadata: {name: A}, spec: {domains: [x]}",
            "the credentials with username and secret",
        ),
        (Collection::Domains, "metadata: {name: A}, spec: {}", "the context with a domainUri is required"),
        (Collection::Gateways, "metadata: {name: A}, spec: {}", "the host is required"),
        (
            Collection::Numbers,
            "metadata: {}, spec: {location: {telUrl: 'tel:1', aorLink: 'sip:1@x'}}",
            "the gwRef is required",
        ),
        (
            Collection::Peers,
            "spec: {credentials: {username: a, secret: b}}",
            "the metadata with a name is required",
        ),
        (Collection::Users, "metadata: {name: A}", "the spec is required"),
        (
            Collection::Users,
            "metadata: {name: A}, spec: {credentials: {username: a, secret: [1]}}",
            "expected text, found a list",
        ),
    ];
    for (collection, rest, message) in table {
        let kind = collection.kind(Edition::Late);
        let text = format!("- {{apiVersion: v1, kind: {kind}, {rest}}}");
        let report = read(&one(collection, &text), Edition::Late).expect_err(&text).to_string();
        assert!(report.contains(message), "{message}\n{report}");
        assert!(report.contains("test.yml:1:"), "{report}");
    }
}

#[test]
fn the_first_guides_form_of_a_gateway_is_read() {
    let text = "- apiVersion: v1beta1\n  kind: Gateway\n  metadata: {name: Old}\n  spec:\n    regService:\n      host: sip.provider.net:5080\n      transport: tcp\n      credentials: {username: u, secret: s}\n";
    let tables =
        read(&one(Collection::Gateways, text), Edition::Rc2).unwrap_or_else(|r| panic!("{r}")).tables;
    let trunk = tables.trunk_by_inbound_uri(b"sip.provider.net").expect("the gateway");
    assert_eq!(trunk.uris[0].to_string(), "tcp sip.provider.net:5080");
    assert!(tables.credentials_by_ref(&Ref::from(format!("{}-credentials", trunk.reference))).is_some());
}

#[test]
fn an_empty_or_commented_file_holds_nothing() {
    for text in ["", "# nothing yet\n", "[]", "---\n"] {
        let loaded = read(&one(Collection::Agents, text), Edition::Late).unwrap_or_else(|r| panic!("{r}"));
        assert!(loaded.tables.is_empty() && loaded.documents.of(Collection::Agents).is_empty(), "{text:?}");
    }
}

/// Keys of our own in the documents of a gateway, an agent and a domain.
#[test]
fn who_calls_is_shown_as_the_gateway_says() {
    let gateway = |more: &str| {
        one(
            Collection::Gateways,
            &format!(
                "- {{apiVersion: v1beta1, kind: Gateway, metadata: {{name: G, ref: gw1}}, spec: {{host: sip.provider.net, \
                 credentials: {{username: account, secret: s}}{more}}}}}\n"
            ),
        )
    };
    for edition in [Edition::Rc2, Edition::Late] {
        let trunk = |more: &str| {
            let tables = read(&gateway(more), edition).unwrap_or_else(|report| panic!("{report}")).tables;
            let trunk = tables.trunk_by_ref("gw1").expect("the gateway");
            (trunk.shown_as, trunk.asserts_identity)
        };
        assert_eq!(trunk(""), (ShownAs::Caller, true), "as Routr does");
        assert_eq!(trunk(", from: number, assertIdentity: false"), (ShownAs::Number, false));
        assert_eq!(trunk(", from: account"), (ShownAs::Account, true));
    }
}

#[test]
fn limits_of_a_gateway_an_agent_and_a_domain() {
    let limits = "maxCalls: 3, maxCallsPerMinute: 60";
    let wanted = CallLimits { at_once: Some(3), per_minute: Some(60) };
    let gateway = format!(
        "- {{apiVersion: v1beta1, kind: Gateway, metadata: {{name: G, ref: gw1}}, spec: {{host: sip.provider.net, {limits}}}}}\n"
    );
    let domain = format!(
        "- {{apiVersion: v1beta1, kind: Domain, metadata: {{name: D, ref: d1}}, spec: {{context: {{domainUri: sip.local}}, {limits}}}}}\n"
    );
    let agent = format!(
        "- {{apiVersion: v1beta1, kind: Agent, metadata: {{name: A, ref: a1}}, spec: {{credentials: {{username: \"1001\", \
         secret: s}}, domains: [sip.local], {limits}}}}}\n"
    );
    for edition in [Edition::Rc2, Edition::Late] {
        let files = [
            one(Collection::Gateways, &gateway),
            one(Collection::Domains, &domain),
            one(Collection::Agents, &agent),
        ]
        .concat();
        let tables = read(&files, edition).unwrap_or_else(|report| panic!("{report}")).tables;
        assert_eq!(tables.trunk_by_ref("gw1").expect("the gateway").limits, wanted);
        assert_eq!(tables.domain_by_ref("d1").expect("the domain").limits, wanted);
        assert_eq!(tables.agent_by_ref("a1").expect("the agent").limits, wanted);
    }
}
