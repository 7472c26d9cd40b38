//! Many finished calls in one row of the database.
//!
//! A row of its own costs SQLite more than all else that a record costs. So where many calls end within one batch those
//! that have no row yet are kept as they lie in memory, some hundred in one value. What is asked of them is asked here.

use std::collections::BinaryHeap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::record::{CallRecord, Filter};
use crate::row::{self, Kind, Place, each, in_order, kind, read};

/// Fewer calls of a batch each get a row, which any program can read that knows SQL.
const FROM: usize = 256;
/// So many calls at most stand in one row, and begin a new one beyond so many bytes.
const MOST: usize = 256;
const BYTES: usize = 128 << 10;
/// Calls of one transaction: others who write to the same file wait no longer than this takes.
const TRANSACTION_CALLS: usize = 16 * MOST;
/// Rows deleted at once.
const DELETED_ROWS: i64 = 64;
/// How the calls lie in a row. Another layout gets another number.
const FORMAT: i64 = 1;

/// The table; `first` and `last` are the lowest and the highest number of its calls, `began` and `until` when the first and
/// the last one started.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS calls_packed (
     last INTEGER PRIMARY KEY, first INTEGER NOT NULL, began INTEGER NOT NULL, until INTEGER NOT NULL,
     format INTEGER NOT NULL, rows BLOB NOT NULL);";

/// Writes the finished calls among these in packed form when they are many, and takes those that are written out of the queue.
pub(crate) fn write(db: &mut Connection, queue: &mut Vec<u8>) -> rusqlite::Result<u64> {
    let (mut whole, mut rest) = (Vec::new(), Vec::new());
    for place in in_order(queue) {
        if kind(queue, &place) == Kind::Whole { whole.push(place) } else { rest.push(place) }
    }
    if whole.len() < FROM {
        return Ok(0);
    }
    let mut written = 0;
    let result = whole.chunks(TRANSACTION_CALLS).try_for_each(|calls| {
        write_some(db, queue, calls)?;
        written += calls.len();
        Ok(())
    });
    // A call that is written must not be written again with others beside it: it would stand in two rows.
    rest.extend_from_slice(whole.get(written..).unwrap_or_default());
    rest.sort_unstable_by_key(|place| place.1);
    *queue = rest.iter().flat_map(|place| row::written(queue, place)).copied().collect();
    result.map(|()| written as u64)
}

/// Writes these calls in one transaction.
fn write_some(db: &mut Connection, queue: &[u8], calls: &[Place]) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO calls_packed (last, first, began, until, format, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let mut pack = Pack::default();
        for place in calls {
            pack.add(queue, place);
            if pack.count == MOST || pack.bytes.len() >= BYTES {
                pack.write(&mut insert)?;
            }
        }
        if pack.count > 0 {
            pack.write(&mut insert)?;
        }
    }
    transaction.commit()
}

/// Calls on their way into one row, in the order of their numbers.
#[derive(Default)]
struct Pack {
    bytes: Vec<u8>,
    count: usize,
    first: u64,
    last: u64,
    began: u64,
    until: u64,
}

impl Pack {
    fn add(&mut self, queue: &[u8], place: &Place) {
        let call = read(queue, place).1;
        if self.count == 0 {
            (self.first, self.began, self.until) = (call.id, call.started, call.started);
        }
        (self.last, self.count) = (call.id, self.count + 1);
        (self.began, self.until) = (self.began.min(call.started), self.until.max(call.started));
        self.bytes.extend_from_slice(row::written(queue, place));
    }

    fn write(&mut self, insert: &mut rusqlite::CachedStatement<'_>) -> rusqlite::Result<()> {
        let number = |n: u64| n as i64;
        insert.execute(params![
            number(self.last),
            number(self.first),
            number(self.began),
            number(self.until),
            FORMAT,
            self.bytes
        ])?;
        self.bytes.clear();
        self.count = 0;
        Ok(())
    }
}

/// The calls that the filter admits with numbers below `before`, newest first, up to so many, each once.
pub(crate) fn select(
    db: &Connection,
    filter: &Filter,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<CallRecord>> {
    let mut rows = db.prepare(
        "SELECT last, rows FROM calls_packed WHERE first < ?1 AND until >= ?2 AND began < ?3 AND format = ?4
         AND (?5 IS NULL OR ?5 BETWEEN first AND last) ORDER BY last DESC",
    )?;
    let time = |time: Option<u64>, other| time.map_or(other, |t| i64::try_from(t).unwrap_or(i64::MAX));
    let id = filter.id.map(|id| id as i64);
    let mut rows =
        rows.query(params![before, time(filter.since, 0), time(filter.until, i64::MAX), FORMAT, id])?;
    // Calls of different shards overlap where one batch meets the next, so some wait for the next row.
    let (mut found, mut waiting) = (Vec::new(), BinaryHeap::new());
    while let Some(row) = rows.next()? {
        let last = row.get::<_, i64>(0)?.unsigned_abs();
        while waiting.peek().is_some_and(|Numbered(record)| record.id > last) {
            take(&mut waiting, &mut found);
        }
        if found.len() >= limit {
            break;
        }
        each(
            row.get_ref(1)?.as_blob()?,
            |_, status| !filter.failed || status >= 300,
            |_, call| {
                if (call.id as i64) < before && filter.may_admit(&call) {
                    let record = CallRecord::of(&call);
                    if filter.admits(&record) {
                        waiting.push(Numbered(record));
                    }
                }
            },
        );
    }
    while !waiting.is_empty() {
        take(&mut waiting, &mut found);
    }
    found.truncate(limit);
    Ok(found)
}

/// Takes the newest one, unless it was taken before: after a commit that was reported as failed a call can stand in two rows.
fn take(waiting: &mut BinaryHeap<Numbered>, found: &mut Vec<CallRecord>) {
    let record = waiting.pop().map(|Numbered(record)| record);
    found.extend(record.filter(|record| found.last().is_none_or(|last| last.id != record.id)));
}

/// The highest number in it; 0 when it is empty.
pub(crate) fn last(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(last), 0) FROM calls_packed", [], |row| row.get(0))
}

