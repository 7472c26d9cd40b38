//! What a shard knows of the sources that others serve with it.

use trunkline_transport::Load;

use super::batch::Batch;
use super::outbox::Outbox;
use super::sources::{RebalancingConfig, Source, Sources};

/// How a message came to this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// By its own socket or connection.
    In,
    /// By its own socket or connection, and was held back for a moment.
    Held,
    /// The same, and it has been round by another shard.
    Returned,
    /// It is to be served here: another shard sent it, or it waited here.
    ToStay,
    /// From this shard, which wants it back when what it gave before is sent.
    Round(usize),
    /// From this shard, which does not know it; it goes back if it is not known here either.
    Asked(usize),
    /// From a shard that does not know its transaction; so many others are still to be asked.
    Sought(u8),
}

/// A shard's state of rebalancing.
#[derive(Debug)]
pub(crate) struct Rebalancing {
    /// Are there other shards, and is rebalancing allowed?
    pub(super) enabled: bool,
    pub(super) load: Load,
    pub(super) sources: Sources,
    pub(crate) outbox: Outbox,
    pub(super) round: Option<Round>,
    /// Was the current message received by another shard, or did it wait?
    pub(crate) from_other_shard: bool,
}

/// A question to all other shards: do they have transactions of this source?
#[derive(Debug)]
pub(super) struct Round {
    pub(super) source: Source,
    /// Answers that are still to come.
    pub(super) left: usize,
    pub(super) remain: bool,
    /// Requests of the source that arrived meanwhile.
    pub(super) held: Batch,
}

impl Rebalancing {
    pub(crate) fn new(config: RebalancingConfig, shard: u8, shards: usize) -> Rebalancing {
        Rebalancing {
            enabled: shards > 1 && config.busy < 100,
            load: Load::default(),
            sources: Sources::new(config),
            outbox: Outbox::new(shard, shards),
            round: None,
            from_other_shard: false,
        }
    }
}
