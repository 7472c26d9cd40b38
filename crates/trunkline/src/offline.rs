//! Answers of the command line when no exchange runs: resources from the store, call records from the
//! database.

use std::path::PathBuf;

use trunkline_calls::Records;
use trunkline_cli::protocol::{CallRecord, LiveCall, RecordQuery, Registration, Status};
use trunkline_cli::{ControlBackend, StoreOnly};
use trunkline_config::Config;
use trunkline_sip::Transport;
use trunkline_store::Store;

use crate::operations::read_records;

/// The store alone, and the database of call records beside it.
pub struct Offline {
    store: StoreOnly,
    database: Option<PathBuf>,
}

impl Offline {
    /// Of a configuration and its open store.
    pub fn new(config: &Config, store: StoreOnly) -> Offline {
        Offline { store, database: config.database_file() }
    }
}

impl ControlBackend for Offline {
    fn store(&self) -> &Store {
        self.store.store()
    }

    fn status(&self) -> Status {
        self.store.status()
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        self.store.transports()
    }

    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, String> {
        self.store.registrations(filter, limit)
    }

    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, String> {
        self.store.kick(aor, contact)
    }

    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, String> {
        self.store.calls(filter, limit)
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, String> {
        match self.database.as_ref().filter(|file| file.exists()) {
            Some(file) => read_records(query, |f, before| {
                Records::read_file(file, f, before, query.limit).map_err(|e| e.to_string())
            }),
            None => self.store.records(query),
        }
    }
}
