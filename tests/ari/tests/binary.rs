//! The program itself: the proxy as a command and inside `serve`, the operator's commands, what listens.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use trunkline_tests_ari::fake::{FakeAri, HttpReply, info};
use trunkline_tests_ari::nats::{NatsServer, round_trip};
use trunkline_tests_ari::wait::{PATIENCE, Scratch, free_port, until};

const SECOND: Duration = Duration::from_secs(1);

/// `TRUNKLINE_BIN`, or the binary beside this test's own: `cargo xtask test` builds it first.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("TRUNKLINE_BIN") {
        return PathBuf::from(path);
    }
    let me = std::env::current_exe().expect("a test has a path");
    let path = me.ancestors().nth(2).expect("target/PROFILE/deps/test").join("trunkline");
    assert!(path.is_file(), "{} is missing: cargo build -p trunkline, or set TRUNKLINE_BIN", path.display());
    path
}

/// The program in a folder of its own, without settings of ours from outside.
fn command(folder: &Scratch, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    let names = ["MESSAGEBUS_URL", "NATS_URL", "NATS_URI", "ARI_USERNAME", "ARI_PASSWORD", "ARI_APPLICATION"];
    for name in names {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(folder.path()).env("HOME", folder.path()).stdin(Stdio::null());
    command
}

fn run(folder: &Scratch, arguments: &[&str], env: &[(&str, &str)]) -> Output {
    command(folder, arguments).envs(env.iter().copied()).output().expect("trunkline")
}

/// A running program; killed when dropped.
struct Running(tokio::process::Child);

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        Running(tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("trunkline"))
    }

    fn pid(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    /// SIGTERM, and the exit status.
    async fn terminate(mut self) -> Option<i32> {
        let sent = Command::new("kill").arg(self.pid().to_string()).status().expect("kill");
        assert!(sent.success());
        let ended = tokio::time::timeout(PATIENCE, self.0.wait()).await.expect("it ends");
        ended.expect("its status").code()
    }
}

/// The TCP ports on which a process listens.
fn listening(pid: u32) -> Vec<u16> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("/proc")
        .flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter_map(|to| to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let tables =
        ["tcp", "tcp6"].map(|t| std::fs::read_to_string(format!("/proc/{pid}/net/{t}")).unwrap_or_default());
    let mut ports = Vec::new();
    for line in tables.iter().flat_map(|t| t.lines().skip(1)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // State 0A listens; the tenth word is the socket.
        if words[3] == "0A" && sockets.iter().any(|s| s == words[9]) {
            let port = words[1].rsplit(':').next().unwrap();
            ports.push(u16::from_str_radix(port, 16).unwrap());
        }
    }
    ports
}

