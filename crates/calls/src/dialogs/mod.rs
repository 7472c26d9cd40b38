//! The dialogs that we are in the way of: which of them live, and what their sides have changed since they began.
//!
//! The mark in our Record-Route says what a dialog was when it began; this table says what has become of it. It lives in
//! memory: after a restart a mark of before is taken at its word until it is too old.

mod entry;

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashTable;
use parking_lot::Mutex;
use trunkline_proxy::{Holder, Mark, Side};
use trunkline_sip::Method;

pub use entry::{Ended, Moved, Standing};
use entry::{Entry, Leg};

const SHARDS: usize = 64;
/// Dialogs at once, at most; what comes beyond is refused.
const MOST: usize = 4_000_000;
/// Dialogs of one first request (RFC 3261 §12.1: one for each callee that answers a fork), at most.
const MOST_LEGS: usize = 32;
/// 64*T1 of RFC 3261 §17: for so long repetitions come.
const LINGER_MS: u64 = 32_000;
/// A request that begins a dialog is given up after so long without a response: timer C of RFC 3261 §16.6, and some.
const OPEN_MS: u64 = 4 * 60_000;

/// One dialog.
#[derive(Clone, Copy, Debug)]
pub struct DialogId<'a> {
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The tag of the side that began it.
    pub caller_tag: &'a [u8],
    /// The other tag.
    pub callee_tag: &'a [u8],
}

/// Names what one request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogKey([u64; 2]);

impl DialogKey {
    fn number(self) -> u128 {
        let [high, low] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }
}

/// A response to a request inside a dialog, or to the one that begins it.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// The method of the request.
    pub method: Method,
    /// The status.
    pub status: u16,
    /// What the responder's Contact says, where there is one.
    pub contact: Option<Moved>,
    /// The seconds of Expires.
    pub expires: Option<u32>,
}

/// The dialogs, shared by all threads: sharded by Call-ID, a short lock per event.
pub struct Dialogs {
    hashers: [foldhash::quality::RandomState; 2],
    shards: Box<[Mutex<Table>]>,
    started: u64,
    limit_ms: AtomicU64,
    count: AtomicUsize,
    cursor: AtomicUsize,
}

struct Table {
    slots: Vec<Entry>,
    free: Vec<u32>,
    index: HashTable<(u128, u32)>,
}

/// Dialogs that a shard of the table has room for from the start: a megabyte in all.
const ROOM: usize = 32;

impl Table {
    fn with_room() -> Table {
        let index = HashTable::with_capacity(ROOM);
        Table { slots: Vec::with_capacity(ROOM), free: Vec::with_capacity(ROOM), index }
    }

    fn find(&mut self, key: u128) -> Option<(u32, &mut Entry)> {
        let slot = self.index.find(key as u64, |(k, _)| *k == key)?.1;
        self.slots.get_mut(slot as usize).map(|entry| (slot, entry))
    }

    fn insert(&mut self, key: u128, entry: Entry) -> Option<&mut Entry> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Entry::default());
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert_unique(key as u64, (key, slot), |(k, _)| *k as u64);
        let place = self.slots.get_mut(slot as usize)?;
        *place = entry;
        Some(place)
    }

    fn remove(&mut self, key: u128) -> bool {
        let Ok(found) = self.index.find_entry(key as u64, |(k, _)| *k == key) else { return false };
        let ((_, slot), _) = found.remove();
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            *entry = Entry::default();
        }
        self.free.push(slot);
        true
    }
}

impl Dialogs {
    /// An empty table. `started` is when this process began, in milliseconds since 1970: of marks that are younger every
    /// dialog is in the table. `limit_seconds`: so long a dialog lives without a request, and a mark of before a restart.
    pub fn new(started: u64, limit_seconds: u64) -> Dialogs {
        Dialogs {
            hashers: [foldhash::quality::RandomState::default(), foldhash::quality::RandomState::default()],
            shards: (0..SHARDS).map(|_| Mutex::new(Table::with_room())).collect(),
            started,
            limit_ms: AtomicU64::new(limit_seconds.saturating_mul(1000)),
            count: AtomicUsize::new(0),
            cursor: AtomicUsize::new(0),
        }
    }

