//! The door: a thread that accepts TLS and WebSocket connections, sees them through their handshakes, and gives
//! them to the shards. Nobody's handshake costs a shard more than a letter.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use slab::Slab;
use trunkline_sip::{ConnectionId, Transport};

use crate::io::{Counters, count};
use crate::liveness::watch;
use crate::mailbox::{Mail, Mailboxes};
use crate::names::HostName;
use crate::per_source::PerSource;
use crate::shard::{ListenError, Listener, StreamLimits, listen};
use crate::tls::{Certificates, ServerTls, TlsError, TlsSettings};
use crate::upgrade::{self, Verdict};
use crate::wire::{Tls, Wire};

/// A connection that is through, for a shard.
#[derive(Debug)]
pub struct Handover(pub(crate) Handed);

#[derive(Debug)]
pub(crate) enum Handed {
    /// Somebody came.
    Arrived(Arrival),
    /// The shard's own connection stands.
    Connected(ConnectionId, Wire),
    /// The shard's own connection could not be made.
    Refused(ConnectionId),
}

#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) wire: Wire,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Did a web page make it whose origin is not allowed?
    pub(crate) foreign_page: bool,
    /// What came behind the WebSocket's HTTP request.
    pub(crate) unread: Vec<u8>,
    /// The answer to it.
    pub(crate) unsent: Vec<u8>,
}

/// A connection a shard wants made.
struct Dial {
    id: ConnectionId,
    remote: SocketAddr,
    name: HostName,
}

/// How shards ask for TLS connections.
#[derive(Clone)]
pub struct Dialer {
    orders: Sender<Dial>,
    waker: Arc<Waker>,
}

impl Dialer {
    /// The end comes to the shard's mailbox; `false` when the door has closed.
    pub(crate) fn dial(&self, id: ConnectionId, remote: SocketAddr, name: HostName) -> bool {
        self.orders.send(Dial { id, remote, name }).is_ok() && self.waker.wake().is_ok()
    }
}

/// Somebody at the door.
struct Guest {
    wire: Wire,
    stage: Stage,
    remote: SocketAddr,
    local: SocketAddr,
    since: Instant,
}

enum Stage {
    /// TLS for this transport.
    Handshake(Transport),
    /// The HTTP request of a WebSocket, as far as it came.
    Request(Transport, Vec<u8>),
    /// An HTTP answer with which the connection ends, and how much of it is written.
    Farewell(Vec<u8>, usize),
    /// Ours: TCP first, then TLS.
    Dialing(ConnectionId, HostName),
    /// Ours: TLS.
    Greeting(ConnectionId),
}

/// What is to be done with a guest.
enum Next {
    Wait,
    Leave,
    Arrived { transport: Transport, foreign_page: bool, unread: Vec<u8>, unsent: Vec<u8> },
    Connected(ConnectionId),
    Refused(ConnectionId),
}

/// The thread's belongings.
pub struct Door {
    poll: Poll,
    waker: Arc<Waker>,
    listeners: Vec<(TcpListener, Listener)>,
    certificates: Certificates,
    /// Of the web pages whose WebSockets are taken for any client's.
    origins: Vec<String>,
    limits: StreamLimits,
    orders: (Sender<Dial>, Receiver<Dial>),
    guests: Slab<Guest>,
    per_source: PerSource,
    next_shard: usize,
    counters: Arc<Counters>,
}

