//! The acceptor: a thread that accepts TLS and WebSocket connections, does their handshakes, and hands the
//! established connections to the shards. A handshake costs a shard one mailbox message.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::{ClientConfig, ClientConnection, ServerConnection};
use slab::Slab;
use trunkline_descriptors::Taker;
use trunkline_sip::{ConnectionId, Transport};

use crate::connection::Closed;
use crate::io::{Counters, count};
use crate::listener::{ListenError, Listener, listen};
use crate::liveness::watch;
use crate::mailbox::{Mail, Mailboxes};
use crate::names::HostName;
use crate::per_source::PerSource;
use crate::shard::StreamLimits;
use crate::tls::{Certificates, TlsFailure};
use crate::upgrade::{self, Verdict};
use crate::want;
use crate::wire::{Tls, Wire};

/// What the acceptor reports to a shard about one connection.
#[derive(Debug)]
pub struct AcceptorMail(pub(crate) AcceptorEvent);

#[derive(Debug)]
pub(crate) enum AcceptorEvent {
    /// A client's connection is established.
    Accepted(AcceptedConnection),
    /// The connection that the shard asked for is established.
    Connected(ConnectionId, Wire),
    /// The connection that the shard asked for could not be made.
    Failed(ConnectionId, Closed),
}

#[derive(Debug)]
pub(crate) struct AcceptedConnection {
    pub(crate) wire: Wire,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Did a web page make it whose origin is not allowed?
    pub(crate) foreign_page: bool,
    /// The bytes received after the WebSocket's HTTP request.
    pub(crate) unread: Vec<u8>,
    /// The response to that request, not written yet.
    pub(crate) unsent: Vec<u8>,
}

/// A shard's request for a connection.
struct Dial {
    id: ConnectionId,
    remote: SocketAddr,
    name: HostName,
}

/// Asks the acceptor for TLS connections, on behalf of a shard.
#[derive(Clone)]
pub struct Dialer {
    requests: Sender<Dial>,
    waker: Arc<Waker>,
}

impl Dialer {
    /// Asks for a connection; the result comes to the shard's mailbox. `false` when the acceptor has ended.
    pub(crate) fn dial(&self, id: ConnectionId, remote: SocketAddr, name: HostName) -> bool {
        self.requests.send(Dial { id, remote, name }).is_ok() && self.waker.wake().is_ok()
    }
}

/// A connection whose handshake is not complete.
struct PendingConnection {
    wire: Wire,
    stage: Stage,
    remote: SocketAddr,
    local: SocketAddr,
    since: Instant,
}

enum Stage {
    /// TLS for this transport.
    Handshake(Transport),
    /// The HTTP request of a WebSocket, as far as it is received.
    Upgrade(Transport, Vec<u8>),
    /// An HTTP response after which the connection is closed, and how much of it is written.
    Rejecting(Vec<u8>, usize),
    /// A connection of ours: TCP is being connected.
    Connecting(ConnectionId, HostName),
    /// A connection of ours: the TLS handshake.
    ClientHandshake(ConnectionId),
}

/// What to do with a pending connection.
enum Next {
    Wait,
    Close,
    Accepted { transport: Transport, foreign_page: bool, unread: Vec<u8>, unsent: Vec<u8> },
    Connected(ConnectionId),
    Failed(ConnectionId, Closed),
}

/// The acceptor before its thread runs; afterwards, what its thread owns.
pub struct Acceptor {
    poll: Poll,
    waker: Arc<Waker>,
    listeners: Vec<(TcpListener, Listener)>,
    certificates: Certificates,
    /// The origins of web pages whose WebSockets count as any client's.
    origins: Vec<String>,
    limits: StreamLimits,
    requests: (Sender<Dial>, Receiver<Dial>),
    pending: Slab<PendingConnection>,
    per_source: PerSource,
    next_shard: usize,
    counters: Arc<Counters>,
}

/// The acceptor at work; dropping it ends its thread.
pub struct RunningAcceptor {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for RunningAcceptor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const WAKER: Token = Token(0);
const FIRST_PENDING: usize = 1 << 12;
/// Pending connections, at most.
const MOST_PENDING: usize = 16_384;
/// How often deadlines and certificate files are checked.
const ROUND: Duration = Duration::from_millis(250);

/// Does the acceptor, not a shard, listen for this transport?
pub(crate) fn listens_for(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Ws | Transport::Wss)
}

