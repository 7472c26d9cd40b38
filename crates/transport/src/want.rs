//! Want of descriptors: who may take the last ones, and the line in the log.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use trunkline_descriptors::{Taker, may_keep};

/// One line in the log per this time, for all threads.
const SILENCE: Duration = Duration::from_secs(60);

static SAID: Mutex<Option<Instant>> = Mutex::new(None);

/// May a new connection keep its descriptor? If not, it is to be closed at once: a client that is refused tries another server,
/// while one that waits in the queue of the listener hangs.
pub(crate) fn admits(connection: &impl AsFd, taker: Taker) -> bool {
    let admitted = may_keep(connection, taker);
    if !admitted {
        say(&"the last descriptors are kept for the exchange itself");
    }
    admitted
}

/// Logs that a connection could not be accepted.
pub(crate) fn say(why: &dyn std::fmt::Display) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.is_none_or(|at| at.elapsed() >= SILENCE) {
        *said = Some(Instant::now());
        tracing::warn!(
            error = %why,
            "connections are refused for want of file descriptors: raise the limit (LimitNOFILE= of the service, or ulimit -n)"
        );
    }
}
