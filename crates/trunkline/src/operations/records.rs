//! Call records, as the command line wants them.

use trunkline_calls::Filter;
use trunkline_cli::protocol::{CallRecord, RecordQuery};

use super::some;
use crate::time::seconds;

/// Finds records by a party or, when there is none of that party, by the Call-ID.
pub fn read_records(
    query: &RecordQuery,
    read: impl Fn(&Filter) -> Result<Vec<trunkline_calls::CallRecord>, String>,
) -> Result<Vec<CallRecord>, String> {
    let since = query.since.and_then(|s| u64::try_from(s).ok()).map(|s| s.saturating_mul(1000));
    let by_party = Filter { party: query.filter.clone(), since, ..Filter::default() };
    let mut found = read(&by_party)?;
    if let (true, Some(call_id)) = (found.is_empty(), &query.filter) {
        found = read(&Filter { call_id: Some(call_id.clone()), since, ..Filter::default() })?;
    }
    Ok(found
        .into_iter()
        .map(|r| CallRecord {
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
            cause: r.cause.unwrap_or_default(),
            trunk: some(r.trunk),
            source: some(r.source),
            caller_ref: some(r.caller),
            callee_ref: some(r.callee),
        })
        .collect())
}
