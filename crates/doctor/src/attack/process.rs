//! The exchange that is attacked: this program, on loopback, with its data in a scratch folder.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trunkline_probes::Cast;

use crate::facts::Facts;

/// The copy has this long to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that only this user can read, for the passwords of the copy. It is removed in the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> io::Result<Scratch> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| io::Error::other("no random number"))?;
        let name = format!("trunkline-doctor-{:016x}", u64::from_ne_bytes(bytes));
        let path = std::env::temp_dir().join(name);
        // An error if somebody has made it before.
        DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Scratch(path);
        DirBuilder::new().mode(0o700).create(scratch.0.join("resources"))?;
        Ok(scratch)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.0.join(name))?;
        file.write_all(text.as_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The attacked process; dropped, it is ended.
pub(super) struct Exchange {
    child: Child,
    address: SocketAddr,
    more: Connections,
}

/// Where the copy listens beside UDP and TCP: for what the operator has configured.
#[derive(Clone, Copy)]
struct Connections {
    tls: Option<SocketAddr>,
    ws: Option<SocketAddr>,
    wss: Option<SocketAddr>,
}

impl Connections {
    fn new(facts: &Facts) -> io::Result<Connections> {
        let listen = &facts.config().listen;
        let at = |wanted: bool| {
            let port = wanted.then(|| free_port(Ipv4Addr::LOCALHOST.into())).transpose()?;
            io::Result::Ok(port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
        };
        // A certificate that is made at the first start lies beside the database, in the scratch folder.
        let (tls, wss) = (!listen.tls.is_empty(), !listen.wss.is_empty());
        let [tls, ws, wss] = [tls || wss, wss || !listen.ws.is_empty(), wss].map(at);
        Ok(Connections { tls: tls?, ws: ws?, wss: wss? })
    }
}

impl Exchange {
    /// Starts this program with the operator's configuration and waits until it answers.
    pub(super) fn start(facts: &Facts, scratch: &Scratch) -> io::Result<Exchange> {
        let address =
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free_port(Ipv4Addr::LOCALHOST.into())?);
        let log = fs::File::create(scratch.path("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve");
        if let Some(file) = &facts.file {
            command.arg("--config").arg(file);
        }
        let more = Connections::new(facts)?;
        for (name, value) in variables(facts, scratch.0.as_path(), (address, more)) {
            command.env(name, value);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let mut exchange = Exchange { child, address, more };
        exchange.wait().map_err(|error| {
            let log = fs::read_to_string(scratch.path("log")).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            io::Error::new(error.kind(), format!("the copy did not start: {error}; {last}"))
        })?;
        Ok(exchange)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn tls(&self) -> Option<SocketAddr> {
        self.more.tls
    }

    pub(super) fn ws(&self) -> Option<SocketAddr> {
        self.more.ws
    }

    pub(super) fn wss(&self) -> Option<SocketAddr> {
        self.more.wss
    }

    fn wait(&mut self) -> io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (me, to) = (socket.local_addr()?, self.address);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("it ended with {status}")));
            }
            let branch = begun.elapsed().as_nanos();
            let ask = format!(
                "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:doctor@{me}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            socket.send_to(ask.as_bytes(), to)?;
            if socket.recv(&mut [0; 2_048]).is_ok() {
                return Ok(());
            }
            // An error that came at once, since nobody listens yet.
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What of the operator's settings the copy has otherwise: it listens on loopback only, keeps its data in the scratch folder, and
/// sends nothing to others.
fn variables(
    facts: &Facts,
    scratch: &Path,
    (address, more): (SocketAddr, Connections),
) -> Vec<(&'static str, String)> {
    let path = |name: &str| scratch.join(name).display().to_string();
    let mut all = vec![
        ("TRUNKLINE_DATA", format!("files:{}", path("resources"))),
        ("TRUNKLINE_DATABASE", path("trunkline.db")),
        ("TRUNKLINE_CONTROL_SOCKET", path("sock")),
        ("TRUNKLINE_ROLES", "exchange".into()),
        ("TRUNKLINE_LISTEN_UDP", address.to_string()),
        ("TRUNKLINE_LISTEN_TCP", address.to_string()),
        ("TRUNKLINE_LISTEN_TLS", more.tls.map_or_else(String::new, |at| at.to_string())),
        ("TRUNKLINE_LISTEN_WS", more.ws.map_or_else(String::new, |at| at.to_string())),
        ("TRUNKLINE_LISTEN_WSS", more.wss.map_or_else(String::new, |at| at.to_string())),
        ("TRUNKLINE_HTTP_ADDR", "off".into()),
        ("TRUNKLINE_GRPC_ADDR", "off".into()),
        ("TRUNKLINE_GRPC_EXTERNAL_ADDR", "off".into()),
        ("TRUNKLINE_ROUTR_V1_ADDR", "off".into()),
        ("TRUNKLINE_RTPENGINE", "off".into()),
        ("TRUNKLINE_EXTERNAL_ADDRS", String::new()),
        ("TRUNKLINE_LOCALNETS", String::new()),
        // Nobody is there: names are not looked up.
        ("TRUNKLINE_DNS_SERVERS", "127.0.0.1:9".into()),
        ("TRUNKLINE_ROUTING_QUALIFY_SECONDS", "0".into()),
        ("TRUNKLINE_LOG_LEVEL", "error".into()),
    ];
    let allow = &facts.config().access_control.allow;
    if !allow.is_empty() {
        let mut networks: Vec<String> = allow.iter().map(|network| network.0.to_string()).collect();
        networks.push(Cast::PHONES.to_owned());
        all.push(("TRUNKLINE_ACCESS_CONTROL_ALLOW", networks.join(",")));
    }
    all
}

/// A port that is free on this address for UDP and TCP.
pub(super) fn free_port(ip: IpAddr) -> io::Result<u16> {
    for _ in 0..50 {
        let port = UdpSocket::bind((ip, 0))?.local_addr()?.port();
        if TcpListener::bind((ip, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
