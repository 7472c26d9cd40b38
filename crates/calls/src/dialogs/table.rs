//! A shard of the table of dialogs.

use hashbrown::HashTable;

use super::entry::Entry;
use crate::shares::Owner;

/// Entries are made so many at once, so that none moves when there are more.
const CHUNK: usize = 32;

/// Entries by their numbers.
pub(super) struct Table {
    chunks: Vec<Vec<(u64, Entry)>>,
    free: Vec<u32>,
    /// Where the entry of a number is.
    index: HashTable<(u64, u32)>,
    /// Where the last sweep stopped.
    cursor: usize,
}

fn hash(number: u64) -> u64 {
    // Numbers are given in turn: a multiplication spreads them over all bits.
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Table {
    /// An empty one with room for a chunk.
    pub(super) fn with_room() -> Table {
        let mut table = Table {
            chunks: Vec::with_capacity(1),
            free: Vec::with_capacity(CHUNK),
            index: HashTable::with_capacity(CHUNK),
            cursor: 0,
        };
        table.grow();
        table
    }

    fn grow(&mut self) {
        let base = self.chunks.len() * CHUNK;
        self.chunks.push((0..CHUNK).map(|_| (0, Entry::default())).collect());
        self.free.extend((base..base + CHUNK).rev().map(|slot| slot as u32));
    }

    fn place(&mut self, slot: u32) -> Option<&mut (u64, Entry)> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)
    }

    pub(super) fn find(&mut self, number: u64) -> Option<&mut Entry> {
        let slot = self.index.find(hash(number), |(n, _)| *n == number)?.1;
        self.place(slot).map(|(_, entry)| entry)
    }

    /// Puts an entry in; there must be none with its number.
    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        if self.free.is_empty() {
            self.grow();
        }
        let Some(slot) = self.free.pop() else { return };
        self.index.insert_unique(hash(number), (number, slot), |(n, _)| hash(*n));
        if let Some(place) = self.place(slot) {
            *place = (number, entry);
        }
    }

    /// Takes an entry out. Whose it was.
    pub(super) fn remove(&mut self, number: u64) -> Option<Owner> {
        let found = self.index.find_entry(hash(number), |(n, _)| *n == number).ok()?;
        let ((_, slot), _) = found.remove();
        self.free.push(slot);
        let place = self.place(slot)?;
        let owner = place.1.owner;
        *place = (0, Entry::default());
        Some(owner)
    }

    /// Removes what has ended among the next `budget` places. How many were removed, how many places were looked at, and
    /// whether those were the last.
    pub(super) fn sweep(
        &mut self,
        budget: usize,
        mut ended: impl FnMut(&mut Entry) -> bool,
    ) -> (usize, usize, bool) {
        let all = self.chunks.len() * CHUNK;
        let end = all.min(self.cursor + budget);
        let mut removed = 0;
        for slot in self.cursor..end {
            let Some((number, entry)) = self.place(slot as u32) else { continue };
            let number = *number;
            if entry.is_used() && ended(entry) {
                removed += usize::from(self.remove(number).is_some());
            }
        }
        let (looked, finished) = (end - self.cursor, end == all);
        self.cursor = if finished { 0 } else { end };
        (removed, looked.max(1), finished)
    }
}
