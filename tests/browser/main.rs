//! Browser phones: JsSIP in headless Chromium, over WSS.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use trunkline_tests::{Exchange, Resources, Sipp, Ua, Wire, free_port, wait_for};

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

/// Debian's rtpengine in user space; dropped, it is ended.
struct Rtpengine(Child);

impl Rtpengine {
    fn start(port: u16) -> Rtpengine {
        let at = format!("127.0.0.1:{port}");
        let arguments =
            ["--foreground", "--log-stderr", "--log-level=7", "--table=-1", "--interface=127.0.0.1"];
        let child = Command::new("rtpengine")
            .args(arguments)
            .args([format!("--listen-ng={at}"), "--port-min=22000".to_owned(), "--port-max=22400".to_owned()])
            .args(["--config-file=none", "--pidfile=/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create("/tmp/rtpe.log").unwrap())
            .spawn()
            .expect("rtpengine starts: cargo xtask install brings it");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a live socket");
        wait_for("rtpengine to answer", Duration::from_secs(10), || {
            socket.send_to(b"1 d7:command4:pinge", &at).ok()?;
            socket.recv(&mut [0; 200]).ok()
        });
        Rtpengine(child)
    }
}

impl Drop for Rtpengine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn browser_to_a_plain_phone_through_rtpengine() {
    let (ng, port) = (free_port(), free_port());
    let _rtpengine = Rtpengine::start(ng);
    let at = format!("127.0.0.1:{}", free_port());
    let media = format!("127.0.0.1:{ng}");
    let exchange = Exchange::start_with(
        &resources(),
        "",
        &[("TRUNKLINE_LISTEN_WSS", &at), ("TRUNKLINE_RTPENGINE", &media)],
    );
    let mut ua = Ua::new(Wire::udp_at(exchange.udp(), port), "1002", DOMAIN, "pw-1002");
    assert_eq!(ua.register(600).status(), 200);
    drop(ua);
    let sipp = Sipp::new("uas_media").port(port).fill("USER", "1002").fill("DOMAIN", DOMAIN);
    let callee = sipp.arg("-rtp_echo").arg("-mp").arg(&free_port().to_string()).start();
    phones(&serde_json::json!({
        "url": format!("wss://{at}/"),
        "domain": DOMAIN,
        "chromium": chromium(),
        "caller": {"user": "1001", "password": "pw-1001"},
        "callee": null,
        "target": format!("sip:1002@{DOMAIN}"),
    }));
    callee.finish();
}
