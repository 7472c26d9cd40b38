//! The proxy's own connection to NATS: requests come in, answers and events go out.
//!
//! A message is handed to whoever subscribed where it is read, without a task or a queue in between, and all
//! that is published meanwhile is written at once. Everything that is rare, such as announcements and the
//! stream, is left to the library.

mod connection;
mod login;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use login::ServerInfo;
use wire::{write_message, write_subscribe, write_unsubscribe};

pub(crate) use connection::{Servers, keep};
pub(crate) use login::Login;
pub(crate) use wire::{Headers, Message};

/// Bytes of messages that may wait for the socket; whoever publishes beyond waits, too.
const WAITING: usize = 4 << 20;

/// The bytes of a message unless the server says otherwise.
const MAX_PAYLOAD: usize = 1 << 20;

/// Takes the messages of a subscription, where they are read: it must not block.
type Take = dyn Fn(Message) + Send + Sync;

/// A message that NATS would not carry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has {0} bytes; NATS carries {1}")]
pub(crate) struct TooLong(usize, usize);

/// The connection, which may be away: what is published then is sent when it is back, as far as there is room.
pub(crate) struct Bus {
    state: Mutex<BusState>,
    /// There is room for messages again.
    room: Notify,
    max_payload: AtomicUsize,
    /// Whether the server takes headers.
    headers: AtomicBool,
    /// Counts how often a server was reached.
    reached: watch::Sender<u64>,
}

#[derive(Default)]
struct BusState {
    connected: bool,
    /// Whole messages that wait for the socket.
    messages: Vec<u8>,
    /// Subscriptions and pings that do; they end with the connection.
    control: Vec<u8>,
    /// Wakes the connection when it sleeps.
    waker: Option<Waker>,
    subscriptions: BTreeMap<u64, Subscription>,
    last: u64,
    /// The pings that the server has not answered.
    pings: VecDeque<Ping>,
}

struct Subscription {
    subject: String,
    queue: Option<&'static str>,
    take: Arc<Take>,
}

/// What follows when the server answers a ping: it has done everything that was sent to it before, and what it
/// sent before is here.
#[derive(Default)]
struct Ping {
    ended: Vec<u64>,
    done: Option<oneshot::Sender<()>>,
}

impl BusState {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn ping(&mut self, ping: Ping) {
        self.control.extend_from_slice(b"PING\r\n");
        self.pings.push_back(ping);
        self.wake();
    }

