//! A copy of every message to a capture server, in HEP3 over UDP (`trace.hep`).

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use trunkline_config::Trace;
use trunkline_trace::hep::{Agent, packet};
use trunkline_trace::{Filter, Tap, Traced, Watcher, masked};

use crate::follower::Follower;
use crate::time::unix_micros;

/// How often messages are sent.
const INTERVAL: Duration = Duration::from_millis(20);
/// How often the name of the server is looked up, and how often at most it is complained that it does not answer.
const LOOK_UP: Duration = Duration::from_secs(60);

/// Messages that were sent to the capture server, and those that were not.
#[derive(Debug, Default)]
pub struct HepCounters {
    pub sent: AtomicU64,
    pub lost: AtomicU64,
}

impl HepCounters {
    fn lose(&self, messages: u64) {
        self.lost.fetch_add(messages, Ordering::Relaxed);
    }
}

/// Starts the thread that sends messages; `None` without a server.
pub fn start(config: &Trace, taps: &[Arc<Tap>], counters: &Arc<HepCounters>) -> io::Result<Option<Follower>> {
    let Some(server) = &config.hep else { return Ok(None) };
    let agent = Agent { id: config.capture_id, password: config.password.0.clone() };
    let mut watcher = Watcher::new(taps, Filter::default());
    let mut server = Server::new(server.0.clone());
    let counters = Arc::clone(counters);
    let mut bytes = Vec::new();
    Follower::start("hep", INTERVAL, move || {
        loop {
            let turn = watcher.turn(unix_micros());
            counters.lose(turn.lost);
            for message in &turn.messages {
                server.send(&agent, message, &counters, &mut bytes);
            }
            if !turn.more {
                return;
            }
        }
    })
    .map(Some)
}

/// The way to the server.
struct Server {
    name: String,
    socket: Option<UdpSocket>,
    looked_up: Option<Instant>,
    complained: Option<Instant>,
}

impl Server {
    fn new(name: String) -> Server {
        Server { name, socket: None, looked_up: None, complained: None }
    }

    fn send(&mut self, agent: &Agent, message: &Traced, counters: &HepCounters, bytes: &mut Vec<u8>) {
        self.look_up();
        if !packet(agent, message, &masked(&message.bytes), bytes) {
            tracing::debug!(
                length = message.bytes.len(),
                "the end of a long message is not sent to trace.hep"
            );
        }
        let sent = match &self.socket {
            Some(socket) => socket.send(bytes).map(drop),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(()) => drop(counters.sent.fetch_add(1, Ordering::Relaxed)),
            Err(error) => {
                counters.lose(1);
                if self.socket.is_some() {
                    self.complain(&error);
                }
            }
        }
    }

    /// Finds the address of the server: at first, and again from time to time, as it may change.
    fn look_up(&mut self) {
        if self.looked_up.is_some_and(|at| at.elapsed() < LOOK_UP) {
            return;
        }
        self.looked_up = Some(Instant::now());
        match connect(&self.name) {
            Ok(socket) => self.socket = Some(socket),
            // What was found before may do.
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|at| at.elapsed() >= LOOK_UP) {
            self.complained = Some(Instant::now());
            tracing::warn!(server = self.name, %error, "cannot send messages to the capture server (trace.hep)");
        }
    }
}

fn connect(name: &str) -> io::Result<UdpSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in name.to_socket_addrs()? {
        let any: SocketAddr =
            if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => {
                // A full buffer loses messages; nobody waits for it.
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
