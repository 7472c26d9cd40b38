//! Call records in SQLite, written from a thread of its own, half a second behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Statement, params};
use trunkline_write_behind::{Batch, Names, WriteBehind};

use crate::call::CallView;
use crate::calls::{Calls, SHARDS};
use crate::cause::Cause;
use crate::follow::{Follower, Followers};
use crate::packed;
use crate::record::{Filter, source_text, text};
use crate::row::{Kind, Place, in_order, read};
use crate::schema::{self, COLUMNS};

/// A call that starts and ends within this time is one insert.
const INTERVAL: Duration = Duration::from_millis(500);
/// What is kept for a database that cannot be written: about 200,000 calls.
const MOST_PENDING: usize = 64 << 20;
/// So often at least the database learns that the exchange lives, while there are calls.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
const RETENTION_EVERY: Duration = Duration::from_secs(60);
/// Old records deleted at once.
const RETENTION_ROWS: i64 = 2_000;
const CACHE_KIB: u32 = 1024;
const NAMES: Names = Names { what: "call records", thread: "records" };

/// Why the records could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// SQLite said no.
    #[error("call records {path}: {source}; check the path and its permissions")]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// No thread could be started.
    #[error("call records: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// How the database is doing. Calls go on without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordsHealth {
    /// The error of the last write; `None` when it succeeded.
    pub failing: Option<String>,
    /// Failed writes since the start.
    pub errors: u64,
    /// Rows inserted or updated since the start.
    pub written: u64,
    /// Calls dropped because the database could not be written for too long.
    pub lost: u64,
    /// Calls found half open at the start and closed.
    pub crashed: u64,
    /// Clock time of the writing thread's batches since the start, in nanoseconds.
    pub busy_ns: u64,
}

/// Keeps a record of every call of a [`Calls`] in SQLite, in batches of half a second.
///
/// A call that starts and ends within a batch is one insert; a longer one gets its row while it lives, and an
/// update when it is answered and when it ends. Rows that a crash left open are closed with cause `CRASH` at
/// the next start, and end when the exchange last said that it lives. Dropping it writes what is left.
pub struct Records {
    pub(crate) path: PathBuf,
    behind: WriteBehind,
    followers: Arc<Followers>,
    lost: Arc<AtomicU64>,
    crashed: u64,
}

fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64)
}

impl Records {
    /// Opens or creates the database, closes what a crash left open, and records from then on. Records older
    /// than `retention` are deleted; `None` keeps them for ever.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(
        path: &Path,
        calls: Arc<Calls>,
        retention: Option<Duration>,
    ) -> Result<Records, RecordsError> {
        let database = |source| RecordsError::Database { path: path.to_owned(), source };
        let db = trunkline_write_behind::open(path, CACHE_KIB).map_err(database)?;
        let (first, crashed) =
            schema::make(&db).and_then(|()| schema::close_crashed(&db)).map_err(database)?;
        calls.record_from(first);
        let (lost, followers) = (Arc::new(AtomicU64::new(0)), Arc::new(Followers::default()));
        let writer = RecordWriter {
            db,
            calls,
            followers: Arc::clone(&followers),
            lost: Arc::clone(&lost),
            queue: Vec::new(),
            retention,
            next_deletion: Instant::now(),
            next_alive: Instant::now(),
        };
        let behind = WriteBehind::start(NAMES, path, INTERVAL, writer)?;
        Ok(Records { path: path.to_owned(), behind, followers, lost, crashed })
    }

    /// How the database is doing.
    pub fn health(&self) -> RecordsHealth {
        let progress = self.behind.progress();
        RecordsHealth {
            failing: progress.failing,
            errors: progress.errors,
            written: progress.written,
            lost: self.lost.load(Ordering::Relaxed),
            crashed: self.crashed,
            busy_ns: progress.busy_ns,
        }
    }

    /// Follows the calls that this filter admits, as they begin and end from now on, half a second behind at most.
    pub fn follow(&self, filter: Filter) -> Follower {
        self.followers.add(filter, None)
    }

    /// The same, of calls of strangers alone, or of those of everybody else.
    pub fn follow_callers(&self, filter: Filter, strangers: bool) -> Follower {
        self.followers.add(filter, Some(strangers))
    }

    /// Waits until everything that happened before the call is written; false when the write failed.
    pub fn flush(&self) -> bool {
        self.behind.flush()
    }

    /// Writes what is left and ends. Calls that still live stay open in the database: [`Calls::end_all`] before a
    /// stop.
    pub fn close(self) {}
}

