//! Sockets and flows: UDP in batches, byte streams cut into messages, a shard's loop that polls them.
//!
//! A shard is one thread with sockets of its own on the shared addresses (SO_REUSEPORT), connections of its
//! own and a mailbox. What it receives goes to a [`Handler`]; the handler sends through [`Io`]. Nothing here
//! knows what SIP means beyond where a message ends.
#![deny(unsafe_code)]

mod connection;
mod io;
mod mailbox;
mod shard;
mod udp;

pub use connection::Closed;
pub use io::{Alive, Counters, Egress, Io, Sent};
pub use mailbox::{Mail, Mailbox, Mailboxes};
pub use shard::{Handler, ListenError, Listener, Shard, StreamLimits};
pub use udp::{BATCH, Receiver, Sender, UdpSocket};
