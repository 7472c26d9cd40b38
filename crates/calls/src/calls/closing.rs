//! How calls end: by their parties, by time, by a stop, or before they begin.

use std::sync::atomic::Ordering;

use trunkline_events::CallStep;
use trunkline_proxy::Side;

use super::{CallHandle, Calls, SHARDS, Slot, Table, spread};
use crate::call::{CallStart, CallView, CallerProof};
use crate::cause::Cause;
use crate::ending::{Ender, FailedWith, ReasonLines};
use crate::histogram::DURATION_MS;
use crate::refused::Refusal;
use crate::row::{self, Kind};

/// How a call ends.
struct Ending<'a> {
    cause: Cause,
    status: u16,
    /// The lines of headers whose names begin with `X-`.
    headers: &'a [u8],
}

impl Ending<'_> {
    fn new(cause: Cause, status: u16) -> Self {
        Ending { cause, status, headers: b"" }
    }
}

impl Calls {
    /// The caller cancels: so the call ends, unless it is answered first. False when it has ended.
    pub fn cancelled(&self, call: CallHandle, lines: &ReasonLines<'_>) -> bool {
        self.with(call, |table, number| {
            if let Some(slot) = table.slots.get_mut(number as usize).filter(|s| !s.row.is_answered()) {
                slot.set_leaving(Ender::Caller, lines);
            }
        })
        .is_some()
    }

    /// A BYE of this side goes to the other one of an answered call, whose response ends it.
    pub fn leaving(&self, number: u64, side: Side, lines: &ReasonLines<'_>) {
        let mut table = self.table(number as usize % SHARDS).lock();
        let Some(slot) = table.find(number) else { return };
        if let Some(slot) = table.slots.get_mut(slot as usize).filter(|s| s.row.is_answered()) {
            let by = slot.ender(side);
            slot.set_leaving(by, lines);
        }
    }

    /// A REFER of this side was accepted: it has transferred the call, which the other side is to leave.
    pub fn transferred(&self, number: u64, side: Side) {
        let mut table = self.table(number as usize % SHARDS).lock();
        let Some(slot) = table.find(number) else { return };
        if let Some(slot) = table.slots.get_mut(slot as usize).filter(|s| s.row.is_answered()) {
            let by = slot.ender(side);
            slot.row.set_transferred_by(by);
        }
    }

    /// The last dialog of this number has ended ([`crate::Dialogs::answered`]), by a BYE of this side: the call ends. False when
    /// there is no such call. One that nobody has answered ends by its INVITE alone.
    pub fn ended(&self, number: u64, side: Side, now: u64) -> bool {
        self.ended_with(number, side, (b"", now), |_| {})
    }

    /// As [`Calls::ended`], with the headers for whoever watches, and shows the call as its record has it.
    pub fn ended_with(
        &self,
        number: u64,
        side: Side,
        (headers, now): (&[u8], u64),
        see: impl FnOnce(CallView<'_>),
    ) -> bool {
        let mut table = self.table(number as usize % SHARDS).lock();
        let Some(place) = table.find(number) else { return false };
        let Some(slot) = table.slots.get_mut(place as usize).filter(|slot| slot.row.is_answered()) else {
            return false;
        };
        if slot.row.ended_by() == Ender::Unknown {
            let by = slot.ender(side);
            slot.row.set_ended_by(by);
        }
        let ending = Ending { cause: Cause::NormalClearing, status: 200, headers };
        self.end_slot(&mut table, place, ending, now, see);
        true
    }

    /// The exchange ends an answered call, with this cause and reason code in its record. False when it has ended.
    pub fn hang_up(&self, number: u64, (cause, reason): (Cause, &str), now: u64) -> bool {
        let mut table = self.table(number as usize % SHARDS).lock();
        let Some(place) = table.find(number) else { return false };
        let Some(slot) = table.slots.get_mut(place as usize).filter(|slot| slot.row.is_answered()) else {
            return false;
        };
        if slot.row.ended_by() == Ender::Unknown {
            slot.row.set_ended_by(Ender::Exchange);
        }
        if !reason.is_empty() {
            slot.row.set_text(row::REASON, reason.as_bytes());
        }
        self.end_slot(&mut table, place, Ending::new(cause, 200), now, |_| {});
        true
    }

    /// An answered call of whose end nobody will tell has ended as far as we know. False when it had ended before.
    pub fn ended_as(&self, call: CallHandle, cause: Cause, now: u64) -> bool {
        self.with(call, |table, slot| self.end_slot(table, slot, Ending::new(cause, 200), now, |_| {}))
            .is_some()
    }

    /// The INVITE failed with this final response (487 when it was cancelled). An answered call does not end by
    /// it: a forked branch may fail late. False when nothing ended.
    pub fn failed<'f>(&self, call: CallHandle, with: impl Into<FailedWith<'f>>, now: u64) -> bool {
        self.failed_with(call, with, now, |_| {})
    }

