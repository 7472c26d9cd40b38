//! The loop of a shard.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;
use trunkline_descriptors::Taker;
use trunkline_sip::{ConnectionId, Flow, ParseError, Transport};

use crate::acceptor::{self, AcceptorEvent};
use crate::connection::Closed;
use crate::half_read::HalfRead;
use crate::io::{Alive, Counters, Egress, FIRST_CONNECTION, Io, count, unix_ms};
use crate::lateness::{self, Lateness};
use crate::listener::{ListenError, Listener, is_free, listen};
use crate::liveness::watch;
use crate::made::Made;
use crate::mailbox::{Inbox, Mail, Mailbox};
use crate::names::HostName;
use crate::per_source::PerSource;
use crate::source::Sources;
use crate::stun;
use crate::udp::{Receiver, Sender, UdpSocket, Undelivered, is_of_the_network, take_errors};
use crate::want;
use crate::wire::Wire;

/// Processes what a shard receives.
pub trait Handler {
    /// The messages that other parts of the process may post to it.
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

    /// A datagram could not be delivered: the network or the kernel says so. `quoted` is its beginning, or nothing.
    fn on_undelivered(&mut self, _: &mut Io<Self::Mail>, _to: SocketAddr, _quoted: &[u8]) {}

    /// A batch is done with: what the handler saves up for other shards is to be posted now.
    fn on_batch(&mut self, _: &mut Io<Self::Mail>) {}

    /// May a datagram be answered with so many bytes more than it has? Its source may be forged.
    fn may_answer(&mut self, _: &mut Io<Self::Mail>, _: &Flow, _beyond: usize) -> bool {
        true
    }

    /// Time has passed. Called at least every second.
    fn on_timer(&mut self, io: &mut Io<Self::Mail>);

    /// How many milliseconds may pass until [`Handler::on_timer`] is needed, at most `max`.
    fn sleep(&self, now: u64, max: u64) -> u64;
}

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// Bytes of a message.
    pub message_size: usize,
    /// Connections from one source (an IPv4 address, an IPv6 /64), per shard.
    pub per_address: u32,
    /// A connection on which nothing was heard for this long is closed.
    pub idle: Duration,
    /// A connection that began a handshake or a message has this long to end it, whatever comes in the meantime.
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
    /// The buffer into which streams are read.
    pub(crate) scratch: Vec<u8>,
    /// The shard's hands, given to its handler.
    pub io: Io<M>,
}

/// What the shard has to do.
#[derive(Default)]
struct Work {
    /// Of each socket for datagrams: was it not emptied? The poll is edge-triggered and will not report it again.
    unread: Vec<bool>,
    /// Is there mail?
    mail: bool,
    /// Were streams read in this pass?
    streamed: bool,
    undelivered: Vec<Undelivered>,
}

impl Work {
    fn has_unread(&self) -> bool {
        self.unread.contains(&true)
    }
}

/// The state of the mailbox after its turn.
enum Post {
    Empty,
    More,
    Stop,
}

const WAKER: Token = Token(0);
const FIRST_UDP: usize = 1;
const FIRST_TCP: usize = 1 << 12;
/// After a batch of fewer the socket is not asked again at once: that costs a call, and on a busy shard finds more.
const FEW: usize = 4;
/// Batches taken from one socket, and milliseconds spent on it, before others have their turn.
const TURNS: usize = 16;
const TURN: u64 = 5;
/// Bytes read from one connection before others have their turn.
pub(crate) const SHARE: usize = 16_384;
/// Pieces of mail taken before others have their turn.
const MAILS: usize = 32;
/// The longest a shard sleeps.
const NAP: u64 = 1_000;

