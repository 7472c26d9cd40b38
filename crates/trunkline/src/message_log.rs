//! The SIP messages in the log, at level `trace` of the target `sip`, without their secrets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::Level;
use trunkline_trace::{Direction, Filter, Tap, Traced, Watcher, shown};

use crate::follower::Follower;
use crate::time::unix_micros;

/// How often messages are written.
const INTERVAL: Duration = Duration::from_millis(50);

/// Starts the thread that writes messages; `None` where the log does not show them.
pub fn start(taps: &[Arc<Tap>]) -> io::Result<Option<Follower>> {
    if !tracing::enabled!(target: "sip", Level::TRACE) {
        return Ok(None);
    }
    let mut watcher = Watcher::new(taps, Filter::default());
    Follower::start("message-log", INTERVAL, move || {
        loop {
            let turn = watcher.turn(unix_micros());
            if turn.lost > 0 {
                tracing::warn!(left_out = turn.lost, "more messages came and went than the log tells");
            }
            turn.messages.iter().for_each(write);
            if !turn.more {
                return;
            }
        }
    })
    .map(Some)
}

fn write(message: &Traced) {
    let what = match message.direction {
        Direction::Received => "received from",
        Direction::Sent => "sent to",
    };
    let why = match message.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    // In one text: a field would stand behind the message's last line.
    let text = shown(&message.bytes);
    tracing::trace!(target: "sip", "{what} {} {}{why}\n{text}", message.transport, message.remote);
}
