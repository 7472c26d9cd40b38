//! Calls that are up or ringing.

use std::time::{Duration, Instant};

use trunkline_calls::CallView;
use trunkline_operations::{LiveCall, OperationError};

use super::{some, text};
use crate::roles::SipView;
use crate::time::seconds;

/// A shard ends a call within this time, or does not.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often that is looked at.
const ROUND: Duration = Duration::from_millis(5);

/// Up to so many calls with that text in caller, callee, trunk or Call-ID, in order.
pub fn list(sip: &SipView, filter: Option<&str>, limit: usize) -> Vec<LiveCall> {
    let filter = filter.map(str::to_lowercase);
    let mut items = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next.filter(|_| items.len() < limit) {
        next = sip.shared.calls.live(from, 1_000, |c| {
            let holds = |f: &String| {
                [c.call_id, c.from, c.to, c.to_header, c.first_called, c.trunk_ref]
                    .iter()
                    .any(|part| text(part).to_lowercase().contains(f))
            };
            if items.len() >= limit || !filter.as_ref().is_none_or(holds) {
                return;
            }
            items.push(shown(&c));
        });
    }
    items.sort_by_key(|c| c.started);
    items
}

fn shown(c: &CallView<'_>) -> LiveCall {
    LiveCall {
        id: c.id,
        call_id: text(c.call_id),
        caller: text(c.from),
        callee: text(c.to),
        to: some(text(c.to_header)),
        state: if c.answered.is_some() { "up" } else { "ringing" }.into(),
        started: seconds(c.started),
        answered: c.answered.map(seconds),
        trunk: some(text(c.trunk_ref)),
        source: Some(c.source.to_string()),
        caller_ref: some(text(c.caller_ref)),
        callee_ref: some(text(c.callee_ref)),
        direction: c.direction.name().into(),
        first_called: some(text(c.first_called)),
        started_ms: c.started,
        rang_ms: c.rang,
        answered_ms: c.answered,
        codec: some(text(c.codec)),
        from_tag: some(text(c.from_tag)),
        to_tag: some(text(c.to_tag)),
    }
}

/// Ends a call, and waits until a shard has done it.
pub fn hang_up(sip: &SipView, call: &str) -> Result<LiveCall, OperationError> {
    let failed = |text: String| Err(OperationError::Failed(text));
    let calls = &sip.shared.calls;
    let id = call.parse::<u64>().ok();
    let mut seen = std::cell::RefCell::new(Vec::new());
    let mut look = |by: &dyn Fn(&CallView<'_>) -> bool| {
        let found = calls.find(|view| {
            let is_meant = by(view);
            if is_meant {
                seen.borrow_mut().push(shown(view));
            }
            is_meant
        });
        found.into_iter().zip(seen.get_mut().drain(..)).collect::<Vec<_>>()
    };
    let mut found = match id {
        Some(id) => look(&|view| view.id == id),
        None => Vec::new(),
    };
    if found.is_empty() {
        found = look(&|view| view.call_id == call.as_bytes());
    }
    let (number, found) = match <[_; 1]>::try_from(found) {
        Ok([one]) => one,
        Err(none) if none.is_empty() => {
            return failed(format!(
                "no call with the number or Call-ID `{call}` is up or ringing: `trunkline calls` lists all"
            ));
        }
        Err(several) => {
            let ids: Vec<String> = several.iter().map(|(_, call)| call.id.to_string()).collect();
            return failed(format!(
                "several calls have the Call-ID `{call}`: use a number, {}",
                ids.join(" or ")
            ));
        }
    };
    sip.shared.hang_up(number);
    let end = Instant::now() + PATIENCE;
    while calls.is_up(number).is_some() || sip.shared.is_hanging_up(number) {
        if Instant::now() >= end {
            if let Some(untold) = sip.shared.untold(number).filter(|untold| !untold.is_empty()) {
                return failed(untold_sides(found.id, &untold));
            }
            return failed(format!(
                "call {} cannot be ended now: it is from before a restart, or waits for DNS or the media relay; try again, or have \
                 a party hang up",
                found.id
            ));
        }
        std::thread::sleep(ROUND);
    }
    let Some(untold) = sip.shared.untold(number) else {
        return failed(format!(
            "call {} has ended meanwhile: a party or somebody else has ended it",
            found.id
        ));
    };
    tracing::info!(id = found.id, call_id = found.call_id, ?untold, "an operator has ended a call");
    if !untold.is_empty() {
        return failed(untold_sides(found.id, &untold));
    }
    Ok(found)
}

fn untold_sides(id: u64, untold: &[&str]) -> String {
    format!(
        "call {id} is ended here, but the {} could not be told: have the carrier or the user hang up there",
        untold.join(" and the ")
    )
}
