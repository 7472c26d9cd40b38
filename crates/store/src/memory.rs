//! Resources that live as long as the process.

use std::sync::Arc;

use trunkline_model::{Change, Live, Resource};

use crate::error::StoreError;
use crate::store::{stamp, unchanged};

/// A store without anything behind it.
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) live: Arc<Live>,
}

impl Memory {
    pub(crate) fn apply(&self, mut changes: Vec<Change>, seen: &[Resource]) -> Result<(), StoreError> {
        self.live.try_update(|tables| {
            unchanged(seen, tables)?;
            stamp(&mut changes, tables);
            tables.apply(&changes).map_err(StoreError::Refused)
        })
    }
}
