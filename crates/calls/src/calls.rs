//! The table of calls.

mod announce;
mod closing;
mod finding;
mod talking;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use parking_lot::Mutex;
use trunkline_events::{Board, CallStep};
use trunkline_proxy::Side;

use crate::call::{CallStart, CallView, CallerProof, Counted};
use crate::counting::{Counting, Keys, Refused};
use crate::ending::{Ender, ReasonLines};
use crate::histogram::{Histogram, SETUP_MS};
use crate::memory::{self, Memory};
use crate::payer::Payer;
use crate::refused::RefusedCalls;
use crate::row::{self, Kind, Row};
use crate::sessions::SessionKey;
use crate::talker::{MOST_KEPT, ROOM, Talker};

pub(crate) const SHARDS: usize = 64;
/// A call that rings longer than this has been forgotten by everybody: Timer C (RFC 3261 §16.6) is three
/// minutes, and each provisional response starts it anew.
const RING_LIMIT_MS: u64 = 30 * 60_000;
const SESSION_LIMIT_MS: u64 = 12 * 3_600_000;

/// The live calls, shared by all threads: sharded by their numbers, a short lock per event. Buffers of calls that
/// have ended are used again, so a steady load allocates nothing.
pub struct Calls {
    shards: Box<[Shard]>,
    /// Keyed: the parties choose Call-IDs and tags.
    hasher: foldhash::quality::RandomState,
    counting: Counting,
    memory: Memory,
    next_id: AtomicU64,
    recording: AtomicBool,
    refused: RefusedCalls,
    session_limit_ms: AtomicU64,
    sweep_cursor: AtomicUsize,
    /// Where what happens to calls is told.
    board: OnceLock<Arc<Board>>,
}

#[repr(align(128))]
struct Shard(Mutex<Table>);

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Where the call of a number is.
    index: HashTable<(u64, u32)>,
    /// Where the answered calls with a dialog's Call-ID and tags are: with the hash of those.
    by_dialog: HashTable<(u64, u32)>,
    /// Calls the database has to look at when they still live at its next turn.
    fresh: Vec<(u32, u32)>,
    /// Calls that ended, as rows.
    outbox: Vec<u8>,
    /// That of a call which ends as it begins.
    spare: Row,
    stats: Stats,
}

#[derive(Default)]
struct Slot {
    row: Row,
    number: u64,
    /// Odd while a call lives here.
    generation: u32,
    has_row: bool,
    proof: CallerProof,
    in_fresh: bool,
    /// When it is given up.
    deadline: u64,
    /// Of an answered call, the hash of its Call-ID and tags.
    dialog: u64,
    keys: Keys,
    /// Who holds its memory, and how much that is.
    payer: Option<Payer>,
    held: u64,
    /// Caller and callee, once it is answered.
    talkers: [Talker; 2],
}

/// A call, while it lives; a stale one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallHandle {
    slot: u32,
    generation: u32,
    shard: u16,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls now.
    pub live: u64,
    /// Calls that started.
    pub started: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that ended.
    pub ended: u64,
    /// Calls given up without a BYE.
    pub expired: u64,
    /// Calls that were not let in.
    pub refused: u64,
    /// From the INVITE to the first ringing.
    pub ring_delay: Histogram,
    /// From the INVITE to the answer.
    pub setup: Histogram,
    /// From the answer to the end.
    pub duration: Histogram,
}

