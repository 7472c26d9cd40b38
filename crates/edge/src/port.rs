//! The door through which everything comes to a shard's edge, and the memory that is lent for it.

use std::net::SocketAddr;
use std::sync::Arc;

use trunkline_sip::{ConnectionId, Flow, ParseError};
use trunkline_transport::{Closed, Egress, Handler, Io as ShardIo};

use crate::edge::Edge;
use crate::mail::{EdgeMail, Io, Net};
use crate::memory::{MessageMemory, StepMemory};
use crate::rebalancing::Came;
use crate::shared::Shared;

/// One shard's edge, RFC 3261 §16 from the outside: it owns its transactions and shares resources, location and secrets with
/// the others.
pub struct EdgePort {
    edge: Edge,
    message: MessageMemory,
    step: StepMemory,
}

/// What drives an edge: a shard, or a simulation in virtual time.
type Outside<'a> = &'a mut dyn trunkline_transport::Net<EdgeMail>;

impl EdgePort {
    /// The edge of shard `shard`.
    pub fn new(shared: Arc<Shared>, shard: usize) -> EdgePort {
        EdgePort {
            edge: Edge::new(shared, shard),
            message: MessageMemory::default(),
            step: StepMemory::default(),
        }
    }

    fn with<R>(
        &mut self,
        outside: Outside<'_>,
        work: impl FnOnce(&mut Edge, &mut Io<'_>, &mut MessageMemory) -> R,
    ) -> R {
        let mut io = Io { net: Net::new(outside), memory: &mut self.step };
        let result = work(&mut self.edge, &mut io, &mut self.message);
        self.edge.end_unkept(&mut io, &mut self.message);
        result
    }

    /// A datagram, or a whole message of a stream.
    pub fn message(&mut self, outside: Outside<'_>, flow: &Flow, bytes: &[u8]) {
        self.with(outside, |edge, io, memory| edge.receive(io, memory, (flow, bytes), Came::In));
    }

    /// A connection ended, or could not be made.
    pub fn closed(&mut self, outside: Outside<'_>, connection: ConnectionId, why: Closed) {
        self.with(outside, |edge, io, _| edge.closed(io, connection, why));
    }

    /// Time has passed.
    pub fn timer(&mut self, outside: Outside<'_>) {
        self.with(outside, |edge, io, memory| {
            edge.run_timers(io, memory);
            edge.events.commit();
        });
    }

    /// How many milliseconds may pass until [`EdgePort::timer`] is needed, at most `max`.
    pub fn nap(&self, now: u64, max: u64) -> u64 {
        self.edge.nap(now, max)
    }

    /// How many transactions are kept.
    pub fn transactions(&self) -> usize {
        self.edge.contexts.len()
    }
}

impl Handler for EdgePort {
    type Mail = EdgeMail;

    fn on_message(&mut self, io: &mut ShardIo<EdgeMail>, flow: &Flow, bytes: &[u8]) {
        self.message(io, flow, bytes);
    }

    fn on_broken(&mut self, io: &mut ShardIo<EdgeMail>, flow: &Flow, head: &[u8], error: ParseError) {
        self.with(io, |edge, io, memory| edge.broken(io, &mut memory.index, (flow, head), error));
    }

    fn on_closed(&mut self, io: &mut ShardIo<EdgeMail>, connection: ConnectionId, why: Closed) {
        self.closed(io, connection, why);
    }

    fn on_mail(&mut self, io: &mut ShardIo<EdgeMail>, mail: EdgeMail) {
        self.with(io, |edge, io, memory| edge.on_mail(io, memory, mail));
    }

    fn on_undelivered(&mut self, io: &mut ShardIo<EdgeMail>, to: SocketAddr, quoted: &[u8]) {
        self.with(io, |edge, io, _| edge.undelivered(io, to, quoted));
    }

    fn may_answer(&mut self, io: &mut ShardIo<EdgeMail>, flow: &Flow, beyond: usize) -> bool {
        self.edge.may_send(&Egress::back(flow), beyond, io.unix_ms())
    }

    fn on_batch(&mut self, io: &mut ShardIo<EdgeMail>) {
        self.with(io, |edge, io, _| {
            edge.end_batch(io);
            edge.events.commit();
        });
    }

    fn on_timer(&mut self, io: &mut ShardIo<EdgeMail>) {
        self.timer(io);
    }

    fn sleep(&self, now: u64, max: u64) -> u64 {
        self.nap(now, max)
    }
}
