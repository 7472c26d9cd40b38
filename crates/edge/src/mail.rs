//! What shards are told by each other and by the rest of the process.

use trunkline_media::MediaError;
use trunkline_sip::Flow;

/// Mail for a shard's edge.
#[derive(Debug)]
pub enum EdgeMail {
    /// A message that belongs to this shard, or is to be looked at again: a response whose transaction stands
    /// here, a request whose next hop has been looked up.
    Message(Flow, Box<[u8]>),
    /// The media relay answered this ticket.
    Media(u64, Result<Vec<u8>, MediaError>),
    /// Take no new calls; end when the last one has its answer.
    Drain,
}