    fn answered(&mut self, ping: Ping) {
        for sid in ping.ended {
            self.subscriptions.remove(&sid);
        }
        if let Some(done) = ping.done {
            // Whoever asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}

impl Bus {
    pub(crate) fn new() -> Self {
        Bus {
            state: Mutex::default(),
            room: Notify::new(),
            max_payload: AtomicUsize::new(MAX_PAYLOAD),
            headers: AtomicBool::new(true),
            reached: watch::Sender::new(0),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.lock().connected
    }

    /// Changes each time a server was reached.
    pub(crate) fn reached(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// The longest message that the server takes.
    pub(crate) fn max_payload(&self) -> usize {
        self.max_payload.load(Ordering::Relaxed)
    }

    /// Subscribes now and after each loss of the connection, until [`Self::leave`].
    pub(crate) fn subscribe(
        &self,
        subject: String,
        queue: Option<&'static str>,
        take: impl Fn(Message) + Send + Sync + 'static,
    ) -> u64 {
        let mut state = self.state.lock();
        state.last += 1;
        let sid = state.last;
        if state.connected {
            write_subscribe(&mut state.control, &subject, queue, sid);
            state.wake();
        }
        state.subscriptions.insert(sid, Subscription { subject, queue, take: Arc::new(take) });
        sid
    }

    /// Ends subscriptions, all with one write, so that nothing comes for one of them when the others are left.
    /// What this returns is ready when everything that the server had sent for them is taken.
    pub(crate) fn leave(&self, sids: Vec<u64>) -> impl Future<Output = ()> + Send + use<> {
        let (done, left) = oneshot::channel();
        {
            let state = &mut *self.state.lock();
            if state.connected {
                sids.iter().for_each(|sid| write_unsubscribe(&mut state.control, *sid));
            }
            // Until then they stay: what the server sent before may still come.
            let ping = Ping { ended: sids, done: Some(done) };
            // Without a connection there is nothing to leave.
            if state.connected { state.ping(ping) } else { state.answered(ping) }
        }
        async move {
            // The loss of the connection is an end, too.
            let _ = left.await;
        }
    }

    /// Waits until the server has done everything that was sent to it so far, or is lost.
    pub(crate) async fn flush(&self) {
        self.leave(Vec::new()).await;
    }

    /// Hands a message over; waits while too many wait for the socket.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        headers: Option<&Headers>,
        body: &[u8],
    ) -> Result<(), TooLong> {
        let headers = headers.filter(|_| self.headers.load(Ordering::Relaxed));
        let (size, limit) = (body.len() + headers.map_or(0, Headers::len), self.max_payload());
        if size > limit {
            return Err(TooLong(size, limit));
        }
        let write = || {
            let state = &mut *self.state.lock();
            let room = state.messages.len() < WAITING;
            if room {
                write_message(&mut state.messages, subject, headers, body);
                state.wake();
            }
            room
        };
        while !write() {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            // It may have come in between.
            if write() {
                break;
            }
            room.await;
        }
        Ok(())
    }

    /// The server knows us: it gets every subscription before anything else.
    fn established(&self, info: &ServerInfo) {
        self.learn(info);
        {
            let state = &mut *self.state.lock();
            state.control.clear();
            for (sid, Subscription { subject, queue, .. }) in &state.subscriptions {
                write_subscribe(&mut state.control, subject, *queue, *sid);
            }
            state.connected = true;
        }
        self.reached.send_modify(|n| *n += 1);
    }

    /// The server says something of itself.
    fn learn(&self, info: &ServerInfo) {
        self.max_payload.store(info.max_payload.unwrap_or(MAX_PAYLOAD), Ordering::Relaxed);
        self.headers.store(info.headers, Ordering::Relaxed);
    }

    /// The connection is gone, and with it what was to be left.
    fn lost(&self) {
        let state = &mut *self.state.lock();
        (state.connected, state.waker) = (false, None);
        state.control.clear();
        while let Some(ping) = state.pings.pop_front() {
            state.answered(ping);
        }
    }

    /// The connection is awake: nobody has to wake it.
    fn awake(&self) {
        self.state.lock().waker = None;
    }

    /// Moves what waits to `sending`, which is empty. The connection sleeps when that is nothing.
    fn next_to_send(&self, sending: &mut Vec<u8>, waker: &Waker) -> bool {
        let state = &mut *self.state.lock();
        std::mem::swap(&mut state.messages, sending);
        sending.append(&mut state.control);
        if sending.is_empty() {
            state.waker = Some(waker.clone());
            return false;
        }
        if sending.len() >= WAITING {
            self.room.notify_waiters();
        }
        true
    }

    /// Whoever takes the messages of this subscription.
    fn taker(&self, sid: u64) -> Option<Arc<Take>> {
        self.state.lock().subscriptions.get(&sid).map(|s| Arc::clone(&s.take))
    }

    /// The server asks whether we are there.
    fn pong(&self) {
        self.state.lock().control.extend_from_slice(b"PONG\r\n");
    }

    /// The server answered the eldest ping.
    fn ponged(&self) {
        let state = &mut *self.state.lock();
        if let Some(ping) = state.pings.pop_front() {
            state.answered(ping);
        }
    }

    /// Asks whether the server is there.
    fn ask(&self) {
        self.state.lock().ping(Ping::default());
    }
}
