//! The log in SQLite: whole records, appended; a later one replaces an earlier one of the same AOR.
//!
//! A B-tree keyed by AOR would touch a page of 4 KiB for each refreshed phone. Appending packs about fifteen
//! records on a page, so a refresh costs a copy and a fifteenth of a page. When the log is far longer than
//! what is alive, the living are written again and the old part is deleted, both a little at a time.

use std::net::SocketAddr;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Location;
use crate::record;

/// Records of one row; longer rows only cost memory.
pub(crate) const ROW_BYTES: usize = 256 * 1024;
/// Rows of the old part deleted at once.
const DELETE_ROWS: i64 = 64;
const FORMAT: &str = "3";

/// The database of the location service.
pub(crate) struct Log {
    db: Connection,
    next: i64,
    /// Bytes in the table.
    pub bytes: u64,
    locals_stored: usize,
}

impl Log {
    pub fn open(path: &Path) -> rusqlite::Result<Log> {
        // The log is appended: there is little to cache.
        let mut db = trunkline_write_behind::open(path, 512)?;
        db.execute_batch(
            "CREATE TABLE IF NOT EXISTS location_log (seq INTEGER PRIMARY KEY, records BLOB NOT NULL);
             CREATE TABLE IF NOT EXISTS location_local (n INTEGER PRIMARY KEY, address TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS location_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);",
        )?;
        db.execute("INSERT OR IGNORE INTO location_meta VALUES ('format', ?1)", [FORMAT])?;
        let format: String =
            db.query_row("SELECT value FROM location_meta WHERE name = 'format'", [], |r| r.get(0))?;
        if let Some(head_len) = record::older_head(&format) {
            widen(&mut db, head_len)?;
        }
        let (last, bytes): (i64, i64) = db.query_row(
            "SELECT coalesce(max(seq), 0), coalesce(sum(length(records)), 0) FROM location_log",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Log { db, next: last + 1, bytes: bytes.unsigned_abs(), locals_stored: 0 })
    }

    /// The version of the records' layout the file was written with; `None` when it is ours.
    pub fn foreign_format(&self) -> rusqlite::Result<Option<String>> {
        let format: String =
            self.db.query_row("SELECT value FROM location_meta WHERE name = 'format'", [], |r| r.get(0))?;
        Ok((format != FORMAT).then_some(format))
    }

    /// Reads everything into the table; gives the number of records read. A row that is damaged is passed
    /// over from the damage on.
    pub fn load(&mut self, location: &Location) -> rusqlite::Result<u64> {
        let mut locals: Vec<SocketAddr> = Vec::new();
        let mut query = self.db.prepare("SELECT n, address FROM location_local ORDER BY n")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let (n, address): (i64, String) = (row.get(0)?, row.get(1)?);
            if let (Ok(address), true) = (address.parse(), usize::try_from(n) == Ok(locals.len())) {
                locals.push(address);
            }
        }
        self.locals_stored = locals.len();
        location.locals.restore(locals);

        // The last word on an AOR comes first this way, and what it replaces costs one lookup.
        let (mut count, mut records) = (0, Vec::new());
        let mut query = self.db.prepare("SELECT records FROM location_log ORDER BY seq DESC")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let whole = row.get_ref(0)?.as_blob().unwrap_or_default();
            let mut rest = whole;
            records.clear();
            while let Some((len, after)) = rest.split_first_chunk::<4>() {
                let len = u32::from_le_bytes(*len) as usize;
                if !after.get(..len).is_some_and(record::valid) {
                    break;
                }
                let from = whole.len() - after.len();
                records.push(from..from + len);
                rest = after.get(len..).unwrap_or_default();
            }
            count += records.len() as u64;
            records
                .drain(..)
                .rev()
                .filter_map(|range| whole.get(range))
                .for_each(|bytes| location.restore(bytes));
        }
        Ok(count)
    }

    /// The number the next row gets.
    pub fn next_seq(&self) -> i64 {
        self.next
    }

    /// Appends rows, and our addresses their records refer to, in one transaction.
    pub fn append(&mut self, rows: &[Vec<u8>], location: &Location) -> rusqlite::Result<()> {
        let locals = location.locals.since(self.locals_stored);
        let transaction = self.db.transaction()?;
        let mut bytes = 0;
        {
            let mut insert =
                transaction.prepare_cached("INSERT OR REPLACE INTO location_local VALUES (?1, ?2)")?;
            for (n, address) in locals.iter().enumerate() {
                insert.execute(params![(self.locals_stored + n) as i64, address.to_string()])?;
            }
            let mut insert = transaction.prepare_cached("INSERT INTO location_log VALUES (?1, ?2)")?;
            for (n, row) in rows.iter().filter(|row| !row.is_empty()).enumerate() {
                insert.execute(params![self.next + n as i64, row])?;
                bytes += row.len() as u64;
            }
        }
        transaction.commit()?;
        self.next += rows.len() as i64;
        self.bytes += bytes;
        self.locals_stored += locals.len();
        Ok(())
    }

    /// Deletes some of the rows before `seq`; true when none are left.
    pub fn delete_before(&mut self, seq: i64) -> rusqlite::Result<bool> {
        let mut delete = self.db.prepare_cached(
            "DELETE FROM location_log WHERE seq IN
             (SELECT seq FROM location_log WHERE seq < ?1 ORDER BY seq LIMIT ?2)",
        )?;
        Ok(delete.execute(params![seq, DELETE_ROWS])? == 0)
    }
}

/// Writes the rows of an earlier format, whose bindings have so many bytes of numbers, in this one, all or none. What is damaged is
/// left out.
fn widen(db: &mut Connection, head_len: usize) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    let mut last = i64::MIN;
    loop {
        let next: Option<(i64, Vec<u8>)> = transaction
            .prepare_cached("SELECT seq, records FROM location_log WHERE seq > ?1 ORDER BY seq LIMIT 1")?
            .query_row([last], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((seq, old)) = next else { break };
        let (mut new, mut rest) = (Vec::with_capacity(old.len() + old.len() / 16), &old[..]);
        while let Some((len, after)) = rest.split_first_chunk::<4>() {
            let Some((record, others)) = after.split_at_checked(u32::from_le_bytes(*len) as usize) else {
                break;
            };
            record::from_older(record, head_len).iter().for_each(|record| push_record(&mut new, record));
            rest = others;
        }
        transaction
            .prepare_cached("UPDATE location_log SET records = ?2 WHERE seq = ?1")?
            .execute(params![seq, new])?;
        last = seq;
    }
    transaction.execute("UPDATE location_meta SET value = ?1 WHERE name = 'format'", [FORMAT])?;
    transaction.commit()
}

/// Appends a record to a row: length and bytes.
pub(crate) fn push_record(row: &mut Vec<u8>, record: &[u8]) {
    row.extend_from_slice(&(record.len() as u32).to_le_bytes());
    row.extend_from_slice(record);
}
