//! Where the names of trunks, peers and servers led before a restart.

use std::path::Path;
use std::sync::Arc;

use trunkline_edge::Shared;
use trunkline_location::{KnownHosts, PersistenceError};

/// Has the guard know them before the first message, and keeps them from now on.
pub fn follow(file: &Path, shared: &Arc<Shared>) -> Result<KnownHosts, PersistenceError> {
    let known = Arc::clone(shared);
    KnownHosts::open(file, |before| shared.restore_hosts(before), move || known.known_hosts())
}
