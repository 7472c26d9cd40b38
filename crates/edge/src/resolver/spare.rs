//! Which addresses of a name a request has not tried yet (RFC 3263 §4.3).

use std::sync::Arc;
use std::time::Duration;

use trunkline_transport::Egress;

use super::avoided::Avoided;
use super::way::Ways;

/// Where else a request may go when its next hop fails. A literal address has no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spare {
    ways: Option<Arc<Ways>>,
    /// Bit n: `ways[n]` was tried.
    tried: u16,
}

impl Spare {
    /// Of a name whose first address in use is `first`.
    pub(super) fn of(ways: &Arc<Ways>, first: usize) -> Spare {
        match ways.list.len() {
            0 | 1 => Spare::default(),
            _ => Spare { ways: Some(ways.clone()), tried: 1 << first },
        }
    }

    /// Is there an address that was not tried?
    pub(crate) fn has_more(&self) -> bool {
        self.ways.as_ref().is_some_and(|w| (self.tried.count_ones() as usize) < w.list.len())
    }

    /// All addresses of the name, that in use included; none of a literal one.
    pub(crate) fn all(&self) -> impl Iterator<Item = Egress> {
        let list = self.ways.as_ref().map_or(&[][..], |ways| &ways.list);
        list.iter().map(|way| Egress::to(way.transport, way.address))
    }

    /// The next address: of those not tried the first that has not failed lately, else the first.
    pub(crate) fn next(&mut self, avoided: &Avoided) -> Option<Egress> {
        let ways = self.ways.as_ref()?;
        let next = avoided.choose(&ways.list, self.tried)?;
        self.tried |= 1 << next;
        ways.egress(next)
    }

    /// Tells that the address in use did not serve: others of its name stand before it for a while, `at_least` so
    /// long. A name's only address is not avoided, since there is nothing to be used instead.
    pub(crate) fn note_failure(&self, avoided: &Avoided, egress: &Egress, at_least: Duration) {
        if self.ways.is_some() {
            avoided.note(egress, at_least);
        }
    }
}
