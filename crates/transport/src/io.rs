//! The operations of a handler: send, connect, close, read the clock.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hashbrown::{HashMap, HashSet};
use mio::{Registry, Token};
use slab::Slab;
use trunkline_descriptors::Taker;
use trunkline_sip::{ConnectionId, Flow, Transport};
use trunkline_trace::Tap;

use crate::acceptor::{AcceptedConnection, Dialer};
use crate::connection::{Closed, Connection};
use crate::half_read::HalfRead;
use crate::lateness::{Late, Lateness};
use crate::liveness::watch;
use crate::made::Made;
use crate::mailbox::{Mail, Mailboxes};
use crate::names::HostName;
use crate::per_source::PerSource;
use crate::shard::StreamLimits;
use crate::source::Sources;
use crate::trace::Because;
use crate::udp::{Drops, Sender, UdpSocket};
use crate::want;
use crate::websocket::{self, WebSocket};
use crate::wire::Wire;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// The transport.
    pub transport: Transport,
    /// UDP: the address of ours to send from; an unspecified host or port 0 leaves the choice to us.
    pub local: SocketAddr,
    /// To whom.
    pub remote: SocketAddr,
    /// Streams: this connection and no other, or [`ConnectionId::NONE`] for one that we made, or make, to `remote`.
    pub connection: ConnectionId,
    /// TLS connections that we make: whose certificate the other side must show.
    pub name: HostName,
    /// Streams: the number of the party that asks for a connection to there; 0: the operator.
    pub asker: u32,
}

impl Egress {
    /// Back the way a message came.
    pub fn back(flow: &Flow) -> Egress {
        Egress {
            transport: flow.transport,
            local: flow.local,
            remote: flow.remote,
            connection: flow.connection,
            name: HostName::NONE,
            asker: 0,
        }
    }

    /// To an address, from where we like.
    pub fn to(transport: Transport, remote: SocketAddr) -> Egress {
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Egress { transport, local, remote, connection: ConnectionId::NONE, name: HostName::NONE, asker: 0 }
    }
}

/// The result of [`Io::send`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way; on a stream over this connection, whose end will be told to the handler.
    Via(ConnectionId),
    /// There is no socket, no connection, or no way to make one.
    NoWay,
}

/// Counters of the transport, one set per shard.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages received and sent, per transport.
    pub received: [AtomicU64; 5],
    /// Messages sent, per transport.
    pub sent: [AtomicU64; 5],
    /// Datagrams the kernel refused.
    pub lost: AtomicU64,
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused by the limit per source, or for want of descriptors.
    pub refused: AtomicU64,
    /// Connections made by us.
    pub connected: AtomicU64,
    /// Connections that ended.
    pub closed: AtomicU64,
    /// Connections that did not get past their handshake or HTTP request.
    pub unfinished: AtomicU64,
    /// Keep-alives.
    pub keep_alives: AtomicU64,
}

/// Counts without a locked instruction: every counter has one writer, its shard.
pub(crate) fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// The connections that live, of all shards: written when one comes or goes, asked only for those of another
/// shard.
pub type Alive = Arc<Mutex<HashSet<ConnectionId, foldhash::fast::RandomState>>>;

/// A shard's sockets, connections and clock.
pub struct Io<M> {
    pub(crate) now: u64,
    pub(crate) lateness: Lateness,
    pub(crate) started: Instant,
    pub(crate) unix_at_start: u64,
    pub(crate) shard: usize,
    pub(crate) registry: Registry,
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) sender: Sender,
    pub(crate) sources: Sources,
    pub(crate) connections: Slab<Connection>,
    /// The connections that we made.
    pub(crate) by_remote:
        HashMap<(Transport, SocketAddr, HostName), ConnectionId, foldhash::fast::RandomState>,
    pub(crate) per_source: PerSource,
    pub(crate) made: Made,
    pub(crate) dirty: Vec<usize>,
    pub(crate) half_read: HalfRead,
    pub(crate) ended: Vec<(ConnectionId, Closed)>,
    pub(crate) serial: u64,
    pub(crate) limits: StreamLimits,
    pub(crate) mailboxes: Option<Mailboxes<M>>,
    pub(crate) dialer: Option<Dialer>,
    pub(crate) alive: Alive,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) because: Option<Because>,
}

/// Below this the bits of a connection's number are its place in the slab.
const PLACE_BITS: u32 = 20;
/// Tokens of connections begin here; below are listeners and the waker.
pub(crate) const FIRST_CONNECTION: usize = 1 << 16;

impl<M> Io<M> {
    /// Milliseconds since the shard was made, as of the current batch.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Milliseconds since 1970, as of the current batch.
    pub fn unix_ms(&self) -> u64 {
        self.unix_at_start + self.now
    }

    /// Moves the shard's clock forward, so that a test need not wait for what time does.
    pub fn advance(&mut self, ms: u64) {
        self.lateness.advance(ms);
        if let Some(earlier) = self.started.checked_sub(std::time::Duration::from_millis(ms)) {
            self.started = earlier;
            self.unix_at_start = self.unix_at_start.saturating_sub(ms);
        }
        self.update_clock();
    }