    /// As [`Calls::failed`], and shows the call as its record has it.
    pub fn failed_with<'f>(
        &self,
        call: CallHandle,
        with: impl Into<FailedWith<'f>>,
        now: u64,
        see: impl FnOnce(CallView<'_>),
    ) -> bool {
        let with = with.into();
        self.with(call, |table, number| {
            let Some(slot) = table.slots.get_mut(number as usize).filter(|s| !s.row.is_answered()) else {
                return false;
            };
            // Who cancelled has ended it, whoever says so; unless it failed first.
            let cancelled = slot.row.ended_by() == Ender::Caller && with.status == 487;
            if !cancelled {
                slot.set_leaving(with.by, &with.lines);
            }
            if !with.reason.is_empty() {
                slot.row.set_text(row::REASON, with.reason.as_bytes());
            }
            let cause = with.cause.unwrap_or_else(|| Cause::from_status(with.status));
            let ending = Ending { cause, status: with.status, headers: with.headers };
            self.end_slot(table, number, ending, now, see);
            true
        })
        .unwrap_or(false)
    }

    fn end_slot(
        &self,
        table: &mut Table,
        number: u32,
        Ending { cause, status, headers }: Ending<'_>,
        now: u64,
        see: impl FnOnce(CallView<'_>),
    ) {
        let Some(slot) = table.slots.get_mut(number as usize) else { return };
        slot.row.set_ended(cause, status, now);
        let talked = slot.row.answered().map(|answered| now.saturating_sub(answered));
        if matches!(
            cause,
            Cause::SessionExpired | Cause::Shutdown | Cause::MediaTimeout | Cause::ManagerRequest
        ) {
            slot.set_leaving(Ender::Exchange, &ReasonLines::default());
        }
        see(slot.row.view());
        self.announce(CallStep::Ended, &slot.row, headers, now);
        if self.recording.load(Ordering::Relaxed) || slot.has_row {
            self.push(slot, status, now, &mut table.outbox);
        }
        self.counting.remove(&mut slot.keys);
        slot.generation = slot.generation.wrapping_add(1);
        let key = slot.number;
        if let Ok(found) = table.index.find_entry(spread(key), |(n, _)| *n == key) {
            found.remove();
        }
        if slot.row.is_answered() {
            let (dialog, own) = (slot.dialog, |(_, place): &(u64, u32)| *place == number);
            if let Ok(found) = table.by_dialog.find_entry(dialog, own) {
                found.remove();
            }
        }
        slot.forget(&self.memory);
        table.free.push(number);
        table.stats.ended += 1;
        if let Some(talked) = talked {
            table.stats.duration.add(&DURATION_MS, talked);
        }
    }

    /// The record of a call that has ended. One that failed at once counts as refused.
    fn push(&self, slot: &Slot, status: u16, now: u64, outbox: &mut Vec<u8>) {
        let failed = !slot.row.is_answered() && !slot.has_row;
        if failed && !self.refused.admits(slot.proof, now) {
            let reason = std::str::from_utf8(slot.row.text(row::REASON)).unwrap_or_default();
            let refusal = Refusal { status, by: slot.row.ended_by(), reason };
            return self.refused.sum(slot.row.view().source, refusal, now, || self.number());
        }
        slot.row.push(if slot.has_row { Kind::Ended } else { Kind::Whole }, outbox);
    }

    /// Ends every call that lives: the exchange is being stopped, and nobody will hear of their BYEs. Gives their
    /// number.
    pub fn end_all(&self, cause: Cause, now: u64) -> usize {
        let mut ended = 0;
        for shard in 0..SHARDS {
            let mut table = self.table(shard).lock();
            for number in 0..table.slots.len() as u32 {
                if table.slots.get(number as usize).is_some_and(|s| s.generation % 2 == 1) {
                    self.end_slot(&mut table, number, Ending::new(cause, 503), now, |_| {});
                    ended += 1;
                }
            }
        }
        ended
    }

    /// Ends what has outlived its session: goes on where the last call stopped, over at least one shard and
    /// until `budget` calls were looked at. Gives the number that ended.
    pub fn sweep(&self, now: u64, budget: usize) -> usize {
        self.counting.sweep(now);
        let (mut looked, mut expired) = (0, 0);
        for _ in 0..SHARDS {
            let shard = self.sweep_cursor.fetch_add(1, Ordering::Relaxed) % SHARDS;
            let mut table = self.table(shard).lock();
            looked += table.slots.len().max(1);
            for number in 0..table.slots.len() as u32 {
                let due = |s: &Slot| s.generation % 2 == 1 && s.deadline <= now;
                if table.slots.get(number as usize).is_some_and(due) {
                    let ending = Ending::new(Cause::SessionExpired, 408);
                    self.end_slot(&mut table, number, ending, now, |_| {});
                    table.stats.expired += 1;
                    expired += 1;
                }
            }
            if looked >= budget {
                break;
            }
        }
        expired
    }

    /// An INVITE that begins a call was refused by us with this status before it went anywhere. Its record is made at once.
    /// Where there have been many in this minute, it is added to the record of its source instead, unless the caller has shown
    /// its identity. The same number within 32 s is a repetition.
    pub fn refused(&self, start: &CallStart<'_>, status: u16, reason: &'static str, now: u64) {
        self.refused_since(start, status, reason, (now, now));
    }

    /// The same of one that had begun at `began`.
    pub fn refused_since(
        &self,
        start: &CallStart<'_>,
        status: u16,
        reason: &'static str,
        (began, now): (u64, u64),
    ) {
        let number = spread(start.number);
        let recording = self.recording.load(Ordering::Relaxed);
        if !(recording || self.is_watched()) || self.refused.is_repeated(number, now) {
            return;
        }
        let refusal = Refusal { status, by: Ender::Exchange, reason };
        if !self.refused.admits(start.proof, now) {
            if recording {
                self.refused.sum(start.source, refusal, now, || self.number());
            }
            return;
        }
        self.refused.remember(number, now);
        let start =
            CallStart { call_id: row::cut(start.call_id), from_tag: row::cut(start.from_tag), ..*start };
        let mut table = self.table(start.number as usize % SHARDS).lock();
        let Table { spare, outbox, stats, .. } = &mut *table;
        spare.fill(&start, self.number(), began);
        refusal.put(spare, now);
        self.announce(CallStep::Refused, spare, start.headers, now);
        if recording {
            spare.push(Kind::Whole, outbox);
        }
        stats.refused += 1;
    }

    /// Will a call that is refused now be summed up, so that nothing but its source matters?
    pub fn sums_up_refused(&self, proof: CallerProof, now: u64) -> bool {
        let is_told = self.recording.load(Ordering::Relaxed) || self.is_watched();
        !is_told || self.refused.sums_up(proof, now)
    }

    /// Sets how many refused calls of unknown callers have a record of their own in a minute; those of callers known by their
    /// address fifty times as many.
    pub fn set_refused_limit(&self, per_minute: u32) {
        self.refused.set_most(per_minute);
    }
}
