//! One line in the log for each request that the exchange refuses, written by a thread of its own: no shard waits for a terminal
//! or a disk. `deploy/fail2ban` reads these lines.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use trunkline_calls::{CallStart, Direction};
use trunkline_edge::Shared;
use trunkline_events::{ABANDONED, Abandoned, PER_SECOND, Refusal, Refusals, Refused};

use crate::follower::Follower;
use crate::time::unix_ms;

/// How often the events are read.
const INTERVAL: Duration = Duration::from_millis(200);

/// Starts the thread.
pub fn start(shared: Arc<Shared>) -> io::Result<Follower> {
    let mut refusals = Refusals::default();
    let mut abandoned = Told::default();
    Follower::start("refusals", INTERVAL, move || {
        let now = unix_ms();
        let mut left_out = refusals.turn(&shared.events, now, write);
        left_out += abandoned.begin(now);
        refusals.abandoned(now, |call| note_abandoned(&shared, call, now, &mut abandoned));
        if left_out > 0 {
            tracing::warn!(left_out, "more requests were refused than the log tells");
        }
    })
}

/// How many lines were written in this second, and left out.
#[derive(Default)]
struct Told {
    second: u64,
    lines: u32,
    left_out: u64,
}

impl Told {
    /// The lines that were left out in the second that is over.
    fn begin(&mut self, now: u64) -> u64 {
        if self.second == now / 1000 {
            return 0;
        }
        std::mem::replace(self, Told { second: now / 1000, ..Told::default() }).left_out
    }

    fn admits(&mut self) -> bool {
        let admitted = self.lines < PER_SECOND;
        match admitted {
            true => self.lines += 1,
            false => self.left_out += 1,
        }
        admitted
    }
}

/// A call that was challenged, and whose client has given up: it has a record and a line as a refused one. Nothing shows who called, so
/// that the bounds for unknown callers hold.
fn note_abandoned(shared: &Shared, call: &Abandoned, now: u64, told: &mut Told) {
    let request = &call.request;
    let mut number = DefaultHasher::new();
    (request.source, &request.call_id, call.at).hash(&mut number);
    let start = CallStart {
        number: number.finish(),
        call_id: request.call_id.as_bytes(),
        from: request.from.as_bytes(),
        to: request.to.as_bytes(),
        is_strangers: true,
        ..CallStart::new(Direction::Unknown, request.source.ip())
    };
    shared.calls.refused_since(&start, call.status, ABANDONED.code(), (call.at, now));
    if told.admits() {
        write(&Refusal { request: request.clone(), status: call.status, reason: ABANDONED, ours: true });
    }
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
