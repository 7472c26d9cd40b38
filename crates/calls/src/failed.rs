//! What is known of calls that failed, kept in SQLite: for the time after a restart, and when memory has let them go. The latest
//! ones are kept; those of unknown callers have a part of the room alone, so that they push out no others.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use trunkline_write_behind::{Batch, Names, WriteBehind};

use crate::writer::RecordsError;

const INTERVAL: Duration = Duration::from_secs(1);
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const CACHE_KIB: u32 = 256;
const BUSY: Duration = Duration::from_secs(2);
const NAMES: Names = Names { what: "failed calls", thread: "failed" };
/// What is said of one call, at most.
const LONGEST: usize = 16 << 10;
/// Bytes that all have on average, at most.
const AVERAGE: u64 = 4 << 10;
/// Unknown callers have this part of the room: one in so many.
const PART_OF_STRANGERS: u64 = 4;
/// What waits for a database that cannot be written, at most.
const MOST_PENDING: usize = 1_000;

/// A call that failed, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// The number of its record.
    pub id: u64,
    /// Its Call-ID.
    pub call_id: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// Nobody knows the caller.
    pub is_strangers: bool,
    /// What is said of it.
    pub text: String,
}

/// How many are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct FailedCallBounds {
    /// So many at most, and 4,096 bytes for each of them.
    pub calls: u32,
    /// `None` keeps them until newer ones come.
    pub retention: Option<Duration>,
}

/// Calls that failed, kept by a thread of its own. Dropping it writes what is left.
pub struct FailedCalls {
    path: PathBuf,
    behind: WriteBehind,
    lost: Arc<AtomicU64>,
}

impl FailedCalls {
    /// Opens or creates the table. Once a second `take` is asked for those that have failed since.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(
        path: &Path,
        bounds: FailedCallBounds,
        take: impl FnMut(&mut Vec<FailedCall>) + Send + 'static,
    ) -> Result<FailedCalls, RecordsError> {
        let database = |source| RecordsError::Database { path: path.to_owned(), source };
        let db = trunkline_write_behind::open(path, CACHE_KIB).map_err(database)?;
        let kept = make(&db).and_then(|()| kept(&db)).map_err(database)?;
        let lost = Arc::new(AtomicU64::new(0));
        let writer = FailedCallWriter {
            db,
            take,
            bounds,
            kept,
            queue: Vec::new(),
            lost: Arc::clone(&lost),
            next_deletion: Instant::now(),
        };
        let behind = WriteBehind::start(NAMES, path, INTERVAL, writer)?;
        Ok(FailedCalls { path: path.to_owned(), behind, lost })
    }

    /// What is said of the latest call with this Call-ID.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn find(&self, call_id: &str) -> Result<Option<String>, RecordsError> {
        self.read(|db| {
            db.query_row(
                "SELECT text FROM failed_calls WHERE call_id = ?1 ORDER BY id DESC LIMIT 1",
                [call_id],
                |row| row.get(0),
            )
            .optional()
        })
    }

    /// What is said of the latest ones, up to so many, that began at this time or later (milliseconds since 1970).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn latest(&self, since: u64, limit: usize) -> Result<Vec<String>, RecordsError> {
        let (since, limit) = (since as i64, i64::try_from(limit).unwrap_or(i64::MAX));
        self.read(|db| {
            let mut query = db.prepare(
                "SELECT text FROM failed_calls WHERE began >= ?1 ORDER BY began DESC, id DESC LIMIT ?2",
            )?;
            query.query_map([since, limit], |row| row.get(0))?.collect()
        })
    }

    /// Waits until everything that was told before the call is written; false when the write failed.
    pub fn flush(&self) -> bool {
        self.behind.flush()
    }

    /// The error of the last write; `None` when it succeeded.
    pub fn failing(&self) -> Option<String> {
        self.behind.progress().failing
    }

    /// Calls dropped because the database could not be written for too long.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, RecordsError> {
        let database = |source| RecordsError::Database { path: self.path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(database)?;
        db.busy_timeout(BUSY).map_err(database)?;
        ask(&db).map_err(database)
    }
}

