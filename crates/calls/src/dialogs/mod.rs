//! The dialogs that we are in the way of: which of them live, and what their sides have changed since they began.
//!
//! The mark in our Record-Route says what a dialog was when it began; this table says what has become of it. Every request
//! that begins dialogs has a number of its own, which its marks carry, so that nothing said in another dialog counts in
//! this one, whatever its Call-ID and tags. The table lives in memory: after a restart a mark of before is taken at its word
//! until it is too old.

mod entry;
mod raised;
mod subscriptions;
mod table;
mod terms;

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use trunkline_proxy::{Mark, PartyKind, Side};
use trunkline_sip::Method;

pub use entry::{Ended, Moved, Refresh, Standing};
use entry::{Entry, Leg};
pub use subscriptions::Event;
use table::Table;
pub use terms::{Answered, Ends, NoRoom, Origin, Place};

use crate::shares::{Owner, Shares};

const SHARDS: usize = 64;
/// Dialogs at once, at most; what comes beyond is refused.
const MOST: usize = 4_000_000;
/// Dialogs of one first request (RFC 3261 §12.1: one for each callee that answers a fork), at most: early ones of all callees,
/// and those that one branch has accepted.
const MOST_LEGS: usize = 32;
/// 64*T1 of RFC 3261 §17: for so long repetitions come.
const LINGER_MS: u64 = 32_000;
/// Without a transaction a request that begins a dialog is given up after so long without a response: timer C of RFC 3261
/// §16.6, and some.
const OPEN_MS: u64 = 4 * 60_000;
/// Without a transaction the first response with a To tag comes so soon, or makes no dialog: a later one might be a
/// repetition of one in a dialog that has ended since.
const FIRST_MS: u64 = 64_000;
/// Challenges that may have been answered within the first moments of a dialog.
const SKIPPED: u32 = 64;
/// The bits of a number that count within one process.
const COUNTED: u32 = 48;

/// The dialogs, shared by all threads: sharded by number, a short lock per event.
pub struct Dialogs {
    hasher: foldhash::quality::RandomState,
    shards: Box<[Mutex<Table>]>,
    process: u64,
    next: AtomicU64,
    /// When a request first came in a dialog of before this process; 0: none has.
    resumed: AtomicU64,
    limit_ms: AtomicU64,
    count: AtomicUsize,
    shares: Shares,
    /// What each party may have.
    share: u64,
    cursor: AtomicUsize,
}

fn party(kind: PartyKind, party: u32) -> u64 {
    (kind as u64) << 32 | u64::from(party)
}

impl Dialogs {
    /// An empty table. `random` tells this process from others with the same secret: of numbers that it gave every dialog is in
    /// the table. `limit_seconds`: so long a dialog lives without a request, and a mark of before a restart. `percent`: one
    /// account, peer or trunk, or all whom nobody knows together, may have begun so much of what there is room for.
    pub fn new(random: u64, limit_seconds: u64, percent: u8) -> Dialogs {
        Dialogs {
            hasher: foldhash::quality::RandomState::default(),
            shards: (0..SHARDS).map(|_| Mutex::new(Table::with_room())).collect(),
            process: random >> COUNTED,
            next: AtomicU64::new(random),
            resumed: AtomicU64::new(0),
            limit_ms: AtomicU64::new(limit_seconds.saturating_mul(1000)),
            count: AtomicUsize::new(0),
            shares: Shares::new(),
            share: (MOST / 100 * usize::from(percent)) as u64,
            cursor: AtomicUsize::new(0),
        }
    }

    /// The number of a request of this party that begins dialogs, the one it has or a new one.
    ///
    /// # Errors
    /// [`NoRoom`] when there are too many of them.
    pub fn number(&self, given: Option<u64>, whose: (PartyKind, u32)) -> Result<u64, NoRoom> {
        if self.len() >= MOST {
            return Err(NoRoom::Full);
        }
        if !self.shares.has_room(self.owner(whose), 1, self.share) {
            return Err(NoRoom::Share);
        }
        Ok(given.unwrap_or_else(|| self.unique()))
    }

    fn owner(&self, (kind, number): (PartyKind, u32)) -> Owner {
        Owner::new(self.hasher.hash_one(party(kind, number)))
    }

