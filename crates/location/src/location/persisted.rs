//! What the persistence asks of the table: which records have changed, and those of earlier processes.

use std::sync::atomic::Ordering;

use super::{Location, Slot, spread};
use crate::record;

impl Location {
    /// From now on changes are noted for the database.
    pub(crate) fn note_changes(&self, on: bool) {
        self.persistent.store(on, Ordering::Relaxed);
    }

    /// Takes a shard's list of changed records. `list` comes empty and its room is reused.
    pub(crate) fn take_dirty(&self, shard: usize, list: &mut Vec<u32>) {
        if !self.table(shard).read().dirty.is_empty() {
            std::mem::swap(&mut self.table(shard).write().dirty, list);
        }
    }

    /// Shows records of these hashes; those marked changed only, whose mark is cleared, or all.
    pub(crate) fn collect(&self, shard: usize, hashes: &[u32], changed: bool, mut see: impl FnMut(&[u8])) {
        // A few at a time: the shard is locked meanwhile.
        for some in hashes.chunks(32) {
            let mut table = self.table(shard).write();
            for hash in some {
                for slot in table.slots.iter_hash_mut(spread(*hash)).filter(|s| s.hash == *hash) {
                    if !changed || record::set_dirty(&mut slot.record, false) {
                        see(&slot.record);
                    }
                }
            }
        }
    }

    /// Marks records as changed again, after a write failed.
    pub(crate) fn mark_dirty(&self, shard: usize, hash: u32) {
        let mut table = self.table(shard).write();
        let table = &mut *table;
        for slot in table.slots.iter_hash_mut(spread(hash)).filter(|s| s.hash == hash) {
            if !record::set_dirty(&mut slot.record, true) {
                table.dirty.push(hash);
            }
        }
    }

    /// The hashes of all records of a shard.
    pub(crate) fn hashes(&self, shard: usize, into: &mut Vec<u32>) {
        into.clear();
        into.extend(self.table(shard).read().slots.iter().map(|s| s.hash));
    }

    /// Puts in a record from the database, unless its AOR has one: the log is read from its end.
    ///
    /// Ended bindings come too, since they say that what stands before them in the log is no more; the
    /// sweep finds them.
    pub(crate) fn restore(&self, bytes: &[u8]) {
        let aor = record::aor(bytes);
        let (shard, hash) = self.place(aor);
        let newest = record::entries(bytes).map(|e| e.id()).max().unwrap_or(0);
        self.next_id.fetch_max(newest + 1, Ordering::Relaxed);
        let mut table = self.table(shard).write();
        let table = &mut *table;
        let found = |s: &Slot| s.hash == hash && record::aor(&s.record) == aor;
        if table.slots.find(spread(hash), found).is_some() {
            return;
        }
        let mut record: Box<[u8]> = bytes.into();
        record::set_dirty(&mut record, false);
        // Its connections ended with the process that wrote it.
        let at: Vec<usize> = record::entries(&record).filter(|e| e.connection() != 0).map(|e| e.at).collect();
        at.iter().for_each(|at| record::disconnect(&mut record, *at));
        table.stats.bindings += record::standing(&record) as u64;
        for entry in record::entries(&record).filter(|e| !e.removed()) {
            let proven = entry.flags() & record::PROVEN != 0;
            self.origins.note_source(entry.remote().ip(), proven, entry.expires_at());
            self.origins.note_places(&entry);
        }
        let slot = Slot { sweep_at: record::sweep_at(&record), record, hash };
        table.slots.insert_unique(spread(hash), slot, |s| spread(s.hash));
    }
}
