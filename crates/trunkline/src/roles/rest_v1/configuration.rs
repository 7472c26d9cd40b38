//! The configuration as clients of the REST API see and change it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use trunkline_cli::stored;
use trunkline_config::{Config, Env, Stored};
use trunkline_rest_v1::Configuration;
use trunkline_store::{Store, WriteError};

/// The configuration of the process: a file, and what the Redis of a Routr v1 has beneath it.
pub struct FileAndStored {
    /// The file that the command line names.
    file: Option<PathBuf>,
    store: Arc<Store>,
    /// What the next start reads, as far as is known.
    shown: Mutex<Value>,
}

impl FileAndStored {
    /// Of the document that is in force.
    pub fn new(document: Value, file: Option<&Path>, store: Arc<Store>) -> FileAndStored {
        FileAndStored { file: file.map(Path::to_owned), store, shown: Mutex::new(document) }
    }

    /// What would be in force with this one stored.
    fn with(&self, document: &Value) -> Result<Value, String> {
        let stored = Stored { prefix: "$.".into(), document: document.clone() };
        if let Some(key) = stored.unknown_keys().first() {
            return Err(format!("$.{key}: is not a known key"));
        }
        let loaded = Config::load_over(self.file.as_deref(), &Env::of_process(), Some(&stored));
        let loaded = loaded.and_then(|loaded| loaded.check_files().map(|()| loaded));
        let loaded = loaded.and_then(|loaded| trunkline_cli::check_stores(&loaded, false).map(|()| loaded));
        let loaded = loaded.map_err(|report| {
            let line = |error: &trunkline_model::document::Diagnostic| match &error.place {
                Some(place) if place.source.name.starts_with("$.") => {
                    format!("{}: {}", place.source.name, error.message)
                }
                Some(place) => format!("{place}: {}", error.message),
                None => error.message.clone(),
            };
            report.errors.iter().map(line).collect::<Vec<_>>().join(", ")
        })?;
        Ok(loaded.routr_v1.unwrap_or_default())
    }
}

impl Configuration for FileAndStored {
    fn shown(&self) -> Value {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stored(&self) -> Option<Value> {
        match &*self.store {
            Store::RoutrV1(v1) => v1.configuration().map(|found| stored(found).document),
            Store::Files(_) | Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => None,
        }
    }

    fn is_writable(&self) -> bool {
        matches!(&*self.store, Store::RoutrV1(v1) if v1.keeps_configuration())
    }

    fn change(&self, document: &Value) -> Result<(), WriteError> {
        let Store::RoutrV1(v1) = &*self.store else { return Err(WriteError::ReadOnly) };
        let shown = self.with(document).map_err(WriteError::Unusable)?;
        v1.write_configuration(document)?;
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        tracing::info!("the configuration was changed over REST; it is in force after a restart");
        Ok(())
    }
}