async fn asterisk() -> FakeAri {
    FakeAri::start(|request| match request.path.as_str() {
        "/asterisk/info" => info("n1"),
        "/channels" if request.method == "GET" => HttpReply::json(
            200,
            r#"[{"id":"c1","name":"PJSIP/1001-1","state":"Up","caller":{"name":"","number":"1001"},"connected":{"name":"","number":""},"accountcode":"","dialplan":{"context":"phones","exten":"700","priority":1},"creationtime":"2026-01-02T03:04:05.678+0000","language":"en"}]"#,
        ),
        // A caller chooses what it is called.
        "/channels/c1" => HttpReply::json(
            200,
            r#"{"id":"c1","name":"PJSIP/1001-1","state":"Up","caller":{"name":"","number":"1\u001b[31m"}}"#,
        ),
        _ => HttpReply::json(200, r#"{"id":"made"}"#),
    })
    .await
}

/// Waits until a proxy announces this node; asks for it.
async fn announced(server: &NatsServer, app: &str) {
    let nats = async_nats::connect(server.url()).await.unwrap();
    until("the proxy answers", || async {
        let request = r#"{"kind":"AsteriskInfo","key":{}}"#;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        nats.request_with_headers(format!("ari.data.{app}.n1"), headers, request.into()).await.is_ok()
    })
    .await;
}

/// Flags, environment and file say the same; nothing listens unless it is told to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_by_environment_by_flags_and_by_file() {
    let (server, fake, folder) = (NatsServer::start(false).await, asterisk().await, Scratch::new("binary"));
    let (nats, ari, port) = (server.url(), fake.url(), free_port());
    let listen = format!("listen=127.0.0.1:{port}");

    let mut by_environment = command(&folder, &["ari-proxy"]);
    by_environment.envs([
        ("MESSAGEBUS_URL", nats.as_str()),
        ("ARI_HTTP_URL", ari.as_str()),
        ("ARI_USERNAME", "ari"),
        ("ARI_PASSWORD", "secret"),
        ("ARI_APPLICATION", "env"),
    ]);
    let mut file = std::fs::File::create(folder.path().join("proxy.yaml")).unwrap();
    let text = format!(
        "messagebus:\n  url: {nats}\nari:\n  http_url: {ari}\n  username: ari\n  password: secret\n  application: file\n"
    );
    file.write_all(text.as_bytes()).unwrap();
    let by_file = command(&folder, &["ari-proxy", "--config", "proxy.yaml"]);
    let login = ["--ari.username", "ari", "--ari.password", "secret", "--ari.application", "flags"];
    let place = ["ari-proxy", "--messagebus.url", &nats, "--ari.http_url", &ari, "--set", &listen];
    let by_flags = command(&folder, &[&place[..], &login[..]].concat());

    for (command, app, ports) in
        [(by_environment, "env", vec![]), (by_file, "file", vec![]), (by_flags, "flags", vec![port])]
    {
        let proxy = Running::start(command);
        announced(&server, app).await;
        assert_eq!(listening(proxy.pid()), ports, "{app}");
        assert_eq!(proxy.terminate().await, Some(0), "SIGTERM drains and ends well");
    }
}

/// Requests are spans of a collector of OpenTelemetry, those that fail with an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_traced() {
    let (server, fake, folder) = (NatsServer::start(false).await, asterisk().await, Scratch::new("binary"));
    let collector = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let mut command = command(&folder, &["ari-proxy"]);
    command.envs([
        ("MESSAGEBUS_URL", server.url()),
        ("ARI_HTTP_URL", fake.url()),
        ("ARI_USERNAME", "ari".into()),
        ("ARI_PASSWORD", "secret".into()),
        ("ARI_APPLICATION", "traced".into()),
        ("ARI_PROXY_OTLP_URL", url),
        ("ARI_PROXY_OTLP_AUTHORIZATION", "Bearer s3same".into()),
    ]);
    let proxy = Running::start(command);
    announced(&server, "traced").await;
    let (mut stream, _) = collector.accept().await.unwrap();
    let mut got = Vec::new();
    let arrives = async {
        while !got.windows(12).any(|bytes| bytes == b"AsteriskInfo") {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0, "{}", String::from_utf8_lossy(&got));
        }
    };
    tokio::time::timeout(PATIENCE, arrives).await.expect("a span");
    let text = String::from_utf8_lossy(&got);
    assert!(text.starts_with("POST /v1/traces HTTP/1.1\r\n") && text.contains("Bearer s3same"), "{text}");
    let (trace, parent) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128, 0x00f0_67aa_0ba9_02b7_u64);
    let holds = |part: &[u8]| got.windows(part.len()).any(|bytes| bytes == part);
    assert!(holds(&trace.to_be_bytes()) && holds(&parent.to_be_bytes()), "it is part of the client's trace");
    assert_eq!(proxy.terminate().await, Some(0), "a collector that hangs keeps nobody");
}

/// The image starts the program with these six variables and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_six_variables_of_the_image() {
    let (server, fake, folder) = (NatsServer::start(false).await, asterisk().await, Scratch::new("binary"));
    let websocket = format!("{}/events", fake.url().replacen("http", "ws", 1));
    let mut command = command(&folder, &["ari-proxy"]);
    command.env_clear().envs([
        ("ARI_APPLICATION", "image"),
        ("ARI_USERNAME", "ari"),
        ("ARI_PASSWORD", "secret"),
        ("ARI_HTTP_URL", &fake.url()),
        ("ARI_WEBSOCKET_URL", &websocket),
        ("NATS_URL", &server.url()),
    ]);
    let proxy = Running::start(command);
    announced(&server, "image").await;
    assert_eq!(proxy.terminate().await, Some(0));
}