/// A running door; it closes when this is dropped.
pub struct OpenDoor {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const WAKER: Token = Token(0);
const FIRST_GUEST: usize = 1 << 12;
/// Guests at the door at once.
const MOST_GUESTS: usize = 16_384;
/// How often deadlines and certificate files are looked at.
const ROUND: Duration = Duration::from_millis(250);

/// Is this a transport whose connections come by the door?
pub(crate) fn is_ours(transport: Transport) -> bool {
    matches!(transport, Transport::Tls | Transport::Ws | Transport::Wss)
}

impl Door {
    /// Loads the certificates.
    pub fn new(tls: TlsSettings, limits: StreamLimits) -> Result<Door, TlsError> {
        let certificates = Certificates::load(tls)?;
        let unavailable = |source| TlsError::Read { path: "epoll".into(), source };
        let poll = Poll::new().map_err(unavailable)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(unavailable)?);
        Ok(Door {
            poll,
            waker,
            listeners: Vec::new(),
            certificates,
            origins: Vec::new(),
            limits,
            orders: channel(),
            guests: Slab::new(),
            per_source: PerSource::default(),
            next_shard: 0,
            counters: Arc::default(),
        })
    }

    /// Web pages of these origins (RFC 6454 §7) are taken for any client's; those of others show who they are by a digest.
    pub fn allow_origins(&mut self, origins: Vec<String>) {
        self.origins = origins;
    }

    /// Binds those of the listeners that are TLS, WS or WSS.
    pub fn bind(&mut self, listeners: &[Listener]) -> Result<(), ListenError> {
        for &Listener { transport, address } in listeners.iter().filter(|l| is_ours(l.transport)) {
            let failed = |source| ListenError { transport, address, source };
            let mut listener = listen(address, false).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            let token = Token(WAKER.0 + 1 + self.listeners.len());
            self.poll.registry().register(&mut listener, token, Interest::READABLE).map_err(failed)?;
            self.listeners.push((listener, Listener { transport, address }));
        }
        Ok(())
    }

    /// The addresses it listens on, ports filled in.
    pub fn listening(&self) -> Vec<Listener> {
        self.listeners.iter().map(|(_, l)| *l).collect()
    }

    /// For [`crate::Io::introduce`].
    pub fn dialer(&self) -> Dialer {
        Dialer { orders: self.orders.0.clone(), waker: self.waker.clone() }
    }

    /// The certificates it shows, for listeners of other protocols; kept up to date while the door is open.
    pub fn tls(&self) -> ServerTls {
        self.certificates.server.clone()
    }

