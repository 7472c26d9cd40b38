//! The INVITEs that were accepted last, for the ACK of clients that know no Route (`routeless.rs`).

use trunkline_transaction::Slot;

/// INVITEs remembered, at most; a later one may take the place of an earlier.
const PLACES: usize = 4096;

/// The INVITEs of one shard that were accepted last, by what their ACK repeats.
#[derive(Debug)]
pub(crate) struct Accepted(Box<[Option<(u64, Slot)>]>);

impl Default for Accepted {
    fn default() -> Self {
        Accepted(vec![None; PLACES].into())
    }
}

impl Accepted {
    /// A 2xx to this one went back. `identity`: `Edge::identity` of the INVITE.
    pub(crate) fn note(&mut self, identity: u64, slot: Slot) {
        if let Some(place) = self.0.get_mut(identity as usize % PLACES) {
            *place = Some((identity, slot));
        }
    }

    pub(crate) fn find(&self, identity: u64) -> Option<Slot> {
        let (known, slot) = (*self.0.get(identity as usize % PLACES)?)?;
        (known == identity).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_found() {
        let mut accepted = Accepted::default();
        let slot = |number| Slot { number, generation: 1 };
        accepted.note(7, slot(1));
        accepted.note(8, slot(2));
        assert_eq!(
            (accepted.find(7), accepted.find(8), accepted.find(9)),
            (Some(slot(1)), Some(slot(2)), None)
        );
        accepted.note(7 + PLACES as u64, slot(3));
        assert_eq!(accepted.find(7), None, "a later one took its place");
    }
}
