//! Watching the store for changes by other processes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::StoreError;
use crate::store::Store;

/// A thread that looks for changes once a second, until this is dropped. What it finds and what is wrong with it
/// goes to the log.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// How often the watch looks.
    const PERIOD: Duration = Duration::from_secs(1);

    /// Starts watching.
    pub fn start(store: Arc<Store>) -> std::io::Result<Watch> {
        Watch::every(Watch::PERIOD, store)
    }

    fn every(period: Duration, store: Arc<Store>) -> std::io::Result<Watch> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("store-watch".into()).spawn(move || {
            let (flag, wake) = &*stopped;
            let mut guard = flag.lock().unwrap_or_else(PoisonError::into_inner);
            let mut told = None;
            while !*guard {
                guard = wake.wait_timeout(guard, period).unwrap_or_else(PoisonError::into_inner).0;
                if !*guard && let Some(error) = look(&store, &mut told) {
                    tracing::error!("the resources were not reloaded: {error}");
                }
            }
        })?;
        Ok(Watch { stop, thread: Some(thread) })
    }
}

/// Looks once; gives what is wrong and was not `told` the last time: a folder that is gone would be said every second.
fn look(store: &Store, told: &mut Option<String>) -> Option<String> {
    match store.poll() {
        Ok(changed) => {
            if changed {
                tracing::info!(version = store.live().version(), "resources changed");
            }
            if told.take().is_some() && !changed {
                tracing::info!("the resources can be read again and have not changed");
            }
            None
        }
        Err(error) => {
            let error = match error {
                StoreError::Resources(report) => format!("the changed ones are wrong:\n{report}"),
                other => other.to_string(),
            };
            let last = told.replace(error.clone());
            (last.as_ref() != Some(&error)).then_some(error)
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (flag, wake) = &*self.stop;
        *flag.lock().unwrap_or_else(PoisonError::into_inner) = true;
        wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only panics if the store did, and that has been told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_model::{Change, Domain, Kind};

    #[test]
    fn what_is_wrong_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = folder.path().join("resources");
        std::fs::create_dir(&files).expect("made");
        let store = Store::open(&format!("files:{}", files.display())).expect("opened");
        let mut told = None;
        for _ in 0..2 {
            assert_eq!(look(&store, &mut told), None);
            std::fs::remove_dir(&files).expect("removed");
            assert!(look(&store, &mut told).is_some_and(|error| error.contains("resources")));
            assert_eq!(look(&store, &mut told), None, "the same again");
            std::fs::create_dir(&files).expect("made");
        }
    }

    #[test]
    fn another_process_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("t.db").display());
        let ours = Arc::new(Store::open(&url).expect("opened"));
        let watch = Watch::every(Duration::from_millis(5), ours.clone()).expect("a thread");
        let theirs = Store::open(&url).expect("opened twice");
        theirs.apply(vec![Change::Create(Domain::new("d", "sip.local").into())]).expect("stored");
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while ours.live().load().count(Kind::Domain) == 0 {
            assert!(std::time::Instant::now() < deadline, "never noticed");
            std::thread::yield_now();
        }
        drop(watch);
    }
}
