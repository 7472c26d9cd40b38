//! Refused calls: a record each while they are few, one record for each source and minute when they are many, so that a
//! stranger cannot fill the disk.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use trunkline_sip::source_of;

use crate::call::{CallStart, CallerProof, Direction};
use crate::cause::Cause;
use crate::ending::Ender;
use crate::row::{self, Kind, Row};

const MINUTE_MS: u64 = 60_000;
/// A minute that is so near ahead is not over: the clock was put back.
const CLOCK_BACK: u64 = 120;
/// Single records of a minute where the operator says nothing else.
const MOST_SINGLE: u32 = 100;
/// Who is known by its address gets so many times as many: addresses can be forged.
const KNOWN: u64 = 50;
/// Sources with a sum of their own; the others share one.
const MOST_SOURCES: usize = 1_024;
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
/// Repetitions are recognised among so many refused calls.
const REMEMBERED: usize = 8_192;
/// A request is repeated for 64*T1.
const REPEATED_FOR_S: u16 = 32;
/// A sum that grows is written again after so long for each one that has grown, so that many of them do not fill the
/// disk either.
const PAUSE_EACH: Duration = Duration::from_millis(10);

/// What the table of calls knows of refused ones.
pub(crate) struct RefusedCalls {
    most: AtomicU32,
    unknown: PerMinute,
    known: PerMinute,
    recent: Box<[AtomicU64]>,
    sums: Mutex<Sums>,
}

/// How many there were in this minute: the minute and the number in one.
#[derive(Default)]
struct PerMinute(AtomicU64);

impl PerMinute {
    /// One more, unless there were as many.
    fn take(&self, now: u64, most: u64) -> bool {
        let minute = now / MINUTE_MS;
        let next = |packed: u64| match (packed >> 24, packed & 0xff_ffff) {
            (of, count) if of == minute => (count < most.min(0xff_fffe)).then_some(packed + 1),
            _ => (most > 0).then_some(minute << 24 | 1),
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }

    fn is_used_up(&self, now: u64, most: u64) -> bool {
        let packed = self.0.load(Ordering::Relaxed);
        packed >> 24 == now / MINUTE_MS && packed & 0xff_ffff >= most
    }
}

#[derive(Default)]
struct Sums {
    of: HashMap<IpAddr, Sum, foldhash::fast::RandomState>,
    /// Those of minutes that are over, as rows.
    whole: Vec<u8>,
    next: Option<Instant>,
}

#[derive(Default)]
struct Sum {
    row: Row,
    minute: u64,
    count: u32,
    /// The database has not seen it as it is.
    grown: bool,
}

/// How a call was refused.
#[derive(Clone, Copy)]
pub(crate) struct Refusal<'a> {
    pub status: u16,
    pub by: Ender,
    pub reason: &'a str,
}

impl Refusal<'_> {
    pub fn put(&self, row: &mut Row, now: u64) {
        row.set_ended(Cause::from_status(self.status), self.status, now);
        row.set_ended_by(self.by);
        if row.text(row::REASON) != self.reason.as_bytes() {
            row.set_text(row::REASON, self.reason.as_bytes());
        }
    }
}

impl RefusedCalls {
    pub fn new() -> RefusedCalls {
        RefusedCalls {
            most: AtomicU32::new(MOST_SINGLE),
            unknown: PerMinute::default(),
            known: PerMinute::default(),
            recent: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
            sums: Mutex::default(),
        }
    }

    pub fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// What counts those of such a caller, and how many may be single. Nothing bounds who has shown its identity.
    fn bound(&self, proof: CallerProof) -> Option<(&PerMinute, u64)> {
        let most = u64::from(self.most.load(Ordering::Relaxed));
        match proof {
            CallerProof::None => Some((&self.unknown, most)),
            CallerProof::Address => Some((&self.known, most * KNOWN)),
            CallerProof::Identity => None,
        }
    }

    /// May this call have a record of its own? It counts as one then.
    pub fn admits(&self, proof: CallerProof, now: u64) -> bool {
        self.bound(proof).is_none_or(|(counter, most)| counter.take(now, most))
    }

    /// Will such a call be summed up, whatever it is?
    pub fn sums_up(&self, proof: CallerProof, now: u64) -> bool {
        self.bound(proof).is_some_and(|(counter, most)| counter.is_used_up(now, most))
    }

    fn place(&self, number: u64) -> Option<&AtomicU64> {
        self.recent.get((number >> 16) as usize % REMEMBERED)
    }

    /// Has the call with this number a record already?
    pub fn is_repeated(&self, number: u64, now: u64) -> bool {
        let seen = self.place(number).map_or(0, |place| place.load(Ordering::Relaxed));
        let age = second(now).wrapping_sub(seen as u16);
        seen != 0 && seen >> 16 == number >> 16 && age <= REPEATED_FOR_S
    }

    pub fn remember(&self, number: u64, now: u64) {
        if let Some(place) = self.place(number) {
            place.store(number & !0xffff | u64::from(second(now)), Ordering::Relaxed);
        }
    }

