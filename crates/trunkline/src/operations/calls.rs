//! Calls that are up or ringing.

use trunkline_operations::LiveCall;

use super::{some, text};
use crate::roles::SipView;
use crate::time::seconds;

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
            items.push(LiveCall {
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
            });
        });
    }
    items.sort_by_key(|c| c.started);
    items
}
