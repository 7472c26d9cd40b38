//! The database behind the table: written from a thread of its own, a tenth of a second behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::Location;
use crate::location::SHARDS;
use crate::log::{self, Log, ROW_BYTES, push_record};

/// A binding is in the operating system's hands this long after its 200, and a write's time.
const INTERVAL: Duration = Duration::from_millis(50);
/// The log is written anew when it is twice as long as what was alive the last time, and this much more.
const SLACK_BYTES: u64 = 32 << 20;
/// Records written again in one interval.
const REWRITE_RECORDS: usize = 4_000;
const CHECKPOINT_BYTES: u64 = 8 << 20;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PersistenceError {
    /// SQLite said no.
    #[error("location database {path}: {source}; check the path and its permissions")]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Written by another version.
    #[error(
        "location database {path}: format {found} is not known; use the version that wrote it, or another file"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it says.
        found: String,
    },
    /// No thread could be started.
    #[error("location database: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// How the database is doing. The table works without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What the last write failed with; `None` when it succeeded.
    pub failing: Option<String>,
    /// Failed writes since the start.
    pub errors: u64,
    /// Records written since the start.
    pub written: u64,
    /// Records read at the start.
    pub loaded: u64,
    /// How often the log was written anew since the start.
    pub rewritten: u64,
    /// Clock time of the writing thread's batches since the start, in nanoseconds.
    pub busy_ns: u64,
}

#[derive(Default)]
struct Shared {
    failing: Mutex<Option<String>>,
    errors: AtomicU64,
    written: AtomicU64,
    busy_ns: AtomicU64,
    rewritten: AtomicU64,
}

enum Order {
    Flush(Sender<bool>),
    Stop,
}

/// Keeps a [`Location`] in SQLite (WAL, `synchronous=NORMAL`): loads it, then writes what changed every
/// 50 ms in one transaction, each AOR at most once.
///
/// The packet's way only notes a 32-bit hash per changed AOR, so however far the writer lags, the queue is
/// as long as there are AORs. A failed write is counted, told by [`Persistence::health`] and tried again.
/// Dropping it writes what is left.
pub struct Persistence {
    orders: Sender<Order>,
    writer: Option<JoinHandle<()>>,
    checkpointer: Option<(Sender<Order>, JoinHandle<()>)>,
    shared: Arc<Shared>,
    loaded: u64,
}

impl Persistence {
    /// Opens or creates the database, loads the live bindings into `location`, which is still empty, and
    /// follows it from then on.
    ///
    /// # Errors
    /// When the file cannot be opened, read or understood.
    pub fn open(path: &Path, location: Arc<Location>) -> Result<Persistence, PersistenceError> {
        Persistence::open_with(path, location, SLACK_BYTES)
    }

    /// What a database holds, when no exchange runs on it; for the command line.
    ///
    /// # Errors
    /// When the file cannot be opened, read or understood.
    pub fn read(path: &Path) -> Result<Location, PersistenceError> {
        let location = Location::new();
        Persistence::load(path, &location)?;
        Ok(location)
    }

    fn load(path: &Path, location: &Location) -> Result<(Log, u64), PersistenceError> {
        let database = |source| PersistenceError::Database { path: path.to_owned(), source };
        let mut log = Log::open(path).map_err(database)?;
        if let Some(found) = log.foreign_format().map_err(database)? {
            return Err(PersistenceError::Format { path: path.to_owned(), found });
        }
        let loaded = log.load(location).map_err(database)?;
        Ok((log, loaded))
    }

    fn open_with(
        path: &Path,
        location: Arc<Location>,
        slack_bytes: u64,
    ) -> Result<Persistence, PersistenceError> {
        let (log, loaded) = Persistence::load(path, &location)?;
        location.note_changes(true);

        let shared = Arc::new(Shared::default());
        let (orders, inbox) = channel();
        let writer = Writer {
            location,
            live_bytes: log.bytes,
            log,
            shared: Arc::clone(&shared),
            rows: vec![Vec::new()],
            taken: Vec::new(),
            list: Vec::new(),
            rewrite: None,
            slack_bytes,
        };
        let writer =
            std::thread::Builder::new().name("location-db".into()).spawn(move || writer.run(&inbox))?;
        let (stop, stopped) = channel();
        let path = path.to_owned();
        let checkpointer = std::thread::Builder::new()
            .name("location-checkpoint".into())
            .spawn(move || checkpoint_until(&stopped, &path))?;
        Ok(Persistence {
            orders,
            writer: Some(writer),
            checkpointer: Some((stop, checkpointer)),
            shared,
            loaded,
        })
    }

