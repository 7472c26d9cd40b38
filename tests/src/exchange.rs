//! The `trunkline` binary under test: one process on free loopback ports, its data in a scratch folder.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::resources::Resources;
use crate::scratch::Scratch;
use crate::{free_port, wait_for};

/// A running exchange; dropped, it is ended.
#[derive(Debug)]
pub struct Exchange {
    scratch: Scratch,
    port: u16,
    extra: Vec<(String, String)>,
    kind: Kind,
    child: Child,
}

/// Whose configuration it runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Ours,
    RoutrV1,
}

impl Exchange {
    /// Starts one with these resources and waits until it answers OPTIONS.
    pub fn start(resources: &Resources) -> Exchange {
        Exchange::start_with(resources, "", &[])
    }

    /// As a newcomer starts it: no configuration, no resources.
    pub fn first_start() -> Exchange {
        Exchange::start_with(&Resources::new(), "", &[("TRUNKLINE_DATA", "sqlite:trunkline.db")])
    }

    /// The same with a WebSocket listener beside UDP and TCP.
    pub fn start_ws(resources: &Resources) -> (Exchange, SocketAddr) {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        (Exchange::start_with(resources, "", &[("TRUNKLINE_LISTEN_WS", &at.to_string())]), at)
    }

    /// The same with lines of `trunkline.yaml` and environment overrides.
    pub fn start_with(resources: &Resources, config: &str, env: &[(&str, &str)]) -> Exchange {
        let (scratch, extra) = prepare(resources, config, env);
        Exchange::begin(scratch, free_port(), extra)
    }

    /// The same on a port of the caller's, with environment overrides.
    pub fn start_at(port: u16, resources: &Resources, env: &[(&str, &str)]) -> Exchange {
        Exchange::start_configured_at(port, resources, "", env)
    }

    /// The same with lines of `trunkline.yaml`.
    pub fn start_configured_at(
        port: u16,
        resources: &Resources,
        config: &str,
        env: &[(&str, &str)],
    ) -> Exchange {
        let (scratch, extra) = prepare(resources, config, env);
        Exchange::begin(scratch, port, extra)
    }

    /// The same with limits of file descriptors, soft and hard, as `ulimit -n` sets them.
    pub fn start_with_descriptors(
        limits: (u32, u32),
        resources: &Resources,
        env: &[(&str, &str)],
    ) -> Exchange {
        let (scratch, extra) = prepare(resources, "", env);
        let port = free_port();
        let mut command = command(Kind::Ours, &scratch, port, &extra);
        let (soft, hard) = limits;
        let serve =
            format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" serve --config trunkline.yaml");
        let binary = command.get_program().to_owned();
        let limited = std::mem::replace(&mut command, Command::new("sh"));
        command.args(["-c", &serve]).arg(binary).current_dir(scratch.path());
        command.envs(limited.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let child = start(command, &scratch);
        let mut exchange = Exchange { scratch, port, extra, kind: Kind::Ours, child };
        exchange.wait_ready();
        exchange
    }

    /// One that finds these files in its folder.
    pub fn start_on(files: &[(&str, &[u8])], env: &[(&str, &str)]) -> Exchange {
        let (scratch, extra) = prepare(&Resources::new(), "", env);
        for (path, bytes) in files {
            scratch.write(path, bytes);
        }
        Exchange::begin(scratch, free_port(), extra)
    }

    /// One that runs on the folder of a Routr v1, whose `config/config.yml` listens on 127.0.0.1 and this port. Paths
    /// are within its folder.
    pub fn start_routr_v1(port: u16, files: &[(&str, &str)], env: &[(&str, &str)]) -> Exchange {
        let scratch = Scratch::new("routr-v1");
        for (path, text) in files {
            scratch.write(path, text);
        }
        let extra = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Exchange::begin_as(Kind::RoutrV1, scratch, port, extra)
    }

    fn begin(scratch: Scratch, port: u16, extra: Vec<(String, String)>) -> Exchange {
        Exchange::begin_as(Kind::Ours, scratch, port, extra)
    }

    fn begin_as(kind: Kind, scratch: Scratch, port: u16, extra: Vec<(String, String)>) -> Exchange {
        let child = spawn(kind, &scratch, port, &extra);
        let mut exchange = Exchange { scratch, port, extra, kind, child };
        exchange.wait_ready();
        exchange
    }