/// The image's tags follow the version.
#[test]
fn the_tags_of_the_image() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/ari-proxy/build.sh");
    let tags = |version: &str| {
        let output =
            Command::new(script).args(["--tags", "x/y"]).env("VERSION", version).output().expect("sh");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| line.strip_prefix("x/y:").expect("the name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tags("1.2.3"), ["1.2.3", "1.2", "1", "latest"]);
    assert_eq!(tags("0.4.1"), ["0.4.1", "0.4", "latest"]);
    assert_eq!(tags("2.0.0-rc.1"), ["2.0.0-rc.1"]);
    assert_eq!(tags(""), tags(env!("CARGO_PKG_VERSION")), "by default that of the program");
}

/// What cannot be is said, with the way out, and the exit status is that of a wrong configuration.
#[test]
fn wrong_settings_are_told() {
    let folder = Scratch::new("binary");
    let login = [("ARI_USERNAME", "u"), ("ARI_PASSWORD", "p")];
    let amqp = [login[0], login[1], ("MESSAGEBUS_URL", "amqp://guest:secret@rabbit")];
    for (env, want) in [
        (
            &amqp[..],
            "`amqp://rabbit` asks for RabbitMQ, which is not supported: set MESSAGEBUS_URL to a nats:// URL",
        ),
        (&login[..1], "no password found: set ARI_PASSWORD"),
        (&[], "no username found: set ARI_USERNAME"),
    ] {
        let output = run(&folder, &["ari-proxy"], env);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(want) && !text.contains("secret@"), "{text}");
        assert_eq!(output.status.code(), Some(64), "{text}");
    }
}

/// `trunkline serve` with the role ari-proxy is a proxy too, and ends with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_inside_serve() {
    let (server, fake, folder) = (NatsServer::start(false).await, asterisk().await, Scratch::new("binary"));
    let at = format!("127.0.0.1:{}", free_port());
    let serve = serve(&folder, &server, &fake, &at);
    announced(&server, "inside").await;
    // No other role: nobody hears SIP.
    assert!(std::net::UdpSocket::bind(&at).is_ok() && std::net::TcpListener::bind(&at).is_ok());
    let nats = async_nats::connect(server.url()).await.unwrap();
    let mut bye = nats.subscribe("ari.bye").await.unwrap();
    round_trip(&nats).await;
    assert_eq!(serve.terminate().await, Some(0));
    let bye = tokio::time::timeout(PATIENCE, bye.next()).await.expect("a goodbye").expect("its body");
    let bye: Value = serde_json::from_slice(&bye.payload).unwrap();
    assert_eq!((&bye["node"], &bye["application"]), (&json!("n1"), &json!("inside")));
}

/// `serve` with the role ari-proxy alone; its SIP would listen at `at`.
fn serve(folder: &Scratch, server: &NatsServer, fake: &FakeAri, at: &str) -> Running {
    std::fs::write(folder.path().join("trunkline.yaml"), "roles: [ari-proxy]\n").unwrap();
    let mut serve = command(folder, &["serve", "--config", "trunkline.yaml"]);
    serve.envs([
        ("MESSAGEBUS_URL", server.url().as_str()),
        ("ARI_HTTP_URL", fake.url().as_str()),
        ("ARI_USERNAME", "ari"),
        ("ARI_PASSWORD", "secret"),
        ("ARI_APPLICATION", "inside"),
        ("TRUNKLINE_HTTP_ADDR", "off"),
    ]);
    serve.envs([("TRUNKLINE_LISTEN_UDP", at), ("TRUNKLINE_LISTEN_TCP", at)]);
    serve.envs(["TLS", "WS", "WSS"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), "")));
    Running::start(serve)
}

