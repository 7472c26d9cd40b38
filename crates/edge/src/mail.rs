//! What shards are told by each other and by the rest of the process.

use std::net::SocketAddr;

use trunkline_media::MediaError;
use trunkline_sip::Flow;
use trunkline_transport::Net;

use crate::rebalancing::{Asked, Batch};

/// A shard's clock, sockets and connections, or those of a simulation.
pub(crate) type Io<M> = dyn Net<M>;

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
    /// Take no new calls; end when the last one has its answer.
    Drain,
}