    /// Whom it refused.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Opens it: from now on connections come to the shards.
    pub fn open<M: Send + 'static>(mut self, shards: Mailboxes<M>) -> io::Result<OpenDoor> {
        let stop = Arc::new(AtomicBool::new(false));
        let (waker, stopped) = (self.waker.clone(), stop.clone());
        let run = move || {
            if let Err(error) = self.run(&shards, &stopped) {
                tracing::error!(%error, "the door is shut: no TLS, no WebSockets");
            }
        };
        let thread = std::thread::Builder::new().name("door".into()).spawn(run)?;
        Ok(OpenDoor { stop, waker, thread: Some(thread) })
    }

    fn run<M: Send>(&mut self, shards: &Mailboxes<M>, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut looked = Instant::now();
        while !stop.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, Some(ROUND)) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                match event.token().0 {
                    0 => self.dial(),
                    n if n >= FIRST_GUEST => self.attend(shards, n - FIRST_GUEST),
                    n => self.accept(shards, n - 1),
                }
            }
            if looked.elapsed() >= ROUND {
                looked = Instant::now();
                self.certificates.refresh();
                self.dismiss_slow(shards);
                // Those who found us without descriptors are not reported again.
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
                    tracing::warn!(error = %e, "cannot accept a connection");
                    return;
                }
            };
            if self.per_source.count(remote.ip()) >= self.limits.per_address
                || self.guests.len() >= MOST_GUESTS
            {
                count(&self.counters.refused);
                continue;
            }
            watch(&socket);
            let local = socket.local_addr().unwrap_or(address);
            let (wire, stage) = if transport.is_secure() {
                let Ok(session) = ServerConnection::new(self.certificates.server.current()) else { continue };
                (Wire::Tls(Box::new(Tls::new(socket, session.into()))), Stage::Handshake(transport))
            } else {
                (Wire::Tcp(socket), Stage::Request(transport, Vec::new()))
            };
            self.per_source.enter(remote.ip());
            self.admit(shards, Guest { wire, stage, remote, local, since: Instant::now() });
        }
    }

    /// Takes the shards' orders.
    fn dial(&mut self) {
        while let Ok(Dial { id, remote, name }) = self.orders.1.try_recv() {
            // Who got no socket is told at the next round.
            let wire = TcpStream::connect(remote).map_or(Wire::Pending, Wire::Tcp);
            let stage = Stage::Dialing(id, name);
            let entry = self.guests.vacant_entry();
            let mut guest = Guest { wire, stage, remote, local: remote, since: Instant::now() };
            if guest.wire.register(self.poll.registry(), Token(FIRST_GUEST + entry.key())).is_err() {
                guest.wire = Wire::Pending;
            }
            entry.insert(guest);
        }
    }

    fn admit<M: Send>(&mut self, shards: &Mailboxes<M>, mut guest: Guest) {
        let entry = self.guests.vacant_entry();
        let place = entry.key();
        let registered = guest.wire.register(self.poll.registry(), Token(FIRST_GUEST + place)).is_ok();
        entry.insert(guest);
        if registered { self.attend(shards, place) } else { self.remove(place) }
    }

    /// Goes on with one guest as far as its socket allows.
    fn attend<M: Send>(&mut self, shards: &Mailboxes<M>, place: usize) {
        let Some(guest) = self.guests.get_mut(place) else { return };
        match guest.proceed(&self.certificates, &self.origins) {
            Next::Wait => {}
            Next::Leave => {
                count(&self.counters.unfinished);
                self.remove(place);
            }
            Next::Arrived { transport, foreign_page, unread, unsent } => {
                let Some(mut guest) = self.take(place) else { return };
                guest.wire.deregister(self.poll.registry());
                let Guest { wire, local, remote, .. } = guest;
                let arrival = Arrival { wire, transport, local, remote, foreign_page, unread, unsent };
                self.next_shard = (self.next_shard + 1) % shards.len().max(1);
                if let Some(shard) = shards.get(self.next_shard) {
                    shard.post(Mail::Door(Box::new(Handover(Handed::Arrived(arrival)))));
                }
            }
            Next::Connected(id) => {
                let Some(mut guest) = self.take(place) else { return };
                guest.wire.deregister(self.poll.registry());
                tell(shards, id, Handed::Connected(id, guest.wire));
            }
            Next::Refused(id) => {
                self.remove(place);
                tell(shards, id, Handed::Refused(id));
            }
        }
    }

    fn take(&mut self, place: usize) -> Option<Guest> {
        let guest = self.guests.try_remove(place)?;
        let ours = matches!(guest.stage, Stage::Dialing(..) | Stage::Greeting(_));
        if !ours {
            self.per_source.leave(guest.remote.ip());
        }
        Some(guest)
    }

    fn remove(&mut self, place: usize) {
        if let Some(mut guest) = self.take(place) {
            guest.wire.deregister(self.poll.registry());
            guest.wire.finish();
        }
    }

    /// Who does not get through in time has to go.
    fn dismiss_slow<M: Send>(&mut self, shards: &Mailboxes<M>) {
        let slow: Vec<_> = self
            .guests
            .iter()
            .filter(|(_, g)| g.since.elapsed() >= self.limits.partial || matches!(g.wire, Wire::Pending))
            .map(|(place, g)| match g.stage {
                Stage::Dialing(id, _) | Stage::Greeting(id) => (place, Some(id)),
                Stage::Handshake(_) | Stage::Request(..) | Stage::Farewell(..) => (place, None),
            })
            .collect();
        for (place, id) in slow {
            count(&self.counters.unfinished);
            self.remove(place);
            if let Some(id) = id {
                tell(shards, id, Handed::Refused(id));
            }
        }
    }
}

fn tell<M: Send>(shards: &Mailboxes<M>, id: ConnectionId, what: Handed) {
    if let Some(shard) = shards.get(id.shard()) {
        shard.post(Mail::Door(Box::new(Handover(what))));
    }
}

