//! The recorded cases of Routr 2.15.0 (`golden/routr-v2.json`), replayed as far as the router decides.
//!
//! A recorded request says nothing of the packet's source (its `sender` is the top Via), and the original had no
//! access lists for domains; so all of them come from an address the fixtures' list allows. Cases of the location
//! service alone belong to its crate; `ack` and `response-200` never reach the router here, as requests in a
//! dialog and responses are not routed.

use crate::common::{Decided, World};
use serde_json::Value;
use trunkline_routing::{Outcome, Verdict};

const NOT_ROUTED: [&str; 2] = ["ack", "response-200"];

/// Why a case may end otherwise than recorded: the id the case `encodes`, and what happens instead. Every method is
/// routed and so challenged.
const INSTEAD: [(&str, &str, &str); 2] = [
    ("message-method", "GAP", "challenge 401 sip.local"),
    ("options-method", "E1", "challenge 401 sip.local"),
];

fn text(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Number(n) => n.to_string(),
        other => panic!("neither text nor number: {other}"),
    }
}

fn sip_uri(uri: &Value) -> String {
    let user = uri["user"].as_str().filter(|u| !u.is_empty()).map_or(String::new(), |u| format!("{u}@"));
    let port = uri["port"].as_i64().filter(|p| *p >= 0).map_or(String::new(), |p| format!(":{p}"));
    format!("sip:{user}{}{port}", text(&uri["host"]))
}

/// The recorded request as it would stand on the wire.
fn message(request: &Value) -> String {
    let m = &request["message"];
    let mut out = format!("{} {} SIP/2.0\r\n", text(&request["method"]), sip_uri(&m["requestUri"]));
    for via in m["via"].as_array().unwrap() {
        out += &format!(
            "Via: SIP/2.0/{} {}:{};branch={};rport={};received={}\r\n",
            text(&via["transport"]),
            text(&via["host"]),
            via["port"],
            text(&via["branch"]),
            via["rPort"],
            text(&via["received"])
        );
    }
    out += &format!("From: <{}>;tag={}\r\n", sip_uri(&m["from"]["address"]["uri"]), text(&m["from"]["tag"]));
    out += &format!("To: <{}>\r\n", sip_uri(&m["to"]["address"]["uri"]));
    out += &format!("Call-ID: {}\r\nMax-Forwards: 70\r\n", text(&m["callId"]["callId"]));
    out += &format!("Contact: <{}>\r\n", sip_uri(&m["contact"]["address"]["uri"]));
    if let Some(expires) = m["expires"]["expires"].as_i64() {
        out += &format!("Expires: {expires}\r\n");
    }
    let auth = &m["authorization"];
    if auth.is_object() {
        out += &format!(
            "Authorization: Digest username=\"{}\", realm=\"{}\", nonce=\"n\", uri=\"{}\", response=\"r\"\r\n",
            text(&auth["username"]),
            text(&auth["realm"]),
            text(&auth["uri"])
        );
    }
    let extensions = m["extensions"].as_array().unwrap();
    for e in extensions {
        out += &format!("{}: {}\r\n", text(&e["name"]), text(&e["value"]));
    }
    if !extensions.iter().any(|e| e["name"] == "CSeq") {
        out += &format!("CSeq: 1 {}\r\n", text(&request["method"]));
    }
    out + "Content-Length: 0\r\n\r\n"
}

/// What was recorded and what the router decides, in the same words.
fn recorded(case: &Value) -> String {
    let m = &case["response"]["message"];
    let reason = text(&m["reasonPhrase"]);
    match m["responseType"].as_str() {
        Some("UNAUTHORIZED") => format!("challenge 401 {}", text(&m["wwwAuthenticate"]["realm"])),
        Some("OK") => "register".into(),
        Some("FORBIDDEN") => "403".into(),
        Some("BAD_REQUEST") => format!("400 {reason}"),
        Some("TEMPORARILY_UNAVAILABLE") => "480".into(),
        Some(other) => panic!("{other}: not among the recorded answers of the router"),
        None => sip_uri(&m["requestUri"]),
    }
}

fn decided(decision: &Decided) -> String {
    match decision.outcome {
        Outcome::Register { .. } => "register".into(),
        Outcome::Reply { code, reason, .. } if reason.phrase().is_some() => {
            format!("{code} {}", reason.phrase().unwrap_or_default())
        }
        Outcome::Forward => {
            let first = &decision.decision.targets.as_slice()[0];
            String::from_utf8(decision.decision.targets.text(first.uri).to_vec()).unwrap()
        }
        Outcome::Reply { .. } | Outcome::Challenge { .. } => decision.short(),
    }
}

