//! Resources in a folder of YAML and JSON files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use trunkline_model::dialect::v2;
use trunkline_model::document::Source;
use trunkline_model::{Live, Tables};

use crate::error::StoreError;

/// A folder of `.yaml`, `.yml` and `.json` files in the v2 dialect, folders within included; what begins with a
/// dot is not looked at. The files are one set: one error in one of them, and the set before stays in force.
#[derive(Debug)]
pub struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) live: Arc<Live>,
    /// The files as they were when last read, well or not.
    seen: Mutex<Fingerprint>,
}

/// Name, time of change and size of every file.
pub(crate) type Fingerprint = Vec<(PathBuf, Option<SystemTime>, u64)>;

impl Files {
    pub(crate) fn open(folder: &Path) -> Result<Files, StoreError> {
        let seen = look(folder)?;
        let live = Arc::new(Live::new(read(&seen)?));
        Ok(Files { folder: folder.to_owned(), live, seen: Mutex::new(seen) })
    }

    /// Reads the files again if they changed; whether they did.
    pub(crate) fn poll(&self) -> Result<bool, StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = look(&self.folder)?;
        if now == *seen {
            return Ok(false);
        }
        // Remembered even if the set has errors: they are reported once, not every second.
        seen.clone_from(&now);
        self.live.replace(read(&now)?);
        Ok(true)
    }
}

/// The stamp of a file, which differs between versions; `None` if it does not exist.
pub(crate) fn stamp(path: PathBuf) -> Option<(PathBuf, Option<SystemTime>, u64)> {
    let data = fs::metadata(&path).ok()?;
    Some((path, data.modified().ok(), data.len()))
}

/// Finds the files, in the order of their names.
fn look(folder: &Path) -> Result<Fingerprint, StoreError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Read { path, source }
    };
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(wrong(&folder))? {
            let entry = entry.map_err(wrong(&folder))?;
            let path = entry.path();
            if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            // A file may be gone by now: an editor's temporary one.
            let Ok(data) = fs::metadata(&path) else { continue };
            let suffix = path.extension().and_then(|s| s.to_str()).unwrap_or_default().to_ascii_lowercase();
            if data.is_dir() {
                // A link to a folder may lead in a circle.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                }
            } else if matches!(suffix.as_str(), "yaml" | "yml" | "json") {
                found.push((path, data.modified().ok(), data.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The resource files of a folder, in the order of their names; a file is its own.
pub fn resource_files(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    if path.is_dir() {
        Ok(look(path)?.into_iter().map(|(path, _, _)| path).collect())
    } else {
        Ok(vec![path.to_owned()])
    }
}

fn read(files: &Fingerprint) -> Result<Tables, StoreError> {
    let mut sources = Vec::with_capacity(files.len());
    for (path, _, _) in files {
        let wrong = |source| StoreError::Read { path: path.clone(), source };
        sources.push(Source::read(path).map_err(wrong)?);
    }
    v2::load(&sources).map_err(StoreError::Resources)
}