    /// This shard's number.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The counters of this shard.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn update_clock(&mut self) {
        self.now = self.started.elapsed().as_millis() as u64;
    }

    /// Lets shards write to each other and know of each other's connections.
    pub fn introduce(&mut self, mailboxes: Mailboxes<M>, alive: Alive) {
        self.mailboxes = Some(mailboxes);
        self.alive = alive;
    }

    /// Lets the shard make TLS connections.
    pub fn set_dialer(&mut self, dialer: Dialer) {
        self.dialer = Some(dialer);
    }

    /// Gives mail to another shard (or this one); `false` when it has ended.
    pub fn post(&self, shard: usize, mail: Mail<M>) -> bool {
        self.mailboxes.as_ref().and_then(|m| m.get(shard)).is_some_and(|m| m.post(mail))
    }

    /// Does this connection live, on whatever shard?
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        if connection.shard() == self.shard {
            return self.place(connection).is_some();
        }
        self.alive.lock().is_ok_and(|alive| alive.contains(&connection))
    }

    /// How late what comes is read.
    pub fn late(&self) -> Late {
        self.lateness.late()
    }

    /// Has the kernel drop this of what comes over UDP from now on; false where it does not, for want of memory or of such filters.
    pub fn set_drops(&mut self, drops: Drops<'_>) -> bool {
        let refused = self.udp.iter().filter(|socket| socket.set_drops(drops).is_err()).count();
        refused == 0
    }

    /// Keeps a connection, on whatever shard, open until then (in milliseconds since 1970), though nothing comes by it.
    pub fn keep(&mut self, id: ConnectionId, until: u64) {
        if id != ConnectionId::NONE && id.shard() != self.shard {
            self.post(id.shard(), Mail::Keep(id, until));
        } else if let Some(c) = self.place(id).and_then(|place| self.connections.get_mut(place)) {
            c.kept_until = c.kept_until.max(until);
        }
    }

    /// The connection's place, if it lives.
    pub(crate) fn place(&self, id: ConnectionId) -> Option<usize> {
        let place = (id.0 & ((1 << PLACE_BITS) - 1)) as usize;
        self.connections.get(place).filter(|c| c.id == id && id != ConnectionId::NONE).map(|_| place)
    }

    pub(crate) fn connect(&mut self, egress: &Egress) -> Option<usize> {
        if !self.made.admits(egress, self.limits.per_address) {
            count(&self.counters.refused);
            return None;
        }
        let wire = match egress.transport {
            Transport::Tcp => {
                let stream = mio::net::TcpStream::connect(egress.remote).ok()?;
                if !want::admits(&stream, Taker::Made) {
                    return None;
                }
                watch(&stream);
                Wire::Tcp(stream)
            }
            Transport::Tls => Wire::Pending,
            // A WebSocket client can never be connected to (RFC 7118 §5).
            Transport::Udp | Transport::Ws | Transport::Wss => return None,
        };
        let dialer = if matches!(wire, Wire::Pending) { Some(self.dialer.clone()?) } else { None };
        count(&self.counters.connected);
        let place = self.adopt(
            wire,
            egress.transport,
            egress.local,
            egress.remote,
            egress.name,
            ConnectionId::OPENED,
        )?;
        self.made.enter(egress);
        if let Some(c) = self.connections.get_mut(place) {
            c.asker = egress.asker;
        }
        if let (Some(dialer), Some(c)) = (dialer, self.connections.get(place))
            && !dialer.dial(c.id, egress.remote, egress.name)
        {
            let id = c.id;
            self.close(id, Closed::Refused);
            return None;
        }
        Some(place)
    }

    /// Takes a connection in. `kind`: what its number says beside, [`ConnectionId::OPENED`] or
    /// [`ConnectionId::FOREIGN_PAGE`].
    pub(crate) fn adopt(
        &mut self,
        mut wire: Wire,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        name: HostName,
        kind: u64,
    ) -> Option<usize> {
        let accepted = kind & ConnectionId::OPENED == 0;
        let place = self.connections.vacant_key();
        if place >> PLACE_BITS != 0 {
            return None;
        }
        self.serial += 1;
        // 0 is no connection.
        let serial = (self.serial & 0x7ff_ffff).max(1);
        let id = ConnectionId((self.shard as u64) << 48 | kind | serial << PLACE_BITS | place as u64);
        let local = wire.socket().and_then(|s| s.local_addr().ok()).unwrap_or(local);
        let flow = Flow { transport, local, remote, connection: id };
        wire.register(&self.registry, Token(FIRST_CONNECTION + place)).ok()?;
        let nameless = name.nameless();
        self.connections.insert(Connection {
            id,
            wire,
            frames: transport.is_websocket().then(|| Box::new(WebSocket::default())),
            names: [name, nameless],
            asker: 0,
            flow,
            unread: Vec::new(),
            unsent: Vec::new(),
            connecting: !accepted,
            closing: false,
            dirty: false,
            half_read: false,
            accepted,
            senders: 0,
            spoke: !accepted,
            active: self.now,
            began: self.now,
            kept_until: 0,
            taken: self.now,
        });
        // An accepted connection belongs to its client: only a flow with its number uses it, not a Contact that gives
        // the address of its far end (RFC 5923 §8).
        if !accepted {
            self.by_remote.insert((transport, remote, name), id);
        }
        if !accepted && name != nameless {
            // A server that proved its name at an address is also reached by the address: gateways write it into
            // their Contact, and their certificate seldom holds it (RFC 5923 §5 reuses in the same way).
            self.by_remote.entry((transport, remote, nameless)).or_insert(id);
        }
        if let Ok(mut alive) = self.alive.lock() {
            alive.insert(id);
        }
        if accepted {
            self.per_source.enter(remote.ip());
        }
        Some(place)
    }

    /// May one more connection come from the source of this address?
    pub(crate) fn admits(&self, remote: IpAddr) -> bool {
        let admitted = self.per_source.count(remote) < self.limits.per_address;
        count(if admitted { &self.counters.accepted } else { &self.counters.refused });
        admitted
    }

    /// Takes over a connection that the acceptor accepted.
    pub(crate) fn take_over(&mut self, accepted: AcceptedConnection) -> Option<usize> {
        let AcceptedConnection { wire, transport, local, remote, foreign_page, unread, unsent } = accepted;
        if !self.admits(remote.ip()) {
            return None;
        }
        let kind = if foreign_page { ConnectionId::FOREIGN_PAGE } else { 0 };
        let place = self.adopt(wire, transport, local, remote, HostName::NONE, kind)?;
        let c = self.connections.get_mut(place)?;
        (c.unread, c.unsent) = (unread, unsent);
        self.mark_dirty(place);
        Some(place)
    }

    /// Takes over the TLS connection that this shard asked for.
    pub(crate) fn connected(&mut self, id: ConnectionId, mut wire: Wire) -> Option<usize> {
        let place = self.place(id)?;
        let registered = wire.register(&self.registry, Token(FIRST_CONNECTION + place));
        let c = self.connections.get_mut(place)?;
        if let Some(local) = wire.socket().and_then(|s| s.local_addr().ok()) {
            c.flow.local = local;
        }
        (c.wire, c.connecting, c.active) = (wire, false, self.now);
        if registered.is_err() {
            self.close(id, Closed::Broken);
            return None;
        }
        self.mark_dirty(place);
        Some(place)
    }

    /// Will write to this connection at the end of the batch.
    pub(crate) fn mark_dirty(&mut self, place: usize) {
        if let Some(c) = self.connections.get_mut(place)
            && !c.dirty
            && !c.connecting
        {
            c.dirty = true;
            self.dirty.push(place);
        }
    }

    /// Closes a connection and notifies the handler after the batch.
    pub fn close(&mut self, id: ConnectionId, why: Closed) {
        let Some(place) = self.place(id) else { return };
        let mut c = self.connections.remove(place);
        if c.frames.is_some() && !matches!(why, Closed::ByPeer | Closed::Broken | Closed::Slow) && !c.closing
        {
            websocket::put_close(websocket::GOING_AWAY, &mut c.unsent);
            let _ = c.write(self.now);
        }
        c.wire.deregister(&self.registry);
        c.wire.finish();
        if let Ok(mut alive) = self.alive.lock() {
            alive.remove(&id);
        }
        for name in c.names {
            let key = (c.flow.transport, c.flow.remote, name);
            if self.by_remote.get(&key) == Some(&id) {
                self.by_remote.remove(&key);
            }
        }
        match c.accepted {
            true => self.per_source.leave(c.flow.remote.ip()),
            false => self.made.leave(c.flow.remote.ip(), c.asker),
        }
        if c.senders != 0 {
            let shards = self.mailboxes.as_ref().map_or(0, |m| m.len());
            for shard in (0..shards).filter(|s| *s != self.shard && c.was_sent_by(*s)) {
                self.post(shard, Mail::Closed(id, why));
            }
        }
        count(&self.counters.closed);
        self.ended.push((id, why));
    }

    pub(crate) fn flush_udp(&mut self) {
        let lost = self.sender.flush(&self.udp);
        if lost > 0 {
            self.counters.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// Sends all that is waiting.
    pub(crate) fn flush(&mut self) {
        self.flush_udp();
        while let Some(place) = self.dirty.pop() {
            let Some(c) = self.connections.get_mut(place) else { continue };
            c.dirty = false;
            let (id, result) = (c.id, c.write(self.now));
            let done = c.closing && c.unsent.is_empty() && !c.wire.holds_back();
            if result.is_err() {
                self.close(id, Closed::Broken);
            } else if done {
                self.close(id, Closed::Garbage);
            }
        }
    }
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_millis() as u64).unwrap_or(0)
}
