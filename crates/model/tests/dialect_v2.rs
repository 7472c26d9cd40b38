//! The v2 dialect over whole files: what is read, what is written, what is said about mistakes.

use std::path::Path;
use std::sync::Arc;

use trunkline_model::dialect::v2;
use trunkline_model::document::{Reading, Source};
use trunkline_model::{Algorithm, Kind, Privacy, Ref, Resource, Tables};

fn source(name: &str) -> Arc<Source> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Source::new(name, std::fs::read_to_string(path).expect("a test file"))
}

fn tables() -> Tables {
    v2::load(&[source("resources.yaml")]).unwrap_or_else(|report| panic!("{report}"))
}

#[test]
fn reads_every_kind() {
    let tables = tables();
    let counts = Kind::ALL.map(|kind| tables.count(kind));
    assert_eq!(counts, [1, 5, 3, 5, 1, 2, 2, 0], "{:?}", Kind::ALL);

    let domain = tables.domain_by_uri(b"Sip.Local").expect("the domain");
    assert_eq!(domain.egress(b"+15551234").map(|p| &*p.number), Some("number-01"));
    let agent = tables.agent(Some(&domain.reference), b"1001").expect("the agent");
    assert_eq!(agent.privacy, Privacy::Private);
    assert!(tables.agent(None, b"1001").is_none());
    let peer = tables.peer_by_aor(b"sip:conference@SIP.local").expect("the peer");
    assert_eq!(peer.load_balancing.map(|b| b.algorithm), Some(Algorithm::LeastSessions));
    assert!(peer.load_balancing.is_some_and(|b| b.with_session_affinity));
    assert!(tables.peer_by_aor(b"sip:Conference@sip.local").is_none(), "users mind case");
    let number = tables.number_by_tel(b"+17066041487").expect("the number");
    assert_eq!(number.extra_headers, [("X-Room-Id".to_owned(), "jsa-shqm-iyo".to_owned())]);
    assert!(tables.number_by_tel(b"tel:+17066041487").is_some());
    let trunk = tables.trunk_by_inbound_uri(b"TRUNK02.acme.com").expect("the trunk");
    assert_eq!((trunk.uris[0].host.as_str(), trunk.uris[0].port), ("sip.provider.net", Some(7060)));
    assert_eq!(trunk.extended["region"], "us-east1");
    let acl = tables.acl_by_ref("acl-01").expect("the list");
    assert!(acl.allows("127.0.0.1".parse().expect("ip")));
    assert!(!acl.allows("10.0.0.1".parse().expect("ip")));
}

#[test]
fn what_is_written_reads_the_same() {
    let first = tables();
    let all: Vec<Resource> = first.all().collect();
    let text = v2::to_yaml(&all);
    let second =
        v2::load(&[Source::new("export.yaml", text.clone())]).unwrap_or_else(|r| panic!("{r}\n{text}"));
    for resource in first.all() {
        assert_eq!(second.find(resource.reference()), Some(resource));
    }
    assert_eq!(all.len(), second.all().count());
}

