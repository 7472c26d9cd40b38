//! How many dialogs each party has begun, so that none takes the room of all others.

use std::sync::atomic::{AtomicU32, Ordering};

/// Places of a row.
const PLACES: usize = 4096;

/// Where a party is counted: its place in each row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owner([u16; 2]);

impl Owner {
    /// The party of this hash.
    pub(super) fn new(hash: u64) -> Owner {
        Owner([hash, hash >> 32].map(|half| (half % PLACES as u64) as u16))
    }
}

/// What each party has, in two rows that are hashed differently: of fixed size, so that nothing is allocated or searched. Others
/// at the same place count, too, but two parties share both of theirs once in 16 million.
pub(super) struct Shares {
    rows: [Box<[AtomicU32]>; 2],
    /// What each may have.
    most: u32,
}

impl Shares {
    /// Each party may have so many percent of `room`.
    pub(super) fn new(room: usize, percent: u8) -> Shares {
        let row = || (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Shares { rows: [row(), row()], most: (room / 100 * usize::from(percent)) as u32 }
    }

    fn places(&self, owner: Owner) -> impl Iterator<Item = &AtomicU32> {
        self.rows.iter().zip(owner.0).filter_map(|(row, place)| row.get(usize::from(place)))
    }

    /// Has it room for one more? Several threads may take the last one at once.
    pub(super) fn has_room(&self, owner: Owner) -> bool {
        self.places(owner).any(|held| held.load(Ordering::Relaxed) < self.most)
    }

    pub(super) fn take(&self, owner: Owner) {
        self.places(owner).for_each(|held| {
            held.fetch_add(1, Ordering::Relaxed);
        });
    }

    pub(super) fn give(&self, owner: Owner) {
        self.places(owner).for_each(|held| {
            held.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
