//! Changes over REST where the data provider takes them.

#[allow(dead_code, reason = "each test file of the crate uses a part of it")]
mod client;

use client::{Reply, Site};
use serde_json::{Value, json};
use trunkline_model::dialect::v1::Collection;
use trunkline_model::dialect::v1::Edition::{Late, Rc2};
use trunkline_store::Write;

const MADE: &str = "64b1f0c2a7d3e9f8b1c2d3e4";

fn said(reply: &Reply) -> (u16, u64, &str) {
    let status = reply.json["status"].as_u64().unwrap_or_default();
    (reply.status, status, reply.json["message"].as_str().unwrap_or_default())
}

fn agent(name: &str, user: &str) -> Value {
    json!({"apiVersion": "v1beta1", "kind": "Agent", "metadata": {"name": name},
           "spec": {"credentials": {"username": user, "secret": "x"}, "domains": ["sip.local"]}})
}

#[test]
fn what_is_written_and_what_is_answered() {
    for (edition, http) in [(Late, 201), (Rc2, 200)] {
        let site = Site::writable(edition);
        let reply = site.with_token("POST", "/agents", &agent("New one", "9001").to_string());
        assert_eq!(said(&reply), (http, 201, "Created"), "{edition:?}");
        assert_eq!((&reply.json["data"], &reply.json["result"]), (&MADE.into(), &MADE.into()));
        let [Write::Insert(Collection::Agents, document)] = &site.backend.written()[..] else {
            panic!("an agent is made")
        };
        assert_eq!(document["spec"]["credentials"]["secret"], "x");
        assert_eq!(document["metadata"].get("createdOn").is_some(), edition == Late);

        // What is shown comes back without its secret, which stays.
        let shown = site.with_token("GET", "/agents/agent-ann", "").json["data"].clone();
        let mut changed = shown.clone();
        changed["metadata"]["name"] = "Ann Lee".into();
        assert!(shown["spec"]["credentials"].get("secret").is_none(), "{shown}");
        let reply = site.with_token("PUT", "/agents/agent-ann", &changed.to_string());
        assert_eq!(said(&reply), (200, 200, "Successful request"), "{edition:?}");
        assert_eq!(reply.json["data"], "agent-ann");
        let [Write::Update(Collection::Agents, reference, document)] = &site.backend.written()[..] else {
            panic!("the agent is changed")
        };
        assert_eq!(reference, "agent-ann");
        assert_eq!(document["spec"]["credentials"]["secret"], "pw-1001");
        assert_eq!(document["metadata"]["name"], "Ann Lee");

        let reply = site.with_token("DELETE", "/agents/agent-ann", "");
        assert_eq!(said(&reply), (200, 200, "Successful request"));
        assert_eq!(reply.json.get("data"), None);
        assert_eq!(site.backend.written(), [Write::Remove(Collection::Agents, "agent-ann".into())]);
    }
}

#[test]
fn what_is_refused_and_why() {
    let late = Site::writable(Late);
    let early = Site::writable(Rc2);
    let mut taken = agent("New one", "9001");
    taken["metadata"]["ref"] = "provider".into();
    for (method, path, body, by_late, by_early) in [
        ("POST", "/agents", agent("Unusable", "9002").to_string(), (422, "no good"), (400, "Bad request")),
        (
            "POST",
            "/agents",
            agent("Unavailable", "9002").to_string(),
            (500, "cannot read resources from Redis at nowhere:1"),
            (500, "The execution of the service failed"),
        ),
        (
            "POST",
            "/agents",
            taken.to_string(),
            (409, "Entity already exist"),
            (409, "An attempt was made to create an object that already exists"),
        ),
        ("DELETE", "/agents/nobody", String::new(), (404, "Not found"), (404, "Not found")),
        (
            "DELETE",
            "/gateways/provider",
            String::new(),
            (409, "Found one or more dependent objects"),
            (409, "Found one or more dependent objects"),
        ),
    ] {
        let reply = late.with_token(method, path, &body);
        assert_eq!(said(&reply), (by_late.0, by_late.0.into(), by_late.1), "{method} {path} {body}");
        let reply = early.with_token(method, path, &body);
        assert_eq!(said(&reply), (200, by_early.0, by_early.1), "{method} {path} {body}");
    }
    assert_eq!(late.send("POST", "/agents", "", &agent("New one", "9001").to_string()).status, 401);
    assert_eq!(late.send("DELETE", "/agents/agent-ann?token=x.y.z", "", "").status, 401);
    assert!(late.backend.written().is_empty() && early.backend.written().is_empty());
}

#[test]
fn a_file_of_many() {
    let file = |agents: &[Value]| {
        let yaml: String = agents.iter().map(|agent| format!("- {agent}\n")).collect();
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.yml\"\r\n\r\n{yaml}\r\n--x--\r\n"
        )
    };
    let form = "Content-Type: multipart/form-data; boundary=x\r\n";
    let two = file(&[agent("One of two", "9001"), agent("Two of two", "9002")]);
    let half = file(&[agent("Unusable", "9001"), agent("Two of two", "9002")]);
    for (edition, body, answer) in [
        (Late, &two, (200, 200, "done")),
        (Late, &half, (400, 400, "no good\nCreated")),
        (Rc2, &two, (200, 201, "Created\nCreated")),
        (Rc2, &half, (200, 400, "Bad request\nCreated")),
        (Late, &"--x--".to_owned(), (400, 400, "Bad request")),
    ] {
        let site = Site::writable(edition);
        let reply = site.send("POST", &format!("/agents?token={}", site.token), form, body);
        assert_eq!(said(&reply), answer, "{edition:?} {body}");
    }
}
