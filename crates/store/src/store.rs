//! The store with any backend.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use trunkline_model::{Change, Live, Resource, Tables};

use crate::error::StoreError;
use crate::files::Files;
use crate::memory::Memory;
use crate::postgres::Postgres;
use crate::routr_v1::{Access, RoutrV1, is_scheme};
use crate::sqlite::Sqlite;

/// Where resources are kept.
#[derive(Debug)]
pub enum Store {
    /// `files:FOLDER`: YAML and JSON files, changed with an editor.
    Files(Files),
    /// `routr-v1:FOLDER`, `routr-v1-rc2:FOLDER`: the files of a Routr v1, changed with an editor.
    /// `routr-v1-redis:HOST:PORT`, `routr-v1-rc2-redis:HOST:PORT`, `routr-v1-rest:URL`: those of one in Redis or behind
    /// a REST service, changed there or with [`RoutrV1::write`].
    RoutrV1(RoutrV1),
    /// `sqlite:FILE`: a database.
    Sqlite(Sqlite),
    /// `postgres://USER@HOST:PORT/DATABASE`: a database that several machines share.
    Postgres(Box<Postgres>),
    /// `memory:`: nowhere. For tests and trials.
    Memory(Memory),
}

impl Store {
    /// Opens the store of a URL and reads everything. A database is made if there is none.
    pub fn open(url: &str) -> Result<Store, StoreError> {
        Store::open_with(url, &Access::default())
    }

    /// The same; what is not a folder or a database is reached as `access` says.
    pub fn open_with(url: &str, access: &Access) -> Result<Store, StoreError> {
        match url.split_once(':') {
            Some(("files", folder)) if !folder.is_empty() => Files::open(Path::new(folder)).map(Store::Files),
            Some((scheme, at)) if is_scheme(scheme) && !at.is_empty() => {
                RoutrV1::open(scheme, at, access).map(Store::RoutrV1)
            }
            Some(("sqlite", file)) if !file.is_empty() => Sqlite::open(Path::new(file)).map(Store::Sqlite),
            Some(("postgres" | "postgresql", at)) if at.starts_with("//") => {
                Postgres::open(url, access).map(|found| Store::Postgres(Box::new(found)))
            }
            Some(("memory", "")) => Ok(Store::Memory(Memory::default())),
            _ => Err(StoreError::Url(url.to_owned())),
        }
    }

    /// Is this a URL that a store could be opened with, as far as its text tells? Nothing is connected to.
    pub fn check_url(url: &str) -> Result<(), StoreError> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", at)) if at.starts_with("//") => Postgres::check_url(url),
            Some(("files" | "sqlite", at)) if !at.is_empty() => Ok(()),
            Some((scheme, at)) if is_scheme(scheme) && !at.is_empty() => Ok(()),
            Some(("memory", "")) => Ok(()),
            _ => Err(StoreError::Url(url.to_owned())),
        }
    }

    /// The resources in force, kept in step with the store.
    pub fn live(&self) -> &Arc<Live> {
        match self {
            Store::Files(files) => &files.live,
            Store::RoutrV1(v1) => &v1.live,
            Store::Sqlite(sqlite) => &sqlite.live,
            Store::Postgres(postgres) => &postgres.live,
            Store::Memory(memory) => &memory.live,
        }
    }

    /// The folder whose files are changed with an editor; `None` if [`Store::apply`] changes things.
    pub fn files(&self) -> Option<&Path> {
        match self {
            Store::Files(files) => Some(&files.folder),
            Store::RoutrV1(v1) => v1.folder.as_deref(),
            Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => None,
        }
    }

    /// Makes changes, all or none: stored first, then in force. The times of the resources are set here. Waits for
    /// the disk: nothing for a shard's thread.
    pub fn apply(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.apply_if(changes, &[])
    }

    /// The same, if the resources in `seen` are still as they were read; otherwise [`StoreError::Conflict`]. Of two operators who
    /// change a resource at the same moment, the later one would undo what the other one has done.
    pub fn apply_if(&self, changes: Vec<Change>, seen: &[Resource]) -> Result<(), StoreError> {
        match self {
            Store::Files(files) => Err(StoreError::Files(files.folder.clone())),
            Store::RoutrV1(v1) => Err(v1.read_only()),
            Store::Sqlite(sqlite) => sqlite.apply(changes, seen),
            Store::Postgres(postgres) => postgres.apply(changes, seen),
            Store::Memory(memory) => memory.apply(changes, seen),
        }
    }

    /// Takes up what others changed: files, rows written by another process. Whether there was anything. On an
    /// error what was in force stays, and the same error does not come twice.
    pub fn poll(&self) -> Result<bool, StoreError> {
        match self {
            Store::Files(files) => files.poll(),
            Store::RoutrV1(v1) => v1.poll(),
            Store::Sqlite(sqlite) => sqlite.poll(),
            Store::Postgres(postgres) => postgres.poll(),
            Store::Memory(_) => Ok(false),
        }
    }

    /// Why what holds the resources could not be read the last time; what is in force is what was read before.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Store::RoutrV1(v1) => v1.trouble(),
            Store::Postgres(postgres) => postgres.trouble(),
            Store::Files(_) | Store::Sqlite(_) | Store::Memory(_) => None,
        }
    }

    /// Is this an SQLite database in which no resource was ever stored? One that cannot be read is not.
    pub fn has_no_resources(file: &Path) -> bool {
        Sqlite::has_none(file)
    }

    /// Has nothing ever been stored, and could something be?
    pub(crate) fn is_new(&self) -> bool {
        match self {
            Store::Files(_) | Store::RoutrV1(_) => false,
            Store::Sqlite(sqlite) => sqlite.is_new(),
            Store::Postgres(postgres) => postgres.is_new(),
            Store::Memory(memory) => memory.live.load().is_empty(),
        }
    }
}

/// Are these resources as they were read?
pub(crate) fn unchanged(seen: &[Resource], tables: &Tables) -> Result<(), StoreError> {
    let is_other = |seen: &&Resource| tables.get(seen.kind(), seen.reference()).as_ref() != Some(*seen);
    match seen.iter().find(is_other) {
        Some(seen) => Err(StoreError::Conflict { kind: seen.kind(), reference: seen.reference().clone() }),
        None => Ok(()),
    }
}

/// Sets the times of what is put: a resource that was there keeps its first one, a new one what it brings.
pub(crate) fn stamp(changes: &mut [Change], tables: &Tables) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    for change in changes {
        let (Change::Create(resource) | Change::Update(resource) | Change::Put(resource)) = change else {
            continue;
        };
        let old: Option<Resource> = tables.get(resource.kind(), resource.reference());
        let (created_at, updated_at) = match (old, resource.times()) {
            (Some(old), _) => (old.times().0, now),
            // What was exported comes back as it was.
            (None, (created_at @ 1.., updated_at)) => (created_at, updated_at.max(created_at)),
            (None, (..=0, _)) => (now, now),
        };
        resource.set_times(created_at, updated_at);
    }
}
