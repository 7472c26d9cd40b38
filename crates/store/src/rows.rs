//! Resources as rows of a database.

use std::sync::Arc;

use trunkline_model::dialect::v2;
use trunkline_model::document::{Node, Place, Reading, Source};
use trunkline_model::{Change, Resource, Tables};

/// A row. Every change gets a number, and so does every row it touches: what others changed is found by an index, not by
/// reading all again. Deleted rows stay for that, without their document.
pub(crate) struct StoredRow {
    pub reference: String,
    pub kind: String,
    pub document: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl StoredRow {
    /// Takes the row up. `database` names where it stands.
    pub fn take_up(&self, database: &str, tables: &mut Tables, reading: &Reading) {
        // A ref may have come back as another kind.
        if let Some(old) = tables.find(&self.reference) {
            tables.remove(old.kind(), &self.reference);
        }
        let Some(document) = &self.document else { return };
        let source: Arc<Source> = Source::new(format!("{database}: {} {}", self.kind, self.reference), "");
        match serde_json::from_str(document) {
            Ok(json) => {
                if let Some(mut resource) = v2::resource(&Node::from_json(&json, &source), reading) {
                    resource.set_times(self.created_at, self.updated_at);
                    tables.put(resource);
                }
            }
            Err(error) => {
                let place = Place::whole(source);
                reading.error(format!("the row is damaged: {error}"), &place, None);
            }
        }
    }
}

/// The rows of the resources that are put.
pub(crate) fn rows(changes: &[Change]) -> impl Iterator<Item = StoredRow> {
    changes.iter().filter_map(Change::resource).map(|resource: &Resource| {
        let (created_at, updated_at) = resource.times();
        StoredRow {
            reference: resource.reference().as_str().to_owned(),
            kind: resource.kind().as_str().to_owned(),
            document: Some(v2::to_json(resource).to_string()),
            created_at,
            updated_at,
        }
    })
}
