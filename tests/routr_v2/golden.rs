//! The recorded cases of Routr 2.15, as far as there are services of ours for them.
//!
//! A case may end otherwise than recorded only if its `encodes` names what the difference comes from. Connect is not there
//! yet: what it does at a REGISTER (AddRoute) is done here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use trunkline_tests::{Grpc, GrpcService, Messages, Role};

use super::{ADD, FIND, PROCESS, free, location, now_ms};

const REQUEST: &str = "fonoster.routr.processor.v2beta1.MessageRequest";
const RESPONSE: &str = "fonoster.routr.processor.v2beta1.MessageResponse";
const LOCATION: &str = "fonoster.routr.location.v2beta1";

/// The cases in their order.
pub(super) fn cases() -> Vec<Value> {
    let text = include_str!("../../crates/routing/tests/golden/routr-v2.json");
    let mut file: Value = serde_json::from_str(text).expect("JSON");
    let mut cases = file["cases"].as_array_mut().map(std::mem::take).expect("cases");
    cases.sort_by_key(|case| case["order"].as_i64());
    cases
}

/// Counts cases, and differences that their `encodes` allows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub same: usize,
    used: usize,
    unused: usize,
}

impl Tally {
    /// Compares what came with what was recorded.
    pub(super) fn compare(&mut self, case: &Value, came: &Value) {
        let recorded = if case["error"].is_null() { &case["response"] } else { &case["error"] };
        let allowed = case["encodes"].as_array().is_some_and(|ids| !ids.is_empty());
        match came == recorded {
            true => {
                self.same += 1;
                self.unused += usize::from(allowed);
            }
            false if allowed => self.used += 1,
            false => panic!("{}:\nrecorded {recorded:#}\ncame {came:#}", case["name"]),
        }
    }
}

/// The route that Connect makes of a REGISTER.
fn registered(request: &Value) -> Value {
    let (message, via) = (&request["message"], &request["message"]["via"][0]);
    let of_contact = message["contact"]["expires"].as_i64().filter(|expires| *expires >= 0);
    let port = |port: &Value| port.as_i64().unwrap_or(-1).to_string();
    json!({
        "user": message["from"]["address"]["uri"]["user"],
        "host": via["received"], "port": port(&via["rPort"]), "transport": via["transport"],
        "advertisedHost": via["host"], "advertisedPort": port(&via["port"]),
        "registeredOn": now_ms().to_string(),
        "expires": of_contact.or_else(|| message["expires"]["expires"].as_i64()).unwrap_or(-1),
        "sessionCount": -1, "edgePortRef": request["edgePortRef"],
        "listeningPoints": request["listeningPoints"], "localnets": request["localnets"],
        "externalAddrs": request["externalAddrs"],
    })
}

fn call(
    grpc: &Grpc,
    messages: &Messages,
    (path, asked, answered): (&str, &str, &str),
    request: &Value,
) -> Value {
    match grpc.call_bytes(path, &messages.encode(asked, request)) {
        Ok(bytes) => messages.decode(answered, &bytes),
        Err(error) => json!({"code": error.code, "details": error.message}),
    }
}

/// `<now-epoch-ms>` as the time, `<epoch-ms>` as what came.
fn filled(request: &Value) -> Value {
    let text = request.to_string().replace("<now-epoch-ms>", &now_ms().to_string());
    serde_json::from_str(&text).expect("JSON")
}

fn without_times(mut response: Value) -> Value {
    let routes = response.get_mut("routes").and_then(Value::as_array_mut);
    for route in routes.into_iter().flatten() {
        let at = route["registeredOn"].as_str().and_then(|text| text.parse::<i64>().ok()).expect("a time");
        assert!((now_ms() - at).abs() < 600_000, "{at}");
        route["registeredOn"] = json!("<epoch-ms>");
    }
    response
}