fn make(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS failed_calls (
             id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, began INTEGER NOT NULL, strangers INTEGER NOT NULL,
             text TEXT NOT NULL);
         CREATE INDEX IF NOT EXISTS failed_calls_by_call_id ON failed_calls (call_id);
         CREATE INDEX IF NOT EXISTS failed_calls_by_time ON failed_calls (began);
         CREATE INDEX IF NOT EXISTS failed_calls_by_caller ON failed_calls (strangers, id);",
    )
}

/// How many there are, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    calls: u64,
    bytes: u64,
}

/// Those of known callers, and those of strangers.
fn kept(db: &Connection) -> rusqlite::Result<[Kept; 2]> {
    let mut all = [Kept::default(); 2];
    let mut query =
        db.prepare("SELECT strangers, count(*), sum(octet_length(text)) FROM failed_calls GROUP BY 1")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let count = |n| Ok::<_, rusqlite::Error>(row.get::<_, i64>(n)?.unsigned_abs());
        let [known, strangers] = &mut all;
        *(if row.get(0)? { strangers } else { known }) = Kept { calls: count(1)?, bytes: count(2)? };
    }
    Ok(all)
}

struct FailedCallWriter<T> {
    db: Connection,
    take: T,
    bounds: FailedCallBounds,
    kept: [Kept; 2],
    queue: Vec<FailedCall>,
    lost: Arc<AtomicU64>,
    next_deletion: Instant,
}

impl<T: FnMut(&mut Vec<FailedCall>) + Send + 'static> Batch for FailedCallWriter<T> {
    fn write(&mut self) -> rusqlite::Result<u64> {
        (self.take)(&mut self.queue);
        self.queue.retain(|call| call.text.len() <= LONGEST);
        if self.queue.is_empty() {
            return Ok(0);
        }
        match self.write_queue() {
            Ok(count) => {
                self.queue.clear();
                Ok(count)
            }
            Err(error) => {
                // What a transaction did is undone, so it is counted again.
                self.kept = kept(&self.db).unwrap_or(self.kept);
                if self.queue.len() > MOST_PENDING {
                    self.lost.fetch_add(self.queue.len() as u64, Ordering::Relaxed);
                    self.queue.clear();
                }
                Err(error)
            }
        }
    }

    fn upkeep(&mut self) -> rusqlite::Result<()> {
        let Some(retention) = self.bounds.retention else { return Ok(()) };
        if Instant::now() < self.next_deletion {
            return Ok(());
        }
        self.next_deletion = Instant::now() + RETENTION_EVERY;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let before = now.saturating_sub(retention.as_millis() as u64) as i64;
        if self.db.execute("DELETE FROM failed_calls WHERE began < ?1", [before])? > 0 {
            self.kept = kept(&self.db)?;
        }
        Ok(())
    }

    fn end(&mut self) {}
}

impl<T> FailedCallWriter<T> {
    fn write_queue(&mut self) -> rusqlite::Result<u64> {
        let mut kept = self.kept;
        let transaction = self.db.transaction()?;
        {
            // Ignore: a batch whose commit was reported as failed may be there all the same.
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO failed_calls (id, call_id, began, strangers, text) VALUES (?1,?2,?3,?4,?5)",
            )?;
            for call in &self.queue {
                let values =
                    params![call.id as i64, call.call_id, call.began as i64, call.is_strangers, call.text];
                let new = insert.execute(values)? as u64;
                let of = &mut kept[usize::from(call.is_strangers)];
                (of.calls, of.bytes) = (of.calls + new, of.bytes + new * call.text.len() as u64);
            }
            let calls = u64::from(self.bounds.calls);
            let [known, strangers] = &mut kept;
            let part = calls / PART_OF_STRANGERS;
            evict(&transaction, true, Kept { calls: part, bytes: part * AVERAGE }, strangers)?;
            let rest = Kept {
                calls: calls.saturating_sub(strangers.calls),
                bytes: (calls * AVERAGE).saturating_sub(strangers.bytes),
            };
            evict(&transaction, false, rest, known)?;
        }
        transaction.commit()?;
        self.kept = kept;
        Ok(self.queue.len() as u64)
    }
}

