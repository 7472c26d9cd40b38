//! Where routes are kept.

use trunkline_wire::location::Route;

use super::memory::Memory;
use super::route::{Addition, PinKey, RouteError, RouteId};

/// The routes, in memory.
pub enum RouteStore {
    /// Of this process; they are gone when it ends.
    Memory(MemoryRoutes),
}

/// Routes in the memory of this process.
pub struct MemoryRoutes(parking_lot::Mutex<Memory>);

impl RouteStore {
    /// In memory, with nothing in it.
    pub fn memory() -> RouteStore {
        RouteStore::Memory(MemoryRoutes(parking_lot::Mutex::default()))
    }

    /// Adds a route, or refreshes it. One that has expired already removes the binding.
    pub(crate) async fn add(&self, addition: Addition) -> Result<(), RouteError> {
        match self {
            RouteStore::Memory(memory) => memory.0.lock().add(addition),
        }
    }

    /// The live routes of an address of record, the newest first.
    pub(crate) async fn live(&self, aor: &str, now: i64) -> Result<Vec<Route>, RouteError> {
        match self {
            RouteStore::Memory(memory) => Ok(memory.0.lock().live(aor, now)),
        }
    }

    /// The route that is remembered.
    pub(crate) async fn pinned(&self, key: &PinKey) -> Result<Option<RouteId>, RouteError> {
        match self {
            RouteStore::Memory(memory) => Ok(memory.0.lock().pinned(key)),
        }
    }

    /// Remembers a route; `instead` of the one that is remembered, else the first one stays. Gives what is remembered now.
    pub(crate) async fn pin(&self, key: PinKey, id: RouteId, instead: bool) -> Result<RouteId, RouteError> {
        match self {
            RouteStore::Memory(memory) => Ok(memory.0.lock().pin(key, id, instead)),
        }
    }

    /// Counts the calls of a backend: 0, 1, 2 and so on.
    pub(crate) async fn turn(&self, backend: &str) -> Result<u64, RouteError> {
        match self {
            RouteStore::Memory(memory) => Ok(memory.0.lock().turn(backend)),
        }
    }

    /// Removes all routes of an address of record.
    pub(crate) async fn remove(&self, aor: &str) -> Result<(), RouteError> {
        match self {
            RouteStore::Memory(memory) => {
                memory.0.lock().remove(aor);
                Ok(())
            }
        }
    }
}