impl Guest {
    fn proceed(&mut self, certificates: &Certificates, origins: &[String]) -> Next {
        loop {
            match &mut self.stage {
                Stage::Handshake(transport) => {
                    let transport = *transport;
                    let Wire::Tls(tls) = &mut self.wire else { return Next::Leave };
                    match tls.handshake() {
                        Ok(false) => return Next::Wait,
                        Ok(true) if transport == Transport::Tls => {
                            let (unread, unsent) = (Vec::new(), Vec::new());
                            return Next::Arrived { transport, foreign_page: false, unread, unsent };
                        }
                        Ok(true) => self.stage = Stage::Request(transport, Vec::new()),
                        Err(error) => {
                            tracing::debug!(remote = %self.remote, %error, "no TLS handshake");
                            return Next::Leave;
                        }
                    }
                }
                Stage::Request(transport, head) => {
                    let mut buffer = [0; 4096];
                    match self.wire.read(&mut buffer) {
                        Ok(0) => return Next::Leave,
                        Ok(n) => head.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Wait,
                        Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                        Err(_) => return Next::Leave,
                    }
                    match upgrade::judge(head, origins) {
                        Verdict::Incomplete => {}
                        Verdict::Upgraded { answer: unsent, end, foreign_page } => {
                            let unread = head.split_off(end);
                            return Next::Arrived { transport: *transport, foreign_page, unread, unsent };
                        }
                        Verdict::Answered(answer) => self.stage = Stage::Farewell(answer, 0),
                    }
                }
                Stage::Farewell(answer, written) => {
                    match self.wire.write(answer.get(*written..).unwrap_or(b"")) {
                        Ok(n) => {
                            *written += n;
                            if *written >= answer.len() && !self.wire.holds_back() {
                                return Next::Leave;
                            }
                        }
                        Err(e) if e.kind() == ErrorKind::WouldBlock => return Next::Wait,
                        Err(e) if e.kind() == ErrorKind::Interrupted => {}
                        Err(_) => return Next::Leave,
                    }
                }
                Stage::Dialing(id, name) => {
                    let (id, name) = (*id, *name);
                    let Some(socket) = self.wire.socket() else { return Next::Refused(id) };
                    match socket.take_error() {
                        Ok(None) => {}
                        Ok(Some(error)) | Err(error) => {
                            tracing::debug!(remote = %self.remote, %error, "no connection");
                            return Next::Refused(id);
                        }
                    }
                    if socket.peer_addr().is_err() {
                        return Next::Wait;
                    }
                    watch(&socket);
                    let Some(server) = server_name(name, self.remote) else { return Next::Refused(id) };
                    let session = ClientConnection::new(certificates.client.clone(), server);
                    let (Ok(session), Wire::Tcp(socket)) =
                        (session, std::mem::replace(&mut self.wire, Wire::Pending))
                    else {
                        return Next::Refused(id);
                    };
                    self.wire = Wire::Tls(Box::new(Tls::new(socket, session.into())));
                    self.stage = Stage::Greeting(id);
                }
                Stage::Greeting(id) => {
                    let id = *id;
                    let Wire::Tls(tls) = &mut self.wire else { return Next::Refused(id) };
                    return match tls.handshake() {
                        Ok(true) => Next::Connected(id),
                        Ok(false) => Next::Wait,
                        Err(error) => {
                            tracing::warn!(remote = %self.remote, %error, "no TLS connection");
                            Next::Refused(id)
                        }
                    };
                }
            }
        }
    }
}

/// Whom the certificate must name, RFC 5922 §7.
fn server_name(name: HostName, remote: SocketAddr) -> Option<ServerName<'static>> {
    match name.text() {
        Some(text) => ServerName::try_from(text.to_string()).ok(),
        None => Some(ServerName::IpAddress(remote.ip().into())),
    }
}
