//! Which targets are not worth a try, by what is known of the destinations of trunks and peers.

use trunkline_proxy::PartyKind;
use trunkline_routing::Target;

use crate::destinations::DestinationState;
use crate::party::PartyRef;
use crate::shared::Shared;

impl Shared {
    /// What is known of the destinations of trunks and peers.
    pub fn destinations(&self) -> Vec<DestinationState> {
        self.destinations.all(&self.tables.load())
    }

    /// Is this target one that left OPTIONS or the last call unanswered?
    pub(crate) fn is_known_down(&self, target: &Target, callee: PartyRef<'_>) -> bool {
        let known = &self.destinations;
        match (&target.trunk, target.binding_id, callee) {
            (Some(trunk), ..) => {
                let bit = 1u64.checked_shl(u32::from(target.trunk_uri)).unwrap_or(0);
                known.trunk_down(trunk) & bit != 0
            }
            (None, 0, PartyRef { kind: PartyKind::Peer, reference: Some(peer) }) => {
                known.is_address_down(peer)
            }
            (None, 0, _) => false,
            (None, binding, _) => known.is_instance_down(binding),
        }
    }
}
