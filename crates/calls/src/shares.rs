//! How much each party holds of something, so that none takes what all others need.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places of a row.
const PLACES: usize = 4096;

/// Where a party is counted: its place in each row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner([u16; 2]);

impl Owner {
    /// The party of this hash.
    pub(crate) fn new(hash: u64) -> Owner {
        Owner([hash, hash >> 32].map(|half| (half % PLACES as u64) as u16))
    }
}

/// What each party has, in two rows that are hashed differently: of fixed size, so that nothing is allocated or searched. Others
/// at the same place count, too, but two parties share both of theirs once in 16 million.
pub(crate) struct Shares([Box<[AtomicU64]>; 2]);

impl Shares {
    /// Nobody has anything.
    pub(crate) fn new() -> Shares {
        let row = || (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        Shares([row(), row()])
    }

    fn places(&self, owner: Owner) -> impl Iterator<Item = &AtomicU64> {
        self.0.iter().zip(owner.0).filter_map(|(row, place)| row.get(usize::from(place)))
    }

    /// Has it room for so much more, if it may have `most`? Several threads may take the last room at once.
    pub(crate) fn has_room(&self, owner: Owner, more: u64, most: u64) -> bool {
        self.places(owner).any(|held| held.load(Ordering::Relaxed).saturating_add(more) <= most)
    }

    pub(crate) fn take(&self, owner: Owner, more: u64) {
        self.places(owner).for_each(|held| {
            held.fetch_add(more, Ordering::Relaxed);
        });
    }

    pub(crate) fn give(&self, owner: Owner, back: u64) {
        self.places(owner).for_each(|held| {
            held.fetch_sub(back, Ordering::Relaxed);
        });
    }
}
