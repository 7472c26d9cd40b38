//! Reading the records: for the command line, the API and the console.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, ToSql};

use crate::cause::Cause;
use crate::writer::{Records, RecordsError};

/// Which records to show. Everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this Call-ID.
    pub call_id: Option<String>,
    /// This text within the URIs of who called and who was called, within To, or a ref.
    pub party: Option<String>,
    /// Exactly this trunk ref.
    pub trunk: Option<String>,
    /// This cause.
    pub cause: Option<Cause>,
    /// Started at or after, ms since the epoch.
    pub since: Option<u64>,
    /// Started before, ms since the epoch.
    pub until: Option<u64>,
    /// Only those that have not ended.
    pub open: bool,
}

/// A call record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Its number; greater for calls that started later.
    pub id: u64,
    /// Call-ID.
    pub call_id: String,
    /// The caller's tag.
    pub from_tag: String,
    /// The callee's tag; empty when it was not answered.
    pub to_tag: String,
    /// URI of From.
    pub from: String,
    /// Who was called; of a diverted call whom it went on to.
    pub to: String,
    /// The URI of To, if it named another user than the callee; otherwise empty.
    pub to_header: String,
    /// Of a diverted call: who was called first; else empty.
    pub first_called: String,
    /// Direction, by name.
    pub direction: String,
    /// Ref of the caller.
    pub caller: String,
    /// Ref of the callee.
    pub callee: String,
    /// Ref of the trunk it left by or came in through.
    pub trunk: String,
    /// Source address of the INVITE.
    pub source: String,
    /// Times, ms since the epoch.
    pub started: u64,
    /// When it was answered.
    pub answered: Option<u64>,
    /// When it ended; `None` for one that lives.
    pub ended: Option<u64>,
    /// Final status of the INVITE; 0 before.
    pub status: u16,
    /// Why it ended, by name.
    pub cause: Option<String>,
}

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
        select(&db, filter, before, limit).map_err(database)
    }
}

fn select(
    db: &Connection,
    filter: &Filter,
    before: Option<u64>,
    limit: usize,
) -> rusqlite::Result<Vec<CallRecord>> {
    db.busy_timeout(std::time::Duration::from_secs(2))?;
    let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (since, until) = (filter.since.map(|t| t as i64), filter.until.map(|t| t as i64));
    let cause = filter.cause.map(Cause::name);
    let mut sql = String::from("SELECT * FROM calls WHERE id < ?");
    let mut values: Vec<&dyn ToSql> = vec![&before];
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
    query.query_map(values.as_slice(), read)?.collect()
}
