//! Checkpoints: a separate thread moves the grown write-ahead log into the database, so that the writer does not wait.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;

/// How often the log's length is looked at.
const EVERY: Duration = Duration::from_secs(1);
const BYTES: u64 = 8 << 20;
/// From this length on the writer waits until all of it is moved and the file is short again. It begins anew only where
/// everything was moved, which under a steady stream of large changes never is so.
const MOST_BYTES: u64 = 64 << 20;
/// The checkpoint reads pages once: a small cache does.
const CACHE_KIB: u32 = 512;

/// Runs until it is stopped.
pub(crate) fn until(stopped: &Receiver<()>, what: &str, path: &Path) {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    let mut db = None;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
        let length = std::fs::metadata(&wal).map_or(0, |m| m.len());
        if length < BYTES {
            continue;
        }
        if db.is_none() {
            db = crate::open(path, CACHE_KIB).ok();
        }
        let Some(open) = &db else { continue };
        // Twice: the second pass is short, so the writer finds nothing left to keep and starts over.
        for _ in 0..2 {
            checkpoint(open, "PRAGMA wal_checkpoint(PASSIVE)", what);
        }
        if length >= MOST_BYTES {
            checkpoint(open, "PRAGMA wal_checkpoint(TRUNCATE)", what);
        }
    }
}

fn checkpoint(db: &Connection, pragma: &str, what: &str) {
    if let Err(error) = db.query_row(pragma, [], |row| row.get::<_, i64>(1)) {
        tracing::warn!(%error, "{what}: checkpoint failed; it is tried again");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    /// Large changes without an end: the log is moved and cut again and again, though there always is something new in it.
    #[test]
    fn the_log_of_a_busy_writer_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy.db");
        let db = crate::open(&path, 512).unwrap();
        db.busy_timeout(Duration::from_secs(60)).unwrap();
        db.execute_batch("CREATE TABLE texts (id INTEGER PRIMARY KEY, text BLOB)").unwrap();
        let (stop, stopped) = channel();
        let thread = {
            let path = path.clone();
            std::thread::spawn(move || until(&stopped, "texts", &path))
        };
        let length = || std::fs::metadata(folder.path().join("busy.db-wal")).map_or(0, |m| m.len());
        let (end, mut cut) = (Instant::now() + Duration::from_secs(60), false);
        let (mut n, mut longest) = (0i64, 0);
        while !cut && Instant::now() < end {
            n += 1;
            let text = vec![n as u8; 256 << 10];
            db.execute("INSERT OR REPLACE INTO texts VALUES (?1, ?2)", (n % 50, text)).unwrap();
            cut = length() + (16 << 20) < longest;
            longest = longest.max(length());
        }
        stop.send(()).unwrap();
        thread.join().unwrap();
        assert!(cut && longest >= BYTES, "{longest} bytes, never cut");
    }
}
