//! The configuration that a late Routr v1 keeps in its Redis: beneath the file at the start, changed with
//! `PUT /system/config`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use trunkline_tests::V1Edition::Late;
use trunkline_tests::{Exchange, RedisServer, Scratch, V1Folder, binary};

use super::routr_v1::{phone, registered};
use super::routr_v1_providers::{client, on_redis};

/// A Redis with the folder's resources, and with this under the key `config`.
fn site(stored: &str) -> (RedisServer, V1Folder) {
    let redis = RedisServer::start();
    let folder = on_redis(Late, &redis, "");
    redis.fill(&folder.documents());
    redis.ask(&["SET", "config", stored]);
    (redis, folder)
}

/// A command on the folder's configuration: exit code and what is said.
fn run(folder: &V1Folder, words: &[&str]) -> (Option<i32>, String) {
    let scratch = Scratch::new("stored");
    scratch.write("config/config.yml", folder.config());
    run_in(scratch.path(), words)
}

/// A command in this folder: exit code and what is said.
pub(super) fn run_in(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .args(words)
        .current_dir(folder)
        .envs(["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"].map(|key| (format!("TRUNKLINE_{key}"), "off")))
        .output()
        .expect("the command runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

const SERVE: [&str; 3] = ["serve", "--config", "config/config.yml"];

fn start(folder: &V1Folder) -> Exchange {
    folder.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")])
}

#[test]
fn the_stored_configuration_is_beneath_the_file() {
    // As the old server wrote it: with a data source of its own, files of its machine, and what nobody knows.
    let stored = json!({
        "apiVersion": "v1beta1",
        "metadata": {"userAgent": "Another one"},
        "spec": {
            "useToAsAOR": true,
            "externAddr": Value::Null,
            "accessControlList": {"deny": ["127.0.0.1/32"]},
            "dataSource": {"provider": "files_data_provider", "parameters": "path=/nowhere"},
            "restService": {"port": 1, "keyStore": "/nowhere/api.jks", "keyStorePassword": "hush"},
            "transport": [{"protocol": "udp", "port": 1}],
            "colour": "blue",
        },
        "system": {"apiVersion": "v1beta1"},
        "salt": "hush",
    });
    let (redis, folder) = site(&stored.to_string());
    let origin = format!("Redis at 127.0.0.1:{}, key `config`: spec.", redis.port);
    let (code, said) = run(&folder, &[&SERVE[..], &["--print-config"]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("toAsAor: on  # {origin}useToAsAOR")), "{said}");
    // The file wins, lists are taken whole.
    assert!(said.contains("userAgent: \"Test v1\"") && !said.contains("Another one"), "{said}");
    assert!(!said.contains("hush") && !said.contains(":1\""), "{said}");
    let (code, said) = run(&folder, &["check", "--config", "config/config.yml"]);
    assert_eq!(code, Some(0), "{said}");
    for words in [
        format!("{origin}colour: the key is not known"),
        format!("{origin}restService.keyStore: there is no file /nowhere/api.jks"),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    let exchange = start(&folder);
    assert_eq!(phone(&exchange, "1001").register(600).status(), 403, "the stored list is in force");
    let (rest, token) = client(&folder);
    let shown = rest.get(&format!("/system/config?token={token}"));
    assert_eq!(shown.json["data"]["spec"]["useToAsAOR"], true, "{}", shown.body);
    assert_eq!(shown.json["data"]["spec"]["restService"]["port"], folder.rest, "{}", shown.body);
    assert!(!shown.body.contains("hush") && !shown.body.contains("colour"), "{}", shown.body);
}

#[test]
fn a_stored_configuration_with_a_wrong_value_is_refused() {
    let (redis, folder) = site(
        &json!({"apiVersion": "v1beta1", "spec": {"accessControlList": {"deny": ["everybody"]}}}).to_string(),
    );
    let (code, said) = run(&folder, &SERVE);
    let place = format!("Redis at 127.0.0.1:{}, key `config`: spec.accessControlList.deny[0]", redis.port);
    assert_eq!(code, Some(64), "who is let in is not guessed: {said}");
    assert!(said.contains("`everybody` is not an address or network") && said.contains(&place), "{said}");
    // What is no configuration at all is told and passed over.
    for (words, told) in [
        (vec!["SET", "config", "{"], "EOF while parsing"),
        (vec!["SET", "config", "[]"], "it is not an object"),
        (vec!["SETRANGE", "config", "300000", "x"], "more than 262144 bytes"),
        (vec!["HSET", "config", "a", "b"], "it is not a string"),
    ] {
        redis.ask(&["DEL", "config"]);
        redis.ask(&words);
        let exchange = start(&folder);
        registered(&exchange, "1001");
        let log = exchange.log();
        assert!(
            log.contains("the configuration under the key `config` is ignored") && log.contains(told),
            "{log}"
        );
    }
}

#[test]
fn the_configuration_is_changed_over_rest() {
    let secrets = json!({"apiVersion": "v1beta1",
        "spec": {"securityContext": {"keyStorePassword": "of-the-store"}}});
    let (mut redis, folder) = site(&secrets.to_string());
    let mut exchange = start(&folder);
    registered(&exchange, "1001");
    let (rest, token) = client(&folder);
    let path = format!("/system/config?token={token}");
    let put = |body: &str| rest.send("PUT", &path, "", body);
    for (body, status, said) in [
        ("{", 400, "Bad request"),
        ("[]", 400, "Bad request"),
        ("{}", 422, "$.apiVersion: is missing but it is required, $.spec: is missing but it is required"),
        (
            "{\"apiVersion\": \"v9\", \"spec\": {}}",
            422,
            "$.apiVersion: does not have a value in the enumeration [v1beta1, v1.0, v1]",
        ),
        (
            "{\"apiVersion\": \"v1\", \"metadata\": {\"userAgent\": \"ab\"}, \"spec\": {}}",
            422,
            "$.metadata.userAgent: must be at least 3 characters long",
        ),
        (
            "{\"apiVersion\": \"v1\", \"spec\": {\"recordRoute\": \"yes\"}}",
            422,
            "$.spec.recordRoute: string found, boolean expected",
        ),
        ("{\"apiVersion\": \"v1\", \"spec\": {\"colour\": 1}}", 422, "$.spec.colour: is not a known key"),
        (
            "{\"apiVersion\": \"v1\", \"spec\": {\"accessControlList\": {\"deny\": [\"x\"]}}}",
            422,
            "$.spec.accessControlList.deny[0]: `x` is not an address or network",
        ),
    ] {
        let reply = put(body);
        assert_eq!(
            (reply.status, reply.json["message"].as_str()),
            (status, Some(said)),
            "{body}: {}",
            reply.body
        );
    }
    assert_eq!(redis.document("config"), secrets, "nothing of it was stored");
    let new = json!({"apiVersion": "v1beta1", "spec": {
        "accessControlList": {"deny": ["127.0.0.1/32"]}, "securityContext": {"debugging": false}}});
    let reply = put(&new.to_string());
    assert_eq!(
        (reply.status, reply.json["message"].as_str()),
        (200, Some("Successful request")),
        "{}",
        reply.body
    );
    let stored = redis.document("config");
    assert_eq!(stored["spec"]["accessControlList"], new["spec"]["accessControlList"]);
    assert_eq!(stored["spec"]["securityContext"]["keyStorePassword"], "of-the-store", "it was not shown");
    let shown = rest.get(&path).json["data"].clone();
    assert_eq!(shown["spec"]["accessControlList"], new["spec"]["accessControlList"]);
    // In force after a restart, also without Redis.
    registered(&exchange, "1001");
    for with_redis in [true, false] {
        assert_eq!(exchange.stop(), Some(0));
        if !with_redis {
            redis.kill();
        }
        exchange.restart();
        assert_eq!(phone(&exchange, "1001").register(600).status(), 403, "with Redis: {with_redis}");
    }
    let reply = put(&new.to_string());
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert!(reply.json["message"].as_str().is_some_and(|said| said.contains("Redis at")), "{}", reply.body);
}
