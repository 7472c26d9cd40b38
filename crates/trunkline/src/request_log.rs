//! What became of each request in the log, at level `debug`: the facts of its routing, its targets, its answers.

use std::io;
use std::time::Duration;

use tracing::Level;
use trunkline_edge::Shared;
use trunkline_events::Requests;

use crate::follower::Follower;

/// How often events are read.
const INTERVAL: Duration = Duration::from_millis(50);

/// Starts the thread that writes what became of requests; `None` where the log does not show it.
pub fn start(shared: &Shared) -> io::Result<Option<Follower>> {
    if !tracing::enabled!(target: "request", Level::DEBUG) {
        return Ok(None);
    }
    if shared.events.iter().all(|log| log.is_off()) {
        tracing::warn!(
            "no events are kept (events.memory), so that the log does not show the facts of requests"
        );
        return Ok(None);
    }
    let mut requests = Requests::from_now(&shared.events);
    Follower::start("request-log", INTERVAL, move || {
        let lost = requests.turn(|call_id, text| {
            tracing::debug!(target: "request", call_id, "{text}");
        });
        if lost > 0 {
            tracing::warn!(left_out = lost, "more happened to requests than the log tells");
        }
    })
    .map(Some)
}
