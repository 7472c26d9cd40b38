//! Handing over: a source that keeps its shard busy is served by all of them.
//!
//! The kernel gives all datagrams of one source to one shard, and a connection lives on one. Where such a source, a
//! carrier for instance, is more than its shard can do, the shard sends each of its requests to the shard of the
//! request's Call-ID ([`keeper`]), which serves it as if it had come in there. Three rules keep every transaction in
//! one place while that begins and ends:
//!
//! * What is known here is served here, whatever its source's phase: retransmissions, CANCEL and ACK find their
//!   INVITE, also one that waits for a name or for the media relay.
//! * Other shards keep what they have begun. While a source returns, they are asked about each request that is not
//!   known here, and give back what they do not know either.
//! * A phase changes only when none of the source's requests is on its way there and back: they are held here for the
//!   moment in which all shards say whether anything remains with them (their mail comes in order).
//!
//! A CANCEL or an ACK of which nothing is known where it came in is passed round: not every client sends it the way its
//! INVITE went. Answers that we give without a transaction need no care: every shard gives the same one (RFC 3261 §8.2.7).

mod batch;
mod hand;
mod outbox;
mod sources;
mod state;

pub use batch::Batch;
pub(crate) use outbox::Neighbours;
pub use sources::{Asked, HandoverConfig};
pub(crate) use state::{Came, Handover};
