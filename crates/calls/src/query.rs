//! Reading the records: for the command line, the API and the console.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, ToSql};

use crate::cause::Cause;
use crate::ending::Ender;
use crate::packed;
use crate::record::{CallRecord, Filter};
use crate::schema::{self, COLUMNS};
use crate::writer::{Records, RecordsError};

fn read(row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    let time = |n| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(n)?.map(i64::unsigned_abs));
    Ok(CallRecord {
        id: row.get::<_, i64>(0)?.unsigned_abs(),
        call_id: row.get(1)?,
        from_tag: row.get(2)?,
        to_tag: row.get(3)?,
        from: row.get(4)?,
        to: row.get(5)?,
        direction: row.get(6)?,
        caller: row.get(7)?,
        callee: row.get(8)?,
        trunk: row.get(9)?,
        source: row.get(10)?,
        started: row.get::<_, i64>(11)?.unsigned_abs(),
        answered: time(12)?,
        ended: time(13)?,
        status: row.get(14)?,
        cause: row.get(15)?,
        first_called: row.get(16)?,
        to_header: row.get(17)?,
        rang: time(18)?,
        ended_by: row.get(19)?,
        reason: row.get(20)?,
        sip_reason: row.get(21)?,
        codec: row.get(22)?,
        count: row.get(23)?,
        transferred_by: row.get(24)?,
        replaces: time(25)?,
    })
}

impl Records {
    /// Records from the newest to the oldest: up to `limit` with numbers below `before` (`None` for the first
    /// page; then the last number of the page before). Reads the database with a connection of its own, so
    /// what happened in the last half second may be missing; call it from where waiting is allowed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn records(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, RecordsError> {
        Records::read_file(&self.path, filter, before, limit)
    }

    /// As [`Records::records`], without a running exchange.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn read_file(
        path: &Path,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CallRecord>, RecordsError> {
        let database = |source| RecordsError::Database { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(database)?;
        db.busy_timeout(BUSY).map_err(database)?;
        if !schema::is_made(&db).map_err(database)? {
            schema::make(&db).map_err(database)?;
        }
        select(&db, filter, before, limit).map_err(database)
    }
}

const BUSY: std::time::Duration = std::time::Duration::from_secs(2);
/// Numbers follow the start of the calls, unless the clock was put back; by more than this much it is not.
const DISORDER_MS: u64 = 2 * 3_600_000;

/// The first number that may belong to a call since then: the table has no index on time, and may have millions of rows.
fn first_since(db: &Connection, since: u64) -> rusqlite::Result<i64> {
    let since = since.saturating_sub(DISORDER_MS) as i64;
    let (mut low, mut high): (i64, i64) =
        db.query_row("SELECT coalesce(min(id), 0), coalesce(max(id), 0) + 1 FROM calls", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut next = db.prepare("SELECT id, started FROM calls WHERE id >= ?1 ORDER BY id LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> =
            next.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((id, started)) if started < since => low = id + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// Both lists in one, up to so many; who is in both is in it once.
fn newest_first(rows: Vec<CallRecord>, packed: Vec<CallRecord>, limit: i64) -> Vec<CallRecord> {
    if packed.is_empty() {
        return rows;
    }
    let mut all = rows;
    all.extend(packed);
    all.sort_by_key(|record| std::cmp::Reverse(record.id));
    all.dedup_by_key(|record| record.id);
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    all
}

fn select(
    db: &Connection,
    filter: &Filter,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<CallRecord>> {
    let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (since, until) = (filter.since.map(|t| t as i64), filter.until.map(|t| t as i64));
    let cause = filter.cause.map(Cause::name);
    let first = filter.since.map(|since| first_since(db, since)).transpose()?;
    let id = filter.id.map(|id| i64::try_from(id).unwrap_or(i64::MAX));
    let caller = Ender::Caller.name();
    let mut sql = format!("SELECT {COLUMNS} FROM calls WHERE id < ?");
    let mut values: Vec<&dyn ToSql> = vec![&before];
    if let Some(first) = &first {
        sql.push_str(" AND id >= ?");
        values.push(first);
    }
    if let Some(id) = &id {
        sql.push_str(" AND id = ?");
        values.push(id);
    }
    if let Some(reason) = &filter.reason {
        sql.push_str(" AND reason = ?");
        values.push(reason);
    }
    if filter.failed {
        sql.push_str(" AND ended IS NOT NULL AND status >= 300 AND NOT (status = 487 AND ended_by = ?)");
        values.push(&caller);
    }
    if let Some(call_id) = &filter.call_id {
        sql.push_str(" AND call_id = ?");
        values.push(call_id);
    }
    if let Some(party) = &filter.party {
        sql.push_str(" AND (instr(from_uri, ?) OR instr(to_uri, ?) OR instr(to_header, ?) OR instr(first_called, ?) OR instr(caller, ?) OR instr(callee, ?))");
        (0..6).for_each(|_| values.push(party));
    }
    if let Some(trunk) = &filter.trunk {
        sql.push_str(" AND trunk = ?");
        values.push(trunk);
    }
    if let Some(cause) = &cause {
        sql.push_str(" AND cause = ?");
        values.push(cause);
    }
    if let Some(since) = &since {
        sql.push_str(" AND started >= ?");
        values.push(since);
    }
    if let Some(until) = &until {
        sql.push_str(" AND started < ?");
        values.push(until);
    }
    if filter.open {
        sql.push_str(" AND ended IS NULL");
    }
    sql.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(&limit);
    let mut query = db.prepare(&sql)?;
    let rows: Vec<CallRecord> = query.query_map(values.as_slice(), read)?.collect::<rusqlite::Result<_>>()?;
    let packed = packed::select(db, filter, before, usize::try_from(limit).unwrap_or(usize::MAX))?;
    Ok(newest_first(rows, packed, limit))
}
