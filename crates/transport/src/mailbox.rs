//! Mailboxes of shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::Waker;
use trunkline_sip::ConnectionId;

use crate::acceptor::AcceptorMail;
use crate::connection::Closed;

/// A message in a shard's mailbox.
#[derive(Debug)]
pub enum Mail<M> {
    /// For the handler.
    User(M),
    /// Bytes for a connection that this shard owns, from the shard of this number.
    Send(ConnectionId, usize, Box<[u8]>),
    /// A connection of another shard that this one sent by has ended.
    Closed(ConnectionId, Closed),
    /// Keep a connection open until then, in milliseconds since 1970, though nothing comes by it.
    Keep(ConnectionId, u64),
    /// Close a connection.
    Close(ConnectionId),
    /// A connection from the acceptor.
    Acceptor(Box<AcceptorMail>),
    /// End the loop.
    Stop,
}

/// The way into one shard's mailbox.
#[derive(Debug)]
pub struct Mailbox<M> {
    sender: Sender<Mail<M>>,
    waker: Arc<Waker>,
    /// Is a wake-up under way? Saves the system call for all but the first of a burst.
    woken: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Mailbox {
            sender: self.sender.clone(),
            waker: self.waker.clone(),
            woken: self.woken.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

impl<M> Mailbox<M> {
    pub(crate) fn new(waker: Waker) -> (Mailbox<M>, Inbox<M>) {
        let (sender, receiver) = channel();
        let woken = Arc::new(AtomicBool::new(false));
        let waiting = Arc::new(AtomicUsize::new(0));
        let inbox = Inbox { receiver, woken: woken.clone(), waiting: waiting.clone() };
        (Mailbox { sender, waker: Arc::new(waker), woken, waiting }, inbox)
    }

    /// Puts mail in and wakes the shard; `false` when the shard has ended.
    pub fn post(&self, mail: Mail<M>) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(mail).is_err() {
            return false;
        }
        if !self.woken.swap(true, Ordering::AcqRel) {
            return self.waker.wake().is_ok();
        }
        true
    }
}

/// The mailboxes of all shards, by number.
pub type Mailboxes<M> = Arc<[Mailbox<M>]>;

/// The shard's side.
pub(crate) struct Inbox<M> {
    receiver: Receiver<Mail<M>>,
    woken: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
}

impl<M> Inbox<M> {
    /// Call before taking mail: what comes from now on wakes again.
    pub(crate) fn rearm(&self) {
        self.woken.store(false, Ordering::Release);
    }

    pub(crate) fn take(&self) -> Option<Mail<M>> {
        let mail = self.receiver.try_recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(mail)
    }

    /// How many pieces of mail wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
