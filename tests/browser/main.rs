//! Browser phones: JsSIP in headless Chromium, over WSS.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trunkline_tests::{Exchange, Resources, free_port};

const DOMAIN: &str = "sip.test";

fn resources() -> Resources {
    let users = ["1001", "1002"];
    users.iter().fold(Resources::new().domain(DOMAIN, "all"), |all, user| {
        all.agent(DOMAIN, user, &format!("pw-{user}"))
    })
}

/// The browser on PATH.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("chromium")).find(|file| file.is_file());
    found.expect("chromium is missing: cargo xtask install brings it")
}

/// Runs the phones; what they printed.
fn phones(arguments: &serde_json::Value) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
    assert!(dir.join("node_modules").is_dir(), "no node_modules: cargo xtask install brings them");
    let out = Command::new("node")
        .arg("phones.mjs")
        .arg(arguments.to_string())
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("node starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{}\n{}", text(&out.stderr), text(&out.stdout));
    text(&out.stdout)
}

#[test]
fn browser_to_browser_over_wss() {
    let at = format!("127.0.0.1:{}", free_port());
    let exchange = Exchange::start_with(&resources(), "", &[("TRUNKLINE_LISTEN_WSS", &at)]);
    let printed = phones(&serde_json::json!({
        "url": format!("wss://{at}/"),
        "domain": DOMAIN,
        "chromium": chromium(),
        "caller": {"user": "1001", "password": "pw-1001"},
        "callee": {"user": "1002", "password": "pw-1002"},
        "target": format!("sip:1002@{DOMAIN}"),
    }));
    println!("{}", printed.trim());
    drop(exchange);
}
