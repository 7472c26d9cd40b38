//! The EdgePort: shards that tie transport, transactions and the router together.
//!
//! An [`EdgePort`] is one shard's handler: it owns its transactions. All shards share a [`Shared`]: the resources,
//! the location service, secrets, counters. One request takes one straight way through here: read in place,
//! matched to its transaction, routed, spliced, sent.
#![forbid(unsafe_code)]

mod accepted;
mod address;
mod admission;
mod aims;
mod answering;
mod background;
mod branches;
mod breadth;
mod called;
mod calls;
mod carrier_redirect;
mod carry;
mod certificate;
mod challenged;
mod config;
mod context;
mod counters;
mod cseq;
mod decide;
mod destinations;
mod dialog;
mod divert;
mod divertible;
mod edge;
mod failover;
mod forward;
mod forwarding;
mod garbled;
mod inbound;
mod known_down;
mod limits;
mod lost;
mod mail;
mod media;
mod memory;
mod names;
mod nat;
mod next_hop;
mod noted;
mod overload;
mod own;
mod own_answer;
mod party;
mod pool;
mod port;
mod qualify;
mod reach;
mod readdress;
mod rebalancing;
mod redirect;
mod registrar;
mod registry;
mod request;
mod resolver;
mod responses;
mod routeless;
mod routes;
mod shared;
mod shed;
mod spirals;
mod stateless;
mod suspended;
mod timing;
mod trunk_auth;
mod trust;
mod undelivered;
mod visit;
mod waiting;
mod ways;

pub use config::{DigestUri, EdgeConfig, PassChallenges};
pub use counters::{Counter, Counters};
pub use destinations::{DestinationState, LastError};
pub use limits::Limited;
pub use mail::EdgeMail;
pub use overload::MemoryLimits;
pub use port::EdgePort;
pub use rebalancing::{Asked, Batch, RebalancingConfig};
pub use registry::TrunkRegistration;
pub use shared::Shared;
pub use trunkline_registrar::{BySource, RegistrarConfig};