    fn key(&self, call_id: &[u8], caller_tag: &[u8]) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| {
            let mut hash = hasher.build_hasher();
            hash.write(call_id);
            hash.write_usize(call_id.len());
            hash.write(caller_tag);
            hash.finish()
        });
        u128::from(high) << 64 | u128::from(low)
    }

    fn tag(&self, tag: &[u8]) -> u64 {
        let [hasher, _] = &self.hashers;
        hasher.hash_one(tag)
    }

    fn table(&self, key: u128) -> &Mutex<Table> {
        &self.shards[(key >> 64) as usize % SHARDS]
    }

    fn limit(&self) -> u64 {
        self.limit_ms.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A request that begins a dialog goes out. `None` when there are too many dialogs.
    pub fn begin(
        &self,
        call_id: &[u8],
        caller_tag: &[u8],
        caller: Holder,
        method: Method,
        now: u64,
    ) -> Option<DialogKey> {
        let key = self.key(call_id, caller_tag);
        let name = DialogKey([(key >> 64) as u64, key as u64]);
        let mut table = self.table(key).lock();
        if let Some((_, entry)) = table.find(key) {
            entry.open(caller, now + OPEN_MS);
            return Some(name);
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        table.insert(key, Entry::new(caller, method != Method::Invite, now + OPEN_MS));
        Some(name)
    }

    /// The request that began it failed: what no 2xx confirmed takes no requests any more.
    pub fn failed(&self, key: DialogKey) {
        if let Some((_, entry)) = self.table(key.number()).lock().find(key.number()) {
            entry.fail();
        }
    }

    /// The transaction that began it is over, so that no late 2xx is passed on: what no 2xx confirmed is forgotten.
    pub fn concluded(&self, key: DialogKey) {
        let key = key.number();
        let mut table = self.table(key).lock();
        if table.find(key).is_some_and(|(_, entry)| entry.close()) {
            self.drop_entry(&mut table, key);
        }
    }

    fn drop_entry(&self, table: &mut Table, key: u128) {
        if table.remove(key) {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A response to the request that begins it goes back: a dialog with this callee, an early one or a confirmed one.
    /// Gives what is known of the caller, for its mark. `None`: no such request is known.
    pub fn responded(&self, id: DialogId<'_>, answered: &Answered, now: u64) -> Option<Holder> {
        let key = self.key(id.call_id, id.caller_tag);
        let tag = self.tag(id.callee_tag);
        let mut table = self.table(key).lock();
        let (_, entry) = table.find(key)?;
        entry.heard(now + OPEN_MS);
        let subscription = entry.subscription;
        if let Some(leg) = entry.leg_or_new(tag, MOST_LEGS, || Leg::early(tag, subscription, now))
            && (200..300).contains(&answered.status)
        {
            leg.confirm(answered, now);
        }
        Some(entry.caller)
    }

    /// A request with this mark came inside the dialog. What its sides have changed, or why it goes no further. Nothing
    /// ends by it yet.
    ///
    /// # Errors
    /// [`Ended`] when the dialog has ended, was never begun, is too old, or has no use that the method belongs to.
    pub fn request(
        &self,
        id: DialogId<'_>,
        mark: &Mark,
        method: Method,
        now: u64,
    ) -> Result<Standing, Ended> {
        let key = self.key(id.call_id, id.caller_tag);
        let tag = self.tag(id.callee_tag);
        let limit = self.limit();
        // Of marks that this process made every dialog is in the table.
        let from_before = mark.born <= self.started && now.saturating_sub(mark.born) <= limit;
        let mut table = self.table(key).lock();
        if table.find(key).is_none() {
            if !from_before || self.count.fetch_add(1, Ordering::Relaxed) >= MOST {
                return Err(Ended);
            }
            table.insert(key, Entry::adopted(mark.subscription));
        }
        let Some((_, entry)) = table.find(key) else { return Err(Ended) };
        let open = entry.is_open(now);
        let leg = match entry.has_leg(tag) {
            true => entry.leg_or_new(tag, MOST_LEGS, Leg::default),
            false if open && mark.side == Side::Callee => {
                entry.leg_or_new(tag, MOST_LEGS, || Leg::early(tag, mark.subscription, now))
            }
            false if from_before => {
                let until = mark.born + limit;
                entry.leg_or_new(tag, MOST_LEGS, || Leg::adopted(tag, mark.subscription, until, now))
            }
            false => None,
        };
        leg.ok_or(Ended)?.request(mark.side, method, open, limit, now)
    }

    /// A request inside the dialog with a Contact goes on: once it is accepted, that side is there (RFC 3261 §12.2).
    pub fn refreshing(&self, id: DialogId<'_>, side: Side, moved: Moved) {
        self.with_leg(id, |leg| leg.side_mut(side).pending = Some(Box::new(moved)));
    }

    /// A NOTIFY from this side goes on; `expires` are the seconds its subscription lives, 0 for one that ends.
    pub fn notified(&self, id: DialogId<'_>, expires: Option<u32>, now: u64) {
        self.with_leg(id, |leg| leg.notified(expires, now));
    }

    /// A BYE goes on: whoever hangs up has hung up, whatever the other side says.
    pub fn leaving(&self, id: DialogId<'_>, now: u64) {
        self.with_leg(id, |leg| leg.leave(now));
    }

    /// This side has proven who it is, and its packets come from there ([`trunkline_proxy::Secret::source`]).
    pub fn proven(&self, id: DialogId<'_>, side: Side, source: u32) {
        self.with_leg(id, |leg| leg.side_mut(side).source = source);
    }

    fn with_leg(&self, id: DialogId<'_>, change: impl FnOnce(&mut Leg)) {
        let key = self.key(id.call_id, id.caller_tag);
        let tag = self.tag(id.callee_tag);
        if let Some((_, entry)) = self.table(key).lock().find(key)
            && let Some(leg) = entry.leg_mut(tag)
        {
            change(leg);
        }
    }

    /// A response to a request inside a dialog goes back. Its tags are those of the request, so the sender of the request
    /// is either side.
    pub fn answered(&self, call_id: &[u8], tags: (&[u8], &[u8]), answered: &Answered, now: u64) {
        let (from, to) = tags;
        for (side, caller_tag, callee_tag) in [(Side::Caller, from, to), (Side::Callee, to, from)] {
            let key = self.key(call_id, caller_tag);
            let mut table = self.table(key).lock();
            let tag = self.tag(callee_tag);
            let Some((_, entry)) = table.find(key) else { continue };
            let Some(leg) = entry.leg_mut(tag) else { continue };
            leg.answered(side, answered, now);
            if entry.is_over(now) {
                self.drop_entry(&mut table, key);
            }
            return;
        }
    }

    /// Forgets what has ended, over some of the table: goes on where the last call stopped, until `budget` dialogs were
    /// looked at. Gives how many were forgotten.
    pub fn sweep(&self, now: u64, budget: usize) -> usize {
        let (mut looked, mut forgotten) = (0, 0);
        let limit = self.limit();
        for _ in 0..SHARDS {
            let shard = self.cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let Some(shard) = self.shards.get(shard) else { break };
            let mut table = shard.lock();
            looked += table.slots.len().max(1);
            let Table { slots, free, index } = &mut *table;
            index.retain(|(_, slot)| {
                let Some(entry) = slots.get_mut(*slot as usize) else { return false };
                if !entry.has_ended(limit, now) {
                    return true;
                }
                *entry = Entry::default();
                free.push(*slot);
                forgotten += 1;
                false
            });
            if looked >= budget {
                break;
            }
        }
        self.count.fetch_sub(forgotten, Ordering::Relaxed);
        forgotten
    }
}

#[cfg(test)]
mod tests;
