//! Batches on their way to other shards, and what the shards know of each other.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use trunkline_sip::Flow;
use trunkline_transport::Mail;

use super::batch::{Batch, Order};
use super::behind::{Behind, Taken};
use crate::mail::{EdgeMail, Io};

/// Requests that may wait for one shard. What comes beyond is dropped, as by a full buffer of the kernel's.
const MOST_REQUESTS: usize = 8_192;
/// The same for responses and for what is given back: they end work instead of beginning it, so more is borne.
const MOST_WAITING: usize = 4 * MOST_REQUESTS;
/// A batch that has grown to this many bytes is posted before its time.
const LARGE: usize = 128 * 1024;
/// Empty batches that are kept.
const MOST_SPARE: usize = 64;

/// What the shards know of each other, for handing over.
#[derive(Debug)]
pub(crate) struct Neighbours {
    each: Vec<Neighbour>,
    /// Empty batches; the lock is held for a push or a pop, and taken once per batch.
    spare: Mutex<Vec<Batch>>,
}

#[derive(Debug, Default)]
struct Neighbour {
    /// Messages in its mailbox.
    waiting: AtomicUsize,
    /// How busy it was in the last second, in percent.
    busy: AtomicU8,
    /// Sources it does not serve alone.
    away: AtomicU64,
    /// How many messages of each other one it is done with.
    taken: Box<[AtomicU32]>,
}

impl Neighbours {
    pub(crate) fn new(shards: usize) -> Neighbours {
        let each =
            || Neighbour { taken: (0..shards).map(|_| AtomicU32::new(0)).collect(), ..Neighbour::default() };
        Neighbours { each: (0..shards).map(|_| each()).collect(), spare: Mutex::default() }
    }

    /// How many shards there are.
    pub(crate) fn len(&self) -> usize {
        self.each.len()
    }

    /// A shard tells how its second was.
    pub(crate) fn tell(&self, shard: usize, busy: u8, away: usize) {
        if let Some(n) = self.each.get(shard) {
            n.busy.store(busy, Ordering::Relaxed);
            n.away.store(away as u64, Ordering::Relaxed);
        }
    }

    /// How busy the idlest of the others is, in percent.
    pub(crate) fn idlest_but(&self, shard: usize) -> u8 {
        let others = self.each.iter().enumerate().filter(|(i, _)| *i != shard);
        others.map(|(_, n)| n.busy.load(Ordering::Relaxed)).min().unwrap_or(100)
    }

    /// How busy each is, in percent.
    pub(crate) fn busy(&self) -> Vec<u8> {
        self.each.iter().map(|n| n.busy.load(Ordering::Relaxed)).collect()
    }

    /// Sources that are not served by their own shard alone.
    pub(crate) fn away(&self) -> u64 {
        self.each.iter().map(|n| n.away.load(Ordering::Relaxed)).sum()
    }

    /// The shard has taken these.
    pub(crate) fn taken(&self, shard: usize, mut batch: Batch) {
        if let Some(n) = self.each.get(shard) {
            n.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        }
        batch.clear();
        let mut spare = self.spare.lock();
        if spare.len() < MOST_SPARE && batch.capacity() <= 2 * LARGE {
            spare.push(batch);
        }
    }

    /// How many messages of `from` a shard is done with, and has sent what came of them.
    fn done(&self, shard: usize, from: u8) -> u32 {
        let count = self.each.get(shard).and_then(|n| n.taken.get(usize::from(from)));
        count.map_or(0, |count| count.load(Ordering::Acquire))
    }

    fn waiting(&self, shard: usize) -> usize {
        self.each.get(shard).map_or(0, |n| n.waiting.load(Ordering::Relaxed))
    }
}

/// What one shard has for the others: posted at the end of what it received at once, so that a shard is woken once.
#[derive(Debug)]
pub(crate) struct Outbox {
    from: u8,
    to: Vec<Batch>,
    filled: bool,
    /// What must not be overtaken.
    behind: Behind,
    taken: Taken,
}

impl Outbox {
    pub(crate) fn new(from: u8, shards: usize) -> Outbox {
        Outbox {
            from,
            to: (0..shards).map(|_| Batch::default()).collect(),
            filled: false,
            behind: Behind::new(shards),
            taken: Taken::new(shards),
        }
    }

    /// Puts a request for another shard in; `false`: too many wait for that one, or there is no such shard.
    pub(crate) fn put_request(
        &mut self,
        io: &Io<'_>,
        neighbours: &Neighbours,
        to: usize,
        flow: &Flow,
        bytes: &[u8],
        order: Order,
    ) -> bool {
        self.put(io, neighbours, to, MOST_REQUESTS, (flow, bytes, order))
    }

