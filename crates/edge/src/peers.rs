//! Which peers answer: their given address, and each instance that registered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use trunkline_model::Ref;
use trunkline_trunks::Place;

/// How a destination of a peer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerState {
    /// The peer.
    pub reference: Ref,
    /// Its address, or the Contact it registered.
    pub target: String,
    /// Does it leave OPTIONS unanswered?
    pub down: bool,
    /// Since when, in seconds since 1970; of one that never changed, since it was first asked.
    pub since: i64,
}

/// The destinations of all peers, as the asking shard finds them.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    states: RwLock<HashMap<(Ref, Place), PeerState>>,
    /// Bindings of instances that are down; behind a flag, so that calls cost no lock while all is well.
    down: RwLock<HashSet<u64>>,
    any_down: AtomicBool,
}

impl Peers {
    /// All of them.
    pub(crate) fn all(&self) -> Vec<PeerState> {
        self.states.read().values().cloned().collect()
    }

    /// Is the instance with this binding known to be down?
    pub(crate) fn is_down(&self, binding: u64) -> bool {
        self.any_down.load(Ordering::Relaxed) && self.down.read().contains(&binding)
    }

    /// Is the peer's given address known to answer?
    pub(crate) fn answers_at_address(&self, peer: &Ref) -> bool {
        self.states.read().get(&(peer.clone(), Place::Address)).is_some_and(|s| !s.down)
    }

    /// It is asked from now on; until it has failed to answer it counts as up.
    pub(crate) fn begin(&self, peer: &Ref, place: Place, target: impl FnOnce() -> String) {
        let key = (peer.clone(), place);
        if !self.states.read().contains_key(&key) {
            let state =
                PeerState { reference: peer.clone(), target: target(), down: false, since: unix_seconds() };
            self.states.write().insert(key, state);
        }
    }

    /// Notes whether it answers.
    pub(crate) fn set(&self, peer: &Ref, place: Place, down: bool) {
        let mut states = self.states.write();
        let Some(state) = states.get_mut(&(peer.clone(), place)).filter(|s| s.down != down) else { return };
        (state.down, state.since) = (down, unix_seconds());
        tracing::warn!(peer = %peer, target = state.target, down, "a peer's destination changed its state");
        if let Place::Instance(binding) = place {
            let mut set = self.down.write();
            if down {
                set.insert(binding)
            } else {
                set.remove(&binding)
            };
            self.any_down.store(!set.is_empty(), Ordering::Relaxed);
        }
    }

    /// Forgets those that are there no more.
    pub(crate) fn keep(&self, there: impl Fn(&Ref, Place) -> bool) {
        let mut states = self.states.write();
        states.retain(|(peer, place), _| there(peer, *place));
        let mut down = self.down.write();
        down.retain(|id| states.keys().any(|(_, place)| *place == Place::Instance(*id)));
        self.any_down.store(!down.is_empty(), Ordering::Relaxed);
    }
}

/// The clock, in seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_down_comes_back_or_is_forgotten() {
        let (peers, peer) = (Peers::default(), Ref::from("pbx"));
        let place = Place::Instance(7);
        peers.set(&peer, place, true);
        assert!(!peers.is_down(7), "nobody asked it");
        peers.begin(&peer, place, || "sip:pbx@192.0.2.1".into());
        peers.begin(&peer, Place::Address, || "192.0.2.2".into());
        peers.set(&peer, place, true);
        assert!(peers.is_down(7) && peers.answers_at_address(&peer));
        peers.set(&peer, place, false);
        assert!(!peers.is_down(7));
        peers.set(&peer, place, true);
        peers.keep(|_, place| place == Place::Address);
        assert!(!peers.is_down(7));
        assert_eq!(peers.all().len(), 1);
    }
}