/// The oldest give way.
fn evict(db: &Connection, strangers: bool, most: Kept, kept: &mut Kept) -> rusqlite::Result<()> {
    let mut oldest = db.prepare_cached(
        "DELETE FROM failed_calls WHERE id = (SELECT min(id) FROM failed_calls WHERE strangers = ?1)
         RETURNING octet_length(text)",
    )?;
    while kept.calls > most.calls || kept.bytes > most.bytes {
        let bytes: Option<i64> = oldest.query_row([strangers], |row| row.get(0)).optional()?;
        let Some(bytes) = bytes else { break };
        kept.calls = kept.calls.saturating_sub(1);
        kept.bytes = kept.bytes.saturating_sub(bytes.unsigned_abs());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn failed(id: u64, is_strangers: bool, text: &str) -> FailedCall {
        FailedCall { id, call_id: format!("c{id}"), began: id * 1_000, is_strangers, text: text.into() }
    }

    fn open(path: &Path, calls: u32, all: Vec<FailedCall>) -> FailedCalls {
        let (send, told) = channel();
        send.send(all).unwrap();
        let bounds = FailedCallBounds { calls, retention: None };
        let calls =
            FailedCalls::open(path, bounds, move |out| out.extend(told.try_iter().flatten())).unwrap();
        assert!(calls.flush());
        calls
    }

    #[test]
    fn the_latest_are_kept_and_strangers_push_out_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let known = (1..=5).map(|id| failed(id, false, &format!("known {id}")));
        let strangers = (100..200).map(|id| failed(id, true, &format!("stranger {id}")));
        let calls = open(&path, 8, known.chain(strangers).collect());
        assert_eq!(calls.latest(0, 100).unwrap().len(), 7);
        assert_eq!(calls.latest(0, 1).unwrap(), ["stranger 199"]);
        assert_eq!(calls.latest(199_500, 10).unwrap(), Vec::<String>::new());
        assert_eq!(calls.find("c3").unwrap().as_deref(), Some("known 3"));
        assert_eq!(calls.find("c100").unwrap(), None);
        drop(calls);

        // What is there counts after a restart, too; so do bytes.
        let long = "x".repeat(LONGEST);
        let more = (300..304).map(|id| failed(id, false, &long)).chain([failed(
            304,
            false,
            &"y".repeat(LONGEST + 1),
        )]);
        let calls = open(&path, 8, more.collect());
        assert_eq!(calls.find("c5").unwrap(), None);
        assert_eq!(calls.find("c303").unwrap().map(|text| text.len()), Some(LONGEST));
        assert_eq!((calls.find("c302").unwrap(), calls.find("c304").unwrap()), (None, None));
        assert_eq!(calls.latest(0, 100).unwrap().len(), 1 + 2);
    }

    #[test]
    fn old_ones_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        drop(open(&path, 10, vec![failed(1, false, "old"), failed(2, true, "older")]));
        let db = trunkline_write_behind::open(&path, 512).unwrap();
        let mut writer = FailedCallWriter {
            kept: kept(&db).unwrap(),
            db,
            take: |_: &mut Vec<FailedCall>| {},
            bounds: FailedCallBounds { calls: 10, retention: Some(Duration::from_secs(60)) },
            queue: Vec::new(),
            lost: Arc::default(),
            next_deletion: Instant::now(),
        };
        writer.upkeep().unwrap();
        assert_eq!(writer.kept.map(|kept| kept.calls), [0, 0]);
    }
}
