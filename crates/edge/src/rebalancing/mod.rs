//! Rebalancing: the new requests of a source that keeps its shard busy are distributed among all shards.
//!
//! The kernel delivers all datagrams of one source to one shard, and a connection belongs to one. When a source, such as a
//! carrier, is too much for its shard, the shard sends each of its requests to the shard of the request's Call-ID
//! ([`keeper`]), which processes it like one it received itself. These rules keep every transaction on one shard, and
//! messages in order, while rebalancing begins and ends:
//!
//! * A message of a transaction of this shard is processed here, whatever the phase of its source: retransmissions, CANCEL
//!   and ACK find their INVITE, also one that waits for a name or for the media relay.
//! * Other shards keep their transactions. While a source returns to its shard, they are asked about each request that is
//!   unknown here, and return those that they do not know either.
//! * A phase changes only when no request of the source is between shards: requests are held here until all shards have
//!   said whether they still have a transaction of the source (mail between shards keeps its order).
//! * A request of a dialog does not overtake the response that was sent before it, which another shard may have to send
//!   (`behind.rs`).
//!
//! A CANCEL or an ACK that is unknown to the shard that received it is passed to the others in turn, because not every client
//! sends it from where it sent the INVITE. Responses without a transaction need no rule: every shard sends the same one
//! (RFC 3261 §8.2.7).

mod batch;
mod behind;
mod hand;
mod outbox;
mod sources;
mod state;

pub use batch::Batch;
pub(crate) use outbox::Neighbours;
pub use sources::{Asked, RebalancingConfig};
pub(crate) use state::{Came, Rebalancing};