/// What Asterisk takes longer for than operators' requests may take at the end (5 s) is answered all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_proxy_inside_serve_has_begun_is_answered() {
    let (server, folder) = (NatsServer::start(false).await, Scratch::new("binary"));
    let begun = Arc::new(AtomicBool::new(false));
    let fake = FakeAri::start({
        let begun = Arc::clone(&begun);
        move |request| {
            if request.path == "/asterisk/info" {
                return info("n1");
            }
            begun.store(true, Ordering::Relaxed);
            // An Asterisk that takes its time.
            std::thread::sleep(Duration::from_secs(7));
            HttpReply::json(204, "")
        }
    })
    .await;
    let serve = serve(&folder, &server, &fake, &format!("127.0.0.1:{}", free_port()));
    announced(&server, "inside").await;
    let nats = async_nats::connect(server.url()).await.unwrap();
    let mut answers = nats.subscribe("answers").await.unwrap();
    let request =
        json!({"kind": "ChannelHangup", "key": {"id": "c1"}, "channel_hangup": {"reason": "normal"}});
    nats.publish_with_reply("ari.command.inside.n1", "answers", request.to_string().into()).await.unwrap();
    until("it is under way", || async { begun.load(Ordering::Relaxed) }).await;
    assert_eq!(serve.terminate().await, Some(0));
    let answer = tokio::time::timeout(PATIENCE, answers.next()).await.expect("an answer").expect("its body");
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["error"], json!(""), "{answer}");
}

/// `trunkline ari nodes`, `channels`, `events --follow`, `call`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_commands() {
    let (server, fake, folder) = (NatsServer::start(false).await, asterisk().await, Scratch::new("binary"));
    let (nats, ari) = (server.url(), fake.url());
    let mut proxy = command(&folder, &["ari-proxy"]);
    proxy.envs([
        ("MESSAGEBUS_URL", nats.as_str()),
        ("ARI_HTTP_URL", ari.as_str()),
        ("ARI_USERNAME", "ari"),
        ("ARI_PASSWORD", "secret"),
        ("ARI_APPLICATION", "app"),
    ]);
    let proxy = Running::start(proxy);
    announced(&server, "app").await;
    let env = [("MESSAGEBUS_URL", nats.as_str())];
    let ok = |arguments: &[&str]| {
        let output = run(&folder, arguments, &env);
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{error}");
        out.into_owned()
    };
    let nodes = ok(&["ari", "nodes"]);
    assert!(nodes.contains("n1") && nodes.contains("app"), "{nodes}");
    let channels = ok(&["ari", "channels", "--app", "app"]);
    assert!(channels.contains("c1") && channels.contains("PJSIP/1001-1"), "{channels}");
    assert!(channels.contains("1\u{fffd}[31m") && !channels.contains('\u{1b}'), "{channels:?}");
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&ok(arguments)).expect("json") };
    assert_eq!(json(&["ari", "nodes", "--json"])[0]["node"], "n1");
    assert_eq!(json(&["ari", "channels", "--json", "--app", "app"])[0]["id"], "c1");
    let called = ok(&["ari", "call", "PJSIP/1002", "--into", "app", "--app", "app"]);
    assert!(called.contains("n1"), "{called}");

    let mut follow =
        command(&folder, &["ari", "events", "--follow", "--type", "StasisStart", "--app", "app"]);
    follow.envs(env);
    let mut follow = Running::start(follow);
    let mut lines = BufReader::new(follow.0.stdout.take().unwrap()).lines();
    let emit = fake.emitter();
    let emitting = tokio::spawn(async move {
        // It follows from when it has subscribed; so some are sent until one is seen.
        loop {
            for event_type in ["ChannelHold", "StasisStart"] {
                let event = json!({"type": event_type, "application": "app", "timestamp": "t", "args": [],
                    "channel": {"id": "c1"}});
                emit(event.to_string());
            }
            tokio::time::sleep(SECOND / 20).await;
        }
    });
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").unwrap().unwrap();
    emitting.abort();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["type"], &event["channel"]["id"]), (&json!("StasisStart"), &json!("c1")), "{line}");
    drop(follow);
    assert_eq!(proxy.terminate().await, Some(0));
}