impl Acceptor {
    /// Makes an acceptor without listeners.
    pub fn new(certificates: Certificates, limits: StreamLimits) -> io::Result<Acceptor> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok(Acceptor {
            poll,
            waker,
            listeners: Vec::new(),
            certificates,
            origins: Vec::new(),
            limits,
            requests: channel(),
            pending: Slab::new(),
            per_source: PerSource::default(),
            next_shard: 0,
            counters: Arc::default(),
        })
    }

    /// Treats WebSockets of web pages with these origins (RFC 6454 §7) as any client's; others need a digest.
    pub fn allow_origins(&mut self, origins: Vec<String>) {
        self.origins = origins;
    }

    /// Binds those of the listeners that are TLS, WS or WSS.
    pub fn bind(&mut self, listeners: &[Listener]) -> Result<(), ListenError> {
        for &Listener { transport, address } in listeners.iter().filter(|l| listens_for(l.transport)) {
            let failed = |source| ListenError { transport, address, source };
            let mut listener = listen(address, false).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            let token = Token(WAKER.0 + 1 + self.listeners.len());
            self.poll.registry().register(&mut listener, token, Interest::READABLE).map_err(failed)?;
            self.listeners.push((listener, Listener { transport, address }));
        }
        Ok(())
    }

    /// The addresses it listens on, with the ports filled in.
    pub fn listening(&self) -> Vec<Listener> {
        self.listeners.iter().map(|(_, l)| *l).collect()
    }

    /// The handle by which shards ask for connections, see [`crate::Io::set_dialer`].
    pub fn dialer(&self) -> Dialer {
        Dialer { requests: self.requests.0.clone(), waker: self.waker.clone() }
    }

    /// Counters of refused and unfinished connections.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Starts the thread. From now on established connections are handed to the shards.
    pub fn start<M: Send + 'static>(mut self, shards: Mailboxes<M>) -> io::Result<RunningAcceptor> {
        let stop = Arc::new(AtomicBool::new(false));
        let (waker, stopped) = (self.waker.clone(), stop.clone());
        let run = move || {
            if let Err(error) = self.run(&shards, &stopped) {
                tracing::error!(%error, "the acceptor has ended: no new TLS or WebSocket connections");
            }
        };
        let thread = std::thread::Builder::new().name("acceptor".into()).spawn(run)?;
        Ok(RunningAcceptor { stop, waker, thread: Some(thread) })
    }

    fn run<M: Send>(&mut self, shards: &Mailboxes<M>, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut checked = Instant::now();
        while !stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, Some(ROUND)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token().0 {
                    0 => self.dial(),
                    n if n >= FIRST_PENDING => self.advance(shards, n - FIRST_PENDING),
                    n => self.accept(shards, n - 1),
                }
            }
            if checked.elapsed() >= ROUND {
                checked = Instant::now();
                self.certificates.refresh();
                self.close_overdue(shards);
                // A connection that could not be accepted for want of a descriptor is not reported again.
                for i in 0..self.listeners.len() {
                    self.accept(shards, i);
                }
            }
        }
        Ok(())
    }

    fn accept<M: Send>(&mut self, shards: &Mailboxes<M>, i: usize) {
        loop {
            let Some((listener, Listener { transport, address })) = self.listeners.get(i) else { return };
            let (transport, address) = (*transport, *address);
            let (socket, remote) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                    continue;
                }
                Err(e) => {
                    want::say(&e);
                    return;
                }
            };
            if self.per_source.count(remote.ip()) >= self.limits.per_address
                || self.pending.len() >= MOST_PENDING
                || !want::admits(&socket, Taker::Accepted)
            {
                count(&self.counters.refused);
                continue;
            }
            watch(&socket);
            let local = socket.local_addr().unwrap_or(address);
            let (wire, stage) = if transport.is_secure() {
                let Ok(session) = ServerConnection::new(self.certificates.server()) else { continue };
                (Wire::Tls(Box::new(Tls::new(socket, session.into()))), Stage::Handshake(transport))
            } else {
                (Wire::Tcp(socket), Stage::Upgrade(transport, Vec::new()))
            };
            self.per_source.enter(remote.ip());
            self.insert(shards, PendingConnection { wire, stage, remote, local, since: Instant::now() });
        }
    }

    /// Begins the connections that the shards ask for.
    fn dial(&mut self) {
        while let Ok(Dial { id, remote, name }) = self.requests.1.try_recv() {
            // Without a socket, the failure is reported in the next round.
            let socket = TcpStream::connect(remote).ok().filter(|s| want::admits(s, Taker::Made));
            let wire = socket.map_or(Wire::Pending, Wire::Tcp);
            let stage = Stage::Connecting(id, name);
            let entry = self.pending.vacant_entry();
            let mut connection =
                PendingConnection { wire, stage, remote, local: remote, since: Instant::now() };
            if connection.wire.register(self.poll.registry(), Token(FIRST_PENDING + entry.key())).is_err() {
                connection.wire = Wire::Pending;
            }
            entry.insert(connection);
        }
    }

    fn insert<M: Send>(&mut self, shards: &Mailboxes<M>, mut connection: PendingConnection) {
        let entry = self.pending.vacant_entry();
        let place = entry.key();
        let registered = connection.wire.register(self.poll.registry(), Token(FIRST_PENDING + place)).is_ok();
        entry.insert(connection);
        if registered { self.advance(shards, place) } else { self.remove(place) }
    }

    /// Continues one handshake as far as its socket allows.
    fn advance<M: Send>(&mut self, shards: &Mailboxes<M>, place: usize) {
        let Some(connection) = self.pending.get_mut(place) else { return };
        match connection.proceed(&self.certificates, &self.origins) {
            Next::Wait => {}
            Next::Close => {
                count(&self.counters.unfinished);
                self.remove(place);
            }
            Next::Accepted { transport, foreign_page, unread, unsent } => {
                let Some(mut connection) = self.take(place) else { return };
                connection.wire.deregister(self.poll.registry());
                let PendingConnection { wire, local, remote, .. } = connection;
                let accepted =
                    AcceptedConnection { wire, transport, local, remote, foreign_page, unread, unsent };
                self.next_shard = (self.next_shard + 1) % shards.len().max(1);
                if let Some(shard) = shards.get(self.next_shard) {
                    shard.post(Mail::Acceptor(Box::new(AcceptorMail(AcceptorEvent::Accepted(accepted)))));
                }
            }
            Next::Connected(id) => {
                let Some(mut connection) = self.take(place) else { return };
                connection.wire.deregister(self.poll.registry());
                report(shards, id, AcceptorEvent::Connected(id, connection.wire));
            }
            Next::Failed(id, why) => {
                self.remove(place);
                report(shards, id, AcceptorEvent::Failed(id, why));
            }
        }
    }

    fn take(&mut self, place: usize) -> Option<PendingConnection> {
        let connection = self.pending.try_remove(place)?;
        let ours = matches!(connection.stage, Stage::Connecting(..) | Stage::ClientHandshake(_));
        if !ours {
            self.per_source.leave(connection.remote.ip());
        }
        Some(connection)
    }

    fn remove(&mut self, place: usize) {
        if let Some(mut connection) = self.take(place) {
            connection.wire.deregister(self.poll.registry());
            connection.wire.finish();
        }
    }

    /// Closes the connections whose handshake takes too long.
    fn close_overdue<M: Send>(&mut self, shards: &Mailboxes<M>) {
        let overdue: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, c)| c.since.elapsed() >= self.limits.partial || matches!(c.wire, Wire::Pending))
            .map(|(place, c)| match c.stage {
                Stage::Connecting(id, _) | Stage::ClientHandshake(id) => (place, Some(id)),
                Stage::Handshake(_) | Stage::Upgrade(..) | Stage::Rejecting(..) => (place, None),
            })
            .collect();
        for (place, id) in overdue {
            count(&self.counters.unfinished);
            self.remove(place);
            if let Some(id) = id {
                report(shards, id, AcceptorEvent::Failed(id, Closed::Refused));
            }
        }
    }
}

