//! What a shard knows of the sources that others serve with it.

use trunkline_transport::Load;

use super::batch::Batch;
use super::outbox::Outbox;
use super::sources::{HandoverConfig, Source, Sources};

/// How a message came to this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// By its own socket or connection.
    In,
    /// By its own socket or connection, and was held back for a moment.
    Held,
    /// It is to be served here: another shard sent it, or it waited here.
    ToStay,
    /// From this shard, which does not know it; it goes back if it is not known here either.
    Asked(usize),
    /// From a shard that does not know its transaction; so many others are still to be asked.
    Sought(u8),
}

/// A shard's part in handing over.
#[derive(Debug)]
pub(crate) struct Handover {
    /// Are there others, and may they be given anything?
    pub(super) enabled: bool,
    pub(super) load: Load,
    pub(super) sources: Sources,
    pub(crate) outbox: Outbox,
    pub(super) round: Option<Round>,
    /// The message at hand may be another shard's: it came by one, or has waited.
    pub(crate) guest: bool,
}

/// All other shards are asked what they have of a source.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) source: Source,
    /// Answers that are still to come.
    pub(super) left: usize,
    pub(super) remain: bool,
    /// What the source sent meanwhile.
    pub(super) held: Batch,
}

impl Handover {
    pub(crate) fn new(config: HandoverConfig, shard: u8, shards: usize) -> Handover {
        Handover {
            enabled: shards > 1 && config.busy < 100,
            load: Load::default(),
            sources: Sources::new(config),
            outbox: Outbox::new(shard, shards),
            round: None,
            guest: false,
        }
    }
}
