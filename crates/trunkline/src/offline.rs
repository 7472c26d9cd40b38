//! Answers of the command line when no exchange runs: resources from the store, call records from the
//! database.

use std::path::PathBuf;
use std::sync::Arc;

use trunkline_calls::Records;
use trunkline_cli::StoreOnly;
use trunkline_config::Config;
use trunkline_operations::{CallRecord, OperationError, Operations, RecordQuery, Status};
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

impl Operations for Offline {
    fn store(&self) -> Result<Arc<Store>, OperationError> {
        self.store.store()
    }

    fn status(&self) -> Status {
        self.store.status()
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        self.store.transports()
    }

    fn passes_challenges(&self) -> bool {
        self.store.passes_challenges()
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, OperationError> {
        match self.database.as_ref().filter(|file| file.exists()) {
            Some(file) => read_records(query, |f, before| {
                Records::read_file(file, f, before, query.limit).map_err(|e| e.to_string())
            })
            .map_err(OperationError::Failed),
            None => self.store.records(query),
        }
    }
}
