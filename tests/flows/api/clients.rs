//! Routr's own client, unchanged, and cases of what the original answers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use trunkline_grpc::connect::agents::{Agent, UpdateAgentRequest};
use trunkline_tests::{Exchange, Grpc, Resources, Ua};

use super::super::dialogs::connect;
use super::super::operator::ok;
use super::{BOTH, admin, certificate, newcomer};

/// Runs a script of Routr's client; what it printed.
fn run_node(script: &str, arguments: &[&str]) -> String {
    let output = node(script, arguments).output().expect("node starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{script}:\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn node(script: &str, arguments: &[&str]) -> Command {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
    assert!(dir.join("node_modules").is_dir(), "no node_modules: cargo xtask install brings them");
    let mut command = Command::new("node");
    command.arg("--no-deprecation").arg(script).args(arguments).current_dir(dir);
    command
}

/// Runs the cases of a kind of store.
fn replay(store: &str, at: SocketAddr) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/connect.json");
    let said = run_node("cases.mjs", &[file, store, &at.to_string()]);
    println!("{store}: {said}");
    assert!(said.contains(" cases, 0 differ"), "{said}");
}

#[test]
fn routrs_own_client_on_both_doors() {
    let exchange = newcomer("", &[]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpc").to_string(), "insecure": true, "tag": "inside", "secrets": true,
    });
    run_node("client.mjs", &["everything", &options.to_string()]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpcs").to_string(), "cacert": certificate(&exchange),
        "username": "admin", "password": admin(&exchange), "tag": "outside", "secrets": false,
    });
    run_node("client.mjs", &["everything", &options.to_string()]);
}

#[test]
fn phones_made_by_routrs_client_call_each_other_at_once() {
    let exchange = newcomer("", &[]);
    let options = serde_json::json!({
        "endpoint": exchange.listens("grpcs").to_string(), "cacert": certificate(&exchange),
        "username": "admin", "password": admin(&exchange), "tag": "office",
    });
    let made: serde_json::Value =
        serde_json::from_str(&run_node("client.mjs", &["phone", &options.to_string()])).expect("JSON");
    let domain = made["domain"].as_str().expect("a domain").to_owned();
    let [mut caller, mut callee] = [0, 1].map(|n| {
        let text = |key: &str| made["users"][n][key].as_str().expect("a text").to_owned();
        let mut phone = Ua::udp(exchange.udp(), &text("username"), &domain, &text("password"));
        assert_eq!(phone.register(600).status(), 200);
        phone
    });
    connect(&mut caller, &mut callee);
    // One that is switched off is out with its next registration.
    let grpc = Grpc::plain(exchange.listens("grpc"));
    let update = UpdateAgentRequest {
        r#ref: made["users"][0]["ref"].as_str().expect("a ref").into(),
        enabled: Some(false),
        ..Default::default()
    };
    let agent: Agent =
        grpc.call("/fonoster.routr.connect.agents.v2beta1.Agents/Update", &update).expect("updated");
    assert!(!agent.enabled);
    assert_eq!(caller.register(600).status(), 403);
}

#[test]
fn cases_of_the_original() {
    let fixtures = include_str!("../../golden/connect-fixtures.yaml");
    let resources = Resources::new().raw("fixtures.yaml", fixtures);
    let files = Exchange::start_with(&resources, "", &BOTH);
    replay("files", files.listens("grpc"));

    // Older than what the cases make.
    let older = fixtures.replace("metadata: {", "metadata: {createdAt: 1700000000, ");
    let exchange = newcomer("", &[("TRUNKLINE_DOMAIN", "other.example")]);
    std::fs::write(exchange.folder().join("fixtures.yaml"), older).expect("a file");
    ok(&exchange, &["import", "--replace", "fixtures.yaml"]);
    replay("sqlite", exchange.listens("grpc"));
}
