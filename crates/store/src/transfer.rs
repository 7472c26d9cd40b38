//! Export and import.

use std::collections::HashSet;
use std::sync::Arc;

use trunkline_model::dialect::v2;
use trunkline_model::document::Source;
use trunkline_model::{Change, Kind, Ref, Resource, Tables};

use crate::error::StoreError;
use crate::store::Store;

/// The treatment of existing resources in an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ImportMode {
    /// Resources with the same ref are replaced, others stay.
    #[default]
    Merge,
    /// A ref that is taken is an error.
    Add,
    /// Delete resources that the import does not contain. Users go only if the import has users, so that nobody locks himself
    /// out with a set of phones.
    Replace,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Imported {
    /// New resources.
    pub created: usize,
    /// Changed ones.
    pub updated: usize,
    /// Ones that were there just so.
    pub unchanged: usize,
    /// Ones that went.
    pub deleted: usize,
}

impl Store {
    /// All resources as v2 YAML, secrets included, those that others refer to first.
    pub fn export(&self) -> String {
        let tables = self.live().snapshot();
        let mut all: Vec<Resource> = tables.all().collect();
        all.sort_by(|a, b| (a.kind(), a.reference()).cmp(&(b.kind(), b.reference())));
        v2::to_yaml(&all)
    }

    /// Reads v2 YAML or JSON texts into the store, all or nothing.
    pub fn import(&self, sources: &[Arc<Source>], mode: ImportMode) -> Result<Imported, StoreError> {
        let present = self.live().snapshot();
        let mut base = match mode {
            ImportMode::Merge | ImportMode::Add => Tables::clone(&present),
            ImportMode::Replace => Tables::default(),
        };
        let kind_of_change = match mode {
            ImportMode::Add => Change::Create,
            ImportMode::Merge | ImportMode::Replace => Change::Put,
        };
        let mut changes = v2::apply(&mut base, sources, kind_of_change).map_err(StoreError::Resources)?;
        if changes.is_empty() && mode == ImportMode::Replace && !present.is_empty() {
            return Err(StoreError::NothingToImport);
        }
        let named: HashSet<(Kind, Ref)> =
            changes.iter().map(Change::target).map(|(kind, reference)| (kind, reference.clone())).collect();

        let mut done = Imported::default();
        changes.retain(|change| {
            let Some(new) = change.resource() else { return true };
            match present.get(new.kind(), new.reference()) {
                None => done.created += 1,
                Some(old) if same(&old, new) => {
                    done.unchanged += 1;
                    return false;
                }
                Some(_) => done.updated += 1,
            }
            true
        });
        if mode == ImportMode::Replace {
            let users = named.iter().any(|(kind, _)| *kind == Kind::User);
            for old in present.all().filter(|old| users || old.kind() != Kind::User) {
                if !named.contains(&(old.kind(), old.reference().clone())) {
                    changes.push(Change::Delete(old.kind(), old.reference().clone()));
                    done.deleted += 1;
                }
            }
        }
        if !changes.is_empty() {
            self.apply(changes)?;
        }
        Ok(done)
    }
}

/// Are they the same but for the times?
fn same(old: &Resource, new: &Resource) -> bool {
    let mut new = new.clone();
    let (created_at, updated_at) = old.times();
    new.set_times(created_at, updated_at);
    *old == new
}
