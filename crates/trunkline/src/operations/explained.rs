//! The stories of requests, as the command line wants them.

use trunkline_edge::Shared;
use trunkline_events::{Query, Story, stories};
use trunkline_model::Utc;
use trunkline_operations::{ExplainQuery, Explained, ExplainedStep};

/// Explains what the query asks for.
pub fn explain(shared: &Shared, query: &ExplainQuery) -> Vec<Explained> {
    let query = Query {
        call_id: query.call_id.clone(),
        failed: query.failed,
        since: u64::try_from(query.since).unwrap_or(0).saturating_mul(1000),
        limit: query.limit,
    };
    stories(shared.events.iter().map(|log| &**log), &query).into_iter().map(explained).collect()
}

fn explained(story: Story) -> Explained {
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
    }
}

/// `2026-11-21 04:36:18.123 UTC`
fn utc(ms: u64) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::of_unix((ms / 1000) as i64);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", ms % 1000)
}
