//! One line in the log for each request that the exchange refuses, written by a thread of its own: no shard waits for a terminal
//! or a disk. `deploy/fail2ban` reads these lines.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use trunkline_edge::Shared;
use trunkline_events::{Refusal, Refusals, Refused};

use crate::follower::Follower;
use crate::time::unix_ms;

/// How often the events are read.
const INTERVAL: Duration = Duration::from_millis(200);

/// Starts the thread.
pub fn start(shared: Arc<Shared>) -> io::Result<Follower> {
    let mut refusals = Refusals::default();
    Follower::start("refusals", INTERVAL, move || {
        let left_out = refusals.turn(&shared.events, unix_ms(), write);
        if left_out > 0 {
            tracing::warn!(left_out, "more requests were refused than the log tells");
        }
    })
}

/// The source comes first: what follows it may be a stranger's words.
fn write(refusal: &Refusal) {
    let Refused { source, transport, method, from, to, call_id } = &refusal.request;
    let message = if refusal.ours { "refused" } else { "call failed" };
    tracing::info!(
        source = %source.ip(),
        reason = refusal.reason.code(),
        status = refusal.status,
        %transport,
        port = source.port(),
        method,
        from,
        to,
        call_id,
        "{message}"
    );
}
