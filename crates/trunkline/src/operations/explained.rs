//! The stories of requests, as the command line wants them: those that memory has, and the failed calls in the database.

use std::cmp::Reverse;
use std::collections::HashSet;

use trunkline_calls::FailedCalls;
use trunkline_edge::Shared;
use trunkline_events::{Answer, Query, Step, Story, stories};
use trunkline_model::Utc;
use trunkline_operations::{ExplainQuery, Explained, ExplainedStep};

/// Explains what the query asks for.
pub fn explain(
    shared: &Shared,
    kept: Option<&FailedCalls>,
    query: &ExplainQuery,
) -> Result<Vec<Explained>, String> {
    let query = Query {
        call_id: query.call_id.clone(),
        failed: query.failed,
        since: u64::try_from(query.since).unwrap_or(0).saturating_mul(1000),
        limit: query.limit,
    };
    let found = stories(shared.events.iter().map(|log| &**log), &query);
    let mut found: Vec<Explained> = found.into_iter().map(explained).collect();
    let Some(kept) = kept else { return Ok(found) };
    match &query.call_id {
        Some(call_id) => {
            let earlier = kept.find(call_id).map_err(|e| e.to_string())?.as_deref().and_then(restored);
            // Of what memory has, a part may be overwritten.
            let steps = found.first().map_or(0, |now| now.steps.len());
            if let Some(earlier) = earlier.filter(|earlier| earlier.steps.len() > steps) {
                found = vec![earlier];
            }
        }
        None if query.failed || found.is_empty() => {
            let known: HashSet<String> = found.iter().map(|one| one.call_id.clone()).collect();
            let limit = query.limit.saturating_add(known.len());
            let earlier = kept.latest(query.since, limit).map_err(|e| e.to_string())?;
            let earlier = earlier.iter().filter_map(|text| restored(text));
            found.extend(earlier.filter(|one| !known.contains(&one.call_id)));
            found.sort_by_key(|one| Reverse(one.began));
            found.truncate(query.limit);
        }
        None => {}
    }
    Ok(found)
}

/// A story, as the command line wants it.
pub fn explained(story: Story) -> Explained {
    let failed = story.failed();
    Explained {
        text: story.to_text(utc),
        status: story.result.map(|answer| answer.code),
        reason: story.result.filter(|_| failed).and_then(|answer| answer.reason).map(|r| r.code().to_owned()),
        failed,
        call_id: story.call_id,
        method: story.method,
        from: story.from,
        to: story.to,
        began: story.began,
        steps: story
            .steps
            .into_iter()
            .map(|step| ExplainedStep { at: step.at, text: step.text, detail: step.detail })
            .collect(),
        hints: story.hints,
        findings: story.findings,
    }
}

/// One of the database, with its text.
fn restored(stored: &str) -> Option<Explained> {
    let mut call: Explained = serde_json::from_str(stored).ok()?;
    let steps = call.steps.iter();
    let story = Story {
        call_id: call.call_id.clone(),
        method: call.method.clone(),
        from: call.from.clone(),
        to: call.to.clone(),
        began: call.began,
        steps: steps.map(|s| Step { at: s.at, text: s.text.clone(), detail: s.detail }).collect(),
        result: call.status.map(|code| Answer { code, reason: None, ours: true }),
        hints: call.hints.clone(),
        findings: Vec::new(),
    };
    call.text = story.to_text(utc);
    Some(call)
}

/// `2026-11-21 04:36:18.123 UTC`
fn utc(ms: u64) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::of_unix((ms / 1000) as i64);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", ms % 1000)
}
