//! SQLite, written by a separate thread, so that other threads do not wait.
//!
//! Changes are collected in memory. Every interval a [`WriteBehind`] has its [`Batch`] write them in one
//! transaction; a failed write is counted, told by [`WriteBehind::progress`] and tried again. The write-ahead log is
//! moved into the database by a second thread, since that waits for the disk.
//!
//! ```
//! use std::time::Duration;
//! use trunkline_write_behind::{Batch, Names, WriteBehind};
//!
//! struct Ticks(rusqlite::Connection);
//!
//! impl Batch for Ticks {
//!     fn write(&mut self) -> rusqlite::Result<u64> {
//!         self.0.execute("INSERT INTO ticks DEFAULT VALUES", []).map(|rows| rows as u64)
//!     }
//!     fn end(&mut self) {}
//! }
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("ticks.db");
//! let db = trunkline_write_behind::open(&path, 512).unwrap();
//! db.execute_batch("CREATE TABLE ticks (n INTEGER PRIMARY KEY)").unwrap();
//! let names = Names { what: "ticks", thread: "ticks" };
//! let ticks = WriteBehind::start(names, &path, Duration::from_secs(60), Ticks(db)).unwrap();
//! assert!(ticks.flush());
//! assert_eq!(ticks.progress().written, 1);
//! ```

mod checkpoint;
mod wal;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::Connection;

pub use wal::switch_to_wal;

/// Another program, or another thread, that holds the lock is waited for so long.
const BUSY: Duration = Duration::from_secs(2);

/// Opens or creates a database for writing behind: WAL, `synchronous=NORMAL`, a page cache of so many KiB, and no
/// checkpoint of its own accord.
///
/// # Errors
/// When SQLite cannot open it.
pub fn open(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    // SQLite would make it readable by all, its journal too. What goes wrong here goes wrong there, with its reason.
    let _ = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let db = Connection::open(path)?;
    switch_to_wal(&db, BUSY)?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    // KiB when negative.
    db.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    // The checkpoint waits for the disk; the writer must not.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(db)
}

/// A collection of changes and how it is written. Everything runs on the writing thread.
pub trait Batch: Send + 'static {
    /// Writes what has gathered since the last call, and gives the number of records. What a failure left out comes
    /// with the next call.
    ///
    /// # Errors
    /// The error of SQLite.
    fn write(&mut self) -> rusqlite::Result<u64>;

    /// As [`Batch::write`], where somebody waits for what has gathered, or the end has come: nothing may be put off.
    ///
    /// # Errors
    /// The error of SQLite.
    fn write_all(&mut self) -> rusqlite::Result<u64> {
        self.write()
    }

    /// A little upkeep after the write of each interval.
    ///
    /// # Errors
    /// The error of SQLite; counted and reported like a failed write.
    fn upkeep(&mut self) -> rusqlite::Result<()> {
        Ok(())
    }

    /// Nothing is to gather any more; one last write follows.
    fn end(&mut self);
}

/// How a database is called.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// In messages to people, e.g. `call records`.
    pub what: &'static str,
    /// In front of the names of its threads, e.g. `records`.
    pub thread: &'static str,
}

/// How the writing goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The error of the last write; `None` when it succeeded.
    pub failing: Option<String>,
    /// Failed writes since the start.
    pub errors: u64,
    /// Records written since the start.
    pub written: u64,
    /// Clock time of the batches since the start, in nanoseconds.
    pub busy_ns: u64,
}

#[derive(Default)]
struct WriterState {
    failing: Mutex<Option<String>>,
    errors: AtomicU64,
    written: AtomicU64,
    busy_ns: AtomicU64,
}

enum Order {
    Flush(Sender<bool>),
    Stop,
}

/// The writing thread and the one that moves the write-ahead log. Dropping it writes what is left.
pub struct WriteBehind {
    orders: Sender<Order>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<(Sender<()>, JoinHandle<()>)>,
    shared: Arc<WriterState>,
}

