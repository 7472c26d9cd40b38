//! What travels from shard to shard: messages in batches, in buffers that are used again.

use trunkline_sip::Flow;

/// Messages on their way to another shard, in the order in which they came.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    messages: Vec<Carried>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
struct Carried {
    flow: Flow,
    start: u32,
    end: u32,
    order: Order,
}

/// What is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Serve it.
    Serve,
    /// Serve it if you know its transaction, else give it back.
    ServeIfKnown,
    /// Serve it if you know its transaction, else give it to the next, so many more times.
    PassOn(u8),
    /// Give it back when all that was given to you before it is sent.
    GoRound,
    /// It has been round.
    Returned,
}

impl Batch {
    pub(crate) fn push(&mut self, flow: &Flow, bytes: &[u8], order: Order) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        let end = self.bytes.len() as u32;
        self.messages.push(Carried { flow: *flow, start, end, order });
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = (Flow, &[u8], Order)> {
        self.messages.iter().map(|c| {
            let bytes = self.bytes.get(c.start as usize..c.end as usize).unwrap_or_default();
            (c.flow, bytes, c.order)
        })
    }

    /// The bytes of all of them.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The memory that is there for them.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.messages.clear();
    }
}
