//! The database behind the table: written from a thread of its own, a tenth of a second behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trunkline_write_behind::{Batch, Names, WriteBehind};

use crate::Location;
use crate::location::SHARDS;
use crate::log::{Log, ROW_BYTES, push_record};

/// A binding is in the operating system's hands this long after its 200, and a write's time.
const INTERVAL: Duration = Duration::from_millis(50);
/// The log is written anew when it is twice as long as what was alive the last time, and this much more.
const SLACK_BYTES: u64 = 32 << 20;
/// Records written again in one interval.
const REWRITE_RECORDS: usize = 4_000;
const NAMES: Names = Names { what: "location database", thread: "location" };

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PersistenceError {
    /// SQLite said no.
    #[error("location database {path}: {source}; check the path and its permissions")]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
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
pub struct PersistenceHealth {
    /// The error of the last write; `None` when it succeeded.
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

/// Keeps a [`Location`] in SQLite (WAL, `synchronous=NORMAL`): loads it, then writes what changed every
/// 50 ms in one transaction, each AOR at most once.
///
/// The packet's way only notes a 32-bit hash per changed AOR, so however far the writer lags, the queue is
/// as long as there are AORs. A failed write is counted, told by [`Persistence::health`] and tried again.
/// Dropping it writes what is left.
pub struct Persistence {
    behind: WriteBehind,
    rewritten: Arc<AtomicU64>,
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

    /// Reads the content of a database while no exchange runs on it; for the command line.
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

        let rewritten = Arc::new(AtomicU64::new(0));
        let writer = LogWriter {
            location,
            live_bytes: log.bytes,
            log,
            rewritten: Arc::clone(&rewritten),
            rows: vec![Vec::new()],
            taken: Vec::new(),
            list: Vec::new(),
            rewrite: None,
            slack_bytes,
        };
        let behind = WriteBehind::start(NAMES, path, INTERVAL, writer)?;
        Ok(Persistence { behind, rewritten, loaded })
    }

    /// How the database is doing.
    pub fn health(&self) -> PersistenceHealth {
        let progress = self.behind.progress();
        PersistenceHealth {
            failing: progress.failing,
            errors: progress.errors,
            written: progress.written,
            loaded: self.loaded,
            rewritten: self.rewritten.load(Ordering::Relaxed),
            busy_ns: progress.busy_ns,
        }
    }

    /// Waits until everything changed before the call is written; false when the write failed.
    pub fn flush(&self) -> bool {
        self.behind.flush()
    }

    /// Writes what is left and ends.
    pub fn close(self) {}
}

struct LogWriter {
    location: Arc<Location>,
    log: Log,
    rewritten: Arc<AtomicU64>,
    /// Rows of this transaction; the buffers are kept.
    rows: Vec<Vec<u8>>,
    /// The records of this transaction, to be marked again if it fails.
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

impl Batch for LogWriter {
    /// Writes what changed.
    fn write(&mut self) -> rusqlite::Result<u64> {
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
            return Ok(0);
        }
        self.location.note_behind(Some(unix_ms()));
        if let Err(error) = self.log.append(&self.rows, &self.location) {
            for (shard, hash) in self.taken.drain(..) {
                self.location.mark_dirty(shard, hash);
            }
            return Err(error);
        }
        self.location.note_behind(None);
        Ok(self.taken.len() as u64)
    }

    /// One interval's share of writing the log anew.
    fn upkeep(&mut self) -> rusqlite::Result<()> {
        let Some(rewrite) = &mut self.rewrite else {
            if self.log.bytes > 2 * self.live_bytes + self.slack_bytes {
                let (from, log_bytes_before) = (self.log.next_seq(), self.log.bytes);
                let hashes = Vec::new();
                self.rewrite = Some(Rewrite { from, shard: 0, hashes, at: 0, bytes: 0, log_bytes_before });
            }
            return Ok(());
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
            self.log.append(&self.rows, &self.location)?;
            (rewrite.shard, rewrite.at, rewrite.bytes) = (shard, at, rewrite.bytes + bytes);
        } else if self.log.delete_before(rewrite.from)? {
            self.live_bytes = rewrite.bytes;
            self.log.bytes -= rewrite.log_bytes_before.min(self.log.bytes);
            self.rewritten.fetch_add(1, Ordering::Relaxed);
            self.rewrite = None;
        }
        Ok(())
    }

    fn end(&mut self) {
        self.location.note_changes(false);
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{ContactChange, Register};
    use trunkline_sip::{ConnectionId, Flow, Transport};

    /// A database of an earlier format, whose bindings knew less of who registered them, is read and goes on as one of today's.
    #[test]
    fn an_older_format_is_brought_up_to_date() {
        is_brought_up_to_date("1", 0);
        is_brought_up_to_date("2", 7);
    }

    fn is_brought_up_to_date(format: &str, registrant_there: u32) {
        let folder = format!("trunkline-location-older-{format}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("trunkline.db");
        let flow = Flow {
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "[2001:db8::7]:5060".parse().unwrap(),
            connection: ConnectionId::NONE,
        };
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let register = |location: &Location, aor: &[u8], cseq| {
            let contacts = [ContactChange::new(b"sip:a@h", 3600), ContactChange::new(b"sip:bb@h", 3600)];
            let request = Register {
                registrant: 7,
                proof: 9,
                user_agent: b"phone",
                ..Register::new(aor, b"c", cseq, flow, &contacts)
            };
            location.register(&request, now, |_| {}).unwrap();
        };
        let location = Arc::new(Location::new());
        let persistence = Persistence::open(&file, Arc::clone(&location)).unwrap();
        (0..300u32).for_each(|n| register(&location, format!("sip:{n}@h").as_bytes(), 1));
        persistence.close();
        let db = rusqlite::Connection::open(&file).unwrap();
        let rows: Vec<(i64, Vec<u8>)> = db
            .prepare("SELECT seq, records FROM location_log")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for (seq, row) in rows {
            let (mut older, mut rest) = (Vec::new(), &row[..]);
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let (record, others) = after.split_at(u32::from_le_bytes(*len) as usize);
                let head_len = crate::record::older_head(format).unwrap();
                crate::log::push_record(&mut older, &crate::record::to_older(record, head_len));
                rest = others;
            }
            db.execute("UPDATE location_log SET records = ?2 WHERE seq = ?1", rusqlite::params![seq, older])
                .unwrap();
        }
        db.execute("UPDATE location_meta SET value = ?1 WHERE name = 'format'", [format]).unwrap();
        drop(db);

        // Twice: the second time it is of this format.
        for (registrant, proof) in [(registrant_there, 0), (7, 9)] {
            let location = Arc::new(Location::new());
            let persistence = Persistence::open(&file, Arc::clone(&location)).unwrap();
            assert_eq!(location.stats().bindings, 600);
            location.visit(b"sip:299@h", now, |b| {
                assert_eq!(
                    (b.registrant, b.proof, b.user_agent, b.flow),
                    (registrant, proof, &b"phone"[..], flow)
                );
            });
            register(&location, b"sip:299@h", 2);
            persistence.close();
        }
        let _ = std::fs::remove_dir_all(folder);
    }

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
