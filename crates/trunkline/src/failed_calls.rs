//! Calls that failed, explained and kept in the database: what memory has of a call is soon overwritten, and ends with the process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use trunkline_calls::{
    CallRecord, FailedCall, FailedCallBounds, FailedCalls, Filter, Followed, Follower, Records, RecordsError,
};
use trunkline_edge::Shared;
use trunkline_events::stories_of;
use trunkline_operations::{Explained, ExplainedStep};

use crate::operations::explained::explained;

/// Calls that are explained in one turn, of which there is one in a second. Nobody reads more, and explaining costs time.
const PER_TURN: usize = 50;
/// Those of strangers among them.
const OF_STRANGERS: usize = 10;
/// Steps of the beginning and of the end that are kept of a long call.
const STEPS: usize = 50;
/// A text of a step or hint is kept up to this length.
const LONGEST: usize = 500;

/// Starts the thread that keeps them. What has a record of its own is kept, so that the bounds of records hold here, too.
pub fn start(
    (path, bounds): (&Path, FailedCallBounds),
    records: &Records,
    shared: &Arc<Shared>,
) -> Result<FailedCalls, RecordsError> {
    // Strangers can call faster than anything is explained: they wait in a queue of their own.
    let follow = |strangers| records.follow_callers(Filter { failed: true, ..Filter::default() }, strangers);
    let (known, strangers) = (follow(false), follow(true));
    let shared = Arc::clone(shared);
    FailedCalls::open(path, bounds, move |out| {
        let mut failed = turn(&strangers, OF_STRANGERS);
        let of_strangers = failed.len();
        failed.extend(turn(&known, PER_TURN - of_strangers));
        let call_ids: Vec<&str> = failed.iter().map(|record| record.call_id.as_str()).collect();
        if call_ids.is_empty() {
            return;
        }
        let stories = stories_of(shared.events.iter().map(|log| &**log), &call_ids);
        for (n, (record, story)) in failed.iter().zip(stories).enumerate() {
            if let Some(text) = story.and_then(|story| stored(explained(story))) {
                out.push(FailedCall {
                    id: record.id,
                    call_id: record.call_id.clone(),
                    began: record.started,
                    is_strangers: n < of_strangers,
                    text,
                });
            }
        }
    })
}

/// Those that have failed since the last turn, up to so many.
fn turn(follower: &Follower, most: usize) -> Vec<CallRecord> {
    let mut failed: Vec<CallRecord> = Vec::new();
    loop {
        match follower.next(Duration::ZERO) {
            // A sum stands for many calls.
            Followed::Ended(record) if record.count == 1 && failed.len() < most => failed.push(*record),
            Followed::Ended(_) | Followed::Began(_) | Followed::Lost(_) => {}
            Followed::Nothing | Followed::Closed => return failed,
        }
    }
}

/// As it is stored: without the text, which is made from the rest.
fn stored(mut call: Explained) -> Option<String> {
    call.text.clear();
    let left_out = call.steps.len().saturating_sub(2 * STEPS);
    if left_out > 0 {
        let at = call.steps.get(STEPS).map_or(call.began, |step| step.at);
        let text = format!("{left_out} steps are left out");
        call.steps.splice(STEPS..STEPS + left_out, [ExplainedStep { at, text, detail: true }]);
    }
    let texts = call.steps.iter_mut().map(|step| &mut step.text).chain(&mut call.hints);
    texts.for_each(|text| text.truncate(text.floor_char_boundary(LONGEST)));
    serde_json::to_string(&call).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_call_is_kept_in_part() {
        let step = |n: u64| ExplainedStep { at: n, text: format!("{n} {}", "ü".repeat(400)), detail: false };
        let call = Explained { steps: (0..300).map(step).collect(), ..Explained::default() };
        let stored: Explained = serde_json::from_str(&stored(call).unwrap()).unwrap();
        assert_eq!(stored.steps.len(), 2 * STEPS + 1);
        assert_eq!(stored.steps[STEPS].text, "200 steps are left out");
        assert_eq!((stored.steps[STEPS - 1].at, stored.steps[STEPS + 1].at), (49, 250));
        assert!(stored.steps.iter().all(|step| step.text.len() <= LONGEST));
    }
}
