//! A thread that looks at what the shards have written now and then: no shard waits for a terminal, a disk or the network.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The thread; dropping it ends it, after a last look.
pub struct Follower {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts the thread; `look` is called once in each `interval`.
    pub fn start(
        name: &str,
        interval: Duration,
        mut look: impl FnMut() + Send + 'static,
    ) -> io::Result<Follower> {
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            loop {
                let last = ends.load(Ordering::Acquire);
                look();
                if last {
                    return;
                }
                std::thread::park_timeout(interval);
            }
        })?;
        Ok(Follower { over, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
