//! `files_data_provider`: one YAML file per collection.

use std::fs;
use std::path::{Path, PathBuf};

use trunkline_model::dialect::v1::Collection;
use trunkline_model::document::{Content, Source, parse};

use super::provider::{Provider, Reading, Texts, Write, WriteError};
use crate::error::StoreError;
use crate::files::{Fingerprint, stamp};

/// `agents.yml`, `domains.yml` and the others of a folder, each of which may be missing and may end in `.yaml`. They
/// are one set, as [`crate::Store::Files`] are.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: PathBuf,
    name: String,
    /// The files as they were when last read, well or not.
    seen: Option<Fingerprint>,
}

impl Folder {
    pub fn new(folder: &Path) -> Result<Folder, StoreError> {
        // A folder that is not there would look like one without resources.
        fs::read_dir(folder).map_err(|source| StoreError::Read { path: folder.to_owned(), source })?;
        Ok(Folder { folder: folder.to_owned(), name: folder.display().to_string(), seen: None })
    }
}

impl Provider for Folder {
    fn read(&mut self) -> Result<Option<Reading>, StoreError> {
        let now = look(&self.folder);
        if self.seen.as_ref() == Some(&now) {
            return Ok(None);
        }
        // Remembered even if the set has errors: they are reported once, not every second.
        let files = self.seen.insert(now);
        let mut texts = Vec::with_capacity(files.len());
        for (path, _, _) in &*files {
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            let Some(collection) = Collection::of_name(stem) else { continue };
            let wrong = |source| StoreError::Read { path: path.clone(), source };
            texts.push((collection, Source::read(path).map_err(wrong)?));
        }
        Ok(Some(Reading { texts, failed: Vec::new() }))
    }

    fn write(&mut self, _: &Write, _: &Texts) -> Result<String, WriteError> {
        Err(WriteError::ReadOnly)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.folder)
    }

    fn is_lenient(&self) -> bool {
        false
    }
}

/// The URL of a folder that holds the resources of a Routr v1; `None` if it does not.
pub fn routr_v1_url(folder: &Path) -> Option<String> {
    let files = look(folder);
    let is_v1 = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let root = parse(&Source::new("", text)).ok()?.into_iter().next()?;
        let first = match &root.content {
            Content::List(items) => items.first()?,
            Content::Scalar { .. } | Content::Map(_) => &root,
        };
        Some(matches!(first.get("apiVersion")?.as_text()?, "v1beta1" | "v1.0" | "v1"))
    };
    files.iter().any(|(path, _, _)| is_v1(path) == Some(true)).then(|| {
        let early = files.iter().any(|(path, _, _)| path.file_stem().is_some_and(|stem| stem == "dids"));
        format!("{}:{}", if early { "routr-v1-rc2" } else { "routr-v1" }, folder.display())
    })
}

/// The names a collection's file may have.
fn names() -> impl Iterator<Item = String> {
    Collection::ALL.into_iter().flat_map(|collection| {
        let stems = collection.names().iter();
        stems.flat_map(move |stem| ["yml", "yaml"].map(|suffix| format!("{stem}.{suffix}")))
    })
}

fn look(folder: &Path) -> Fingerprint {
    names().filter_map(|name| stamp(folder.join(name))).collect()
}
