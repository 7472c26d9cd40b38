//! The switch of a database to a write-ahead log.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// Pause between two tries to switch. Whoever is in the way reads or writes a few pages.
const PAUSE: Duration = Duration::from_millis(2);

/// Switches a database to a write-ahead log (WAL); `patience` is also its busy timeout from then on.
///
/// The switch needs the file for itself. Where another connection reads it in the same moment, SQLite does not ask its
/// busy handler but reports `SQLITE_BUSY` at once (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL
/// Mode"): two programs that open a new file together would fail. So this waits for it.
///
/// # Errors
/// The error of SQLite; `SQLITE_BUSY` when the file was held for `patience`.
pub fn switch_to_wal(db: &Connection, patience: Duration) -> rusqlite::Result<()> {
    db.busy_timeout(patience)?;
    let end = Instant::now() + patience;
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && Instant::now() < end => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Barrier;

    use super::*;

    fn opened(path: &Path) -> rusqlite::Result<()> {
        let db = Connection::open(path)?;
        switch_to_wal(&db, Duration::from_secs(30))?;
        db.execute_batch("CREATE TABLE IF NOT EXISTS numbers (n INTEGER)")
    }

    #[test]
    fn a_new_file_is_opened_by_many_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("new.db");
            let together = Barrier::new(8);
            std::thread::scope(|scope| {
                let openers: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            together.wait();
                            opened(&path)
                        })
                    })
                    .collect();
                for opener in openers {
                    assert_eq!(opener.join().unwrap(), Ok(()));
                }
            });
        }
    }

    #[test]
    fn a_file_that_is_held_is_an_error_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("held.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE numbers (n INTEGER); BEGIN EXCLUSIVE").unwrap();
        let db = Connection::open(&path).unwrap();
        let error = switch_to_wal(&db, Duration::from_millis(20)).unwrap_err();
        assert!(is_busy(&error), "{error}");
    }
}