struct RecordWriter {
    db: Connection,
    calls: Arc<Calls>,
    followers: Arc<Followers>,
    lost: Arc<AtomicU64>,
    /// Rows not yet written, in order.
    queue: Vec<u8>,
    retention: Option<Duration>,
    next_deletion: Instant,
    next_alive: Instant,
}

impl Batch for RecordWriter {
    fn write(&mut self) -> rusqlite::Result<u64> {
        self.write_taken(false)
    }

    fn write_all(&mut self) -> rusqlite::Result<u64> {
        self.write_taken(true)
    }

    fn upkeep(&mut self) -> rusqlite::Result<()> {
        if Instant::now() >= self.next_alive && self.calls.stats().live > 0 {
            schema::note_alive(&self.db, clock())?;
            self.next_alive = Instant::now() + ALIVE_EVERY;
        }
        if Instant::now() < self.next_deletion {
            return Ok(());
        }
        self.next_deletion = Instant::now() + RETENTION_EVERY;
        if self.delete_old()? {
            self.next_deletion = Instant::now();
        }
        Ok(())
    }

    fn end(&mut self) {
        self.calls.stop_recording();
    }
}

impl RecordWriter {
    /// Takes what has happened and writes it; `all`: sums too that are not due.
    fn write_taken(&mut self, all: bool) -> rusqlite::Result<u64> {
        let begin = self.queue.len();
        for shard in 0..SHARDS {
            self.calls.take_rows(shard, &mut self.queue);
        }
        self.calls.take_sums(clock(), &mut self.queue, all);
        self.followers.tell(self.queue.get(begin..).unwrap_or_default());
        if self.queue.is_empty() {
            return Ok(0);
        }
        match write_queue(&mut self.db, &mut self.queue) {
            Ok(count) => {
                self.queue.clear();
                // After a burst the room is given back.
                self.queue.shrink_to(1 << 20);
                Ok(count)
            }
            Err(error) => {
                if self.queue.len() > MOST_PENDING {
                    self.lost.fetch_add(in_order(&self.queue).len() as u64, Ordering::Relaxed);
                    self.queue = Vec::new();
                }
                Err(error)
            }
        }
    }

    /// Deletes some records past their time; true when there may be more.
    fn delete_old(&self) -> rusqlite::Result<bool> {
        let Some(retention) = self.retention else { return Ok(false) };
        let before = clock().saturating_sub(retention.as_millis() as u64);
        let more_packed = packed::delete_old(&self.db, before)?;
        // Numbers follow the start, so the oldest stand first and no index on time is needed.
        let deleted = self.db.execute(
            "DELETE FROM calls WHERE started < ?1 AND ended IS NOT NULL AND id IN
             (SELECT id FROM calls ORDER BY id LIMIT ?2)",
            params![before as i64, RETENTION_ROWS],
        )?;
        Ok(more_packed || deleted as i64 == RETENTION_ROWS)
    }
}

fn number(time: Option<u64>) -> Option<i64> {
    time.map(|t| t as i64)
}

/// Reads a column's text.
type Text = for<'a> fn(&CallView<'a>) -> &'a [u8];

/// The columns of the table that are texts of the call, by their numbers.
const TEXTS: [(usize, Text); 13] = [
    (2, |call| call.call_id),
    (3, |call| call.from_tag),
    (4, |call| call.to_tag),
    (5, |call| call.from),
    (6, |call| call.to),
    (8, |call| call.caller_ref),
    (9, |call| call.callee_ref),
    (10, |call| call.trunk_ref),
    (17, |call| call.first_called),
    (18, |call| call.to_header),
    (21, |call| call.reason),
    (22, |call| call.sip_reason),
    (23, |call| call.codec),
];

