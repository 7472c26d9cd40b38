//! The table: shards of AOR → record.

mod persisted;
mod whereabouts;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use parking_lot::RwLock;
use trunkline_events::{Board, RegistrationStep};
use trunkline_sip::ConnectionId;

use crate::announce::Announcement;
use crate::apply::{Effect, apply};
use crate::binding::{Binding, Timestamp};
use crate::connections::{Connections, Place};
use crate::departures::way;
use crate::locals::Locals;
use crate::origins::Origins;
use crate::pins::Pins;
use crate::record::{self, Part};
use crate::register::{Outcome, Register, RegisterError};

/// Not a power of two: at round numbers of AORs the tables then stand at three quarters, not just past
/// a doubling.
pub(crate) const SHARDS: usize = 320;

/// The location service: AOR → bindings, in memory, shared by all threads.
///
/// A shard is a hash table under a reader-writer lock, held for well under a microsecond. With 320 shards
/// two of eight threads meet about once in fifty operations, and an uncontended lock is one atomic
/// instruction on a line the operation reads anyway: cheaper than the copies and deferred frees a lock-free
/// table needs when every REGISTER writes. Nothing is allocated for a lookup or an ordinary refresh.
pub struct Location {
    hasher: foldhash::quality::RandomState,
    shards: Box<[Shard]>,
    pub(crate) locals: Locals,
    connections: Connections,
    origins: Origins,
    next_id: AtomicU64,
    persistent: AtomicBool,
    /// Since when the database lacks a change, in Unix milliseconds; 0: it has all.
    behind_since: AtomicU64,
    sweep_cursor: AtomicUsize,
    pub(crate) pins: Pins,
    /// Where what happens to bindings is told.
    board: OnceLock<Arc<Board>>,
}

/// A cache line of its own for each lock: neighbours must not slow each other.
#[repr(align(128))]
struct Shard(RwLock<Table>);

#[derive(Default)]
struct Table {
    slots: HashTable<Slot>,
    /// Hashes of the records the database lacks.
    dirty: Vec<u32>,
    stats: Stats,
}

/// 24 bytes: the sweep reads these one after the other and seldom follows the pointer.
struct Slot {
    record: Box<[u8]>,
    hash: u32,
    sweep_at: u32,
}

/// Counters since the start, summed over the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// AORs with a record now.
    pub aors: u64,
    /// Bindings now; one that expired counts until the sweep has found it.
    pub bindings: u64,
    /// Bindings added.
    pub added: u64,
    /// Bindings refreshed.
    pub refreshed: u64,
    /// Bindings removed by their owner, by an operator, by a fuller AOR or with their connection.
    pub removed: u64,
    /// Bindings that ran out.
    pub expired: u64,
    /// REGISTERs that were not applied.
    pub refused: u64,
}

fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Location {
    /// An empty one.
    pub fn new() -> Location {
        Location {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..SHARDS).map(|_| Shard(RwLock::default())).collect(),
            locals: Locals::new(),
            connections: Connections::new(),
            origins: Origins::new(),
            next_id: AtomicU64::new(1),
            persistent: AtomicBool::new(false),
            behind_since: AtomicU64::new(0),
            sweep_cursor: AtomicUsize::new(0),
            pins: Pins::new(),
            board: OnceLock::new(),
        }
    }

    /// Tells what happens to bindings on this board from now on.
    pub fn announce_on(&self, board: Arc<Board>) {
        let _ = self.board.set(board);
    }

    /// Does anybody want to know what happens to bindings?
    pub fn is_watched(&self) -> bool {
        self.board.get().is_some_and(|board| board.is_watched())
    }

    /// What tells it, if anybody does.
    fn announcement(&self, now: Timestamp) -> Option<Announcement<'_>> {
        let board = self.board.get().filter(|board| board.is_watched())?;
        Some(Announcement { board, locals: &self.locals, now })
    }

    fn place(&self, aor: &[u8]) -> (usize, u32) {
        let hash = self.hasher.hash_one(aor);
        ((((hash >> 32) * SHARDS as u64) >> 32) as usize, hash as u32)
    }

    fn table(&self, shard: usize) -> &RwLock<Table> {
        &self.shards[shard % SHARDS].0
    }

    /// For how many milliseconds the database has not taken what it lacks; 0 without a database.
    pub fn behind_for(&self, now: Timestamp) -> u64 {
        match self.behind_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now.saturating_sub(since),
        }
    }

    /// The database lacks something since then; `None`: it has all.
    pub(crate) fn note_behind(&self, since: Option<Timestamp>) {
        match since {
            Some(since) => {
                let _ = self.behind_since.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
            }
            None => self.behind_since.store(0, Ordering::Relaxed),
        }
    }

    /// Applies one REGISTER and shows the AOR's live bindings afterwards, which its 200 lists.
    ///
    /// # Errors
    /// Nothing is changed then; see [`RegisterError`] for the answer each calls for.
    pub fn register(
        &self,
        register: &Register<'_>,
        now: Timestamp,
        mut see: impl FnMut(Binding<'_>),
    ) -> Result<Outcome, RegisterError> {
        let local = self.locals.number(register.flow.local);
        let (shard, hash) = self.place(register.aor);
        let mut table = self.table(shard).write();
        let table = &mut *table;
        let new_id = || self.next_id.fetch_add(1, Ordering::Relaxed);
        let found = |slot: &Slot| slot.hash == hash && record::aor(&slot.record) == register.aor;
        let mut entry = table.slots.find_mut(spread(hash), found);
        let record: &mut [u8] = match &mut entry {
            Some(slot) => &mut slot.record,
            None => &mut [],
        };
        let (outcome, effect) = match apply(record, register, local, now, new_id) {
            Ok(applied) => applied,
            Err(error) => {
                table.stats.refused += 1;
                return Err(error);
            }
        };
        let slot = match (effect, entry) {
            (Effect::Nothing, None) => return Ok(outcome),
            (Effect::Nothing, Some(slot)) => {
                self.show(&slot.record, now, &mut see);
                return Ok(outcome);
            }
            (Effect::InPlace(had), Some(slot)) => {
                if let Some(had) = had {
                    self.origins.left(&had, &slot.record, now);
                    if register.proven {
                        self.origins.came(&way(&register.flow), &had, &slot.record, now);
                    }
                }
                if let Some(announcement) = self.announcement(now) {
                    announcement.refreshed(register, &slot.record);
                }
                slot
            }
            (Effect::Replace(record), Some(slot)) => {
                let had = std::mem::replace(&mut slot.record, record);
                self.origins.replaced(&had, &slot.record, now);
                self.note_departures(register, &had, &slot.record, now);
                if let Some(announcement) = self.announcement(now) {
                    announcement.replaced(register, &had, &slot.record);
                }
                // What had run out and was replaced or dropped, before the sweep could count it.
                let had = record::standing(&had) + usize::from(outcome.added);
                let now = record::standing(&slot.record) + usize::from(outcome.removed);
                table.stats.expired += had.saturating_sub(now) as u64;
                slot
            }
            (Effect::Replace(record), None) => {
                if let Some(announcement) = self.announcement(now) {
                    announcement.replaced(register, &[], &record);
                }
                let slot = Slot { record, hash, sweep_at: 0 };
                table.slots.insert_unique(spread(hash), slot, |s| spread(s.hash)).into_mut()
            }
            // Only an existing record can be changed in place.
            (Effect::InPlace(_), None) => return Ok(outcome),
        };
        slot.sweep_at = record::sweep_at(&slot.record);
        if self.persistent.load(Ordering::Relaxed) && !record::set_dirty(&mut slot.record, true) {
            table.dirty.push(hash);
        }
        table.stats.added += u64::from(outcome.added);
        table.stats.refreshed += u64::from(outcome.refreshed);
        table.stats.removed += u64::from(outcome.removed);
        let connection = register.flow.connection;
        if connection != ConnectionId::NONE && outcome.added + outcome.refreshed > 0 {
            self.connections.add(connection.0, (shard as Place) << 32 | u64::from(hash));
        }
        self.note_origins(register, &slot.record, now);
        self.show(&slot.record, now, &mut see);
        Ok(outcome)
    }

    fn show(&self, record: &[u8], now: Timestamp, see: &mut impl FnMut(Binding<'_>)) -> usize {
        record::entries(record).filter(|e| e.live(now)).map(|e| see(e.view(&self.locals))).count()
    }

    /// Shows the live bindings of an AOR: q from high to low, then newest first. Gives their number.
    pub fn visit(&self, aor: &[u8], now: Timestamp, mut see: impl FnMut(Binding<'_>)) -> usize {
        self.with_record(aor, |record| self.show(record, now, &mut see)).unwrap_or(0)
    }

    pub(crate) fn with_record<T>(&self, aor: &[u8], read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (shard, hash) = self.place(aor);
        let table = self.table(shard).read();
        let slot = table.slots.find(spread(hash), |s| s.hash == hash && record::aor(&s.record) == aor)?;
        Some(read(&slot.record))
    }

    /// Removes the bindings of an AOR: the one with this contact URI, or all. Gives their number.
    pub fn kick(&self, aor: &[u8], contact: Option<&[u8]>, now: Timestamp) -> usize {
        let (shard, hash) = self.place(aor);
        self.change(shard, hash, |record| {
            if record::aor(record) != aor {
                return 0;
            }
            let wanted = |uri: &[u8]| contact.is_none_or(|c| crate::uri::uri_equivalent(c, uri));
            let hit: Vec<usize> = record::entries(record)
                .filter(|e| e.live(now) && wanted(e.texts().uri))
                .map(|e| e.at)
                .collect();
            if let Some(announcement) = self.announcement(now) {
                announcement.ended(record, &hit, RegistrationStep::Kicked);
            }
            hit.iter().for_each(|at| self.end(record, *at, now));
            hit.len()
        })
    }

    /// A stream connection has ended. Bindings that can only be reached by it are removed; the others forget
    /// it and are reached by their URI. Gives the number of those removed.
    pub fn connection_lost(&self, connection: ConnectionId, now: Timestamp) -> usize {
        if connection == ConnectionId::NONE {
            return 0;
        }
        let mut removed = 0;
        for place in self.connections.take(connection.0) {
            removed += self.change((place >> 32) as usize, place as u32, |record| {
                let mut removed = 0;
                let on_it: Vec<(usize, bool)> = record::entries(record)
                    .filter(|e| e.connection() == connection.0 && e.live(now))
                    .map(|e| (e.at, e.flags() & record::BEHIND_NAT != 0 || e.transport().is_websocket()))
                    .collect();
                for (at, only) in on_it {
                    if only {
                        if let Some(announcement) = self.announcement(now) {
                            announcement.ended(record, &[at], RegistrationStep::ConnectionLost);
                        }
                        self.end(record, at, now);
                        removed += 1;
                    } else {
                        record::disconnect(record, at);
                    }
                }
                removed
            });
        }
        removed
    }

    /// Changes records in place; `edit` gives the number of bindings it ended.
    fn change(&self, shard: usize, hash: u32, mut edit: impl FnMut(&mut [u8]) -> usize) -> usize {
        let mut table = self.table(shard).write();
        let table = &mut *table;
        let mut total = 0;
        for slot in table.slots.iter_hash_mut(spread(hash)).filter(|s| s.hash == hash) {
            let ended = edit(&mut slot.record);
            total += ended;
            if ended > 0 {
                slot.sweep_at = record::sweep_at(&slot.record);
                if self.persistent.load(Ordering::Relaxed) && !record::set_dirty(&mut slot.record, true) {
                    table.dirty.push(hash);
                }
            }
        }
        table.stats.removed += total as u64;
        total
    }

    /// Frees what has expired: goes on where the last call stopped, over at least one shard and until
    /// `budget` records were looked at. Gives the number of bindings that had run out.
    ///
    /// Lookups do not depend on it; calling it each second with a hundredth of the AORs is plenty.
    pub fn sweep(&self, now: Timestamp, budget: usize) -> usize {
        self.origins.prune(now);
        let (mut looked, mut expired) = (0, 0);
        let (mut due, mut over): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let announcement = self.announcement(now);
        for n in 0..SHARDS {
            let shard = self.sweep_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
            {
                // Readers go on meanwhile.
                let table = self.table(shard).read();
                looked += table.slots.len().max(1);
                due.clear();
                due.extend(
                    table.slots.iter().filter(|s| u64::from(s.sweep_at) * 1000 <= now).map(|s| s.hash),
                );
                if announcement.is_some() {
                    let has_ended = |s: &&Slot| u64::from(s.sweep_at) * 1000 <= now + record::GRACE_MS;
                    over.clear();
                    over.extend(table.slots.iter().filter(has_ended).map(|s| s.hash));
                }
            }
            if let Some(announcement) = &announcement {
                for hash in &over {
                    let mut table = self.table(shard).write();
                    let found = table.slots.iter_hash_mut(spread(*hash)).filter(|s| s.hash == *hash);
                    found.for_each(|slot| announcement.expired(&mut slot.record));
                }
            }
            for hash in &due {
                expired += self.forget(shard, *hash, now);
            }
            // Whoever watches learns within seconds what has expired, however many bindings there are.
            if looked >= budget && (announcement.is_none() || n + 1 >= SHARDS / 8) {
                break;
            }
        }
        expired
    }

    fn forget(&self, shard: usize, hash: u32, now: Timestamp) -> usize {
        let mut table = self.table(shard).write();
        let table = &mut *table;
        let mut expired = 0;
        // A record the database has not seen yet stays: it may say that a binding was removed.
        let due =
            |s: &Slot| s.hash == hash && u64::from(s.sweep_at) * 1000 <= now && !record::is_dirty(&s.record);
        if let Ok(mut found) = table.slots.find_entry(spread(hash), due) {
            let slot = found.get_mut();
            expired = record::entries(&slot.record).filter(|e| e.forgotten(now) && !e.removed()).count();
            let mut parts: Vec<Part<'_>> =
                record::entries(&slot.record).filter(|e| !e.forgotten(now)).map(Part::Kept).collect();
            if parts.is_empty() {
                drop(parts);
                found.remove();
            } else {
                let rest = record::build(record::aor(&slot.record), 0, &mut parts);
                slot.record = rest;
                slot.sweep_at = record::sweep_at(&slot.record);
            }
        }
        table.stats.expired += expired as u64;
        expired
    }

    /// Shows the live bindings of up to `limit` AORs, in no particular order. Start with 0 and go on with
    /// what is given back, until `None`. AORs that come and go meanwhile may be missed or shown twice.
    pub fn list(
        &self,
        from: u64,
        limit: usize,
        now: Timestamp,
        mut see: impl FnMut(&[u8], Binding<'_>),
    ) -> Option<u64> {
        let (mut shard, mut skip) = ((from >> 32) as usize, from as u32 as usize);
        let mut left = limit.max(1);
        while shard < SHARDS {
            let table = self.table(shard).read();
            for (n, slot) in table.slots.iter().enumerate().skip(skip) {
                let aor = record::aor(&slot.record);
                let shown = self.show(&slot.record, now, &mut |binding| see(aor, binding));
                left -= usize::from(shown > 0);
                if left == 0 {
                    return Some((shard as u64) << 32 | (n as u64 + 1));
                }
            }
            shard += 1;
            skip = 0;
        }
        None
    }

    /// The counters.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for shard in &self.shards {
            let table = shard.0.read();
            sum.aors += table.slots.len() as u64;
            sum.added += table.stats.added;
            sum.refreshed += table.stats.refreshed;
            sum.removed += table.stats.removed;
            sum.expired += table.stats.expired;
            sum.refused += table.stats.refused;
            sum.bindings += table.stats.bindings;
        }
        // Shards keep in `bindings` only what was loaded.
        sum.bindings = (sum.bindings + sum.added).saturating_sub(sum.removed + sum.expired);
        sum
    }
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Location").finish_non_exhaustive()
    }
}

impl Default for Location {
    fn default() -> Self {
        Location::new()
    }
}
