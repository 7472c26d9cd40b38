//! What is known of where the trunks and peers are, from one look to the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;
use trunkline_model::{Peer, Ref};
use trunkline_proxy::PartyKind;

use super::owners::Owner;
use super::unresolved::Unresolved;
use crate::resolver::Question;

/// What the last look found, for the next one.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The version of the tables and of the names.
    pub(super) version: (u64, u64),
    pub(super) next: Option<Instant>,
    /// Where somebody was found by a name, and when.
    pub(super) there: HashMap<(SocketAddr, Owner), Instant>,
    pub(super) asked: HashMap<Question, Instant>,
    /// Where they were before a restart, of those whose names were not all found since.
    pub(super) restored: HashSet<(SocketAddr, Owner)>,
    /// The names of the resources that have led somewhere since the start.
    pub(super) resolved: HashSet<Question>,
    /// Trunks with a name that has not.
    pub(super) unresolved: HashMap<Ref, Unresolved>,
    /// Who has a name that leads nowhere now.
    pub(super) unfound: HashSet<(PartyKind, u32)>,
    /// Where the exchange's own servers were before a restart.
    pub(crate) servers: HashSet<SocketAddr>,
    /// The names that the resources hold.
    pub(super) names: HashSet<Question>,
    /// The peers as they were: others, or the same changed, may have registered before.
    pub(super) peers: HashMap<Ref, Arc<Peer>>,
    /// The addresses of record under which peers have registered.
    pub(super) aors: HashSet<(Ref, Vec<u8>)>,
    /// The lists that were called very wide.
    pub(super) wide: HashSet<Ref>,
    /// Is there a look before this one?
    pub(super) begun: bool,
}

/// Peers that have registered, or ended a registration, since the last look.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    pub(super) any: AtomicBool,
    aors: Mutex<Vec<(Ref, Vec<u8>)>>,
}

/// Arrivals that wait for a look, at most.
const MOST_ARRIVALS: usize = 65_536;

impl Arrivals {
    /// A peer has a binding more, or less, under this address of record.
    pub(crate) fn note(&self, peer: &Ref, aor: &[u8]) {
        let mut aors = self.aors.lock();
        let new = (peer.clone(), aor.to_vec());
        if aors.len() < MOST_ARRIVALS && aors.last() != Some(&new) {
            aors.push(new);
        }
        self.any.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> Vec<(Ref, Vec<u8>)> {
        std::mem::take(&mut *self.aors.lock())
    }
}

/// [`Found`], for whoever looks next.
pub(crate) type LastLook = Mutex<Found>;
