//! Status and registrations as text.

use std::fmt::Write;

use crate::protocol::{Reachability, Registration, Status};
use crate::show::{counted, table};
use crate::time::{now, span, utc};

pub(crate) fn status(status: &Status) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let mut line = |title: &str, value: String| {
        let _ = writeln!(out, "{title:<15}{value}");
    };
    if status.running {
        let up = span(now() - status.started);
        let state = if status.draining { "running, DRAINING (new calls are refused)" } else { "running" };
        line(
            "exchange",
            format!("{state}, version {}, up {up} (since {} UTC)", status.version, utc(status.started)),
        );
        line("roles", status.roles.join(", "));
        line("workers", status.workers.to_string());
        for (n, listener) in status.listeners.iter().enumerate() {
            line(if n == 0 { "listening" } else { "" }, listener.clone());
        }
        line("registrations", status.registrations.to_string());
        line("calls", status.calls.to_string());
        if let Some(descriptors) = status.descriptors {
            line("descriptors", format!("{} of {}", descriptors.open, descriptors.limit));
        }
    } else {
        line("exchange", "not running".into());
    }
    line("store", status.store.clone());
    let counts: Vec<String> =
        status.resources.iter().filter(|(_, n)| **n > 0).map(|(kind, n)| counted(*n, kind)).collect();
    line("resources", if counts.is_empty() { "none".into() } else { counts.join(", ") });
    for (n, trouble) in status.degraded.iter().enumerate() {
        line(if n == 0 { "degraded" } else { "" }, trouble.clone());
    }
    if !status.trunks.is_empty() {
        out.push('\n');
        let rows = status.trunks.iter().map(|t| {
            let mut row = vec![t.reference.clone(), t.target.clone()];
            row.extend(reachability(t));
            row
        });
        let header = ["trunk or peer", "target", "state", "for", "next question", "last error"];
        out.push_str(&table(&header, rows));
    }
    if !status.trunk_registrations.is_empty() {
        out.push('\n');
        let rows = status.trunk_registrations.iter().map(|r| {
            let state = if r.registered { "registered" } else { "NOT REGISTERED" };
            vec![r.trunk.clone(), r.aor.clone(), state.into(), r.answer.clone(), span(now() - r.since)]
        });
        out.push_str(&table(&["trunk", "registered as", "state", "answer", "for"], rows));
    }
    if !status.limits.is_empty() {
        out.push('\n');
        let limit = |limit: Option<u32>| limit.map_or("-".into(), |limit| limit.to_string());
        let rows = status.limits.iter().map(|l| {
            let party = format!("{} {}", l.kind, l.reference);
            vec![party, l.calls.to_string(), limit(l.max_calls), limit(l.max_calls_per_minute)]
        });
        out.push_str(&table(&["limited", "calls", "most", "per minute"], rows));
    }
    if !status.counters.is_empty() {
        out.push('\n');
        let rows = status.counters.iter().map(|(name, n)| vec![name.clone(), n.to_string()]);
        out.push_str(&table(&["counter", "since start"], rows));
    }
    out
}

/// State, since when, next question, last error.
fn reachability(t: &Reachability) -> [String; 4] {
    let error = match (&t.last_error, t.last_error_at) {
        (Some(error), Some(at)) => format!("{error} ({} ago)", span(now() - at)),
        (Some(error), None) => error.clone(),
        (None, _) => "-".into(),
    };
    let next = t.next.map_or("-".into(), |next| format!("in {}", span(next - now())));
    [shown(&t.state), span(now() - t.since), next, error]
}

/// A state that needs attention is written in capitals in tables.
pub(crate) fn shown(states: &str) -> String {
    states.replace("down", "DOWN")
}

/// The states of a trunk's or peer's destinations in one word or a few: `up`, `2 up, 1 down`.
pub(crate) fn states(of: &[&Reachability]) -> String {
    let count = |state: &str| of.iter().filter(|t| t.state == state).count();
    let counts: Vec<_> = ["up", "down", "unknown"].map(|state| (state, count(state))).to_vec();
    let some: Vec<_> = counts.into_iter().filter(|(_, n)| *n > 0).collect();
    match some.as_slice() {
        [] => "-".into(),
        [(state, _)] => (*state).to_owned(),
        more => more.iter().map(|(state, n)| format!("{n} {state}")).collect::<Vec<_>>().join(", "),
    }
}

pub(crate) fn registrations(items: &[Registration]) -> String {
    let rows = items.iter().map(|r| {
        vec![
            r.aor.clone(),
            r.contact.clone(),
            span(r.expires),
            r.flow.clone(),
            r.user_agent.clone().unwrap_or_default(),
        ]
    });
    table(&["aor", "contact", "expires", "flow", "user agent"], rows)
}