#[test]
fn of_the_location_service() {
    let role = location();
    let (grpc, messages) = (role.grpc(), Messages::default());
    let names = |rpc: &str| match rpc {
        "AddRoute" => (ADD, format!("{LOCATION}.AddRouteRequest"), "google.protobuf.Empty".to_owned()),
        _ => (FIND, format!("{LOCATION}.FindRoutesRequest"), format!("{LOCATION}.FindRoutesResponse")),
    };
    let mut tally = Tally::default();
    for case in cases() {
        if matches!(case["name"].as_str(), Some("register-ok" | "unregister")) {
            let request = json!({"aor": "sip:1002@sip.local", "route": registered(&case["request"]), "maxContacts": -1});
            let (path, asked, answered) = names("AddRoute");
            let added = call(&grpc, &messages, (path, &asked, &answered), &request);
            assert_eq!(added, json!({}), "{}", case["name"]);
        }
        if case["service"] == "location" {
            let (path, asked, answered) = names(case["rpc"].as_str().expect("a method"));
            let came = call(&grpc, &messages, (path, &asked, &answered), &filled(&case["request"]));
            tally.compare(&case, &without_times(came));
        }
    }
    println!("location: {tally:?}");
    assert_eq!(tally.same, 4, "{tally:?}");
}

/// A dispatcher configured as for the recording, before a stand-in for Connect that gives the recorded answers: the
/// message must reach it as it came, and its answer must come back as it was recorded.
#[test]
fn of_the_dispatcher() {
    let messages = Messages::default();
    let recorded = Arc::<Mutex<Vec<u8>>>::default();
    let answer = recorded.clone();
    let connect = GrpcService::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |_| {
        Some(Ok(answer.lock().expect("no panic").clone()))
    });
    let at = free();
    let file = format!(
        "kind: MessageDispatcher\napiVersion: v2beta1\nref: dispatcher\nspec:\n  bindAddr: {at}\n  processors:\n    - ref: connect\n      \
         addr: {}\n      methods: [REGISTER, MESSAGE, INVITE, ACK, BYE, CANCEL]\n      matchFunc: req => true\n",
        connect.at
    );
    let role = Role::start("dispatcher", at, &[("d.yaml", &file)], &[("CONFIG_PATH", "d.yaml")]);
    let grpc = role.grpc();
    let mut tally = Tally::default();
    for case in cases().iter().filter(|case| case["service"] == "dispatcher") {
        if !case["response"].is_null() {
            *recorded.lock().expect("no panic") = messages.encode(RESPONSE, &case["response"]);
        }
        let before = connect.requests().len();
        let came = call(&grpc, &messages, (PROCESS, REQUEST, RESPONSE), &case["request"]);
        tally.compare(case, &came);
        let reached = connect.requests().split_off(before);
        let reached: Vec<Value> = reached.iter().map(|bytes| messages.decode(REQUEST, bytes)).collect();
        let whole = messages.decode(REQUEST, &messages.encode(REQUEST, &case["request"]));
        let expected = if case["error"].is_null() { vec![whole] } else { Vec::new() };
        assert_eq!(reached, expected, "{}", case["name"]);
    }
    println!("dispatcher: {tally:?}");
    assert_eq!(tally.same, 16, "{tally:?}");
}

/// The challenges are those of Connect; what has been recorded of a user with a password passes.
#[test]
fn of_simpleauth() {
    let messages = Messages::default();
    let at = free();
    let bind = at.to_string();
    let env = [("BIND_ADDR", bind.as_str()), ("PATH_TO_AUTH", "auth"), ("METHODS", "REGISTER,INVITE")];
    let users = r#"[{"username": "1001", "secret": "1234"}, {"username": "1002", "secret": "1234"}]"#;
    let role = Role::start("simpleauth", at, &[("auth", users)], &env);
    let grpc = role.grpc();
    let mut tally = Tally::default();
    for case in cases().iter().filter(|case| {
        ["register-noauth", "invite-noauth"].contains(&case["name"].as_str().unwrap_or_default())
    }) {
        let mut came = call(&grpc, &messages, (PROCESS, REQUEST, RESPONSE), &case["request"]);
        let nonce = came.pointer_mut("/message/wwwAuthenticate/nonce").expect("a challenge");
        assert!(nonce.as_str().is_some_and(|text| text.len() > 20), "{nonce}");
        *nonce = json!("<nonce>");
        tally.compare(case, &came);
    }
    println!("simpleauth: {tally:?}");
    assert_eq!(tally.same, 2, "{tally:?}");
}
