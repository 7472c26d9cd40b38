//! The thread that talks to rtpengine. Callers do not wait: a command goes into a bounded queue, its outcome
//! to a callback.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::command::Command;
use crate::error::MediaError;
use crate::ng::{Asker, MOST_WAITING, Ng, Outcome};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
/// Between two questions whether the relay lives, in milliseconds.
const PING_EVERY: u64 = 10_000;
/// Datagrams read before others get their turn.
const BATCH: usize = 256;

/// How the relay does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayHealth {
    /// The last command was answered, whatever the answer.
    pub up: bool,
    /// Commands answered.
    pub answered: u64,
    /// Commands that rtpengine refused.
    pub refused: u64,
    /// Commands without an answer.
    pub timeouts: u64,
}

#[derive(Default)]
struct Counts {
    up: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
    timeouts: AtomicU64,
}

/// The way to one rtpengine. Dropping it ends the thread; what waits gets [`MediaError::Ended`].
pub struct Relay {
    commands: Option<SyncSender<(Command, Asker)>>,
    waker: Arc<Waker>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the thread. `deliver` gets each ticket's outcome, on that thread: it hands it on and does not wait.
    /// rtpengine need not run yet.
    pub fn start(
        rtpengine: SocketAddr,
        deliver: impl Fn(u64, Result<Vec<u8>, MediaError>) + Send + 'static,
    ) -> Result<Relay, MediaError> {
        let failed = |e: std::io::Error| MediaError::Socket(rtpengine, e.to_string());
        let local: SocketAddr = match rtpengine {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let mut socket = UdpSocket::bind(local).map_err(failed)?;
        // Connected: nobody else's datagrams come in.
        socket.connect(rtpengine).map_err(failed)?;
        let poll = Poll::new().map_err(failed)?;
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE).map_err(failed)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(failed)?);
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|e| MediaError::Socket(rtpengine, e.to_string()))?;
        let (commands, todo) = sync_channel(MOST_WAITING);
        let counts = Arc::new(Counts::default());
        let driver = Driver {
            ng: Ng::new(u64::from_be_bytes(random)),
            socket,
            started: Instant::now(),
            counts: counts.clone(),
            deliver,
        };
        let thread = std::thread::Builder::new()
            .name("media-relay".into())
            .spawn(move || driver.run(poll, &todo))
            .map_err(failed)?;
        Ok(Relay { commands: Some(commands), waker, counts, thread: Some(thread) })
    }

    /// Asks; the outcome of `ticket` comes to the callback once, unless this fails.
    pub fn request(&self, command: Command, ticket: u64) -> Result<(), MediaError> {
        self.post(command, Asker::Ticket(ticket))
    }

    /// Tells: repeated until it is answered, and nobody waits. For deletes.
    pub fn tell(&self, command: Command) -> Result<(), MediaError> {
        self.post(command, Asker::Nobody)
    }

    /// How it does.
    pub fn health(&self) -> RelayHealth {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        RelayHealth {
            up: self.counts.up.load(Ordering::Relaxed),
            answered: get(&self.counts.answered),
            refused: get(&self.counts.refused),
            timeouts: get(&self.counts.timeouts),
        }
    }

    fn post(&self, command: Command, asker: Asker) -> Result<(), MediaError> {
        let commands = self.commands.as_ref().ok_or(MediaError::Ended)?;
        commands.try_send((command, asker)).map_err(|e| match e {
            TrySendError::Full(_) => MediaError::Busy(MOST_WAITING),
            TrySendError::Disconnected(_) => MediaError::Ended,
        })?;
        // The eventfd's counter cannot overflow by hand; a failed wake delays to the next ping.
        let _ = self.waker.wake();
        Ok(())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the media relay's thread panicked");
        }
    }
}

struct Driver<F> {
    ng: Ng,
    socket: UdpSocket,
    started: Instant,
    counts: Arc<Counts>,
    deliver: F,
}