    /// One more refused call of this source; `number` gives the number of a new record.
    pub fn sum(&self, source: IpAddr, refusal: Refusal<'_>, now: u64, number: impl FnOnce() -> u64) {
        let (source, minute) = (source_of(source), now / MINUTE_MS);
        let mut sums = self.sums.lock();
        let Sums { of, whole, .. } = &mut *sums;
        let own = of.len() < MOST_SOURCES || of.contains_key(&source);
        let sum = of.entry(if own { source } else { OTHERS }).or_default();
        if sum.count == 0 || sum.minute != minute {
            if sum.grown {
                sum.row.push(Kind::WholeSum, whole);
            }
            let start = CallStart::new(Direction::Unknown, if own { source } else { OTHERS });
            sum.row.fill(&start, number(), now);
            if !own {
                sum.row.set_many_sources();
            }
            (sum.minute, sum.count) = (minute, 0);
        }
        sum.count = sum.count.saturating_add(1);
        sum.grown = true;
        sum.row.set_count(sum.count);
        refusal.put(&mut sum.row, now);
    }

    /// Appends to `queue` the sums that have grown. Those of minutes that are over go.
    pub fn take_rows(&self, now: u64, queue: &mut Vec<u8>, all: bool) {
        let mut sums = self.sums.lock();
        let Sums { of, whole, next } = &mut *sums;
        queue.extend_from_slice(whole);
        whole.clear();
        let minute = now / MINUTE_MS;
        let early = !all && next.is_some_and(|next| Instant::now() < next);
        let mut written = 0;
        of.retain(|_, sum| {
            let over = !(minute..minute + CLOCK_BACK).contains(&sum.minute);
            if sum.grown && (over || !early) {
                sum.row.push(if over { Kind::WholeSum } else { Kind::Sum }, queue);
                sum.grown = false;
                written += 1;
            }
            !over
        });
        if written > 0 {
            *next = Some(Instant::now() + PAUSE_EACH * written);
        }
    }
}

fn second(now: u64) -> u16 {
    (now / 1000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::each;

    fn rows(refused: &RefusedCalls, now: u64) -> Vec<(String, u32, bool)> {
        let mut queue = Vec::new();
        refused.take_rows(now, &mut queue, true);
        let mut all = Vec::new();
        each(
            &queue,
            |_, _| true,
            |kind, call| {
                all.push((call.source.to_string(), call.count, kind == Kind::WholeSum));
            },
        );
        all.sort();
        all
    }

    const NO: Refusal<'_> = Refusal { status: 403, by: Ender::Exchange, reason: "acl.denied" };

    #[test]
    fn so_many_a_minute_have_a_record_of_their_own() {
        let refused = RefusedCalls::new();
        refused.set_most(2);
        let admitted = |now| refused.admits(CallerProof::None, now);
        assert_eq!(
            [0, 1, 59_999, 60_000, 60_001, 60_002].map(admitted),
            [true, true, false, true, true, false]
        );
        let sums_up = |now| refused.sums_up(CallerProof::None, now);
        assert!(sums_up(60_003) && !sums_up(120_000));
        let many = |proof| (0..200).filter(|_| refused.admits(proof, 0)).count();
        assert_eq!((many(CallerProof::Address), many(CallerProof::Identity)), (100, 200));
        refused.set_most(0);
        assert!(
            !refused.admits(CallerProof::None, 180_000) && refused.admits(CallerProof::Identity, 180_000)
        );
    }

    #[test]
    fn a_repetition_is_recognised_for_64_t1() {
        let refused = RefusedCalls::new();
        let (number, now) = (0x1234_5678_9abc_def0, 70_000_000);
        assert!(!refused.is_repeated(number, now));
        refused.remember(number, now);
        assert!(refused.is_repeated(number, now + 32_000) && !refused.is_repeated(number, now + 34_000));
        assert!(!refused.is_repeated(number ^ 1 << 40, now));
    }

    #[test]
    fn sums_are_by_source_and_minute_and_their_number_is_bounded() {
        let refused = RefusedCalls::new();
        let mut id = 0;
        let mut sum = |source: IpAddr, now| {
            refused.sum(source, NO, now, || {
                id += 1;
                id
            });
        };
        for n in 0..10 {
            sum([192, 0, 2, 1].into(), n);
            sum(IpAddr::V6(Ipv6Addr::from(0x2001_0db8_0000_0001_u128 << 64 | u128::from(n))), n);
        }
        sum([192, 0, 2, 1].into(), 60_000);
        let all = rows(&refused, 60_001);
        let row = |source: &str, count, over| (source.to_owned(), count, over);
        let expected =
            [row("192.0.2.1", 1, false), row("192.0.2.1", 10, true), row("2001:db8:0:1::", 10, true)];
        assert_eq!(all, expected);
        for n in 0..5_000u32 {
            sum(IpAddr::V4((0x0a00_0000 + n).into()), 60_002);
        }
        let all = rows(&refused, 60_003);
        assert_eq!(all.len(), MOST_SOURCES);
        assert_eq!(all.iter().map(|row| row.1).sum::<u32>(), 5_000);
        assert!(all.iter().any(|row| row.0 == "::" && row.1 > 3_000));
        assert!(rows(&refused, 120_000).is_empty() && refused.sums.lock().of.is_empty());
    }
}