/// Reports the result to the shard that asked for the connection.
fn report<M: Send>(shards: &Mailboxes<M>, id: ConnectionId, event: AcceptorEvent) {
    if let Some(shard) = shards.get(id.shard()) {
        shard.post(Mail::Acceptor(Box::new(AcceptorMail(event))));
    }
}

impl PendingConnection {
    fn proceed(&mut self, certificates: &Certificates, origins: &[String]) -> Next {
        loop {
            match &mut self.stage {
                Stage::Handshake(transport) => {
                    let transport = *transport;
                    let Wire::Tls(tls) = &mut self.wire else { return Next::Close };
                    match tls.handshake() {
                        Ok(false) => return Next::Wait,
                        Ok(true) if transport == Transport::Tls => {
                            let (unread, unsent) = (Vec::new(), Vec::new());
                            return Next::Accepted { transport, foreign_page: false, unread, unsent };
                        }
                        Ok(true) => self.stage = Stage::Upgrade(transport, Vec::new()),
                        Err(error) => {
                            tracing::debug!(remote = %self.remote, %error, "no TLS handshake");
                            return Next::Close;
                        }
                    }
                }
                Stage::Upgrade(transport, head) => {
                    let mut buffer = [0; 4096];
                    match self.wire.read(&mut buffer) {
                        Ok(0) => return Next::Close,
                        Ok(n) => head.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Wait,
                        Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                        Err(_) => return Next::Close,
                    }
                    match upgrade::judge(head, origins) {
                        Verdict::Incomplete => {}
                        Verdict::Upgraded { answer: unsent, end, foreign_page } => {
                            let unread = head.split_off(end);
                            return Next::Accepted { transport: *transport, foreign_page, unread, unsent };
                        }
                        Verdict::Answered(answer) => self.stage = Stage::Rejecting(answer, 0),
                    }
                }
                Stage::Rejecting(answer, written) => {
                    match self.wire.write(answer.get(*written..).unwrap_or(b"")) {
                        Ok(n) => {
                            *written += n;
                            if *written >= answer.len() && !self.wire.holds_back() {
                                return Next::Close;
                            }
                        }
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Wait,
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        Err(_) => return Next::Close,
                    }
                }
                Stage::Connecting(id, name) => {
                    let (id, name) = (*id, *name);
                    if let Some(next) = self.begin_tls(id, certificates, name) {
                        return next;
                    }
                }
                Stage::ClientHandshake(id) => {
                    let id = *id;
                    let Wire::Tls(tls) = &mut self.wire else { return Next::Failed(id, Closed::Refused) };
                    return match tls.handshake() {
                        Ok(true) => Next::Connected(id),
                        Ok(false) => Next::Wait,
                        Err(error) => {
                            tracing::warn!(remote = %self.remote, %error, "no TLS connection");
                            Next::Failed(id, Closed::NoHandshake(TlsFailure::of(&error)))
                        }
                    };
                }
            }
        }
    }