#[test]
fn any_character_survives_an_export() {
    for odd in [
        "\u{7f}",
        "\u{85}",
        "\u{9b}31m",
        "\u{feff}x",
        "\u{fffe}",
        "\u{ffff}",
        "\u{202e}",
        "\u{2028}",
        "\x1b[1m",
        "\t",
        "🎉",
        "#",
        ": ",
        "- ",
        "<<",
        "~",
        "'\"",
    ] {
        let mut domain = trunkline_model::Domain::new("d", "sip.local");
        domain.name = format!("a{odd}b");
        domain.extended.insert(odd.into(), serde_json::json!([odd, {odd: [odd]}]));
        let resource = Resource::from(domain);
        let text = v2::to_yaml([&resource]);
        let reading = Reading::default();
        let read = v2::documents(&Source::new("x", text.clone()), &reading);
        assert!(reading.errors() == 0, "{text}{}", reading.into_report());
        assert_eq!(read[0].resource.as_ref(), Some(&resource), "{text}");
        assert!(!text.contains(['\x1b', '\u{9b}', '\u{202e}']), "{text:?}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_shown() {
    let report = v2::load(&[source("bad/domains.yaml"), source("bad/agents.json")]).expect_err("bad files");
    let text = report.to_string();
    let expected = "\
error: unknown key `egresPolicies` (did you mean `egressPolicies`?)
  ┌─ bad/domains.yaml:9:7
9 │       egresPolicies:
  │       ^^^^^^^^^^^^^
  = Domain.spec.context takes: domainUri, egressPolicies
";
    assert!(text.contains(expected), "{text}");
    for part in [
        "`(` is not a regular expression\n   ┌─ bad/domains.yaml:19:18",
        "`regsiter` is unknown here (did you mean `register`?)",
        "`agnet` is unknown here (did you mean `Agent`?)\n  ┌─ bad/agents.json:2:32",
        "expected true or false, found text\n  ┌─ bad/agents.json:4:45",
        "-7 is out of range: from -1 to 2147483647",
        "`v3` is unknown here",
        "expected a map, found a list",
        "there is no Domain `domain-10`",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert_eq!(report.errors.len(), 9, "{text}");
}

#[test]
fn a_key_at_the_wrong_place_is_told_the_right_one() {
    for (kind, spec, said) in [
        ("Trunk", "accessControlListRef: a", "(did you mean `inbound.accessControlListRef`?)"),
        (
            "Trunk",
            "credentialsRef: a",
            "(did you mean `inbound.credentialsRef` or `outbound.credentialsRef`?)",
        ),
        ("Trunk", "outbound: {uris: [{host: a.example}]}", "unknown key `host` (did you mean `uri.host`?)"),
        ("Domain", "egressPolicies: []", "(did you mean `context.egressPolicies`?)"),
        (
            "Domain",
            "context: {domainUri: a.example, authenticate: all}",
            "(did you mean `spec.authenticate`?)",
        ),
        ("Number", "location: {trunkRef: trunk-01}", "(did you mean `spec.trunkRef`?)"),
        ("Agent", "busy: sip:1001@sip.local", "(did you mean `fallback.busy`?)"),
        ("AccessControlList", "deny: []", "(did you mean `accessControlList.deny`?)"),
        ("Domain", "digestUri: off", "(this is a key elsewhere: `digestUri` of trunkline.yaml)"),
        ("Agent", "algorithms: [MD5]", "(this is a key elsewhere: `spec.algorithms` of Domain)"),
        ("Domain", "maxContact: 1", "unknown key `maxContact`\n"),
    ] {
        let text = format!("apiVersion: v2\nkind: {kind}\nref: a\nmetadata: {{name: a}}\nspec: {{{spec}}}\n");
        let report = v2::load(&[Source::new("x", text.clone())]).expect_err(&text).to_string();
        assert!(report.contains(said), "{text}{report}");
    }
    let text = "apiVersion: v2\nkind: Number\nref: a\nmetadata: {name: a}\ncity: Bonn\nspec: {}\n";
    let report = v2::load(&[Source::new("x", text)]).expect_err("a city").to_string();
    assert!(report.contains("unknown key `city` (did you mean `metadata.geoInfo.city`?)"), "{report}");
    assert!(!report.contains("did you mean `colour`"));
}

#[test]
fn dangling_and_double() {
    let report = v2::load(&[source("dangling.yaml")]).expect_err("bad file");
    let text = report.to_string();
    let dangling = "\
error: Agent agent-01: there is no Credentials `credentials-1` (did you mean `credentials-01`?)
   ┌─ dangling.yaml:14:19
14 │   credentialsRef: credentials-1
   │                   ^^^^^^^^^^^^^
";
    assert!(text.contains(dangling), "{text}");
    assert!(text.contains("Agent agent-02: already used by agent-01\n   ┌─ dangling.yaml:20:18"), "{text}");
    assert!(text.contains("agent-01 stands at dangling.yaml:8:1"), "{text}");
}

#[test]
fn one_from_json() {
    let json = serde_json::json!({
        "apiVersion": "v2", "kind": "user", "ref": "user-01", "metadata": {"name": "Ann", "createdAt": 5},
        "spec": {"username": "ann", "role": "ADMIN", "tokens": [{"name": "ci", "hash": "ab"}]},
        "extended": {"team": [1, true, "x"]},
    });
    let reading = Reading::default();
    let node = trunkline_model::document::Node::from_json(&json, &Source::new("a row", ""));
    let Some(Resource::User(user)) = v2::resource(&node, &reading) else {
        panic!("{}", reading.into_report())
    };
    assert_eq!(user.reference, Ref::new("user-01"));
    assert_eq!(user.created_at, 5);
    assert_eq!(user.extended["team"][2], "x");
    assert_eq!(user.role, trunkline_model::Role::Admin);
}
