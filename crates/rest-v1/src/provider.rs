//! The documents of Routr v1, and where they are kept.

use std::sync::Arc;

use serde_json::Value;
use trunkline_model::dialect::v1::{Documents, Edition};
use trunkline_store::{Store, Write, WriteError};

/// Where the documents of a Routr v1 are kept: files, Redis, a REST service.
pub trait DataProvider: Send + Sync + 'static {
    /// The edition whose answers clients expect.
    fn edition(&self) -> Edition;

    /// The documents in force.
    fn documents(&self) -> Arc<Documents>;

    /// Does it take changes? Files are changed with an editor.
    fn is_writable(&self) -> bool;

    /// Makes a change, in force when this returns, if the documents are still those that were `seen`; gives the ref of the
    /// document. Waits for a network: it is called on a thread that may.
    fn write(&self, write: Write, seen: &Arc<Documents>) -> Result<String, WriteError>;
}

/// The configuration of a Routr v1. It is read at the start: changes are for the next one.
pub trait Configuration: Send + Sync + 'static {
    /// As the operator wrote it, variables included; the API takes the secrets out.
    fn shown(&self) -> Value;

    /// The part of it that can be changed, secrets included, if anything is stored there.
    fn stored(&self) -> Option<Value>;

    /// Can a part of it be changed?
    fn is_writable(&self) -> bool;

    /// Stores another one, if the exchange could start with it. Waits for a network.
    fn change(&self, document: &Value) -> Result<(), WriteError>;
}

/// A store of another kind has no documents of Routr v1.
impl DataProvider for Store {
    fn edition(&self) -> Edition {
        match self {
            Store::RoutrV1(v1) => v1.edition(),
            Store::Files(_) | Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => Edition::default(),
        }
    }

    fn documents(&self) -> Arc<Documents> {
        match self {
            Store::RoutrV1(v1) => v1.documents(),
            Store::Files(_) | Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => Arc::default(),
        }
    }

    fn is_writable(&self) -> bool {
        matches!(self, Store::RoutrV1(v1) if v1.is_writable())
    }

    fn write(&self, write: Write, seen: &Arc<Documents>) -> Result<String, WriteError> {
        match self {
            Store::RoutrV1(v1) => v1.write_if(write, seen),
            Store::Files(_) | Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => {
                Err(WriteError::ReadOnly)
            }
        }
    }
}
