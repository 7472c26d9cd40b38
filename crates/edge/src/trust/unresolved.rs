//! Trunks whose names no name server has resolved since the start: nobody knows where they are, so their calls are refused.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use trunkline_model::Ref;

/// A name that is not resolved for so long is told in the log, and in the status.
const PATIENCE: Duration = Duration::from_secs(5);

/// A trunk with such a name.
#[derive(Debug)]
pub(crate) struct Unresolved {
    host: String,
    since: Instant,
    told: bool,
}

impl Unresolved {
    /// The name, if the log was told of it.
    pub(super) fn told(&self) -> Option<&str> {
        self.told.then_some(self.host.as_str())
    }
}

/// Notes the names of trunks that are not resolved, and tells the log of those that take long, and when they are found.
pub(super) fn note_unresolved<'t>(
    known: &mut HashMap<Ref, Unresolved>,
    now_unresolved: impl Iterator<Item = (&'t Ref, &'t str)>,
    now: Instant,
) {
    let mut before = std::mem::take(known);
    for (trunk, host) in now_unresolved {
        let new = || Unresolved { host: host.to_owned(), since: now, told: false };
        let mut name = before.remove(trunk).unwrap_or_else(new);
        if !name.told && now.duration_since(name.since) >= PATIENCE {
            name.told = true;
            tracing::warn!(
                %trunk, host,
                "the name of a trunk is not resolved: calls from its addresses are refused until it is"
            );
        }
        known.insert(trunk.clone(), name);
    }
    for (trunk, name) in before.into_iter().filter(|(_, name)| name.told) {
        tracing::info!(%trunk, host = name.host, "the name of a trunk is resolved, or used no more");
    }
}
