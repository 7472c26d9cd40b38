//! Which targets are not worth a try, by what is known of the destinations of trunks and peers.

use trunkline_proxy::PartyKind;
use trunkline_routing::Target;
use trunkline_trunks::{Place, Subject};

use crate::destinations::DestinationState;
use crate::party::PartyRef;
use crate::shared::Shared;

/// What a target is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// As much patience as any.
    Waiting,
    /// It left OPTIONS or the last call unanswered, and may be back: a short try.
    Trying,
    /// The same, and another request has tried it a moment ago.
    Nothing,
}

impl Shared {
    /// What is known of the destinations of trunks and peers.
    pub fn destinations(&self) -> Vec<DestinationState> {
        self.destinations.all(&self.tables.load())
    }

    /// What a request may do with this target. `tried`: it tries one already that is known to be down.
    pub(crate) fn worth(&self, target: &Target, callee: PartyRef<'_>, (now, tried): (u64, bool)) -> Worth {
        let known = &self.destinations;
        let down = match (&target.trunk, target.binding_id, callee) {
            (Some(trunk), ..) => {
                let bit = 1u64.checked_shl(u32::from(target.trunk_uri)).unwrap_or(0);
                let is_down = known.trunk_down(trunk) & bit != 0;
                is_down.then(|| Subject::Trunk(trunk.clone(), target.trunk_uri))
            }
            (None, 0, PartyRef { kind: PartyKind::Peer, reference: Some(peer) }) => {
                known.is_address_down(peer).then(|| Subject::Peer(peer.clone(), Place::Address))
            }
            (None, 0, _) => None,
            (None, binding, PartyRef { reference: Some(peer), .. }) => {
                let is_down = known.is_instance_down(binding);
                is_down.then(|| Subject::Peer(peer.clone(), Place::Instance(binding)))
            }
            (None, ..) => None,
        };
        match down {
            None => Worth::Waiting,
            Some(down) if !tried && known.may_be_tried(&down, now) => Worth::Trying,
            Some(down) => {
                if known.is_missed(&down) {
                    Worth::Nothing
                } else {
                    Worth::Trying
                }
            }
        }
    }
}