/// The original knows no parameters of a Request-URI.
fn bare(uri: &str) -> &str {
    uri.split(';').next().unwrap_or(uri)
}

fn replay(world: &mut World, case: &Value, exact: bool) {
    let name = case["name"].as_str().unwrap();
    let encodes: Vec<&str> =
        case["encodes"].as_array().unwrap().iter().map(|e| e.as_str().unwrap()).collect();
    let request = &case["request"];
    world.verdicts.clear();
    if let (Some(user), Some(secret)) = (case["auth"]["username"].as_str(), case["auth"]["secret"].as_str()) {
        // The case holds the second request; the first, without credentials, must be challenged.
        let first = world.ask(&message(request));
        assert!(matches!(first.outcome, Outcome::Challenge { .. }), "{name}: {}", first.short());
        let known = world.tables.all_credentials().find(|c| c.username == user).cloned();
        match known {
            Some(c) => {
                let right = if c.password == secret { Verdict::Accepted } else { Verdict::Wrong };
                world.verdicts.insert(user.into(), right);
            }
            None => {
                world.verdicts.insert(String::new(), Verdict::Wrong);
            }
        }
    }
    let decision = world.ask(&message(request));
    if let Some((_, id, want)) = INSTEAD.iter().find(|(n, _, _)| *n == name) {
        assert!(encodes.contains(id), "{name} may differ only where it encodes {id}");
        assert_eq!(decision.short(), *want, "{name}");
        return;
    }
    assert_eq!(bare(&decided(&decision)), recorded(case), "{name}\n{:#?}", decision.words);
    match decision.outcome {
        Outcome::Register { .. } => {
            let aor = String::from_utf8(decision.decision.aor.clone()).unwrap();
            world.bindings.remove(&aor);
            if request["message"]["expires"]["expires"] != 0 {
                world.register(&aor, &sip_uri(&request["message"]["contact"]["address"]["uri"]), 1000);
            }
        }
        Outcome::Forward => {
            let mut want: Vec<(String, String)> = case["response"]["message"]["extensions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| (text(&e["name"]), text(&e["value"])))
                .collect();
            // Gateway credentials travel beside the message, not in it; the fixtures' say pbx-1:1234.
            let gateway = want.iter().position(|(n, _)| n == "X-Gateway-Auth").map(|i| want.remove(i).1);
            let target = &decision.decision.targets.as_slice()[0];
            let credentials = target.credentials.as_ref().map(|r| r.as_str());
            assert_eq!(credentials, gateway.map(|_| "credentials-04"), "{name}");
            for (header, value) in want {
                let got = decision.header(&header);
                if header == "Privacy" && encodes.contains(&"C2") && !exact {
                    assert_eq!(got, ["id"], "{name}: the agent and X-DOD-Privacy ask for it");
                } else if header == "Remote-Party-ID" && !exact {
                    assert_eq!(got, [format!("{value};privacy=full")], "{name}");
                } else {
                    assert_eq!(got, [value], "{name}: {header}");
                }
            }
            let none = serde_json::json!({});
            let metadata: Value =
                decision.metadata.as_deref().map_or(none, |m| serde_json::from_str(m).unwrap());
            assert_eq!(metadata, case["response"]["metadata"], "{name}: metadata");
            assert!(decision.header("Authorization").is_empty(), "{name}");
        }
        Outcome::Reply { .. } | Outcome::Challenge { .. } => {}
    }
}

fn replay_all(mut world: World, exact: bool) -> usize {
    let golden: Value = serde_json::from_str(include_str!("golden/routr-v2.json")).unwrap();
    let mut cases: Vec<&Value> = golden["cases"].as_array().unwrap().iter().collect();
    cases.sort_by_key(|c| c["order"].as_i64());
    let mut replayed = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        if case["service"] == "dispatcher" && !NOT_ROUTED.contains(&name) {
            replay(&mut world, case, exact);
            replayed += 1;
        }
    }
    replayed
}

#[test]
fn with_the_switches_of_compatibility_every_case_matches() {
    let mut world = World::new();
    world.options.reveal_unknown_users = true;
    world.options.privacy_always_none = true;
    assert_eq!(replay_all(world, true), 14);
}

#[test]
fn by_default_only_what_encodes_a_defect_differs() {
    let mut world = World::new();
    world.options.reveal_unknown_users = true;
    assert_eq!(replay_all(world, false), 14);
}
