//! The loop of a shard.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use trunkline_sip::{ConnectionId, Flow, Frame, ParseError, Transport};

use crate::connection::Closed;
use crate::door::{self, Handed};
use crate::io::{Alive, Counters, Egress, FIRST_CONNECTION, Io, count, unix_ms};
use crate::mailbox::{Inbox, Mail, Mailbox};
use crate::names::HostName;
use crate::source::Sources;
use crate::stun;
use crate::udp::{Receiver, Sender, UdpSocket};
use crate::websocket::{self, Item};
use crate::wire::Wire;

/// What is done with what a shard receives.
pub trait Handler {
    /// What other parts of the process may post to it.
    type Mail: Send;

    /// A datagram, or a whole message of a stream.
    fn on_message(&mut self, io: &mut Io<Self::Mail>, flow: &Flow, bytes: &[u8]);

    /// A stream held something whose end cannot be found; `head` is what there is of it. The connection is
    /// closed after what the handler sends now.
    fn on_broken(&mut self, io: &mut Io<Self::Mail>, flow: &Flow, head: &[u8], error: ParseError);

    /// A connection ended, or could not be made.
    fn on_closed(&mut self, io: &mut Io<Self::Mail>, connection: ConnectionId, why: Closed);

    /// Mail.
    fn on_mail(&mut self, io: &mut Io<Self::Mail>, mail: Self::Mail);

    /// Time has passed. Called at least every second.
    fn on_timer(&mut self, io: &mut Io<Self::Mail>);

    /// How many milliseconds may pass until [`Handler::on_timer`] is needed, at most `max`.
    fn sleep(&self, now: u64, max: u64) -> u64;
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address; port 0 for any that is free.
    pub address: SocketAddr,
}

/// An address that cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {transport} {address}: {source}")]
pub struct ListenError {
    /// The transport.
    pub transport: Transport,
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// What a stranger may take of us over streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Bytes of a message.
    pub message_size: usize,
    /// Connections from one address, per shard.
    pub per_address: u32,
    /// A connection on which nothing was heard for this long is closed.
    pub idle: Duration,
    /// A connection that began a message has this long to end it.
    pub partial: Duration,
    /// Bytes that wait to be written to one connection.
    pub unsent: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        StreamLimits {
            message_size: 65_535,
            per_address: 1_000,
            idle: Duration::from_secs(900),
            partial: Duration::from_secs(15),
            unsent: 1 << 20,
        }
    }
}

/// One shard: its sockets, its connections, its mailbox.
pub struct Shard<M> {
    poll: Poll,
    inbox: Inbox<M>,
    mailbox: Mailbox<M>,
    tcp: Vec<(TcpListener, SocketAddr)>,
    receiver: Receiver,
    scratch: Vec<u8>,
    /// The shard's hands, given to its handler.
    pub io: Io<M>,
}

const WAKER: Token = Token(0);
const FIRST_UDP: usize = 1;
const FIRST_TCP: usize = 1 << 12;
/// Batches taken from one socket before others have their turn.
const TURNS: usize = 16;
/// A WebSocket on which nothing came for so many milliseconds is pinged.
const SILENT: u64 = 25_000;
/// The longest a shard sleeps.
const NAP: u64 = 1_000;