impl<F: Fn(u64, Result<Vec<u8>, MediaError>)> Driver<F> {
    fn run(mut self, mut poll: Poll, todo: &Receiver<(Command, Asker)>) {
        let mut events = Events::with_capacity(8);
        let mut buffer = vec![0u8; 65_536];
        let mut ping_at = 0;
        loop {
            let now = self.now();
            if now >= ping_at {
                self.begin(&Command::Ping, Asker::Ping, now);
                ping_at = now + PING_EVERY;
            }
            // What has come is no timeout, however late this thread could look at it.
            while self.read(&mut buffer) == BATCH {}
            self.pass_time(now);
            let next = self.ng.deadline().map_or(ping_at, |at| at.min(ping_at));
            let pause = Duration::from_millis(next.saturating_sub(self.now()));
            if let Err(error) = poll.poll(&mut events, Some(pause))
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "the media relay cannot wait for its socket");
                break;
            }
            // Edge-triggered: read until there is nothing left.
            while self.read(&mut buffer) == BATCH {}
            if !self.take(todo) {
                break;
            }
        }
        let (deliver, counts) = (&self.deliver, &self.counts);
        self.ng.give_up(&MediaError::Ended, |outcome| settle(counts, deliver, outcome));
        while let Ok((_, asker)) = todo.try_recv() {
            settle(counts, deliver, (asker, Err(MediaError::Ended)));
        }
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Takes new commands; `false` when there will be no more.
    fn take(&mut self, todo: &Receiver<(Command, Asker)>) -> bool {
        loop {
            match todo.try_recv() {
                Ok((command, asker)) => {
                    let now = self.now();
                    self.begin(&command, asker, now);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn begin(&mut self, command: &Command, asker: Asker, now: u64) {
        match self.ng.request(command, asker, now) {
            // A refused datagram is repeated like a lost one.
            Ok(b"") => {}
            Ok(datagram) => drop(self.socket.send(datagram)),
            Err(error) => settle(&self.counts, &self.deliver, (asker, Err(error))),
        }
    }

    fn pass_time(&mut self, now: u64) {
        let (socket, deliver, counts) = (&self.socket, &self.deliver, &self.counts);
        self.ng.on_deadline(
            now,
            |datagram| drop(socket.send(datagram)),
            |outcome| settle(counts, deliver, outcome),
        );
    }

    /// Reads up to a batch; how many were read.
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let now = self.now();
        for read in 0..BATCH {
            match self.socket.recv(buffer) {
                Ok(length) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    let socket = &self.socket;
                    let send = |next: &[u8]| drop(socket.send(next));
                    if let Some(outcome) = self.ng.on_datagram(datagram, now, send) {
                        settle(&self.counts, &self.deliver, outcome);
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return read,
                // An ICMP error of an earlier datagram: nobody listens there, yet.
                Err(_) => {}
            }
        }
        BATCH
    }
}

/// Counts an outcome and gives it to who asked.
fn settle(counts: &Counts, deliver: &impl Fn(u64, Result<Vec<u8>, MediaError>), (asker, result): Outcome) {
    let up = match &result {
        Ok(_) | Err(MediaError::NoSdp) => Some((true, &counts.answered)),
        Err(MediaError::Refused(_) | MediaError::LoadLimit(_)) => Some((true, &counts.refused)),
        Err(MediaError::Timeout(_)) => Some((false, &counts.timeouts)),
        Err(MediaError::Busy(_) | MediaError::TooLarge(_) | MediaError::Socket(..) | MediaError::Ended) => {
            None
        }
    };
    if let Some((up, counter)) = up {
        counter.fetch_add(1, Ordering::Relaxed);
        if counts.up.swap(up, Ordering::Relaxed) != up {
            tracing::warn!(up, "rtpengine changed its state");
        }
    }
    match (asker, result) {
        (Asker::Ticket(ticket), result) => deliver(ticket, result),
        (Asker::Nobody, Err(error)) => tracing::debug!(%error, "rtpengine did not take a command"),
        (Asker::Nobody | Asker::Ping, _) => {}
    }
}