impl WriteBehind {
    /// Has `batch` write to the database at `path` every `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        names: Names,
        path: &Path,
        interval: Duration,
        batch: impl Batch,
    ) -> std::io::Result<WriteBehind> {
        let shared = Arc::new(WriterState::default());
        let (orders, inbox) = channel();
        let mut writer = BatchWriter { what: names.what, batch, shared: Arc::clone(&shared) };
        let writer = std::thread::Builder::new()
            .name(format!("{}-db", names.thread))
            .spawn(move || writer.run(&inbox, interval))?;
        let (stop, stopped) = channel();
        let path = path.to_owned();
        let checkpointer = std::thread::Builder::new()
            .name(format!("{}-wal", names.thread))
            .spawn(move || checkpoint::until(&stopped, names.what, &path))?;
        Ok(WriteBehind { orders, writer: Some(writer), checkpointer: Some((stop, checkpointer)), shared })
    }

    /// How the writing goes.
    pub fn progress(&self) -> Progress {
        Progress {
            failing: self.shared.failing.lock().clone(),
            errors: self.shared.errors.load(Ordering::Relaxed),
            written: self.shared.written.load(Ordering::Relaxed),
            busy_ns: self.shared.busy_ns.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything that gathered before the call is written; false when that failed.
    pub fn flush(&self) -> bool {
        let (done, wait) = channel();
        self.orders.send(Order::Flush(done)).is_ok() && wait.recv().unwrap_or(false)
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        if let Some((stop, thread)) = self.checkpointer.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

struct BatchWriter<B> {
    what: &'static str,
    batch: B,
    shared: Arc<WriterState>,
}

impl<B: Batch> BatchWriter<B> {
    fn run(&mut self, inbox: &Receiver<Order>, interval: Duration) {
        let mut next = Instant::now() + interval;
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {
                    next = Instant::now() + interval;
                    self.write(B::write);
                    if let Err(error) = self.batch.upkeep() {
                        self.failed(&error);
                    }
                }
                Ok(Order::Flush(done)) => {
                    let _ = done.send(self.write(B::write_all));
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.batch.end();
                    self.write(B::write_all);
                    return;
                }
            }
        }
    }

    /// False when it failed.
    fn write(&mut self, write: impl FnOnce(&mut B) -> rusqlite::Result<u64>) -> bool {
        let begun = Instant::now();
        match write(&mut self.batch) {
            // Nothing to write says nothing about the database.
            Ok(0) => return true,
            Ok(count) => {
                self.shared.written.fetch_add(count, Ordering::Relaxed);
                self.shared.failing.lock().take();
            }
            Err(error) => {
                self.failed(&error);
                return false;
            }
        }
        let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.shared.busy_ns.fetch_add(spent, Ordering::Relaxed);
        true
    }

    /// Said once per reason, however often it is tried.
    fn failed(&self, error: &rusqlite::Error) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        let text = error.to_string();
        let mut failing = self.shared.failing.lock();
        if failing.as_ref() != Some(&text) {
            tracing::error!(error = text, "{}: write failed; it is tried again", self.what);
            *failing = Some(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the numbers that were sent; keeps those it could not.
    struct Numbers {
        db: Connection,
        inbox: Receiver<i64>,
        kept: Vec<i64>,
    }

    impl Batch for Numbers {
        fn write(&mut self) -> rusqlite::Result<u64> {
            self.kept.extend(self.inbox.try_iter());
            let transaction = self.db.transaction()?;
            for n in &self.kept {
                transaction.execute("INSERT INTO numbers VALUES (?1)", [n])?;
            }
            transaction.commit()?;
            Ok(self.kept.drain(..).count() as u64)
        }

        fn end(&mut self) {}
    }

    #[test]
    fn a_write_that_failed_is_told_and_tried_again_and_the_rest_is_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.db");
        let db = open(&path, 512).unwrap();
        db.busy_timeout(Duration::ZERO).unwrap();
        db.execute_batch("CREATE TABLE numbers (n INTEGER)").unwrap();
        let (numbers, inbox) = channel();
        let names = Names { what: "numbers", thread: "numbers" };
        let batch = Numbers { db, inbox, kept: Vec::new() };
        let behind = WriteBehind::start(names, &path, Duration::from_secs(3600), batch).unwrap();

        let other = open(&path, 512).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        numbers.send(1).unwrap();
        assert!(!behind.flush());
        let progress = behind.progress();
        assert!(progress.failing.is_some_and(|text| text.contains("locked")));
        assert_eq!((progress.errors, progress.written), (1, 0));

        other.execute_batch("COMMIT").unwrap();
        numbers.send(2).unwrap();
        assert!(behind.flush());
        let progress = behind.progress();
        assert_eq!((progress.failing, progress.errors, progress.written), (None, 1, 2));

        numbers.send(3).unwrap();
        drop(behind);
        let sum: i64 = other.query_row("SELECT sum(n) FROM numbers", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 6);
    }
}
