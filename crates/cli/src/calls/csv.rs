//! Calls as CSV, RFC 4180.

use trunkline_model::document::printable;

use crate::protocol::{CallRecord, LiveCall};
use crate::time::iso;

/// Names a column and reads its cell.
type Column = (&'static str, fn(&CallRecord) -> String);
/// The same of a current call.
type LiveColumn = (&'static str, fn(&LiveCall) -> String);

fn time(at: Option<u64>) -> String {
    at.map(iso).unwrap_or_default()
}

fn number(value: Option<u64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn or_empty(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

/// The names are those of `--json`; times are in UTC.
const COLUMNS: [Column; 28] = [
    ("id", |r| r.id.to_string()),
    ("callId", |r| r.call_id.clone()),
    ("started", |r| iso(r.started_ms)),
    ("rang", |r| time(r.rang_ms)),
    ("answered", |r| time(r.answered_ms)),
    ("ended", |r| time(r.ended_ms)),
    ("ringingMs", |r| number(r.ringing_ms)),
    ("talkedMs", |r| number(r.talked_ms)),
    ("direction", |r| r.direction.clone()),
    ("caller", |r| r.caller.clone()),
    ("callee", |r| r.callee.clone()),
    ("to", |r| or_empty(&r.to)),
    ("firstCalled", |r| or_empty(&r.first_called)),
    ("status", |r| r.status.to_string()),
    ("cause", |r| r.cause.clone()),
    ("endedBy", |r| or_empty(&r.ended_by)),
    ("reason", |r| or_empty(&r.reason)),
    ("sipReason", |r| or_empty(&r.sip_reason)),
    ("codec", |r| or_empty(&r.codec)),
    ("trunk", |r| or_empty(&r.trunk)),
    ("source", |r| or_empty(&r.source)),
    ("callerRef", |r| or_empty(&r.caller_ref)),
    ("calleeRef", |r| or_empty(&r.callee_ref)),
    ("fromTag", |r| or_empty(&r.from_tag)),
    ("toTag", |r| or_empty(&r.to_tag)),
    ("count", |r| r.count.to_string()),
    ("transferredBy", |r| or_empty(&r.transferred_by)),
    ("replaces", |r| number(r.replaces)),
];

/// The header line of the records.
pub(super) fn header() -> String {
    line(COLUMNS.iter().map(|(name, _)| (*name).to_owned()))
}

/// A line for each record.
pub(super) fn records(items: &[CallRecord]) -> String {
    items.iter().map(|record| line(COLUMNS.iter().map(|(_, cell)| cell(record)))).collect()
}

/// The same of current calls.
const LIVE_COLUMNS: [LiveColumn; 18] = [
    ("id", |c| c.id.to_string()),
    ("callId", |c| c.call_id.clone()),
    ("state", |c| c.state.clone()),
    ("started", |c| iso(c.started_ms)),
    ("rang", |c| time(c.rang_ms)),
    ("answered", |c| time(c.answered_ms)),
    ("direction", |c| c.direction.clone()),
    ("caller", |c| c.caller.clone()),
    ("callee", |c| c.callee.clone()),
    ("to", |c| or_empty(&c.to)),
    ("firstCalled", |c| or_empty(&c.first_called)),
    ("codec", |c| or_empty(&c.codec)),
    ("trunk", |c| or_empty(&c.trunk)),
    ("source", |c| or_empty(&c.source)),
    ("callerRef", |c| or_empty(&c.caller_ref)),
    ("calleeRef", |c| or_empty(&c.callee_ref)),
    ("fromTag", |c| or_empty(&c.from_tag)),
    ("toTag", |c| or_empty(&c.to_tag)),
];

/// Current calls, with their header line.
pub(super) fn live(items: &[LiveCall]) -> String {
    let header = line(LIVE_COLUMNS.iter().map(|(name, _)| (*name).to_owned()));
    let lines = items.iter().map(|call| line(LIVE_COLUMNS.iter().map(|(_, cell)| cell(call))));
    [header].into_iter().chain(lines).collect()
}

/// A line, ended as RFC 4180 wants it.
fn line(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|text| cell(&text)).collect();
    cells.join(",") + "\r\n"
}

/// A cell in quotes where it needs them. A spreadsheet takes what begins like a formula for one: it gets an apostrophe.
fn cell(text: &str) -> String {
    let text = without_formula(&printable(text));
    match text.contains([',', ';', '"', '\r', '\n', '\t', ' ', '\'']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// A program that takes another separator than the comma finds the beginnings of cells within ours.
fn without_formula(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut begins = true;
    for c in text.chars() {
        if begins && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            out.push('\'');
        }
        begins = matches!(c, ',' | ';' | '|' | '\t' | '\r' | '\n') || begins && matches!(c, ' ' | '"');
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        for (text, expected) in [
            ("sip:1001@sip.local", "sip:1001@sip.local"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("+4930123456", "\"'+4930123456\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            (" =1", "\" '=1\""),
            ("\"=1", "\"\"\"'=1\""),
            ("x;=cmd", "\"x;'=cmd\""),
            ("x,-1", "\"x,'-1\""),
            ("SIP;cause=486", "\"SIP;cause=486\""),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert!(
            !cell("a\r\n=1").contains('\n')
                && !cell("\x1b[31m").contains('\x1b')
                && !cell("\t=1").starts_with(['\t', '='])
        );
    }

    #[test]
    fn lines_have_as_many_cells_as_the_header() {
        let record = CallRecord {
            caller: "a".into(),
            callee: "b,c".into(),
            started_ms: 1_795_235_778_123,
            ..CallRecord::default()
        };
        let text = header() + &records(&[record]);
        let mut lines = text.split("\r\n");
        let (header, line) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(header.split(',').count(), COLUMNS.len());
        assert_eq!(line.split(',').count(), COLUMNS.len() + 1, "one comma is quoted");
        assert!(line.contains("2026-11-21T04:36:18.123Z") && line.contains("\"b,c\""), "{line}");
        assert_eq!(lines.next(), Some(""));
    }
}
