//! The interface of a handler to clock, sockets and connections.

use trunkline_sip::ConnectionId;

use crate::io::{Egress, Io, Sent};
use crate::lateness::Late;
use crate::mailbox::Mail;
use crate::udp::Drops;

/// A clock and the ways to send. A shard has [`Io`]; a simulation in virtual time has one of its own.
pub trait Net<M> {
    /// Milliseconds since the shard was made, as of the current batch.
    fn now(&self) -> u64;

    /// Milliseconds since 1970, as of the current batch.
    fn unix_ms(&self) -> u64;

    /// How late what comes is read.
    fn late(&self) -> Late;

    /// Has the kernel drop this of what comes over UDP from now on; false where it does not.
    fn set_drops(&mut self, drops: Drops<'_>) -> bool;

    /// Sends one message.
    fn send(&mut self, egress: &Egress, bytes: &[u8]) -> Sent;

    /// Sends now what waits for the end of the batch.
    fn flush(&mut self);

    /// Is this connection open, on whatever shard?
    fn is_connected(&self, connection: ConnectionId) -> bool;

    /// Keeps a connection, on whatever shard, open until then (in milliseconds since 1970) though nothing comes by it.
    fn keep(&mut self, connection: ConnectionId, until: u64);

    /// Gives mail to another shard (or this one); `false` when it has ended.
    fn post(&self, shard: usize, mail: Mail<M>) -> bool;

    /// The next response with this status is sent for this reason; whoever watches the messages is told.
    fn because(&mut self, _status: u16, _reason: &'static str) {}
}

impl<M> Net<M> for Io<M> {
    fn now(&self) -> u64 {
        Io::now(self)
    }

    fn unix_ms(&self) -> u64 {
        Io::unix_ms(self)
    }

    fn late(&self) -> Late {
        Io::late(self)
    }

    fn set_drops(&mut self, drops: Drops<'_>) -> bool {
        Io::set_drops(self, drops)
    }

    fn send(&mut self, egress: &Egress, bytes: &[u8]) -> Sent {
        Io::send(self, egress, bytes)
    }

    fn flush(&mut self) {
        Io::flush(self);
    }

    fn is_connected(&self, connection: ConnectionId) -> bool {
        Io::is_connected(self, connection)
    }

    fn keep(&mut self, connection: ConnectionId, until: u64) {
        Io::keep(self, connection, until);
    }

    fn post(&self, shard: usize, mail: Mail<M>) -> bool {
        Io::post(self, shard, mail)
    }

    fn because(&mut self, status: u16, reason: &'static str) {
        Io::because(self, status, reason);
    }
}
