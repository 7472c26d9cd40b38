//! Calls as text: tables, all fields of one, and a line for each event.

use std::fmt::Write;

use trunkline_reasons::Reason;
use trunkline_sip::reason as phrase;

use crate::protocol::{CallRecord, LiveCall};
use crate::show::table;
use crate::time::{now, span, utc, utc_ms};

pub(super) fn calls(items: &[LiveCall]) -> String {
    let rows = items.iter().map(|c| {
        vec![
            c.caller.clone(),
            c.callee.clone(),
            c.state.clone(),
            span(now() - c.answered.unwrap_or(c.started)),
            c.trunk.clone().unwrap_or_default(),
            c.source.clone().unwrap_or_default(),
            c.id.to_string(),
            c.call_id.clone(),
        ]
    });
    table(&["caller", "callee", "state", "for", "trunk", "source", "number", "call-id"], rows)
}

pub(super) fn records(items: &[CallRecord]) -> String {
    let rows = items.iter().map(|r| {
        let talked = match (r.answered, r.ended) {
            (Some(answered), Some(ended)) => span(ended - answered),
            _ => "-".into(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            utc(r.started),
            r.id.to_string(),
            caller(r),
            r.callee.clone(),
            text(&r.first_called),
            talked,
            if r.status == 0 { "-".into() } else { r.status.to_string() },
            text(&r.ended_by),
            r.cause.clone(),
            text(&r.reason),
            text(&r.trunk),
            text(&r.caller_ref),
            text(&r.source),
            r.call_id.clone(),
        ]
    });
    let header = [
        "start (utc)",
        "number",
        "caller",
        "callee",
        "called first",
        "talked",
        "status",
        "ended by",
        "cause",
        "reason",
        "trunk",
        "account",
        "source",
        "call-id",
    ];
    table(&header, rows)
}

fn caller(record: &CallRecord) -> String {
    if record.count > 1 { format!("({} calls)", record.count) } else { record.caller.clone() }
}

/// All that is known of each of them.
pub(super) fn in_words(items: &[CallRecord]) -> String {
    items.iter().map(one_in_words).collect::<Vec<_>>().join("\n")
}

fn one_in_words(r: &CallRecord) -> String {
    let mut out = String::new();
    let mut line = |title: &str, value: &str| {
        if !value.is_empty() {
            // Writing into a String cannot fail.
            let _ = writeln!(out, "{title:<17}{value}");
        }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = |at: Option<u64>| at.map(|at| format!("{} UTC", utc_ms(at))).unwrap_or_default();
    let lasted = |ms: Option<u64>| ms.map(seconds).unwrap_or_default();
    line("number", &r.id.to_string());
    if r.count > 1 {
        line(
            "calls",
            &format!("{}, refused and summed up: many came from this source in one minute", r.count),
        );
    }
    line("call-id", &r.call_id);
    line("caller", &r.caller);
    line("caller's account", &text(&r.caller_ref));
    line("caller's tag", &text(&r.from_tag));
    line("source", &text(&r.source));
    line("callee", &r.callee);
    line("callee's account", &text(&r.callee_ref));
    line("callee's tag", &text(&r.to_tag));
    line("To", &text(&r.to));
    line("called first", &text(&r.first_called));
    line("direction", &r.direction);
    line("trunk", &text(&r.trunk));
    line("started", &time(Some(r.started_ms)));
    line("rang", &time(r.rang_ms));
    line("answered", &time(r.answered_ms));
    line("ended", &time(r.ended_ms));
    line("ringing for", &lasted(r.ringing_ms));
    line("talked for", &lasted(r.talked_ms));
    line("status", &status(r));
    line("cause", &r.cause);
    line("ended by", who(r.ended_by.as_deref().unwrap_or_default()));
    line("transferred by", who(r.transferred_by.as_deref().unwrap_or_default()));
    line("in place of call", &r.replaces.map(|id| id.to_string()).unwrap_or_default());
    line("reason", &text(&r.reason));
    if let Some(reason) = r.reason.as_deref().and_then(Reason::from_code) {
        line("", reason.meaning());
        line("what to do", reason.remedy());
    }
    line("Reason header", &text(&r.sip_reason));
    line("codec", &text(&r.codec));
    out
}

fn status(r: &CallRecord) -> String {
    match (r.status, r.ended_ms, r.answered_ms) {
        (_, None, Some(_)) => "200 OK, the call is up".into(),
        (_, None, None) => "none yet, the call is being set up".into(),
        (0, ..) => String::new(),
        (code, ..) => format!("{code} {}", phrase(code)),
    }
}

fn who(ended_by: &str) -> &str {
    match ended_by {
        "caller" => "the caller",
        "callee" => "the callee",
        "carrier" => "the carrier",
        "us" => "this exchange",
        other => other,
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// A line for what happened to a call.
pub(super) fn event(event: &str, r: &CallRecord) -> String {
    let at = if event == "ended" { r.ended_ms.unwrap_or(r.started_ms) } else { r.started_ms };
    let mut line = format!("{}  {event}  {}  {} > {}", utc_ms(at), r.id, caller(r), r.callee);
    if event == "ended" {
        if r.status != 0 {
            let _ = write!(line, "  {}", status(r));
        }
        let talked = r.talked_ms.map(|ms| format!("talked {}", seconds(ms))).unwrap_or_default();
        let by = match who(r.ended_by.as_deref().unwrap_or_default()) {
            "" => String::new(),
            who => format!("by {who}"),
        };
        for part in [talked, by, r.reason.clone().unwrap_or_default()] {
            if !part.is_empty() {
                let _ = write!(line, "  {part}");
            }
        }
    }
    line.push('\n');
    line
}