    /// Begins the handshake of a connection of ours once it is there; otherwise what comes next.
    fn begin_tls(&mut self, id: ConnectionId, certificates: &Certificates, name: HostName) -> Option<Next> {
        let refused = Some(Next::Failed(id, Closed::Refused));
        let Some(socket) = self.wire.socket() else { return refused };
        match socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => {
                tracing::debug!(remote = %self.remote, %error, "no connection");
                return refused;
            }
        }
        if socket.peer_addr().is_err() {
            return Some(Next::Wait);
        }
        watch(&socket);
        let (Some(server), Some(config)) = (name.server_name(self.remote), client_config(certificates, name))
        else {
            return refused;
        };
        let session = ClientConnection::new(config, server);
        let (Ok(session), Wire::Tcp(socket)) = (session, std::mem::replace(&mut self.wire, Wire::Pending))
        else {
            return refused;
        };
        self.wire = Wire::Tls(Box::new(Tls::new(socket, session.into())));
        self.stage = Stage::ClientHandshake(id);
        None
    }
}

/// As whom we connect. `None`: the certificate for it cannot be used, and no other is presented.
fn client_config(certificates: &Certificates, name: HostName) -> Option<Arc<ClientConfig>> {
    let Some(identity) = name.identity() else { return Some(certificates.client()) };
    match certificates.client_as(&identity) {
        Ok(config) => Some(config),
        Err(error) => {
            tracing::warn!(%error, "no TLS connection: the trunk's clientCertificate cannot be used");
            None
        }
    }
}