    /// Who began the dialog of this mark.
    fn owner_of(&self, mark: &Mark) -> Owner {
        self.owner(match mark.side {
            Side::Caller => (mark.holder.kind, mark.holder.party),
            Side::Callee => (mark.way.kind, mark.way.party),
        })
    }

    /// A number for a request that begins no dialog of ours, or may not.
    pub fn unique(&self) -> u64 {
        self.number_of(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The number of a request without a transaction, of which `mac` is the same for its repetitions.
    pub fn number_of(&self, mac: u64) -> u64 {
        self.process << COUNTED | mac & ((1 << COUNTED) - 1)
    }

    /// The dialog of a mark with this callee.
    pub fn place(&self, mark: &Mark, callee_tag: &[u8]) -> Place {
        let party = match mark.side {
            Side::Caller => party(mark.way.kind, mark.way.party),
            Side::Callee => party(mark.holder.kind, mark.holder.party),
        };
        Place { number: mark.dialog, tag: self.hasher.hash_one(callee_tag), party }
    }

    fn table(&self, number: u64) -> &Mutex<Table> {
        // Their lowest bits differ in turn.
        &self.shards[number as usize % SHARDS]
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

    /// Puts an entry in, if there is room for one more. Whether there was.
    fn insert(&self, table: &mut Table, number: u64, entry: Entry) -> bool {
        let taken = self.count.fetch_add(1, Ordering::Relaxed);
        if taken >= MOST || !self.shares.has_room(entry.owner, 1, self.share) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.shares.take(entry.owner, 1);
        table.insert(number, entry);
        true
    }

    fn remove(&self, table: &mut Table, number: u64) {
        if let Some(owner) = table.remove(number) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            self.shares.give(owner, 1);
        }
    }

    /// A request that begins this subscription goes out, with these seconds in Expires. Its NOTIFY may come before its response
    /// (RFC 6665 §4.1.2.4). `held`: by a transaction, which tells its end.
    pub fn subscribing(
        &self,
        (number, whose): (u64, (PartyKind, u32)),
        asked: (Event, Option<u32>),
        held: bool,
        now: u64,
    ) {
        let mut table = self.table(number).lock();
        if table.find(number).is_none() {
            let entry = Entry::subscribing(asked, held, now).of(self.owner(whose));
            self.insert(&mut table, number, entry);
        }
    }

    /// A response with a To tag to the request that begins it goes back: a dialog with this callee, an early one or a confirmed
    /// one. `mark` is the callee's, `target` that in the caller's mark. False: no dialog, since it comes too late or there is no
    /// room.
    pub fn responded(
        &self,
        place: Place,
        (mark, from): (&Mark, Origin),
        target: u64,
        answered: &Answered,
        now: u64,
    ) -> bool {
        let (held, branch) = match from {
            Origin::Branch(branch) => (true, Some(branch)),
            Origin::Stateless => (false, None),
        };
        let mut table = self.table(place.number).lock();
        if table.find(place.number).is_none() {
            let late = !held && now > mark.born.saturating_add(FIRST_MS);
            let entry = Entry::new(mark.subscription, held, mark.born, now).of(self.owner_of(mark));
            if late || !self.insert(&mut table, place.number, entry) {
                return false;
            }
        }
        let Some(entry) = table.find(place.number) else { return false };
        let success = (200..300).contains(&answered.status);
        if entry.leg_mut(place).is_none() {
            // Without a transaction a response may come at any time.
            let leg = Leg::early((branch, place), entry.begins(), target, now);
            if from == Origin::Stateless && !entry.is_awaited(now)
                || !entry.make_room((branch, place), MOST_LEGS, success)
            {
                return false;
            }
            entry.add(leg);
        }
        entry.heard(answered, now);
        let asked = entry.asked;
        let Some(leg) = entry.leg_mut(place) else { return false };
        leg.answers_with(mark, success);
        if success {
            leg.confirm(target, (answered, asked, from), now);
        }
        true
    }

    /// A branch of the request that began it failed: its early dialogs have ended.
    pub fn branch_failed(&self, number: u64, branch: u8) {
        if let Some(entry) = self.table(number).lock().find(number) {
            entry.drop_early(branch);
        }
    }

    /// The request that began it failed: what no 2xx confirmed takes no requests any more.
    pub fn failed(&self, number: u64) {
        if let Some(entry) = self.table(number).lock().find(number) {
            entry.fail();
        }
    }

    /// The transaction that began it is over, so that no late 2xx is passed on: what no 2xx confirmed is forgotten.
    pub fn concluded(&self, number: u64, now: u64) {
        let mut table = self.table(number).lock();
        if table.find(number).is_some_and(|entry| entry.close(now)) {
            self.remove(&mut table, number);
        }
    }

    /// A request with this mark came inside the dialog: what its sides have changed, or why it goes no further. Nothing changes
    /// by it yet, whoever sent it.
    ///
    /// # Errors
    /// [`Ended`] when the dialog has ended, was never begun, is too old, or has no use that the method belongs to; or when the mark is
    /// that of another phone that was rung.
    pub fn look(&self, place: Place, mark: &Mark, method: Method, now: u64) -> Result<Standing, Ended> {
        let (limit, before) = (self.limit(), self.remembered_until(mark, now));
        let new = |leg: Leg, open| leg.look(mark.side, method, open, limit, now);
        let mut table = self.table(place.number).lock();
        let Some(entry) = table.find(place.number) else {
            let until = before.ok_or(Ended)?;
            return new(Leg::adopted(place, mark.subscription, until, now), false);
        };
        let open = entry.is_open(now);
        match entry.leg_mut(place) {
            Some(leg) if leg.is_of(mark) => leg.look(mark.side, method, open, limit, now),
            Some(_) => Err(Ended),
            None => new(entry.new_leg(place, mark, (before, true), now).ok_or(Ended)?, open),
        }
    }

    /// The request goes on. `known`: its sender has shown that it is the mark's holder; what anybody else sends keeps no dialog
    /// alive, and gives way in one of before this process.
    ///
    /// # Errors
    /// [`Ended`] as [`Dialogs::look`], or where there is no room.
    pub fn enter(
        &self,
        place: Place,
        mark: &Mark,
        (method, known): (Method, bool),
        now: u64,
    ) -> Result<(), Ended> {
        let (limit, before) = (self.limit(), self.remembered_until(mark, now));
        let mut table = self.table(place.number).lock();
        if table.find(place.number).is_none() {
            let entry = Entry::adopted(mark.subscription).of(self.owner_of(mark));
            if before.is_none() || !self.insert(&mut table, place.number, entry) {
                return Err(Ended);
            }
        }
        let entry = table.find(place.number).ok_or(Ended)?;
        let open = entry.is_open(now);
        if entry.leg_mut(place).is_none() {
            let leg = entry.new_leg(place, mark, (before, known), now).ok_or(Ended)?;
            if known {
                entry.drop_unknown(place);
            }
            if !entry.make_room((None, place), MOST_LEGS, false) {
                return Err(Ended);
            }
            entry.add(leg);
        }
        let leg = entry.leg_mut(place).filter(|leg| leg.is_of(mark)).ok_or(Ended)?;
        leg.look(mark.side, method, open, limit, now)?;
        if known {
            leg.enter(mark.side, method, now);
        }
        Ok(())
    }

    /// Until when a dialog of before this process is remembered; `None` where it is no such one, or too old. Of numbers that this
    /// process gave every dialog is in the table.
    fn remembered_until(&self, mark: &Mark, now: u64) -> Option<u64> {
        let until = mark.born.saturating_add(self.limit());
        (self.is_from_before(mark.dialog) && now <= until).then_some(until)
    }

    /// A request of this side goes on that counts once it is accepted.
    pub fn refreshing(&self, place: Place, side: Side, refresh: Refresh, now: u64) {
        self.with_leg(place, |leg| leg.side_mut(side).refreshing(refresh, now));
    }

    /// Has this side subscribed to that, in this process?
    pub fn has_subscribed(&self, place: Place, side: Side, event: Event, now: u64) -> bool {
        let mut has = false;
        self.with_leg(place, |leg| has = leg.has_subscribed(side, event, now));
        has
    }

    /// Has the INVITE of this CSeq, which this side sent inside the dialog, failed?
    pub fn was_refused(&self, place: Place, side: Side, cseq: u32) -> bool {
        let mut refused = false;
        self.with_leg(place, |leg| refused = leg.side_mut(side).was_refused(cseq));
        refused
    }

    /// Which branch of the request that begins dialogs led to the callee of this tag, who has accepted it and has not hung up?
    pub fn accepted_by(&self, number: u64, callee_tag: &[u8]) -> Option<u8> {
        let tag = self.hasher.hash_one(callee_tag);
        self.table(number).lock().find(number)?.accepted_by(tag)
    }

    /// A BYE that this side has sent goes on. Its answer says what ends by it, unless both sides have hung up now.
    pub fn leaving(&self, place: Place, side: Side, now: u64) -> Ends {
        let mut table = self.table(place.number).lock();
        let Some(entry) = table.find(place.number) else { return Ends::Nothing };
        let both = entry.leg_mut(place).is_some_and(|leg| leg.leave(side, now));
        entry.ends(both)
    }

    /// This side has proven who it is, and its packets come from there ([`trunkline_proxy::Secret::source`]).
    pub fn proven(&self, place: Place, side: Side, source: u32) {
        self.with_leg(place, |leg| leg.side_mut(side).source = source);
    }

    /// By how much the request of this CSeq is raised, since the exchange answered challenges for this side inside the dialog.
    pub fn raised(&self, place: Place, side: Side, cseq: u32) -> u32 {
        let mut raised = 0;
        self.with_leg(place, |leg| raised = leg.side_mut(side).raised(cseq));
        raised
    }

    /// The exchange answered a challenge of the request of this CSeq, as this side counts.
    pub fn raise(&self, place: Place, side: Side, cseq: u32) {
        self.with_leg(place, |leg| leg.side_mut(side).raise(cseq));
    }

    /// By how much numbers are raised in a dialog of before this process, of which it is forgotten how many challenges were
    /// answered in it. Numbers may leave gaps (RFC 3261 §12.2.2), so they go on beyond all that can have been in use: some
    /// challenges, and one more for each second of its life.
    pub fn skipped(&self, mark: &Mark, now: u64) -> u32 {
        let resumed = match self.resumed.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now,
            Err(before) => before,
        };
        SKIPPED + (resumed.saturating_sub(mark.born) / 1000) as u32
    }

    /// Was the dialog of this number begun before this process?
    pub fn is_from_before(&self, number: u64) -> bool {
        number >> COUNTED != self.process
    }

    fn with_leg(&self, place: Place, change: impl FnOnce(&mut Leg)) {
        if let Some(entry) = self.table(place.number).lock().find(place.number)
            && let Some(leg) = entry.leg_mut(place)
        {
            change(leg);
        }
    }

    /// A response to a request of this side goes back. What ends by it.
    pub fn answered(&self, place: Place, side: Side, answered: &Answered, now: u64) -> Ends {
        let unknown = if answered.hangs_up() { Ends::Call } else { Ends::Nothing };
        let mut table = self.table(place.number).lock();
        let Some(entry) = table.find(place.number) else { return unknown };
        // An early dialog that ended with its branch says nothing of a call that others take.
        let Some(leg) = entry.leg_mut(place) else { return Ends::Nothing };
        let early = !leg.is_confirmed();
        let ended = leg.answered(side, answered, now);
        let ends = if ended && early { Ends::Dialog } else { entry.ends(ended) };
        if entry.is_over(now) {
            self.remove(&mut table, place.number);
        }
        ends
    }

    /// As [`Dialogs::answered`], where nothing is known of the request but the number: without transactions a request goes to
    /// one callee alone, which its tag names.
    pub fn answered_by_tag(&self, number: u64, side: Side, callee_tag: &[u8], answered: &Answered, now: u64) {
        let tag = self.hasher.hash_one(callee_tag);
        let found = self.table(number).lock().find(number).and_then(|entry| entry.place_of(number, tag));
        if let Some(place) = found {
            self.answered(place, side, answered, now);
        }
    }

    /// Forgets what has ended, over some of the table: goes on where the last call stopped, until `budget` dialogs were
    /// looked at. Gives how many were forgotten.
    pub fn sweep(&self, now: u64, budget: usize) -> usize {
        let (mut looked, mut forgotten) = (0, 0);
        let limit = self.limit();
        for _ in 0..SHARDS {
            let shard = self.cursor.load(Ordering::Relaxed) % SHARDS;
            let Some(shard) = self.shards.get(shard) else { break };
            let mut table = shard.lock();
            let (gone, seen, finished) = table.sweep(budget - looked, |entry| {
                let ended = entry.has_ended(limit, now);
                if ended {
                    self.shares.give(entry.owner, 1);
                }
                ended
            });
            drop(table);
            forgotten += gone;
            looked += seen;
            if finished {
                self.cursor.fetch_add(1, Ordering::Relaxed);
            }
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
