//! Agents, peers and trunks by the short names that marks carry.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;
use trunkline_model::{Ref, Tables};
use trunkline_proxy::Secret;

/// The agents, peers and trunks of one version of the tables, by [`Secret::party`]. Made when somebody asks: that is when an agent
/// sends a request inside a dialog from where it was not before, or when something goes to a trunk inside a dialog.
#[derive(Debug, Default)]
pub(crate) struct PartyNames(ArcSwap<Version>);

/// `None` for a name that two have.
type ByParty = HashMap<u32, Option<Ref>, foldhash::fast::RandomState>;

#[derive(Debug, Default)]
struct Version {
    number: Option<u64>,
    agents: ByParty,
    peers: ByParty,
    trunks: ByParty,
}

fn by_party<'a>(all: impl Iterator<Item = &'a Ref>, secret: &Secret) -> ByParty {
    let mut names = ByParty::default();
    for reference in all {
        let one = Some(reference.clone());
        names
            .entry(secret.party(reference.as_str().as_bytes()))
            .and_modify(|other| *other = None)
            .or_insert(one);
    }
    names
}

impl PartyNames {
    /// The one agent of this name.
    pub(super) fn agent(&self, tables: &Tables, version: u64, secret: &Secret, party: u32) -> Option<Ref> {
        self.version(tables, version, secret).agents.get(&party).cloned().flatten()
    }

    /// The one peer of this name.
    pub(super) fn peer(&self, tables: &Tables, version: u64, secret: &Secret, party: u32) -> Option<Ref> {
        self.version(tables, version, secret).peers.get(&party).cloned().flatten()
    }

    /// The one trunk of this name.
    pub(crate) fn trunk(&self, tables: &Tables, version: u64, secret: &Secret, party: u32) -> Option<Ref> {
        self.version(tables, version, secret).trunks.get(&party).cloned().flatten()
    }

    fn version(&self, tables: &Tables, number: u64, secret: &Secret) -> Guard<Arc<Version>> {
        let known = self.0.load();
        if known.number == Some(number) {
            return known;
        }
        let agents = by_party(tables.agents().map(|agent| &agent.reference), secret);
        let peers = by_party(tables.peers().map(|peer| &peer.reference), secret);
        let trunks = by_party(tables.trunks().map(|trunk| &trunk.reference), secret);
        self.0.store(Arc::new(Version { number: Some(number), agents, peers, trunks }));
        self.0.load()
    }
}
