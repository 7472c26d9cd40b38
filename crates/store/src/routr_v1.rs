//! Resources in the folder of a Routr v1.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use trunkline_model::Live;
use trunkline_model::dialect::v1::{self, Collection, Documents, Edition};
use trunkline_model::document::{Content, Source, parse};

use crate::error::StoreError;
use crate::files::{Fingerprint, stamp};
use crate::secret::hash_password;

/// `agents.yml`, `domains.yml` and the others of a folder, each of which may be missing and may end in `.yaml`. They
/// are one set, as [`crate::Store::Files`] are.
#[derive(Debug)]
pub struct RoutrV1 {
    pub(crate) folder: PathBuf,
    pub(crate) edition: Edition,
    pub(crate) live: Arc<Live>,
    documents: Mutex<Arc<Documents>>,
    /// The files as they were when last read, well or not.
    seen: Mutex<Fingerprint>,
    /// Hashes of users' secrets by user name and secret: hashing takes tens of milliseconds each.
    hashes: Mutex<Hashes>,
}

type Hashes = HashMap<(String, String), String>;

impl RoutrV1 {
    pub(crate) fn open(folder: &Path, edition: Edition) -> Result<RoutrV1, StoreError> {
        // A folder that is not there would look like one without resources.
        fs::read_dir(folder).map_err(|source| StoreError::Read { path: folder.to_owned(), source })?;
        let seen = look(folder);
        let mut hashes = Hashes::new();
        let loaded = read(&seen, edition, &mut hashes)?;
        Ok(RoutrV1 {
            folder: folder.to_owned(),
            edition,
            live: Arc::new(Live::new(loaded.tables)),
            documents: Mutex::new(Arc::new(loaded.documents)),
            seen: Mutex::new(seen),
            hashes: Mutex::new(hashes),
        })
    }

    /// The documents in force.
    pub fn documents(&self) -> Arc<Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The edition they are written in.
    pub fn edition(&self) -> Edition {
        self.edition
    }

    /// Reads the files again if they changed; whether they did.
    pub(crate) fn poll(&self) -> Result<bool, StoreError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = look(&self.folder);
        if now == *seen {
            return Ok(false);
        }
        // Remembered even if the set is bad: its errors are told once, not every second.
        seen.clone_from(&now);
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = read(&now, self.edition, &mut hashes)?;
        *self.documents.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.documents);
        self.live.replace(loaded.tables);
        Ok(true)
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
fn names() -> impl Iterator<Item = (Collection, String)> {
    Collection::ALL.into_iter().flat_map(|collection| {
        let stems = collection.names().iter();
        stems.flat_map(move |stem| ["yml", "yaml"].map(|suffix| (collection, format!("{stem}.{suffix}"))))
    })
}

fn look(folder: &Path) -> Fingerprint {
    names().filter_map(|(_, name)| stamp(folder.join(name))).collect()
}

fn read(files: &Fingerprint, edition: Edition, known: &mut Hashes) -> Result<v1::Loaded, StoreError> {
    let mut sources = Vec::with_capacity(files.len());
    for (path, _, _) in files {
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let Some(collection) = Collection::of_name(stem) else { continue };
        let wrong = |source| StoreError::Read { path: path.clone(), source };
        sources.push((collection, Source::read(path).map_err(wrong)?));
    }
    let mut fresh = Hashes::new();
    let loaded = v1::load(&sources, edition, &mut |user, secret| {
        let key = (user.to_owned(), secret.to_owned());
        let hash = match known.get(&key) {
            Some(hash) => hash.clone(),
            None => hash_password(secret).map_err(|error| error.to_string())?,
        };
        fresh.insert(key, hash.clone());
        Ok(hash)
    })
    .map_err(StoreError::Resources)?;
    *known = fresh;
    Ok(loaded)
}
