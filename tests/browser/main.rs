//! Browser phones: JsSIP in headless Chromium, over WSS.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use trunkline_tests::{Exchange, Resources, Rtpengine, Sipp, Ua, Wire, free_port, free_run};

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

/// The phones, running.
struct Phones(Child);

impl Phones {
    fn start(arguments: &serde_json::Value) -> Phones {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        assert!(dir.join("node_modules").is_dir(), "no node_modules: cargo xtask install brings them");
        let child = Command::new("node")
            .arg("phones.mjs")
            .arg(arguments.to_string())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Phones(child.expect("node starts"))
    }

    /// Waits until the phones are registered.
    fn registered(mut self) -> Phones {
        let mut line = String::new();
        // Byte by byte: what comes after this line is for `finish`.
        let mut out = BufReader::with_capacity(1, self.0.stdout.as_mut().expect("piped"));
        out.read_line(&mut line).expect("a line");
        if line != "registered\n" {
            self.finish();
            panic!("the phones said {line:?}");
        }
        self
    }

    /// Waits for their end; what they printed.
    fn finish(mut self) -> String {
        let (mut out, mut errors) = (String::new(), String::new());
        self.0.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        self.0.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
        assert!(self.0.wait().expect("node ends").success(), "{errors}\n{out}");
        out
    }
}

/// Both phones, as the script wants them; `null` for one that is no browser.
fn who(user: &str) -> serde_json::Value {
    serde_json::json!({"user": user, "password": format!("pw-{user}")})
}

fn exchange(more: &[(&str, &str)]) -> (Exchange, String) {
    let at = format!("127.0.0.1:{}", free_port());
    let mut env = vec![("TRUNKLINE_LISTEN_WSS", at.as_str())];
    env.extend(more);
    (Exchange::start_with(&resources(), "", &env), format!("wss://{at}/"))
}

fn arguments(url: &str, caller: serde_json::Value, callee: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "url": url,
        "domain": DOMAIN,
        "chromium": chromium(),
        "caller": caller,
        "callee": callee,
        "target": format!("sip:1002@{DOMAIN}"),
    })
}

/// A phone without WebRTC at this port.
fn register_plain(exchange: &Exchange, user: &str, port: u16) {
    let mut ua = Ua::new(Wire::udp_at(exchange.udp(), port), user, DOMAIN, &format!("pw-{user}"));
    assert_eq!(ua.register(600).status(), 200);
}

#[test]
fn browser_to_browser_over_wss() {
    let (_exchange, url) = exchange(&[]);
    let printed = Phones::start(&arguments(&url, who("1001"), who("1002"))).finish();
    assert!(printed.contains("confirmed"), "{printed}");
}

#[test]
fn browser_to_browser_through_rtpengine() {
    let rtpengine = Rtpengine::start();
    let media = rtpengine.at().to_string();
    let (_exchange, url) = exchange(&[("TRUNKLINE_RTPENGINE", &media)]);
    let printed = Phones::start(&arguments(&url, who("1001"), who("1002"))).finish();
    assert!(printed.contains("confirmed"), "{printed}");
}

#[test]
fn browser_to_a_plain_phone_through_rtpengine() {
    let (rtpengine, port) = (Rtpengine::start(), free_port());
    let media = rtpengine.at().to_string();
    let (exchange, url) = exchange(&[("TRUNKLINE_RTPENGINE", &media)]);
    register_plain(&exchange, "1002", port);
    let sipp = Sipp::new("uas_media").port(port).fill("USER", "1002").fill("DOMAIN", DOMAIN);
    let callee = sipp.arg("-rtp_echo").arg("-mp").arg(&free_run(3).to_string()).start();
    Phones::start(&arguments(&url, who("1001"), serde_json::Value::Null)).finish();
    callee.finish();
}

#[test]
fn a_plain_phone_to_a_browser_through_rtpengine() {
    let rtpengine = Rtpengine::start();
    let media = rtpengine.at().to_string();
    let (exchange, url) = exchange(&[("TRUNKLINE_RTPENGINE", &media)]);
    let phones = Phones::start(&arguments(&url, serde_json::Value::Null, who("1002"))).registered();
    let sipp = Sipp::new("uac_media").to(exchange.udp()).fill("FROM", "1001").fill("TO", "1002");
    let sipp = sipp.fill("DOMAIN", DOMAIN).fill("PASSWORD", "pw-1001");
    let caller = sipp.arg("-rtp_echo").arg("-mp").arg(&free_run(3).to_string()).start();
    phones.finish();
    caller.finish();
}

#[test]
fn without_a_relay_a_browser_is_told_why_it_cannot_call_a_plain_phone() {
    let (exchange, url) = exchange(&[]);
    register_plain(&exchange, "1002", free_port());
    let mut arguments = arguments(&url, who("1001"), serde_json::Value::Null);
    arguments["fails"] = true.into();
    let printed = Phones::start(&arguments).finish();
    assert!(printed.contains("failed:Incompatible SDP:488:399 trunkline"), "{printed}");
    assert!(printed.contains("set rtpengine:"), "{printed}");
}
