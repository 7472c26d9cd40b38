//! What happens when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::rc::Rc;

use super::deeds::Deed;
use crate::message::Msg;

/// Something that happens.
#[derive(Debug)]
pub enum Event {
    /// A message arrives at the exchange.
    Arrives { source: SocketAddr, connection: u64, message: Rc<Msg> },
    /// The exchange hears of the end of a connection.
    Closed { connection: u64, refused: bool },
    /// A message reaches a phone.
    Reaches { phone: usize, connection: u64, message: Rc<Msg> },
    /// A timer of a phone, unless it has begun anew since.
    Timer { phone: usize, life: u32, timer: Timer },
    /// Somebody does something.
    Do(Deed),
}

/// Whose timer it is: the place of a transaction, and which of its timers.
#[derive(Clone, Copy, Debug)]
pub enum Timer {
    /// A, E: the request again.
    Request(usize),
    /// B, F: nobody answers.
    NoAnswer(usize),
    /// D, K, M: the end of a client transaction.
    ClientEnds(usize),
    /// G, and the repetition of a 2xx.
    Response(usize),
    /// H, and the end of the repetitions of a 2xx.
    NoAck(usize),
    /// The callee goes on with its plan: the step.
    Answer(usize, u8),
}

struct Entry {
    at: u64,
    serial: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        (self.at, self.serial) == (other.at, other.serial)
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.serial).cmp(&(self.at, self.serial))
    }
}

/// Events by their time; those of one millisecond in the order in which they were put in.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    serial: u64,
}

impl Queue {
    /// Something will happen.
    pub fn put(&mut self, at: u64, event: Event) {
        self.serial += 1;
        self.heap.push(Entry { at, serial: self.serial, event });
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|e| e.at)
    }

    /// The next thing that happens.
    pub fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|e| e.event)
    }
}
