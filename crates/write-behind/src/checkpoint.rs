//! Checkpoints: a separate thread moves the grown write-ahead log into the database, so that the writer does not wait.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often the log's length is looked at.
const EVERY: Duration = Duration::from_secs(1);
const BYTES: u64 = 8 << 20;
/// The checkpoint reads pages once: a small cache does.
const CACHE_KIB: u32 = 512;

/// Runs until it is stopped.
pub(crate) fn until(stopped: &Receiver<()>, what: &str, path: &Path) {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = PathBuf::from(wal);
    let mut db = None;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
        if std::fs::metadata(&wal).map_or(0, |m| m.len()) < BYTES {
            continue;
        }
        if db.is_none() {
            db = crate::open(path, CACHE_KIB).ok();
        }
        let Some(open) = &db else { continue };
        // Twice: the second pass is short, so the writer finds nothing left to keep and starts over.
        for _ in 0..2 {
            let done = open.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
            if let Err(error) = done {
                tracing::warn!(%error, "{what}: checkpoint failed; it is tried again");
            }
        }
    }
}