/// Deletes some rows of which all calls started before; true when there may be more.
pub(crate) fn delete_old(db: &Connection, before: u64) -> rusqlite::Result<bool> {
    let deleted = db.execute(
        "DELETE FROM calls_packed WHERE last IN (SELECT last FROM calls_packed WHERE until < ?1 ORDER BY last LIMIT ?2)",
        params![before as i64, DELETED_ROWS],
    )?;
    Ok(deleted as i64 == DELETED_ROWS)
}

/// Has the database such a table?
pub(crate) fn is_made(db: &Connection) -> rusqlite::Result<bool> {
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'calls_packed'";
    Ok(db.query_row(table, [], |_| Ok(())).optional()?.is_some())
}

/// A record, ordered by its number.
struct Numbered(CallRecord);

impl PartialEq for Numbered {
    fn eq(&self, other: &Numbered) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Numbered {}

impl PartialOrd for Numbered {
    fn partial_cmp(&self, other: &Numbered) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numbered {
    fn cmp(&self, other: &Numbered) -> std::cmp::Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::call::{CallStart, Direction};
    use crate::cause::Cause;
    use crate::ending::Ender;
    use crate::row::{CODEC, REASON, Row, SIP_REASON, TO_TAG};

    /// A call as databases have it. Never change this text: when the layout changes, the new one gets a number and a reader of its own.
    const STORED: &str = "020c032fc80002006712000000000000e803000000000000d007000000000000282300000000000000000000000000000000ffffc0000207dc050000\
        000000000100000007000200120012000700070007000200000013000d000c000400696440686f737466317369703a3130303140612e6578616d706c\
        657369703a3130303240612e6578616d706c656167656e742d316167656e742d327472756e6b2d3174317369703a6f7468657240612e6578616d706c\
        655349503b63617573653d32303063616c6c2e68756e672d757050434d41";

    #[test]
    fn calls_that_are_stored_stay_readable() {
        let mut row = Row::default();
        let start = CallStart {
            call_id: b"id@host",
            from_tag: b"f1",
            from: b"sip:1001@a.example",
            to: b"sip:1002@a.example",
            caller_ref: b"agent-1",
            callee_ref: b"agent-2",
            trunk_ref: b"trunk-1",
            to_header: b"sip:other@a.example",
            ..CallStart::new(Direction::AgentToPstn, "192.0.2.7".parse().unwrap())
        };
        row.fill(&start, 4711, 1_000);
        row.set_rang(1_500);
        row.set_answered(2_000);
        row.set_ended(Cause::Crash, 200, 9_000);
        row.set_ended_by(Ender::Callee);
        for (n, text) in
            [(TO_TAG, "t1"), (SIP_REASON, "SIP;cause=200"), (REASON, "call.hung-up"), (CODEC, "PCMA")]
        {
            row.set_text(n, text.as_bytes());
        }
        let mut queue = Vec::new();
        row.push(Kind::Whole, &mut queue);
        let mut text = String::new();
        queue.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        assert_eq!((FORMAT, &*text), (1, STORED));

        let stored: Vec<u8> = (0..STORED.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&STORED[at..at + 2], 16).unwrap())
            .collect();
        let mut calls = Vec::new();
        each(&[&*stored, &*stored].concat(), |_, _| true, |_, call| calls.push(CallRecord::of(&call)));
        assert_eq!(calls.len(), 2);
        let call = &calls[1];
        assert_eq!(
            (call.id, &*call.call_id, &*call.to_header, &*call.source),
            (4711, "id@host", "sip:other@a.example", "192.0.2.7")
        );
        assert_eq!(
            (call.started, call.rang, call.answered, call.ended),
            (1_000, Some(1_500), Some(2_000), Some(9_000))
        );
        assert_eq!(
            (&*call.direction, call.cause.as_deref(), &*call.ended_by),
            ("agent-to-pstn", Some("CRASH"), "callee")
        );
        assert_eq!(
            (&*call.to_tag, &*call.sip_reason, &*call.reason, &*call.codec),
            ("t1", "SIP;cause=200", "call.hung-up", "PCMA")
        );
    }

    #[test]
    fn numbers_that_are_stored_keep_their_meaning() {
        let causes: Vec<_> = (0..17).map(|n| Cause::from_number(n).name()).collect();
        let names = "NORMAL_CLEARING CALL_REJECTED UNALLOCATED NO_USER_RESPONSE NO_ROUTE_DESTINATION NO_ANSWER \
                     INVALID_NUMBER_FORMAT USER_BUSY NOT_ACCEPTABLE_HERE SERVICE_UNAVAILABLE UNKNOWN SESSION_EXPIRED CRASH \
                     SHUTDOWN MEDIA_TIMEOUT MANAGER_REQUEST UNKNOWN";
        assert_eq!(causes.join(" "), names, "a new cause comes last");
        let enders: Vec<_> = (0..5).map(|n| Ender::from_number(n).name()).collect();
        assert_eq!(enders, ["", "caller", "callee", "carrier", "us"]);
        let directions: Vec<_> = (0..8).map(|n| Direction::from_number(n).name()).collect();
        let names = "unknown agent-to-agent agent-to-peer agent-to-pstn peer-to-agent peer-to-pstn from-pstn peer-to-peer";
        assert_eq!(directions.join(" "), names);
    }
}