    /// Where it hears UDP.
    pub fn udp(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where it hears TCP: the same port.
    pub fn tcp(&self) -> SocketAddr {
        self.udp()
    }

    /// Where it listens for a transport as `status` calls it, e.g. `grpc`, `grpcs`; for ports the system chose.
    pub fn listens(&self, transport: &str) -> SocketAddr {
        let output = exchange_command(self).args(["status", "--json"]).output().expect("the command runs");
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON of status");
        let listeners = status["listeners"].as_array().into_iter().flatten().filter_map(|l| l.as_str());
        let mut at = listeners.filter_map(|l| l.strip_prefix(transport)?.strip_prefix(' '));
        let at = at.next().unwrap_or_else(|| panic!("no {transport} in {status}"));
        at.parse().expect("an address")
    }

    /// Its folder: `trunkline.db`, `resources/`, `log`.
    pub fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Writes one resource file anew while it runs.
    pub fn rewrite(&self, file: &str, text: &str) {
        self.scratch.write(&format!("resources/{file}"), text);
    }

    /// Ends it at once, as a power cut would (`kill -9`).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to leave (SIGTERM) and gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for it to leave and gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let status = wait_for("the exchange to leave", || child.try_wait().ok().flatten());
        status.code()
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Starts it again on the same port and data.
    pub fn restart(&mut self) {
        self.child = spawn(self.kind, &self.scratch, self.port, &self.extra);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        // Of another address than the tests': the answers to all that waits here count for the allowance of who asked.
        let socket = UdpSocket::bind("127.0.0.254:0").expect("a UDP port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a live socket");
        let (me, to) = (socket.local_addr().expect("bound"), self.udp());
        let mut n = 0;
        let child = &mut self.child;
        let log = self.scratch.path().join("log");
        wait_for("the exchange to answer OPTIONS", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!(
                    "trunkline ended with {status}:\n{}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                );
            }
            n += 1;
            let ask = format!(
                "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKready{n};rport\r\nMax-Forwards: 70\r\nFrom: <sip:ready@{me}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: ready{n}@{me}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(ask.as_bytes(), to).ok()?;
            let mut buffer = [0; 2048];
            socket.recv(&mut buffer).ok().filter(|n| buffer[..*n].starts_with(b"SIP/2.0"))
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(30).collect::<Vec<_>>();
            eprintln!("last lines of the exchange's log:");
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Writes what it reads at its start.
fn prepare(resources: &Resources, config: &str, env: &[(&str, &str)]) -> (Scratch, Vec<(String, String)>) {
    let scratch = Scratch::new("exchange");
    for (name, text) in resources.files() {
        scratch.write(&format!("resources/{name}"), text);
    }
    scratch.write("trunkline.yaml", if config.is_empty() { "{}\n" } else { config });
    (scratch, env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

fn spawn(kind: Kind, scratch: &Scratch, port: u16, extra: &[(String, String)]) -> Child {
    let config = match kind {
        Kind::Ours => "trunkline.yaml",
        Kind::RoutrV1 => "config/config.yml",
    };
    let mut command = command(kind, scratch, port, extra);
    command.args(["serve", "--config", config]);
    start(command, scratch)
}

/// Starts it with its output in `log`.
fn start(mut command: Command, scratch: &Scratch) -> Child {
    let open = || {
        let log = File::options().create(true).append(true).open(scratch.path().join("log"));
        Stdio::from(log.expect("the log file opens"))
    };
    command.stdin(Stdio::null()).stdout(open()).stderr(open()).spawn().expect("the trunkline binary starts")
}

/// The binary with the folder and the environment of an exchange, without arguments.
pub fn exchange_command(exchange: &Exchange) -> Command {
    command(exchange.kind, &exchange.scratch, exchange.port, &exchange.extra)
}

fn command(kind: Kind, scratch: &Scratch, port: u16, extra: &[(String, String)]) -> Command {
    let at = format!("127.0.0.1:{port}");
    let mut command = Command::new(binary());
    if kind == Kind::Ours {
        command
            .env("TRUNKLINE_LISTEN_UDP", &at)
            .env("TRUNKLINE_LISTEN_TCP", &at)
            .envs(["TLS", "WS", "WSS"].map(|name| (format!("TRUNKLINE_LISTEN_{name}"), "")))
            .env("TRUNKLINE_DATA", "files:resources")
            .env("TRUNKLINE_DATABASE", "trunkline.db");
    }
    command
        .current_dir(scratch.path())
        .env("TRUNKLINE_HTTP_ADDR", "off")
        .env("TRUNKLINE_GRPC_ADDR", "off")
        .env("TRUNKLINE_GRPC_EXTERNAL_ADDR", "off")
        .env_remove("TRUNKLINE_SOAK_SECONDS")
        .envs(extra.iter().map(|(key, value)| (key, value)));
    command
}

/// `TRUNKLINE_BIN`, or the binary beside this test's own: `cargo xtask test` builds it first.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("TRUNKLINE_BIN") {
        return PathBuf::from(path);
    }
    let me = std::env::current_exe().expect("a test has a path");
    let profile = me.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let path = profile.join("trunkline");
    assert!(path.is_file(), "{} is missing: cargo build -p trunkline, or set TRUNKLINE_BIN", path.display());
    path
}
