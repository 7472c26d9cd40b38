//! Call records, as the command line wants them.

use std::io;
use std::time::Duration;

use trunkline_calls::{Filter, Followed, Records};
use trunkline_operations::{CallRecord, Happened, RecordQuery};

use super::some;
use crate::time::seconds;

/// What both the parts of an operator's question have in common.
fn common(query: &RecordQuery) -> Filter {
    let since = query.since.and_then(|s| u64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
    Filter { since, failed: query.failed, reason: query.reason.clone(), ..Filter::default() }
}

/// Finds records by their number or, when none has it, by the Call-ID; or by a party and, when there is none of that party,
/// by the Call-ID.
pub fn read_records(
    query: &RecordQuery,
    read: impl Fn(&Filter, Option<u64>) -> Result<Vec<trunkline_calls::CallRecord>, String>,
) -> Result<Vec<CallRecord>, String> {
    let (common, before) = (common(query), query.before);
    let by_call_id = |id: &String| Filter { call_id: Some(id.clone()), ..common.clone() };
    let mut found = match &query.id {
        Some(id) => match id.parse() {
            Ok(number) => read(&Filter { id: Some(number), ..common.clone() }, before)?,
            Err(_) => Vec::new(),
        },
        None => read(&Filter { party: query.filter.clone(), ..common.clone() }, before)?,
    };
    if let (true, None, Some(id)) = (found.is_empty(), before, query.id.as_ref().or(query.filter.as_ref())) {
        found = read(&by_call_id(id), None)?;
    }
    Ok(found.into_iter().map(shown).collect())
}

/// Tells calls as they begin and end, until `tell` fails or the records end.
pub fn follow_records(
    records: &Records,
    query: &RecordQuery,
    tell: &mut dyn FnMut(Happened) -> io::Result<()>,
) {
    let follower = records.follow(common(query));
    let admits = |record: &trunkline_calls::CallRecord| {
        let Some(text) = &query.filter else { return true };
        record.call_id == *text || Filter { party: Some(text.clone()), ..Filter::default() }.admits(record)
    };
    let shown = |record: trunkline_calls::CallRecord| admits(&record).then(|| shown(record));
    let mut happened = Some(Happened::default());
    // Whoever went away is noticed when something is told.
    while happened.is_none_or(|happened| tell(happened).is_ok()) {
        happened = match follower.next(LIVES_EVERY) {
            Followed::Began(record) => {
                shown(*record).map(|r| Happened { began: Some(r), ..Happened::default() })
            }
            Followed::Ended(record) => {
                shown(*record).map(|r| Happened { ended: Some(r), ..Happened::default() })
            }
            Followed::Lost(lost) => Some(Happened { lost, ..Happened::default() }),
            Followed::Nothing => Some(Happened::default()),
            Followed::Closed => return,
        };
    }
}

/// A follower learns so often that there is nothing to tell.
const LIVES_EVERY: Duration = Duration::from_secs(2);

fn shown(r: trunkline_calls::CallRecord) -> CallRecord {
    let (ringing_ms, talked_ms) = (r.ringing_ms(), r.talked_ms());
    CallRecord {
        id: r.id,
        call_id: r.call_id,
        from_tag: some(r.from_tag),
        to_tag: some(r.to_tag),
        direction: r.direction,
        caller: r.from,
        callee: r.to,
        to: some(r.to_header),
        first_called: some(r.first_called),
        started: seconds(r.started),
        answered: r.answered.map(seconds),
        ended: r.ended.map(seconds),
        started_ms: r.started,
        rang_ms: r.rang,
        answered_ms: r.answered,
        ended_ms: r.ended,
        ringing_ms,
        talked_ms,
        status: r.status,
        cause: r.cause.unwrap_or_default(),
        ended_by: some(r.ended_by),
        reason: some(r.reason),
        sip_reason: some(r.sip_reason),
        codec: some(r.codec),
        transferred_by: some(r.transferred_by),
        replaces: r.replaces,
        count: r.count,
        trunk: some(r.trunk),
        source: some(r.source),
        caller_ref: some(r.caller),
        callee_ref: some(r.callee),
    }
}
