//! Schemathesis reads the OpenAPI document of Routr v1's REST API and sends what it makes of it: requests that fit and
//! requests that do not, one by one and in the order of the document's links.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use trunkline_tests::V1Edition::{self, Late, Rc2};
use trunkline_tests::{RedisServer, Rest, V1Folder};

/// Requests to each operation that are made at random, beside those that the document gives rise to.
const EXAMPLES: &str = "4";

/// What is looked for in each answer.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

/// Each answer is one that the document has, in its form; none is 5xx.
fn answers_as_documented(edition: V1Edition) {
    let redis = RedisServer::start();
    let mut v1 = V1Folder::new(edition);
    redis.fill(&v1.documents());
    v1.source =
        format!("{{provider: redis_data_provider, parameters: 'host=127.0.0.1,port={}'}}", redis.port);
    v1.more = "    unsecured: true\n".to_owned();
    let exchange = v1.start(&[("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0")]);
    let at = SocketAddr::from(([127, 0, 0, 1], v1.rest));
    let token = Rest::http(at, "/api/v1beta1").get_as("/credentials", "YWRtaW46Y2hhbmdlaXQ=");
    assert_eq!(token.status, 200, "{}", token.body);
    let document = Rest::http(at, "").get("/api/docs");
    assert_eq!(document.status, 200, "{}", document.body);
    let file = exchange.folder().join("openapi.json");
    std::fs::write(&file, document.body).expect("a scratch file");
    let output = Command::new(folder().join("venv/bin/schemathesis"))
        .arg("--config-file")
        .arg(folder().join("schemathesis.toml"))
        .arg("run")
        .arg(&file)
        .args(["--url", &format!("http://{at}/api/v1beta1"), "--max-examples", EXAMPLES, "--seed", "1"])
        .args(["--checks", CHECKS, "--request-timeout", "10", "--warnings", "off"])
        .env("TOKEN", &token.body)
        .env("NO_COLOR", "1")
        .current_dir(exchange.folder())
        .output()
        .expect("schemathesis: cargo xtask install brings it");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // A URL may have thousands of characters.
    let said: Vec<String> = said.lines().map(|line| line.chars().take(300).collect()).collect();
    let said = said.join("\n");
    assert!(output.status.success(), "{said}");
    let (selected, operations) = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Selected: ")?.split_once('/'))
        .unwrap_or_else(|| panic!("the operations are counted: {said}"));
    assert_eq!(selected, operations);
    assert!(said.contains(&format!("Tested: {operations}")), "each of them is tried: {said}");
}

#[test]
fn schemathesis_finds_nothing_in_an_early_edition() {
    answers_as_documented(Rc2);
}

#[test]
fn schemathesis_finds_nothing_in_a_late_edition() {
    answers_as_documented(Late);
}