    /// How the database is doing.
    pub fn health(&self) -> Health {
        Health {
            failing: self.shared.failing.lock().clone(),
            errors: self.shared.errors.load(Ordering::Relaxed),
            written: self.shared.written.load(Ordering::Relaxed),
            loaded: self.loaded,
            rewritten: self.shared.rewritten.load(Ordering::Relaxed),
            busy_ns: self.shared.busy_ns.load(Ordering::Relaxed),
        }
    }

    /// Waits until everything changed before the call is written; false when the write failed.
    pub fn flush(&self) -> bool {
        let (done, wait) = channel();
        self.orders.send(Order::Flush(done)).is_ok() && wait.recv().unwrap_or(false)
    }

    /// Writes what is left and ends.
    pub fn close(self) {}
}

impl Drop for Persistence {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        if let Some((stop, thread)) = self.checkpointer.take() {
            let _ = stop.send(Order::Stop);
            let _ = thread.join();
        }
    }
}

struct Writer {
    location: Arc<Location>,
    log: Log,
    shared: Arc<Shared>,
    /// Rows of this transaction; the buffers are kept.
    rows: Vec<Vec<u8>>,
    /// What this transaction holds, to be marked again should it fail.
    taken: Vec<(usize, u32)>,
    list: Vec<u32>,
    rewrite: Option<Rewrite>,
    /// Length of the log after it was last written anew.
    live_bytes: u64,
    slack_bytes: u64,
}

/// Writing the log anew.
struct Rewrite {
    /// The first row of the new part.
    from: i64,
    shard: usize,
    hashes: Vec<u32>,
    at: usize,
    bytes: u64,
    log_bytes_before: u64,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Order>) {
        let mut next = Instant::now() + INTERVAL;
        loop {
            match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {
                    next = Instant::now() + INTERVAL;
                    self.write();
                    self.go_on_rewriting();
                }
                Ok(Order::Flush(done)) => {
                    let _ = done.send(self.write());
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.location.note_changes(false);
                    self.write();
                    return;
                }
            }
        }
    }

    /// Writes what changed; false when that failed.
    fn write(&mut self) -> bool {
        let begun = Instant::now();
        self.taken.clear();
        let mut rows = Rows::new(&mut self.rows);
        for shard in 0..SHARDS {
            self.location.take_dirty(shard, &mut self.list);
            if self.list.is_empty() {
                continue;
            }
            self.location.collect(shard, &self.list, true, |record| rows.push(record));
            self.taken.extend(self.list.drain(..).map(|hash| (shard, hash)));
        }
        if self.taken.is_empty() {
            self.location.note_behind(None);
            return true;
        }
        self.location.note_behind(Some(unix_ms()));
        let ok = match self.log.append(&self.rows, &self.location) {
            Ok(()) => {
                self.shared.written.fetch_add(self.taken.len() as u64, Ordering::Relaxed);
                self.shared.failing.lock().take();
                self.location.note_behind(None);
                true
            }
            Err(error) => {
                self.failed(&error);
                for (shard, hash) in self.taken.drain(..) {
                    self.location.mark_dirty(shard, hash);
                }
                false
            }
        };
        let spent = begun.elapsed().as_nanos() as u64;
        self.shared.busy_ns.fetch_add(spent, Ordering::Relaxed);
        ok
    }

    fn failed(&self, error: &rusqlite::Error) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        let text = error.to_string();
        let mut failing = self.shared.failing.lock();
        if failing.as_ref() != Some(&text) {
            tracing::error!(error = text, "location database: write failed; it is tried again");
            *failing = Some(text);
        }
    }

    /// One interval's share of writing the log anew.
    fn go_on_rewriting(&mut self) {
        let Some(rewrite) = &mut self.rewrite else {
            if self.log.bytes > 2 * self.live_bytes + self.slack_bytes {
                let (from, log_bytes_before) = (self.log.next_seq(), self.log.bytes);
                let hashes = Vec::new();
                self.rewrite = Some(Rewrite { from, shard: 0, hashes, at: 0, bytes: 0, log_bytes_before });
            }
            return;
        };
        if rewrite.shard < SHARDS {
            let mut rows = Rows::new(&mut self.rows);
            let mut left = REWRITE_RECORDS;
            // Kept until the write is known to have succeeded.
            let (mut shard, mut at) = (rewrite.shard, rewrite.at);
            while left > 0 && shard < SHARDS {
                if at == 0 {
                    self.location.hashes(shard, &mut rewrite.hashes);
                }
                let some = rewrite.hashes.get(at..).unwrap_or_default();
                let some = some.get(..left.min(some.len())).unwrap_or_default();
                self.location.collect(shard, some, false, |record| rows.push(record));
                left -= some.len();
                at += some.len();
                if at >= rewrite.hashes.len() {
                    (shard, at) = (shard + 1, 0);
                } else if some.is_empty() {
                    break;
                }
            }
            let bytes = rows.bytes;
            match self.log.append(&self.rows, &self.location) {
                Ok(()) => (rewrite.shard, rewrite.at, rewrite.bytes) = (shard, at, rewrite.bytes + bytes),
                Err(error) => self.failed(&error),
            }
            return;
        }
        match self.log.delete_before(rewrite.from) {
            Ok(false) => {}
            Ok(true) => {
                self.live_bytes = rewrite.bytes;
                self.log.bytes -= rewrite.log_bytes_before.min(self.log.bytes);
                self.shared.rewritten.fetch_add(1, Ordering::Relaxed);
                self.rewrite = None;
            }
            Err(error) => self.failed(&error),
        }
    }
}

fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Fills rows one after the other.
struct Rows<'a> {
    rows: &'a mut Vec<Vec<u8>>,
    at: usize,
    bytes: u64,
}

impl<'a> Rows<'a> {
    fn new(rows: &'a mut Vec<Vec<u8>>) -> Rows<'a> {
        rows.truncate(16);
        rows.iter_mut().for_each(Vec::clear);
        Rows { rows, at: 0, bytes: 0 }
    }

    fn push(&mut self, record: &[u8]) {
        if self.rows.get(self.at).is_some_and(|row| row.len() >= ROW_BYTES) {
            self.at += 1;
        }
        while self.rows.len() <= self.at {
            self.rows.push(Vec::new());
        }
        if let Some(row) = self.rows.get_mut(self.at) {
            push_record(row, record);
            self.bytes += record.len() as u64 + 4;
        }
    }
}

/// Moves the write-ahead log into the database when it has grown, beside the writer: waiting for the disk
/// must not delay what phones were promised.
fn checkpoint_until(stopped: &Receiver<Order>, path: &Path) {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    let mut db = None;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(Duration::from_secs(1)) {
        if std::fs::metadata(&wal).map_or(0, |m| m.len()) < CHECKPOINT_BYTES {
            continue;
        }
        if db.is_none() {
            db = log::open(path).ok();
        }
        let Some(open) = &db else { continue };
        // Twice: the second pass is short, so the writer finds nothing left to keep and starts over.
        for _ in 0..2 {
            let done = open.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
            if let Err(error) = done {
                tracing::warn!(%error, "location database: checkpoint failed; it is tried again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContactChange, Register};
    use trunkline_sip::{ConnectionId, Flow, Transport};

    /// Writing the log anew, while phones refresh and leave, neither loses nor revives anybody.
    #[test]
    fn the_log_is_written_anew_under_load() {
        let folder = std::env::temp_dir().join(format!("trunkline-location-anew-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("trunkline.db");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5060".parse().unwrap(),
            connection: ConnectionId::NONE,
        };
        let mut cseq = [0u32; 300];
        let mut alive = [false; 300];
        let location = Arc::new(Location::new());
        let persistence = Persistence::open_with(&file, Arc::clone(&location), 20_000).unwrap();
        let (mut round, begun) = (0u32, Instant::now());
        while persistence.health().rewritten < 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", persistence.health());
            for _ in 0..50 {
                round += 1;
                let n = (round * 7 % 300) as usize;
                (cseq[n], alive[n]) = (cseq[n] + 1, round % 5 != 0);
                let aor = format!("sip:{n}@h");
                let contacts = [ContactChange::new(b"sip:x@h", if alive[n] { 3600 } else { 0 })];
                let request = Register::new(aor.as_bytes(), b"c", cseq[n], flow, &contacts);
                location.register(&request, now, |_| {}).unwrap();
            }
            persistence.flush();
        }
        persistence.close();

        let location = Arc::new(Location::new());
        let persistence = Persistence::open(&file, Arc::clone(&location)).unwrap();
        for n in 0..300 {
            let mut found = None;
            location.visit(format!("sip:{n}@h").as_bytes(), now, |b| found = Some(b.cseq));
            assert_eq!(found, alive[n].then_some(cseq[n]), "sip:{n}@h after {round} rounds");
        }
        // Every round wrote a record, and writing anew adds the live ones: only what was deleted makes it fewer.
        let loaded = persistence.health().loaded;
        assert!(
            loaded < u64::from(round),
            "the old part is still there: {loaded} records after {round} rounds"
        );
        drop(persistence);
        let _ = std::fs::remove_dir_all(folder);
    }
}