fn spread(number: u64) -> u64 {
    // Numbers are given in turn.
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Slot {
    /// Who is on this side.
    fn ender(&self, side: Side) -> Ender {
        match side {
            Side::Caller => Ender::Caller,
            Side::Callee if self.row.leaves_by_trunk() => Ender::Carrier,
            Side::Callee => Ender::Callee,
        }
    }

    fn set_leaving(&mut self, by: Ender, lines: &ReasonLines<'_>) {
        self.row.set_ended_by(by);
        self.row.set_sip_reason(lines);
    }

    fn set_codec(&mut self, codec: &[u8]) {
        if !codec.is_empty() && self.row.text(row::CODEC) != codec {
            self.row.set_text(row::CODEC, codec);
        }
    }
}

impl Slot {
    /// What its texts take; before the answer also what those of the answer may take, so that they are always kept.
    fn cost(&self) -> u64 {
        let talkers = match self.row.is_answered() {
            true => self.talkers.iter().map(Talker::len).sum(),
            false => 2 * MOST_KEPT,
        };
        memory::of_texts(self.row.len() + talkers)
    }

    /// Its texts have changed.
    fn weigh(&mut self, memory: &Memory) {
        let cost = self.cost();
        memory.change(self.payer, std::mem::replace(&mut self.held, cost), cost);
    }

    /// It has ended: what it held is given back.
    fn forget(&mut self, memory: &Memory) {
        memory.change(self.payer, std::mem::take(&mut self.held), 0);
        self.row.clear(ROOM);
        self.talkers.iter_mut().for_each(Talker::clear);
    }
}

impl Table {
    /// The slot of the call with this number.
    fn find(&self, number: u64) -> Option<u32> {
        self.index.find(spread(number), |(n, _)| *n == number).map(|(_, slot)| *slot)
    }

    fn note(&mut self, slot: u32) {
        if let Some(at) = self.slots.get_mut(slot as usize)
            && !at.in_fresh
        {
            at.in_fresh = true;
            self.fresh.push((slot, at.generation));
        }
    }
}

impl Calls {
    /// An empty table. Calls without a BYE end after 12 hours.
    pub fn new() -> Calls {
        Calls {
            shards: (0..SHARDS).map(|_| Shard(Mutex::default())).collect(),
            hasher: foldhash::quality::RandomState::default(),
            counting: Counting::new(),
            memory: Memory::new(),
            next_id: AtomicU64::new(1),
            recording: AtomicBool::new(false),
            refused: RefusedCalls::new(),
            session_limit_ms: AtomicU64::new(SESSION_LIMIT_MS),
            sweep_cursor: AtomicUsize::new(0),
            board: OnceLock::new(),
        }
    }

    /// Sets after how many seconds without a BYE an answered call ends; holds for calls answered from now on.
    pub fn set_session_limit(&self, seconds: u64) {
        self.session_limit_ms.store(seconds.saturating_mul(1000), Ordering::Relaxed);
    }

    fn table(&self, shard: usize) -> &Mutex<Table> {
        &self.shards[shard % SHARDS].0
    }

    /// Calls hold at most so many bytes; one party's, and those of all whom nobody knows, so many percent of them.
    pub fn set_memory_limit(&self, bytes: u64, percent: u8) {
        self.memory.set_limit(bytes, percent);
    }

    /// The bytes that calls hold.
    pub fn memory(&self) -> u64 {
        self.memory.held()
    }

    /// A call starts. One with the same number that lives already is that call. Call-ID and tags are the caller's own words: they
    /// make no two calls one.
    ///
    /// # Errors
    /// When a party has as many calls as it may; nothing is counted or recorded then.
    pub fn start(&self, start: &CallStart<'_>, now: u64) -> Result<CallHandle, Refused> {
        let shard = start.number as usize % SHARDS;
        let mut table = self.table(shard).lock();
        let table = &mut *table;
        if let Some(slot) = table.find(start.number) {
            let generation = table.slots.get(slot as usize).map_or(0, |s| s.generation);
            return Ok(CallHandle { slot, generation, shard: shard as u16 });
        }
        let room = self.memory.has_room(start.payer, memory::of_texts(2 * MOST_KEPT));
        let room = room.map_err(|who| Refused { who, wait: None });
        let keys = match room.and_then(|()| self.counting.add(start, now)) {
            Ok(keys) => keys,
            Err(refused) => {
                table.stats.refused += 1;
                return Err(refused);
            }
        };
        let number = match table.free.pop() {
            Some(number) => number,
            None => {
                table.slots.push(Slot::default());
                (table.slots.len() - 1) as u32
            }
        };
        let id = self.number();
        let mut generation = 0;
        if let Some(slot) = table.slots.get_mut(number as usize) {
            slot.row.fill(start, id, now);
            slot.number = start.number;
            slot.generation = slot.generation.wrapping_add(1);
            slot.has_row = false;
            slot.proof = start.proof;
            slot.in_fresh = false;
            slot.deadline = now + RING_LIMIT_MS;
            slot.keys = keys;
            slot.payer = start.payer;
            slot.weigh(&self.memory);
            generation = slot.generation;
            self.announce(CallStep::Started, &slot.row, start.headers, now);
        }
        table.index.insert_unique(spread(start.number), (start.number, number), |(n, _)| spread(*n));
        table.stats.started += 1;
        if self.recording.load(Ordering::Relaxed) {
            table.note(number);
        }
        Ok(CallHandle { slot: number, generation, shard: shard as u16 })
    }

    fn with<T>(&self, call: CallHandle, change: impl FnOnce(&mut Table, u32) -> T) -> Option<T> {
        let mut table = self.table(usize::from(call.shard)).lock();
        let lives = table.slots.get(call.slot as usize).is_some_and(|s| s.generation == call.generation);
        lives.then(|| change(&mut table, call.slot))
    }

    /// The call goes on to another target: the binding or trunk that was chosen, or the next one after a
    /// failure. The callee's and the trunk's sessions move along; limits are not asked. An empty ref keeps what
    /// stood there.
    ///
    /// False when the call has ended.
    pub fn assign(&self, call: CallHandle, to: &CallStart<'_>) -> bool {
        self.with(call, |table, number| {
            let Some(slot) = table.slots.get_mut(number as usize) else { return };
            for (n, text) in [(row::CALLEE, to.callee_ref), (row::TRUNK, to.trunk_ref)] {
                if !text.is_empty() && slot.row.text(n) != text {
                    slot.row.set_text(n, text);
                }
            }
            self.counting.assign(&mut slot.keys, [to.callee.key, to.trunk.key]);
        })
        .is_some()
    }

    /// The call goes on to another callee, for whom it counts from now on, and for its domain.
    ///
    /// # Errors
    /// When the new callee has as many calls as it may; nothing changes then.
    pub fn recount(&self, call: CallHandle, called: [Counted; 2], now: u64) -> Result<(), Refused> {
        self.counting.add_callee(called, now)?;
        let lives = self.with(call, |table, number| {
            let keys = table.slots.get_mut(number as usize).map(|slot| &mut slot.keys);
            self.counting.recounted(keys, called);
        });
        if lives.is_none() {
            self.counting.recounted(None, called);
        }
        Ok(())
    }

    /// Could a call of this party begin?
    ///
    /// # Errors
    /// In how many seconds there is room, where it is the limit per minute.
    pub fn has_room(&self, counted: &Counted, now: u64) -> Result<(), Option<u32>> {
        self.counting.has_room(counted, now)
    }

    /// Its callee did not take the call, which goes on to `to` with this ref: the record shows both, whom it is with
    /// and who was called first. False when the call has ended.
    pub fn diverted(&self, call: CallHandle, to: &[u8], callee_ref: &[u8]) -> bool {
        self.with(call, |table, number| {
            let Some(slot) = table.slots.get_mut(number as usize) else { return };
            if slot.row.text(row::FIRST_CALLED).is_empty() {
                let first = slot.row.text(row::TO).to_vec();
                slot.row.set_text(row::FIRST_CALLED, &first);
            }
            slot.row.set_text(row::TO, to);
            slot.row.set_text(row::CALLEE, callee_ref);
            if slot.has_row {
                table.note(number);
            }
        })
        .is_some()
    }

    /// A provisional response went to the caller: it `rings`, or the codec is known already. Either is kept. False when the
    /// call has ended.
    pub fn provisional(&self, call: CallHandle, rings: bool, codec: &[u8], now: u64) -> bool {
        self.with(call, |table, number| {
            let Some(slot) = table.slots.get_mut(number as usize) else { return };
            if slot.row.is_answered() {
                return;
            }
            if rings && slot.row.set_rang(now) {
                table.stats.ring_delay.add(&SETUP_MS, now.saturating_sub(slot.row.started()));
            }
            slot.set_codec(codec);
        })
        .is_some()
    }

    /// The first 2xx to the INVITE, with its codec if it names one. Those of other branches change nothing. False when the call
    /// has ended.
    pub fn answered(&self, call: CallHandle, (to_tag, codec): (&[u8], &[u8]), now: u64) -> bool {
        let limit = self.session_limit_ms.load(Ordering::Relaxed);
        self.with(call, |table, number| {
            let Some(slot) = table.slots.get_mut(number as usize) else { return };
            if slot.row.is_answered() {
                return;
            }
            slot.row.set_answered(now);
            slot.row.set_text(row::TO_TAG, to_tag);
            let call = slot.row.view();
            slot.dialog = self.dialog(call.call_id, [call.from_tag, call.to_tag]);
            table.by_dialog.insert_unique(slot.dialog, (slot.dialog, number), |(hash, _)| *hash);
            slot.set_codec(codec);
            // The caller's CANCEL came too late.
            slot.set_leaving(Ender::Unknown, &ReasonLines::default());
            slot.deadline = now.saturating_add(limit);
            self.announce(CallStep::Answered, &slot.row, b"", now);
            let waited = now.saturating_sub(slot.row.started());
            table.stats.answered += 1;
            table.stats.setup.add(&SETUP_MS, waited);
            // One without a row is on the list already.
            if table.slots.get(number as usize).is_some_and(|s| s.has_row) {
                table.note(number);
            }
        })
        .is_some()
    }

    /// The number of a new record.
    fn number(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// How many calls a party has now.
    pub fn sessions(&self, key: SessionKey) -> u32 {
        self.counting.sessions(key)
    }

    /// Shows up to `limit` live calls, in no particular order. Start with 0 and go on with what is given
    /// back, until `None`.
    pub fn live(&self, from: u64, limit: usize, mut see: impl FnMut(CallView<'_>)) -> Option<u64> {
        let (mut shard, mut skip) = ((from >> 32) as usize, from as u32 as usize);
        let mut left = limit.max(1);
        while shard < SHARDS {
            let table = self.table(shard).lock();
            for (n, slot) in table.slots.iter().enumerate().skip(skip).filter(|(_, s)| s.generation % 2 == 1)
            {
                see(slot.row.view());
                left -= 1;
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
            let stats = shard.0.lock().stats;
            sum.started += stats.started;
            sum.answered += stats.answered;
            sum.ended += stats.ended;
            sum.expired += stats.expired;
            sum.refused += stats.refused;
            sum.ring_delay.merge(&stats.ring_delay);
            sum.setup.merge(&stats.setup);
            sum.duration.merge(&stats.duration);
        }
        sum.live = sum.started - sum.ended;
        sum
    }

    // ---- for the records ----

    /// From now on calls are recorded, numbered from `first`.
    pub(crate) fn record_from(&self, first: u64) {
        self.next_id.fetch_max(first, Ordering::Relaxed);
        self.recording.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop_recording(&self) {
        self.recording.store(false, Ordering::Relaxed);
    }

    /// Appends to `queue` the sums of refused calls that have grown; `all`: those too that would be due later.
    pub(crate) fn take_sums(&self, now: u64, queue: &mut Vec<u8>, all: bool) {
        self.refused.take_rows(now, queue, all);
    }

    /// Appends to `queue` what the database has not seen of a shard.
    pub(crate) fn take_rows(&self, shard: usize, queue: &mut Vec<u8>) {
        let mut table = self.table(shard).lock();
        let table = &mut *table;
        queue.extend_from_slice(&table.outbox);
        table.outbox.clear();
        for (number, generation) in table.fresh.drain(..) {
            let Some(slot) = table.slots.get_mut(number as usize) else { continue };
            if slot.generation != generation {
                continue;
            }
            slot.row.push(if slot.has_row { Kind::Answered } else { Kind::Open }, queue);
            slot.has_row = true;
            slot.in_fresh = false;
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Calls::new()
    }
}
