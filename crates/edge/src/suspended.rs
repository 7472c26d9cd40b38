//! Messages that wait for an answer from elsewhere: the addresses of a name, or the media relay.
//!
//! All of them wait here, under a ticket, until the answer comes as mail; the shard goes on meanwhile. Their repetitions are
//! absorbed, and a CANCEL ends them. A request that was routed goes on with the router's decision, so that nothing is asked
//! twice; another message is taken up again as if it had just come in.

use std::net::IpAddr;

use hashbrown::HashMap;
use trunkline_routing::Decision;
use trunkline_sip::{Flow, source_of};
use trunkline_transaction::timers::{Now, T1_64};
use trunkline_transaction::{Slot, TransactionKey};

use crate::media::Awaited;

/// Messages of one shard that wait, at most; what comes beyond is answered 503.
const MOST: usize = 10_000;
/// Those of one source (IPv6: one /64), and the bytes of them all and of those.
const MOST_OF_SOURCE: u32 = 1_000;
const MOST_BYTES: usize = 64 << 20;
const MOST_BYTES_OF_SOURCE: usize = MOST_BYTES / 8;

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Waiting {
    Request(TransactionKey),
    /// Of this transaction and branch, with this status.
    Response(Slot, u8, u16),
}

/// What it waits for.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The addresses of a name.
    Name,
    Media(Awaited),
}

/// A message that waits.
#[derive(Debug)]
pub(crate) struct Suspended {
    pub(crate) what: Waiting,
    pub(crate) cause: Cause,
    pub(crate) flow: Flow,
    pub(crate) bytes: Box<[u8]>,
    /// Of an INVITE, what its CANCEL has in common with it, and where it is about to go.
    pub(crate) companion: u64,
    pub(crate) bound_for: Box<[IpAddr]>,
    /// Answers still to come.
    pub(crate) left: usize,
    /// What the router has decided of a request.
    pub(crate) decided: Option<Box<Decision>>,
    /// Its number among the events.
    pub(crate) request: u64,
    /// It is a request of our own, which nobody has sent: why there is one.
    pub(crate) own: Option<&'static str>,
    /// By when its sender has given up.
    pub(crate) until: Now,
    /// It had its 100.
    pub(crate) told: bool,
}

impl Suspended {
    /// A message that waits for so much.
    pub(crate) fn new(what: Waiting, cause: Cause, flow: &Flow, bytes: &[u8], now: Now) -> Suspended {
        Suspended {
            what,
            cause,
            flow: *flow,
            bytes: bytes.into(),
            companion: 0,
            bound_for: Box::default(),
            left: 1,
            decided: None,
            request: 0,
            own: None,
            until: now + T1_64,
            told: false,
        }
    }
}

/// The messages of one shard that wait, by the numbers of their tickets.
#[derive(Default)]
pub(crate) struct Suspensions {
    next: u64,
    /// Of the request that goes on now: its number among the events, until it is looked at.
    pub(crate) request: u64,
    pub(crate) waiting: HashMap<u64, Suspended>,
    by_message: HashMap<Waiting, u64>,
    by_source: HashMap<IpAddr, (u32, usize)>,
    bytes: usize,
    /// By when the sender of the request at hand gives up, which has waited before.
    pub(crate) again: Option<Now>,
}

/// A ticket: the shard in the first byte, then a number, then which of several answers it is for.
const NUMBER: u64 = (1 << 55) - 1;

/// The number of a ticket.
pub(crate) fn number_of(ticket: u64) -> u64 {
    ticket >> 1 & NUMBER
}

impl Suspensions {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How the messages came.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.waiting.values().map(|suspended| &suspended.flow)
    }

    /// The number of the next ticket, for a message that came this way; `None`: there is no room for one.
    pub(crate) fn number(&mut self, from: &Flow) -> Option<u64> {
        self.next = (self.next + 1) & NUMBER;
        let (count, bytes) = self.by_source.get(&source_of(from.remote.ip())).copied().unwrap_or_default();
        let of_source = count < MOST_OF_SOURCE && bytes < MOST_BYTES_OF_SOURCE;
        let room = of_source && self.waiting.len() < MOST && self.bytes < MOST_BYTES;
        room.then_some(self.next)
    }

    pub(crate) fn insert(&mut self, number: u64, mut suspended: Suspended) {
        // Whoever waits a second time has waited since the first.
        suspended.until = self.again.take().unwrap_or(suspended.until);
        let (count, bytes) = self.by_source.entry(source_of(suspended.flow.remote.ip())).or_default();
        *count += 1;
        *bytes += suspended.bytes.len();
        self.bytes += suspended.bytes.len();
        self.by_message.insert(suspended.what, number);
        self.waiting.insert(number, suspended);
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Suspended> {
        self.waiting.get_mut(&number)
    }

    /// Does this message wait?
    pub(crate) fn has(&self, what: Waiting) -> bool {
        !self.by_message.is_empty() && self.by_message.contains_key(&what)
    }

    pub(crate) fn take(&mut self, number: u64) -> Option<Suspended> {
        let suspended = self.waiting.remove(&number)?;
        if self.by_message.get(&suspended.what) == Some(&number) {
            self.by_message.remove(&suspended.what);
        }
        let source = source_of(suspended.flow.remote.ip());
        if let Some((count, bytes)) = self.by_source.get_mut(&source) {
            *count -= 1;
            *bytes -= suspended.bytes.len();
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
        self.bytes -= suspended.bytes.len();
        Some(suspended)
    }

    pub(crate) fn by_message(&self, what: Waiting) -> Option<(u64, &Suspended)> {
        let number = *self.by_message.get(&what)?;
        Some((number, self.waiting.get(&number)?))
    }
}
