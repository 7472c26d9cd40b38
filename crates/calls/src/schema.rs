//! The tables of the records, those of earlier versions, and what a crash leaves.

use rusqlite::Connection;

use crate::cause::Cause;
use crate::ending::Ender;
use crate::packed;

/// The columns, in the order in which they are written and read.
pub(crate) const COLUMNS: &str = "id, call_id, from_tag, to_tag, from_uri, to_uri, direction, caller, callee, trunk, \
     source, started, answered, ended, status, cause, first_called, to_header, rang, ended_by, reason, sip_reason, \
     codec, count, transferred_by, replaces";

/// The columns that databases of earlier versions do not have.
const ADDED: [(&str, &str); 10] = [
    ("first_called", "TEXT NOT NULL DEFAULT ''"),
    ("to_header", "TEXT NOT NULL DEFAULT ''"),
    ("rang", "INTEGER"),
    ("ended_by", "TEXT NOT NULL DEFAULT ''"),
    ("reason", "TEXT NOT NULL DEFAULT ''"),
    ("sip_reason", "TEXT NOT NULL DEFAULT ''"),
    ("codec", "TEXT NOT NULL DEFAULT ''"),
    ("count", "INTEGER NOT NULL DEFAULT 1"),
    ("transferred_by", "TEXT NOT NULL DEFAULT ''"),
    ("replaces", "INTEGER"),
];

/// Makes the tables, or brings those of an earlier version up to date.
pub(crate) fn make(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS calls (
             id INTEGER PRIMARY KEY, call_id TEXT NOT NULL, from_tag TEXT NOT NULL, to_tag TEXT NOT NULL,
             from_uri TEXT NOT NULL, to_uri TEXT NOT NULL, direction TEXT NOT NULL, caller TEXT NOT NULL,
             callee TEXT NOT NULL, trunk TEXT NOT NULL, source TEXT NOT NULL, started INTEGER NOT NULL,
             answered INTEGER, ended INTEGER, status INTEGER NOT NULL, cause TEXT);
         CREATE INDEX IF NOT EXISTS calls_open ON calls (id) WHERE ended IS NULL;
         CREATE TABLE IF NOT EXISTS calls_alive (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL);",
    )?;
    db.execute_batch(packed::TABLE)?;
    for (column, kind) in ADDED {
        if !db.column_exists(None, "calls", column)? {
            db.execute_batch(&format!("ALTER TABLE calls ADD COLUMN {column} {kind}"))?;
        }
    }
    Ok(())
}

/// Is the table of this version?
pub(crate) fn is_made(db: &Connection) -> rusqlite::Result<bool> {
    Ok(db.column_exists(None, "calls", ADDED[ADDED.len() - 1].0)? && packed::is_made(db)?)
}

/// Closes the calls that a crash left open. They were up until the exchange last said that it lives, at least. Gives their
/// number, and the number of the next record.
pub(crate) fn close_crashed(db: &Connection) -> rusqlite::Result<(u64, u64)> {
    let crashed = db.execute(
        "UPDATE calls SET ended = max(coalesce(answered, started), coalesce((SELECT at FROM calls_alive), 0)),
         cause = ?1, ended_by = ?2 WHERE ended IS NULL",
        [Cause::Crash.name(), Ender::Exchange.name()],
    )?;
    let last: i64 = db.query_row("SELECT coalesce(max(id), 0) FROM calls", [], |row| row.get(0))?;
    let last = last.max(packed::last(db)?);
    Ok((last.unsigned_abs() + 1, crashed as u64))
}

/// The exchange lives, and with it the calls that are open.
pub(crate) fn note_alive(db: &Connection, now: u64) -> rusqlite::Result<()> {
    let mut note = db.prepare_cached("INSERT OR REPLACE INTO calls_alive (id, at) VALUES (1, ?1)")?;
    note.execute([now as i64]).map(|_| ())
}
