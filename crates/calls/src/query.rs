//! Reading the records: for the command line, the API and the console.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, ToSql};

use crate::call::CallView;
use crate::cause::Cause;
use crate::ending::Ender;
use crate::schema::{self, COLUMNS};
use crate::writer::{Records, RecordsError, text};

/// Which records to show. Everything that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Exactly this number.
    pub id: Option<u64>,
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
    /// Exactly this reason code.
    pub reason: Option<String>,
    /// Only those that failed: refused, busy, unanswered, unreachable; not those that their caller cancelled.
    pub failed: bool,
    /// Only those that have not ended.
    pub open: bool,
}

impl Filter {
    /// Does it admit this record? The database is asked the same in SQL.
    pub(crate) fn admits(&self, record: &CallRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| w == value);
        let party = self.party.as_ref().is_none_or(|party| {
            let parts = [
                &record.from,
                &record.to,
                &record.to_header,
                &record.first_called,
                &record.caller,
                &record.callee,
            ];
            parts.iter().any(|part| part.contains(party))
        });
        party
            && self.id.is_none_or(|id| id == record.id)
            && is(&self.call_id, &record.call_id)
            && is(&self.trunk, &record.trunk)
            && is(&self.reason, &record.reason)
            && self.cause.is_none_or(|cause| record.cause.as_deref() == Some(cause.name()))
            && self.since.is_none_or(|since| record.started >= since)
            && self.until.is_none_or(|until| record.started < until)
            && (!self.failed || record.has_failed())
            && (!self.open || record.ended.is_none())
    }
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
    /// When it first rang.
    pub rang: Option<u64>,
    /// Who ended it: `caller`, `callee`, `carrier` or `us`; empty when nobody knows.
    pub ended_by: String,
    /// The code of the reason why it failed; else empty.
    pub reason: String,
    /// The `Reason` header of the BYE, CANCEL or response that ended it.
    pub sip_reason: String,
    /// The codec of the answer.
    pub codec: String,
    /// How many refused calls it stands for; else 1.
    pub count: u32,
}

impl CallRecord {
    /// The record as the database would have it.
    pub(crate) fn of(call: &CallView<'_>) -> CallRecord {
        let text = |bytes| text(bytes).into_owned();
        CallRecord {
            id: call.id,
            call_id: text(call.call_id),
            from_tag: text(call.from_tag),
            to_tag: text(call.to_tag),
            from: text(call.from),
            to: text(call.to),
            to_header: text(call.to_header),
            first_called: text(call.first_called),
            direction: call.direction.name().into(),
            caller: text(call.caller_ref),
            callee: text(call.callee_ref),
            trunk: text(call.trunk_ref),
            source: source_text(call),
            started: call.started,
            answered: call.answered,
            ended: call.ended,
            status: call.status,
            cause: call.cause.map(|cause| cause.name().into()),
            rang: call.rang,
            ended_by: call.ended_by.name().into(),
            reason: text(call.reason),
            sip_reason: text(call.sip_reason),
            codec: text(call.codec),
            count: call.count,
        }
    }

    /// For how long it rang: until the answer, else until its end.
    pub fn ringing_ms(&self) -> Option<u64> {
        Some(self.answered.or(self.ended)?.saturating_sub(self.rang?))
    }

    /// For how long it was up.
    pub fn talked_ms(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.answered?))
    }

    /// Has it failed? One that its caller cancelled has not.
    pub fn has_failed(&self) -> bool {
        self.ended.is_some()
            && self.status >= 300
            && !(self.status == 487 && self.ended_by == Ender::Caller.name())
    }
}

/// The source of a call; of several summed up the network, IPv6 by /64, and of those of many sources `many`.
pub(crate) fn source_text(call: &CallView<'_>) -> String {
    match call.source {
        _ if call.many_sources => "many".into(),
        source if call.count > 1 && source.is_ipv6() => format!("{source}/64"),
        source => source.to_string(),
    }
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
        rang: time(18)?,
        ended_by: row.get(19)?,
        reason: row.get(20)?,
        sip_reason: row.get(21)?,
        codec: row.get(22)?,
        count: row.get(23)?,
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
    query.query_map(values.as_slice(), read)?.collect()
}
