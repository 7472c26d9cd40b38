//! Agents by the short names that marks carry.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use trunkline_model::{Ref, Tables};
use trunkline_proxy::Secret;

/// The agents of one version of the tables, by [`Secret::party`]. Made when somebody asks: that is when an agent sends a
/// request inside a dialog from where it was not before.
#[derive(Debug, Default)]
pub(crate) struct Agents(ArcSwap<Version>);

#[derive(Debug, Default)]
struct Version {
    number: Option<u64>,
    /// `None` for a name that two agents have.
    by_party: HashMap<u32, Option<Ref>, foldhash::fast::RandomState>,
}

impl Agents {
    /// The one agent of this name.
    pub(crate) fn find(&self, tables: &Tables, version: u64, secret: &Secret, party: u32) -> Option<Ref> {
        let mut known = self.0.load_full();
        if known.number != Some(version) {
            let mut new = Version { number: Some(version), ..Version::default() };
            for agent in tables.agents() {
                let name = secret.party(agent.reference.as_str().as_bytes());
                let one = Some(agent.reference.clone());
                new.by_party.entry(name).and_modify(|other| *other = None).or_insert(one);
            }
            known = Arc::new(new);
            self.0.store(known.clone());
        }
        known.by_party.get(&party).cloned().flatten()
    }
}