    /// The same for a request that goes back to the shard that gave it: this one does not know it, or it has been round.
    pub(crate) fn put_back(
        &mut self,
        io: &Io<'_>,
        neighbours: &Neighbours,
        to: usize,
        (flow, bytes, order): (&Flow, &[u8], Order),
    ) -> bool {
        self.put(io, neighbours, to, MOST_WAITING, (flow, bytes, order))
    }

    /// The same for a response of this dialog.
    pub(crate) fn put_response(
        &mut self,
        io: &Io<'_>,
        neighbours: &Neighbours,
        (to, dialog): (usize, u64),
        flow: &Flow,
        bytes: &[u8],
    ) -> bool {
        let put = self.put(io, neighbours, to, MOST_WAITING, (flow, bytes, Order::Serve));
        if put {
            self.behind.note(dialog, to);
        }
        put
    }

    /// Sends a request of this dialog round by the shard that has not sent the response before it yet; false: there is none.
    pub(crate) fn put_round(
        &mut self,
        io: &Io<'_>,
        neighbours: &Neighbours,
        dialog: u64,
        flow: &Flow,
        bytes: &[u8],
    ) -> bool {
        let from = self.from;
        let Some(to) = self.behind.round_by(dialog, |to| neighbours.done(to, from)) else { return false };
        let put = self.put(io, neighbours, to, MOST_REQUESTS, (flow, bytes, Order::GoRound));
        if put {
            self.behind.leaves(dialog);
        }
        put
    }

    /// A request of this dialog has been round.
    pub(crate) fn returned(&mut self, dialog: u64) {
        self.behind.returns(dialog);
    }

    /// So many messages of this shard were taken.
    pub(crate) fn took(&mut self, from: u8, messages: usize) {
        self.taken.add(from, messages);
    }

    /// The sockets are about to be flushed, as they were after the last call.
    pub(crate) fn flushes(&mut self, neighbours: &Neighbours) {
        let Some(own) = neighbours.each.get(usize::from(self.from)) else { return };
        self.taken.flushes(|from, count| {
            if let Some(place) = own.taken.get(from) {
                place.store(count, Ordering::Release);
            }
        });
    }

    fn put(
        &mut self,
        io: &Io<'_>,
        neighbours: &Neighbours,
        to: usize,
        most: usize,
        (flow, bytes, order): (&Flow, &[u8], Order),
    ) -> bool {
        let Some(batch) = self.to.get_mut(to) else { return false };
        if neighbours.waiting(to) + batch.len() >= most {
            return false;
        }
        if batch.capacity() == 0
            && let Some(spare) = neighbours.spare.lock().pop()
        {
            *batch = spare;
        }
        batch.push(flow, bytes, order);
        self.behind.count(to);
        self.filled = true;
        if batch.size() >= LARGE {
            self.post(io, neighbours);
        }
        true
    }

    /// Posts what there is.
    pub(crate) fn post(&mut self, io: &Io<'_>, neighbours: &Neighbours) {
        if !std::mem::take(&mut self.filled) {
            return;
        }
        for (to, batch) in self.to.iter_mut().enumerate().filter(|(_, b)| b.len() > 0) {
            let batch = std::mem::take(batch);
            if let Some(n) = neighbours.each.get(to) {
                n.waiting.fetch_add(batch.len(), Ordering::Relaxed);
            }
            // A shard that has ended takes nothing, and neither does the process any more.
            io.post(to, Mail::User(EdgeMail::Batch(self.from, batch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{ConnectionId, Transport};

    #[test]
    fn a_batch_keeps_order_and_is_used_again() {
        let flow = Flow {
            transport: Transport::Udp,
            local: "127.0.0.1:5060".parse().unwrap(),
            remote: "127.0.0.1:6000".parse().unwrap(),
            connection: ConnectionId::NONE,
        };
        let mut batch = Batch::default();
        batch.push(&flow, b"one", Order::Serve);
        batch.push(&flow, b"", Order::Serve);
        batch.push(&flow, b"three", Order::ServeIfKnown);
        let all: Vec<_> = batch.messages().map(|(_, b, p)| (b.to_vec(), p)).collect();
        assert_eq!(
            all,
            [
                (b"one".to_vec(), Order::Serve),
                (b"".to_vec(), Order::Serve),
                (b"three".to_vec(), Order::ServeIfKnown)
            ]
        );
        let neighbours = Neighbours::new(2);
        neighbours.each[1].waiting.store(3, Ordering::Relaxed);
        neighbours.taken(1, batch);
        assert_eq!(neighbours.waiting(1), 0);
        let again = neighbours.spare.lock().pop().unwrap();
        assert_eq!(again.len(), 0);
        assert!(again.capacity() >= 8);
    }
}
