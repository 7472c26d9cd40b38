//! One line in the log for each request that the exchange refuses, written by a thread of its own: no shard waits for a terminal
//! or a disk. `deploy/fail2ban` reads these lines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use trunkline_edge::Shared;
use trunkline_events::{Refusal, Refusals, Refused};

use crate::time::unix_ms;

/// How often the events are read.
const INTERVAL: Duration = Duration::from_millis(200);

/// The thread; dropping it ends it, after what was refused until then is written.
pub struct RefusalLog {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RefusalLog {
    /// Starts the thread.
    pub fn start(shared: Arc<Shared>) -> io::Result<RefusalLog> {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::Builder::new().name("refusals".into()).spawn(move || {
            let mut refusals = Refusals::default();
            loop {
                let last = ends.load(Ordering::Acquire);
                let left_out = refusals.turn(&shared.events, unix_ms(), write);
                if left_out > 0 {
                    tracing::warn!(left_out, "more requests were refused than the log tells");
                }
                if last {
                    return;
                }
                std::thread::park_timeout(INTERVAL);
            }
        })?;
        Ok(RefusalLog { over, thread: Some(thread) })
    }
}

impl Drop for RefusalLog {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The source comes first: what follows it may be a stranger's words.
fn write(refusal: &Refusal) {
    let Refused { source, transport, method, from, to, call_id } = &refusal.request;
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
        "refused"
    );
}
