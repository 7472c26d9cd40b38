//! What shards are told by each other and by the rest of the process.

use std::net::SocketAddr;

use std::ops::{Deref, DerefMut};

use trunkline_media::MediaError;
use trunkline_reasons::Reason;
use trunkline_sip::{ConnectionId, Flow};
use trunkline_transport::{Drops, Egress, Late, Mail, Sent};

use crate::memory::StepMemory;
use crate::rebalancing::{Asked, Batch};

/// Mail for a shard's edge.
#[derive(Debug)]
pub enum EdgeMail {
    /// A message to be looked at here: an answer to a question of ours.
    Message(Flow, Box<[u8]>),
    /// From the shard of this number: responses whose transactions stand here, requests that are handed over.
    Batch(u8, Batch),
    /// The shard of this number asks whether anything of a source remains here.
    Remains(u8, Asked),
    /// An answer to that.
    Remain(Asked, bool),
    /// What is known of the name that this ticket waits for will not get better.
    Named(u64),
    /// The media relay answered this ticket.
    Media(u64, Result<Vec<u8>, MediaError>),
    /// A datagram with this beginning did not reach its address.
    Undelivered(SocketAddr, Box<[u8]>),
    /// The same, and too little is known of it to tell whose it was.
    Doubtful(SocketAddr, Box<[u8]>),
    /// An operator ends the call of this number.
    HangUp(u64),
    /// Take no new calls; end when the last one has its answer.
    Drain,
}

/// A shard's clock, sockets and connections, or those of a simulation, with the memory that a step works with.
pub(crate) struct Io<'a> {
    pub(crate) net: Net<'a>,
    pub(crate) memory: &'a mut StepMemory,
}

impl<'a> Deref for Io<'a> {
    type Target = Net<'a>;

    fn deref(&self) -> &Net<'a> {
        &self.net
    }
}

impl DerefMut for Io<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.net
    }
}

/// The same without memory: for who is given text that stands in there.
pub(crate) struct Net<'a> {
    outside: &'a mut dyn trunkline_transport::Net<EdgeMail>,
    now: u64,
    unix_ms: u64,
}

impl<'a> Net<'a> {
    pub(crate) fn new(outside: &'a mut dyn trunkline_transport::Net<EdgeMail>) -> Net<'a> {
        let (now, unix_ms) = (outside.now(), outside.unix_ms());
        Net { outside, now, unix_ms }
    }

    /// Milliseconds since the shard was made, as of the current batch.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Milliseconds since 1970, as of the current batch.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.unix_ms
    }

    pub(crate) fn send(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        self.outside.send(egress, bytes)
    }

    /// The next response with this status is sent for this reason.
    pub(crate) fn because(&mut self, status: u16, reason: Reason) {
        self.outside.because(status, reason.code());
    }

    pub(crate) fn is_connected(&self, connection: ConnectionId) -> bool {
        self.outside.is_connected(connection)
    }

    /// The connection lives until then, whatever comes over it.
    pub(crate) fn keep(&mut self, connection: ConnectionId, until: u64) {
        self.outside.keep(connection, until);
    }

    /// How late what comes is read.
    pub(crate) fn late(&self) -> Late {
        self.outside.late()
    }

    /// Has the kernel drop this of what comes over UDP from now on; false where it does not.
    pub(crate) fn set_drops(&mut self, drops: Drops<'_>) -> bool {
        self.outside.set_drops(drops)
    }

    /// Sends now what was to be sent with the end of the batch.
    pub(crate) fn flush(&mut self) {
        self.outside.flush();
    }

    pub(crate) fn post(&self, shard: usize, mail: Mail<EdgeMail>) -> bool {
        self.outside.post(shard, mail)
    }
}