impl<M: Send> Shard<M> {
    /// Binds those of the listeners that are UDP or TCP; the others are a [`crate::Door`]'s. `shared` lets several
    /// shards listen on the same addresses.
    pub fn bind(
        number: usize,
        listeners: &[Listener],
        limits: StreamLimits,
        shared: bool,
    ) -> Result<Self, ListenError> {
        let nowhere = |source| ListenError {
            transport: Transport::Udp,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            source,
        };
        let poll = Poll::new().map_err(nowhere)?;
        let registry = poll.registry().try_clone().map_err(nowhere)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(nowhere)?;
        let (mailbox, inbox) = Mailbox::new(waker);
        let (mut udp, mut tcp) = (Vec::new(), Vec::new());
        for &Listener { transport, address } in listeners.iter().filter(|l| !door::is_ours(l.transport)) {
            let failed = |source| ListenError { transport, address, source };
            if shared && number == 0 && address.port() != 0 {
                // SO_REUSEPORT would let us share with another exchange: the port must be free without it.
                is_free(transport, address).map_err(failed)?;
            }
            match transport {
                Transport::Udp => {
                    let mut s = UdpSocket::bind(address, shared).map_err(failed)?;
                    let token = Token(FIRST_UDP + udp.len());
                    registry.register(s.source(), token, Interest::READABLE).map_err(failed)?;
                    udp.push(s);
                }
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                    let mut l = listen(address, shared).map_err(failed)?;
                    let local = l.local_addr().map_err(failed)?;
                    let token = Token(FIRST_TCP + tcp.len());
                    registry.register(&mut l, token, Interest::READABLE).map_err(failed)?;
                    tcp.push((l, local));
                }
            }
        }
        let io = Io {
            now: 0,
            started: Instant::now(),
            unix_at_start: unix_ms(),
            shard: number,
            registry,
            udp,
            sender: Sender::new(),
            sources: Sources::default(),
            connections: Slab::new(),
            by_remote: HashMap::default(),
            per_address: HashMap::default(),
            dirty: Vec::new(),
            ended: Vec::new(),
            serial: 0,
            limits,
            mailboxes: None,
            dialer: None,
            alive: Alive::default(),
            counters: Arc::new(Counters::default()),
        };
        Ok(Shard { poll, inbox, mailbox, tcp, receiver: Receiver::new(), scratch: vec![0; 65_536], io })
    }

    /// The way in.
    pub fn mailbox(&self) -> Mailbox<M> {
        self.mailbox.clone()
    }

    /// The addresses it listens on, ports filled in.
    pub fn listening(&self) -> Vec<Listener> {
        let udp = self.io.udp.iter().map(|s| Listener { transport: Transport::Udp, address: s.local() });
        let tcp = self.tcp.iter().map(|(_, a)| Listener { transport: Transport::Tcp, address: *a });
        udp.chain(tcp).collect()
    }

    /// Runs until [`Mail::Stop`].
    pub fn run<H: Handler<Mail = M>>(&mut self, handler: &mut H) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        // Sockets that were not emptied: the poll is edge-triggered and will not report them again.
        let mut unread = 0u64;
        let mut swept = 0;
        loop {
            let sleep = if unread != 0 { 0 } else { handler.sleep(self.io.now, NAP) };
            match self.poll.poll(&mut events, Some(Duration::from_millis(sleep))) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.io.update_clock();
            for event in &events {
                let token = event.token();
                match token.0 {
                    0 => {
                        if !self.read_mail(handler) {
                            self.io.flush();
                            return Ok(());
                        }
                    }
                    n if n >= FIRST_CONNECTION => {
                        let place = n - FIRST_CONNECTION;
                        if event.is_writable() {
                            self.on_writable(place);
                        }
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.read_stream(handler, place);
                        }
                    }
                    n if n >= FIRST_TCP => self.accept(n - FIRST_TCP),
                    n => unread |= 1 << (n - FIRST_UDP).min(63),
                }
            }
            for i in 0..self.io.udp.len() {
                if unread & 1 << i.min(63) != 0 && self.read_udp(handler, i) {
                    unread &= !(1 << i.min(63));
                }
            }
            handler.on_timer(&mut self.io);
            self.io.flush();
            if self.io.now >= swept + NAP {
                swept = self.io.now;
                self.close_idle();
                self.ping_silent();
            }
            while let Some((id, why)) = self.io.ended.pop() {
                handler.on_closed(&mut self.io, id, why);
                self.io.flush();
            }
        }
    }

    fn read_mail<H: Handler<Mail = M>>(&mut self, handler: &mut H) -> bool {
        self.inbox.rearm();
        while let Some(mail) = self.inbox.take() {
            match mail {
                Mail::User(mail) => handler.on_mail(&mut self.io, mail),
                Mail::Send(id, from, bytes) => match self.io.place(id) {
                    Some(place) => {
                        if let Some(c) = self.io.connections.get_mut(place) {
                            c.sent_by(from);
                        }
                        self.io.write(place, &bytes);
                    }
                    // It ended while this was on its way.
                    None => {
                        self.io.post(from, Mail::Closed(id, Closed::Broken));
                    }
                },
                Mail::Closed(id, why) => handler.on_closed(&mut self.io, id, why),
                Mail::Door(handover) => {
                    let place = match handover.0 {
                        Handed::Arrived(arrival) => self.io.welcome(arrival),
                        Handed::Connected(id, wire) => self.io.connected(id, wire),
                        Handed::Refused(id) => {
                            self.io.close(id, Closed::Refused);
                            None
                        }
                    };
                    // What the door read along with the handshake is not reported by the poll.
                    if let Some(place) = place {
                        self.cut_frames(handler, place);
                        self.read_stream(handler, place);
                    }
                }
                Mail::Close(id) => self.io.close(id, Closed::ByUs),
                Mail::Stop => return false,
            }
        }
        true
    }

    /// Takes datagrams; `true` when there are no more, `false` when its turns ran out first.
    fn read_udp<H: Handler<Mail = M>>(&mut self, handler: &mut H, i: usize) -> bool {
        for _ in 0..TURNS {
            let Some(socket) = self.io.udp.get(i) else { return true };
            // An error here belongs to an earlier datagram of ours (ICMP); the socket goes on.
            let n = self.receiver.receive(socket).unwrap_or(0);
            if n == 0 {
                return true;
            }
            self.io.update_clock();
            for d in 0..n {
                let (bytes, remote, local) = self.receiver.datagram(d);
                count_in(&self.io.counters.received, Transport::Udp);
                if bytes.len() < 4 || bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
                    count(&self.io.counters.keep_alives);
                    continue;
                }
                let flow = Flow { transport: Transport::Udp, local, remote, connection: ConnectionId::NONE };
                // No SIP message begins with such a byte.
                if bytes.first().is_some_and(|b| *b < 4)
                    && let Some(answer) = stun::answer(bytes, remote)
                {
                    count(&self.io.counters.keep_alives);
                    self.io.send(&Egress::back(&flow), answer.bytes());
                    continue;
                }
                handler.on_message(&mut self.io, &flow, bytes);
            }
            self.io.flush();
        }
        false
    }

    fn accept(&mut self, i: usize) {
        loop {
            let Some((listener, local)) = self.tcp.get(i) else { return };
            let local = *local;
            match listener.accept() {
                Ok((stream, remote)) => {
                    if !self.io.admits(remote.ip()) {
                        continue;
                    }
                    let _ = stream.set_nodelay(true);
                    self.io.adopt(Wire::Tcp(stream), Transport::Tcp, local, remote, HostName::NONE, true);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    // Out of descriptors, most likely: those who wait are taken when one is free.
                    tracing::warn!(error = %e, "cannot accept a connection");
                    return;
                }
            }
        }
    }

    fn on_writable(&mut self, place: usize) {
        let Some(c) = self.io.connections.get_mut(place) else { return };
        if c.connecting {
            let failed =
                c.wire.socket().is_none_or(|s| !matches!(s.take_error(), Ok(None)) || s.peer_addr().is_err());
            if failed {
                let id = c.id;
                self.io.close(id, Closed::Refused);
                return;
            }
            c.connecting = false;
        }
        if !c.unsent.is_empty() || c.wire.holds_back() {
            self.io.mark_dirty(place);
        }
    }

    fn read_stream<H: Handler<Mail = M>>(&mut self, handler: &mut H, place: usize) {
        loop {
            let Some(c) = self.io.connections.get_mut(place) else { return };
            let id = c.id;
            if c.closing {
                return;
            }
            let failed = if c.connecting { Closed::Refused } else { Closed::Broken };
            let n = match c.read(&mut self.scratch) {
                Ok(0) => return self.io.close(id, Closed::ByPeer),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.io.close(id, failed),
            };
            c.active = self.io.now;
            let flow = c.flow;
            if let Some(frames) = &mut c.frames {
                frames.pinged = false;
                if c.unread.is_empty() {
                    c.began = self.io.now;
                }
                c.unread.extend_from_slice(self.scratch.get(..n).unwrap_or_default());
                self.cut_frames(handler, place);
                continue;
            }
            let plain = c.wire.is_plain();
            let scratch = std::mem::take(&mut self.scratch);
            let fresh = scratch.get(..n).unwrap_or_default();
            if c.unread.is_empty() {
                let used = self.cut(handler, &flow, fresh);
                if let Some(place) = self.io.place(id) {
                    let c = &mut self.io.connections[place];
                    c.unread.extend_from_slice(fresh.get(used..).unwrap_or_default());
                    c.began = self.io.now;
                }
            } else {
                let mut unread = std::mem::take(&mut c.unread);
                unread.extend_from_slice(fresh);
                let used = self.cut(handler, &flow, &unread);
                unread.drain(..used);
                if let Some(place) = self.io.place(id) {
                    let c = &mut self.io.connections[place];
                    c.unread = unread;
                    if used > 0 {
                        c.began = self.io.now;
                    }
                }
            }
            self.scratch = scratch;
            // A short read of a stream means that it is empty (epoll(7)): saves the call that says so.
            if plain && n < self.scratch.len() {
                return;
            }
        }
    }

    /// Hands over the whole messages of `bytes`; how much was used.
    fn cut<H: Handler<Mail = M>>(&mut self, handler: &mut H, flow: &Flow, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return used;
            }
            match Frame::next(rest, self.io.limits.message_size) {
                Frame::Message(n) => {
                    count_in(&self.io.counters.received, flow.transport);
                    handler.on_message(&mut self.io, flow, rest.get(..n).unwrap_or_default());
                    used += n;
                }
                Frame::Ping => {
                    count(&self.io.counters.keep_alives);
                    if let Some(place) = self.io.place(flow.connection) {
                        self.io.write(place, b"\r\n");
                    }
                    used += 4;
                }
                Frame::Skip(n) => used += n,
                Frame::Incomplete => return used,
                Frame::Broken(error, end) => {
                    handler.on_broken(&mut self.io, flow, rest.get(..end).unwrap_or_default(), error);
                    if let Some(place) = self.io.place(flow.connection) {
                        self.io.connections[place].closing = true;
                        self.io.write(place, b"");
                    }
                    return bytes.len();
                }
            }
        }
    }

    /// Hands over the messages in a WebSocket's frames.
    fn cut_frames<H: Handler<Mail = M>>(&mut self, handler: &mut H, place: usize) {
        let limit = self.io.limits.message_size;
        let Some(c) = self.io.connections.get_mut(place).filter(|c| !c.unread.is_empty()) else { return };
        if c.frames.is_none() {
            return;
        }
        let (id, flow) = (c.id, c.flow);
        let mut unread = std::mem::take(&mut c.unread);
        let mut used = 0;
        // A handler may close the connection, or fill its place anew.
        while let Some(c) = self.io.place(id).and_then(|place| self.io.connections.get_mut(place)) {
            let Some(frames) = c.frames.as_mut().filter(|_| !c.closing) else { break };
            let Some(rest) = unread.get_mut(used..).filter(|r| !r.is_empty()) else { break };
            let (item, length) = frames.next(rest, limit);
            let rest = unread.get(used..).unwrap_or_default();
            match item {
                Item::Incomplete => break,
                Item::Nothing => {}
                Item::Message(payload) => {
                    self.on_frame(handler, &flow, rest.get(payload).unwrap_or_default())
                }
                Item::Gathered => {
                    let message = frames.take();
                    self.on_frame(handler, &flow, &message);
                }
                Item::Ping(payload) => {
                    websocket::put_pong(rest.get(payload).unwrap_or_default(), &mut c.unsent);
                    count(&self.io.counters.keep_alives);
                    // Pongs for one who reads none of them are bounded like all else.
                    self.io.write(place, b"");
                }
                Item::Close(_) => self.end_frames(place, websocket::NORMAL),
                Item::Broken(code) => self.end_frames(place, code),
            }
            used += length;
            if let Some(c) = self.io.connections.get_mut(place) {
                c.began = self.io.now;
            }
        }
        if let Some(c) = self.io.place(id).and_then(|place| self.io.connections.get_mut(place)) {
            unread.drain(..used.min(unread.len()));
            c.unread = unread;
        }
    }

    /// One SIP message per WebSocket message (RFC 7118 §5.2), or a keep-alive of RFC 5626 §3.5.1.
    fn on_frame<H: Handler<Mail = M>>(&mut self, handler: &mut H, flow: &Flow, bytes: &[u8]) {
        count_in(&self.io.counters.received, flow.transport);
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            count(&self.io.counters.keep_alives);
            if let Some(place) = self.io.place(flow.connection).filter(|_| bytes == b"\r\n\r\n") {
                self.io.write(place, b"\r\n");
            }
            return;
        }
        handler.on_message(&mut self.io, flow, bytes);
    }

    /// Closes a WebSocket once all is written, RFC 6455 §7.1.
    fn end_frames(&mut self, place: usize, code: u16) {
        let Some(c) = self.io.connections.get_mut(place) else { return };
        websocket::put_close(code, &mut c.unsent);
        c.closing = true;
        self.io.mark_dirty(place);
    }

    /// Browsers send no keep-alives, and NATs forget: who is silent is pinged (RFC 6455 §5.5.2).
    fn ping_silent(&mut self) {
        let now = self.io.now;
        for place in 0..self.io.connections.capacity() {
            let Some(c) = self.io.connections.get_mut(place) else { continue };
            let Some(frames) = c.frames.as_mut().filter(|f| !f.pinged) else { continue };
            if now.saturating_sub(c.active) > SILENT {
                frames.pinged = true;
                websocket::put_ping(&mut c.unsent);
                self.io.mark_dirty(place);
            }
        }
    }

    fn close_idle(&mut self) {
        let now = self.io.now;
        let (idle, partial) =
            (self.io.limits.idle.as_millis() as u64, self.io.limits.partial.as_millis() as u64);
        let old: Vec<_> = self
            .io
            .connections
            .iter()
            .filter(|(_, c)| {
                let unfinished = c.connecting
                    || !c.unread.is_empty() && c.unread != b"\r\n"
                    || c.frames.as_ref().is_some_and(|f| f.is_partial());
                now.saturating_sub(c.active) > idle || unfinished && now.saturating_sub(c.began) > partial
            })
            .map(|(_, c)| (c.id, if c.connecting { Closed::Refused } else { Closed::Idle }))
            .collect();
        for (id, why) in old {
            self.io.close(id, why);
        }
    }
}

fn count_in(counters: &[AtomicU64; 5], transport: Transport) {
    if let Some(c) = counters.get(transport as usize) {
        count(c);
    }
}

/// A bound TCP socket.
pub(crate) fn listen(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let s = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        s.set_only_v6(true)?;
    }
    s.set_reuse_address(true)?;
    if shared {
        s.set_reuse_port(true)?;
    }
    s.set_nonblocking(true)?;
    s.bind(&address.into())?;
    s.listen(1024)?;
    Ok(TcpListener::from_std(s.into()))
}

/// Can this address be bound by us alone?
fn is_free(transport: Transport, address: SocketAddr) -> io::Result<()> {
    let kind = if transport == Transport::Udp { Type::DGRAM } else { Type::STREAM };
    let s = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        s.set_only_v6(true)?;
    }
    // Connections of an earlier run may still be winding down; a listener is what counts.
    s.set_reuse_address(transport != Transport::Udp)?;
    s.bind(&address.into())
}
