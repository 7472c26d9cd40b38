//! The tables in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::tables::Tables;

/// The [`Tables`] in force, read without a lock, changed by one writer at a time.
#[derive(Debug, Default)]
pub struct Live {
    tables: ArcSwap<Tables>,
    version: AtomicU64,
    writer: Mutex<()>,
}

impl Live {
    /// Puts tables in force, as version 1.
    pub fn new(tables: Tables) -> Live {
        Live { tables: ArcSwap::from_pointee(tables), version: AtomicU64::new(1), writer: Mutex::new(()) }
    }

    /// The tables in force. Hold the guard for one message, not longer; to keep them take [`Live::snapshot`].
    pub fn load(&self) -> Guard<Arc<Tables>> {
        self.tables.load()
    }

    /// The tables in force, to keep.
    pub fn snapshot(&self) -> Arc<Tables> {
        self.tables.load_full()
    }

    /// Counts the changes. What was derived from tables is good while this stays the same.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes a copy and puts it in force; gives back what `change` does.
    pub fn update<R>(&self, change: impl FnOnce(&mut Tables) -> R) -> R {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        let result = change(&mut tables);
        self.swap(tables);
        result
    }

    /// Changes a copy and puts it in force if the change succeeds.
    pub fn try_update<R, E>(&self, change: impl FnOnce(&mut Tables) -> Result<R, E>) -> Result<R, E> {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = Tables::clone(&self.tables.load());
        let result = change(&mut tables)?;
        self.swap(tables);
        Ok(result)
    }

    /// Puts other tables in force.
    pub fn replace(&self, tables: Tables) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.swap(tables);
    }

    fn swap(&self, tables: Tables) {
        self.tables.store(Arc::new(tables));
        self.version.fetch_add(1, Ordering::Release);
    }
}