/// Binds the values of a new row. Those that the row `before` has too are still bound: many are the same in row after row,
/// and SQLite copies each that is bound.
fn bind(
    insert: &mut Statement<'_>,
    call: &CallView<'_>,
    before: Option<&CallView<'_>>,
) -> rusqlite::Result<()> {
    fn differ<'a, T: PartialEq>(
        call: &CallView<'a>,
        before: Option<&CallView<'a>>,
        of: impl Fn(&CallView<'a>) -> T,
    ) -> bool {
        before.is_none_or(|before| of(before) != of(call))
    }
    insert.raw_bind_parameter(1, call.id as i64)?;
    for (column, of) in TEXTS {
        if differ(call, before, of) {
            insert.raw_bind_parameter(column, text(of(call)))?;
        }
    }
    if differ(call, before, |call| call.direction) {
        insert.raw_bind_parameter(7, call.direction.name())?;
    }
    if differ(call, before, |call| (call.source, call.many_sources, call.count > 1)) {
        insert.raw_bind_parameter(11, source_text(call))?;
    }
    insert.raw_bind_parameter(12, call.started as i64)?;
    insert.raw_bind_parameter(13, number(call.answered))?;
    insert.raw_bind_parameter(14, number(call.ended))?;
    if differ(call, before, |call| (call.status, call.cause)) {
        insert.raw_bind_parameter(15, call.status)?;
        insert.raw_bind_parameter(16, call.cause.map(Cause::name))?;
    }
    insert.raw_bind_parameter(19, number(call.rang))?;
    if differ(call, before, |call| call.ended_by) {
        insert.raw_bind_parameter(20, call.ended_by.name())?;
    }
    insert.raw_bind_parameter(24, call.count)?;
    if differ(call, before, |call| (call.transferred_by, call.replaces)) {
        insert.raw_bind_parameter(25, call.transferred_by.name())?;
        insert.raw_bind_parameter(26, number(Some(call.replaces).filter(|id| *id > 0)))?;
    }
    Ok(())
}

/// Rows of one transaction: others who write to the same file wait no longer than this takes.
const TRANSACTION_ROWS: usize = 4_000;

/// Writes the rows; gives their number. After a failure those that are left in the queue are written again, some of them perhaps
/// for the second time.
fn write_queue(db: &mut Connection, queue: &mut Vec<u8>) -> rusqlite::Result<u64> {
    let packed = packed::write(db, queue)?;
    let rows = in_order(queue);
    rows.chunks(TRANSACTION_ROWS).try_fold(packed, |sum, rows| Ok(sum + write_rows(db, queue, rows)?))
}

/// The values of a row that change while a call has one.
const UPDATE: &str =
    "UPDATE calls SET to_tag = ?2, callee = ?3, trunk = ?4, answered = ?5, ended = ?6, status = ?7,
     cause = ?8, to_uri = ?9, first_called = ?10, rang = ?11, ended_by = ?12, reason = ?13, sip_reason = ?14,
     codec = ?15, transferred_by = ?16 WHERE id = ?1";

fn write_rows(db: &mut Connection, queue: &[u8], rows: &[Place]) -> rusqlite::Result<u64> {
    let transaction = db.transaction()?;
    {
        let values = "?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,\
             ?25,?26";
        let into = format!("INTO calls ({COLUMNS}) VALUES ({values})");
        // Ignore: a batch whose commit was reported as failed may be there all the same.
        let mut insert = transaction.prepare_cached(&format!("INSERT OR IGNORE {into}"))?;
        let mut replace = transaction.prepare_cached(&format!("INSERT OR REPLACE {into}"))?;
        let mut update = transaction.prepare_cached(UPDATE)?;
        let mut before = None;
        for place in rows {
            let (kind, call) = read(queue, place);
            match kind {
                Kind::Open | Kind::Whole => {
                    bind(&mut insert, &call, before.as_ref())?;
                    insert.raw_execute()?;
                    before = Some(call);
                }
                Kind::Sum | Kind::WholeSum => {
                    bind(&mut replace, &call, None)?;
                    replace.raw_execute()?;
                }
                Kind::Answered | Kind::Ended => {
                    update.execute(params![
                        call.id as i64,
                        text(call.to_tag),
                        text(call.callee_ref),
                        text(call.trunk_ref),
                        number(call.answered),
                        number(call.ended),
                        call.status,
                        call.cause.map(Cause::name),
                        text(call.to),
                        text(call.first_called),
                        number(call.rang),
                        call.ended_by.name(),
                        text(call.reason),
                        text(call.sip_reason),
                        text(call.codec),
                        call.transferred_by.name(),
                    ])?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(rows.len() as u64)
}