impl<M: Send> Shard<M> {
    /// Binds those of the listeners that are UDP or TCP; the others are an [`crate::Acceptor`]'s. `shared` lets several
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
        for &Listener { transport, address } in
            listeners.iter().filter(|l| !acceptor::listens_for(l.transport))
        {
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
            lateness: Lateness::default(),
            half_read: HalfRead::default(),
            started: Instant::now(),
            unix_at_start: unix_ms(),
            shard: number,
            registry,
            udp,
            sender: Sender::new(),
            sources: Sources::default(),
            connections: Slab::new(),
            by_remote: HashMap::default(),
            per_source: PerSource::default(),
            made: Made::default(),
            dirty: Vec::new(),
            ended: Vec::new(),
            serial: first_serial(),
            limits,
            mailboxes: None,
            dialer: None,
            alive: Alive::default(),
            counters: Arc::new(Counters::default()),
            tap: Arc::default(),
            because: None,
        };
        Ok(Shard { poll, inbox, mailbox, tcp, receiver: Receiver::new(), scratch: vec![0; SHARE], io })
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
        let mut work = Work { unread: vec![false; self.io.udp.len()], ..Work::default() };
        let mut swept = 0;
        loop {
            let busy = work.has_unread() || work.mail || !self.io.half_read.is_empty();
            let sleep = if busy { 0 } else { handler.sleep(self.io.now, NAP) };
            let asleep = self.io.now;
            match self.poll.poll(&mut events, Some(Duration::from_millis(sleep))) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.io.update_clock();
            let began = self.io.now;
            if sleep > 0 && began > asleep {
                // It waited for something to come.
                self.io.lateness.emptied(began);
            }
            let end = began + TURN;
            work.streamed = self.read_on(handler, end);
            for event in &events {
                self.on_event(handler, event, end, &mut work);
            }
            if work.mail {
                match self.read_mail(handler) {
                    Post::Empty => work.mail = false,
                    Post::More => {}
                    Post::Stop => {
                        handler.on_batch(&mut self.io);
                        self.io.flush();
                        return Ok(());
                    }
                }
            }
            for (i, unread) in work.unread.iter_mut().enumerate() {
                *unread = *unread && !self.read_udp(handler, i);
            }
            self.note_lateness(began, &work);
            handler.on_timer(&mut self.io);
            handler.on_batch(&mut self.io);
            self.io.flush();
            if self.io.now >= swept + NAP {
                swept = self.io.now;
                self.sweep();
            }
            work.undelivered.append(&mut self.io.sender.refused);
            for Undelivered { to, bytes } in work.undelivered.drain(..) {
                handler.on_undelivered(&mut self.io, to, &bytes);
            }
            self.io.flush();
            while let Some((id, why)) = self.io.ended.pop() {
                handler.on_closed(&mut self.io, id, why);
                self.io.flush();
            }
        }
    }

    /// What the poll reports: streams are read at once, in the next pass after `end`, sockets and mail in their turn.
    fn on_event<H: Handler<Mail = M>>(&mut self, handler: &mut H, event: &Event, end: u64, work: &mut Work) {
        match event.token().0 {
            0 => work.mail = true,
            n if n >= FIRST_CONNECTION => {
                let place = n - FIRST_CONNECTION;
                if event.is_writable() {
                    self.on_writable(place);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    work.streamed = true;
                    self.io.update_clock();
                    let waits = self.io.connections.get(place).is_some_and(|c| c.half_read);
                    match waits || self.io.now > end {
                        true => self.read_later(place),
                        false => self.read_stream(handler, place),
                    }
                }
            }
            n if n >= FIRST_TCP => self.accept(n - FIRST_TCP),
            n => {
                if let Some(unread) = work.unread.get_mut(n - FIRST_UDP) {
                    *unread = true;
                }
                if let Some(socket) = self.io.udp.get(n - FIRST_UDP).filter(|_| event.is_error()) {
                    take_errors(socket, &mut work.undelivered);
                }
            }
        }
    }

    /// Notes how late the shard is after a pass that began then: connections wait for all that is read before them.
    fn note_lateness(&mut self, began: u64, work: &Work) {
        let mut pass = 0;
        if work.streamed {
            self.io.update_clock();
            pass = (self.io.now - began).max(self.io.half_read.waits(self.io.now));
        }
        let now = self.io.now;
        let emptied = !work.has_unread() && !work.mail && self.io.half_read.is_empty();
        if emptied && pass <= lateness::PATIENCE {
            self.io.lateness.emptied(now);
        } else {
            let buffers = self.io.udp.iter().filter_map(UdpSocket::buffer);
            self.io.lateness.left(now, pass, buffers, self.inbox.waiting());
        }
    }

    /// What is done now and then: connections that nothing comes from, and those that wait to be accepted.
    fn sweep(&mut self) {
        self.close_idle();
        self.ping_silent();
        for i in 0..self.tcp.len() {
            self.accept(i);
        }
    }

    /// Takes mail, as much as is due before sockets and timers have their turn: other shards may post without end.
    fn read_mail<H: Handler<Mail = M>>(&mut self, handler: &mut H) -> Post {
        self.inbox.rearm();
        for _ in 0..MAILS {
            let Some(mail) = self.inbox.take() else { return Post::Empty };
            self.io.lateness.took();
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
                Mail::Acceptor(mail) => {
                    let place = match mail.0 {
                        AcceptorEvent::Accepted(accepted) => self.io.take_over(accepted),
                        AcceptorEvent::Connected(id, wire) => self.io.connected(id, wire),
                        AcceptorEvent::Failed(id, why) => {
                            self.io.close(id, why);
                            None
                        }
                    };
                    // The poll does not report what the acceptor read along with the handshake.
                    if let Some(place) = place {
                        self.cut_frames(handler, place);
                        self.read_stream(handler, place);
                    }
                }
                Mail::Keep(id, until) => self.io.keep(id, until),
                Mail::Close(id) => self.io.close(id, Closed::ByUs),
                Mail::Stop => return Post::Stop,
            }
        }
        Post::More
    }

    /// Takes datagrams; `true` when there are no more, `false` when its turns ran out first.
    fn read_udp<H: Handler<Mail = M>>(&mut self, handler: &mut H, i: usize) -> bool {
        let (mut heard, mut reported) = (false, false);
        let end = self.io.now + TURN;
        for _ in 0..TURNS {
            if heard && self.io.now > end {
                return false;
            }
            let Some(socket) = self.io.udp.get(i) else { return true };
            let n = match self.receiver.receive(socket) {
                Ok(n) => n,
                // It belongs to an earlier datagram of ours (ICMP), and is reported once; the socket goes on.
                Err(error) => {
                    reported = is_of_the_network(&error);
                    continue;
                }
            };
            (heard, reported) = (true, false);
            if n == 0 {
                return true;
            }
            self.io.lateness.read(n, self.receiver.bytes(n));
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
                    let beyond = answer.bytes().len().saturating_sub(bytes.len());
                    if !handler.may_answer(&mut self.io, &flow, beyond) {
                        continue;
                    }
                    self.io.send(&Egress::back(&flow), answer.bytes());
                    continue;
                }
                self.io.trace_received(&flow, bytes);
                handler.on_message(&mut self.io, &flow, bytes);
            }
            handler.on_batch(&mut self.io);
            self.io.flush();
            if n < FEW {
                // It was empty, and little is going on. What has come since is a new edge, which the poll reports.
                return true;
            }
        }
        // One that only errs is left alone until it has something. Behind reports of the network there may be datagrams, of which
        // the poll tells nothing more.
        !heard && !reported
    }

    fn accept(&mut self, i: usize) {
        loop {
            let Some((listener, local)) = self.tcp.get(i) else { return };
            let local = *local;
            match listener.accept() {
                Ok((stream, remote)) => {
                    if !want::admits(&stream, Taker::Accepted) {
                        count(&self.io.counters.refused);
                        continue;
                    }
                    if !self.io.admits(remote.ip()) {
                        continue;
                    }
                    watch(&stream);
                    self.io.adopt(Wire::Tcp(stream), Transport::Tcp, local, remote, HostName::NONE, 0);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    // The poll does not report those that wait again: they are accepted with the next sweep.
                    want::say(&e);
                    return;
                }
            }
        }
    }
}

/// Where the numbers of connections begin. Route marks name connections and outlive the process: what an earlier one
/// called by a number must not be somebody else's now.
fn first_serial() -> u64 {
    unix_ms()
}

pub(crate) fn count_in(counters: &[AtomicU64; 5], transport: Transport) {
    if let Some(c) = counters.get(transport as usize) {
        count(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_not_numbered_anew_by_the_next_process() {
        let serial = || Shard::<()>::bind(0, &[], StreamLimits::default(), false).unwrap().io.serial;
        let first = serial();
        while unix_ms() <= first {
            std::thread::yield_now();
        }
        assert!(serial() > first);
    }
}
