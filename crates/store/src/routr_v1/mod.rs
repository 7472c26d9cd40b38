//! Resources of Routr v1, from any of its data providers.

mod cache;
mod configuration;
mod folder;
mod http;
mod known;
mod object_id;
mod patience;
mod provider;
mod redis;
mod rest;
mod routes;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use trunkline_model::Live;
use trunkline_model::dialect::v1::{self, Collection, Documents, Edition};
use trunkline_model::document::{Report, Source};

use crate::error::StoreError;
use crate::secret::hash_password;
use cache::Cache;
use folder::Folder;
use known::{Complete, complete};
use patience::{Answer, patiently};
use provider::{Provider, Texts, name_of, ref_of, set_ref, text_of};
use redis::Redis;
use rest::Rest;

pub use configuration::{StoredConfiguration, stored_configuration};
pub use folder::routr_v1_url;
pub use provider::{Access, Write, WriteError};
pub use routes::Route;

/// The resources of a Routr v1: in a folder, in Redis, or behind a REST service.
#[derive(Debug)]
pub struct RoutrV1 {
    edition: Mutex<Edition>,
    /// The name of the provider for operators.
    name: String,
    /// The folder, where the resources are files.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) live: Arc<Live>,
    documents: Mutex<Arc<Documents>>,
    state: Mutex<ProviderState>,
    /// Why the provider could not be read the last time.
    trouble: Mutex<Option<String>>,
    /// Unused fields of the documents, with the reason.
    left_out: Mutex<String>,
    keeps_configuration: bool,
}

/// The state that is locked while the provider is asked.
#[derive(Debug)]
struct ProviderState {
    provider: Box<dyn Provider>,
    texts: Texts,
    /// Hashes of users' secrets by user name and secret: hashing takes tens of milliseconds each.
    hashes: Hashes,
    cache: Option<Cache>,
    /// The configuration beside the documents, as the provider last had it.
    configuration: Option<Value>,
    /// What of `texts` the provider did not give at the last reading.
    missing: Option<String>,
}

type Hashes = HashMap<(String, String), String>;

/// Lines about wrong documents in the log at once.
const MOST_TOLD: usize = 60;

/// Keys that Routr uses for something else than a document.
const RESERVED: [&str; 11] = [
    "users",
    "agents",
    "domains",
    "peers",
    "gateways",
    "dids",
    "numbers",
    "config",
    "location",
    "registry",
    "regFailure",
];

/// Schemes of URLs, the edition they say, and the provider behind them.
const SCHEMES: [(&str, Edition, Kind); 5] = [
    ("routr-v1", Edition::Late, Kind::Files),
    ("routr-v1-rc2", Edition::Rc2, Kind::Files),
    ("routr-v1-redis", Edition::Late, Kind::Redis),
    ("routr-v1-rc2-redis", Edition::Rc2, Kind::Redis),
    ("routr-v1-rest", Edition::Rc2, Kind::Rest),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Files,
    Redis,
    Rest,
}

/// Is this the scheme of a URL of Routr v1's resources?
pub(crate) fn is_scheme(scheme: &str) -> bool {
    SCHEMES.iter().any(|(known, ..)| *known == scheme)
}

impl RoutrV1 {
    pub(crate) fn open(scheme: &str, at: &str, access: &Access) -> Result<RoutrV1, StoreError> {
        let found = SCHEMES.iter().find(|(known, ..)| *known == scheme);
        let (_, edition, kind) = *found.ok_or_else(|| StoreError::Url(format!("{scheme}:{at}")))?;
        let mut provider: Box<dyn Provider> = match kind {
            Kind::Files => Box::new(Folder::new(Path::new(at))?),
            Kind::Redis => Box::new(Redis::new(at, edition, access)?),
            Kind::Rest => Box::new(Rest::new(at, access)?),
        };
        let cache = access.cache.as_ref().filter(|_| provider.folder().is_none());
        let cache = cache.map(|file| Cache::new(file, provider.name()));
        let (texts, configuration, trouble) = first(&mut *provider, cache.as_ref(), access)?;
        let edition = provider.edition().unwrap_or(edition);
        let mut hashes = Hashes::new();
        let loaded = load(&texts, edition, provider.is_lenient(), &mut hashes)?;
        if let (Some(cache), None) = (&cache, &trouble) {
            cache.keep(&texts, configuration.as_ref());
        }
        tell(provider.name(), &loaded.1);
        let left_out = Mutex::new(loaded.1.to_string());
        Ok(RoutrV1 {
            left_out,
            keeps_configuration: matches!(kind, Kind::Redis),
            edition: Mutex::new(edition),
            name: provider.name().to_owned(),
            folder: provider.folder().map(Path::to_owned),
            live: Arc::new(Live::new(loaded.0.tables)),
            documents: Mutex::new(Arc::new(loaded.0.documents)),
            state: Mutex::new(ProviderState {
                provider,
                texts,
                hashes,
                cache,
                configuration,
                missing: trouble.clone(),
            }),
            trouble: Mutex::new(trouble),
        })
    }

    /// The documents in force.
    pub fn documents(&self) -> Arc<Documents> {
        self.documents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The edition they are written in. A database without numbers does not tell; the first one does.
    pub fn edition(&self) -> Edition {
        *self.edition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the provider tells of the edition now.
    fn renew_edition(&self, provider: &dyn Provider) -> Edition {
        let mut edition = self.edition.lock().unwrap_or_else(PoisonError::into_inner);
        *edition = provider.edition().unwrap_or(*edition);
        *edition
    }

    /// Does the provider take changes?
    pub fn is_writable(&self) -> bool {
        self.folder.is_none()
    }

    /// Why the provider could not be read the last time; what is in force is what was read before.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Unused fields of the documents, with the reason.
    pub fn left_out(&self) -> String {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The phones that the old server knew, where the provider keeps them. Waits for the provider.
    pub fn routes(&self) -> Result<Vec<Route>, StoreError> {
        self.state().provider.routes()
    }

    /// Why [`crate::Store::apply`] changes nothing here.
    pub(crate) fn read_only(&self) -> StoreError {
        match &self.folder {
            Some(folder) => StoreError::Files(folder.clone()),
            None => StoreError::RoutrV1(self.name.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, ProviderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what changed; whether anything did.
    pub(crate) fn poll(&self) -> Result<bool, StoreError> {
        let mut state = self.state();
        let polled = self.look(&mut state);
        let trouble = match &polled {
            Err(error @ (StoreError::Unreachable { .. } | StoreError::Emptied(_))) => Some(error.to_string()),
            Ok(_) | Err(_) => state.missing.clone(),
        };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        polled
    }

    fn look(&self, state: &mut ProviderState) -> Result<bool, StoreError> {
        let Some(reading) = state.provider.read()? else {
            state.renew_configuration();
            return Ok(false);
        };
        let lenient = state.provider.is_lenient();
        let Complete { texts, trouble } = match lenient {
            true => complete(state.provider.name(), reading, &state.texts)
                .inspect_err(|_| state.provider.forget())?,
            false => Complete { texts: reading.texts, trouble: None },
        };
        state.renew_configuration();
        if trouble != state.missing {
            match &trouble {
                Some(trouble) => tracing::error!("{trouble}"),
                None => tracing::info!("{}: all resources can be read again", state.provider.name()),
            }
        }
        let edition = self.renew_edition(&*state.provider);
        let loaded = load(&texts, edition, lenient, &mut state.hashes)?;
        tell(state.provider.name(), &loaded.1);
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = loaded.1.to_string();
        (state.texts, state.missing) = (texts, trouble);
        state.keep();
        self.take(loaded.0);
        Ok(true)
    }

    fn take(&self, loaded: v1::Loaded) {
        *self.documents.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.documents);
        self.live.replace(loaded.tables);
    }

    /// Makes a change at the provider, in force when this returns; gives the ref of the document. A document that the
    /// exchange could not use is not written, nor anything to a provider that has something else than is known: that is read
    /// first ([`WriteError::Changed`]). Waits for the provider.
    pub fn write(&self, write: Write) -> Result<String, WriteError> {
        self.write_in(&mut self.state(), write)
    }

    /// The same, if the documents in force are still those that were `seen` when the change was made up.
    pub fn write_if(&self, write: Write, seen: &Arc<Documents>) -> Result<String, WriteError> {
        let mut state = self.state();
        // They are replaced by whoever has the state.
        match Arc::ptr_eq(seen, &self.documents()) {
            true => self.write_in(&mut state, write),
            false => Err(WriteError::Changed),
        }
    }

    fn write_in(&self, state: &mut ProviderState, mut write: Write) -> Result<String, WriteError> {
        if state.provider.folder().is_some() {
            return Err(WriteError::ReadOnly);
        }
        if let Write::Insert(_, document) = &mut write
            && ref_of(document).is_none()
            && let Some(reference) = state.provider.new_ref()?
        {
            set_ref(document, &reference);
        }
        let name = state.provider.name().to_owned();
        let named = |text: &Arc<Source>, reference: &str| text.name == name_of(&name, reference);
        let mut texts = state.texts.clone();
        let before = self.edition();
        let checked = match &write {
            Write::Insert(collection, document) => {
                let reference = ref_of(document).unwrap_or("a new document");
                if RESERVED.contains(&reference) || texts.iter().any(|(_, text)| named(text, reference)) {
                    return Err(WriteError::Unusable(format!("metadata.ref: `{reference}` is taken")));
                }
                texts.push((*collection, text_of(&name, reference, document)));
                let checked = state.usable(&texts, before, texts.len() - 1)?;
                // Without a ref of its own it is read again with the one it gets.
                checked.filter(|_| ref_of(document).is_some())
            }
            Write::Update(collection, reference, document) => {
                let at = texts.iter().position(|(of, text)| of == collection && named(text, reference));
                let at = at.ok_or(WriteError::NotFound)?;
                let mut document = document.clone();
                set_ref(&mut document, reference);
                if let Some(place) = texts.get_mut(at) {
                    place.1 = text_of(&name, reference, &document);
                }
                state.usable(&texts, before, at)?
            }
            Write::Remove(collection, reference) => {
                let at = texts.iter().position(|(of, text)| of == collection && named(text, reference));
                texts.remove(at.ok_or(WriteError::NotFound)?);
                None
            }
        };
        let reference = match state.provider.write(&write, &state.texts) {
            Err(WriteError::Changed) => {
                state.provider.forget();
                let read = self.look(state);
                read.map_err(|error| WriteError::Unavailable(error.to_string()))?;
                return Err(WriteError::Changed);
            }
            done => done?,
        };
        if let (Write::Insert(collection, document), Some(last)) = (&write, texts.last_mut()) {
            let mut document = document.clone();
            set_ref(&mut document, &reference);
            *last = (*collection, text_of(&name, &reference, &document));
        }
        let edition = self.renew_edition(&*state.provider);
        let loaded = match checked.filter(|_| edition == before) {
            Some(loaded) => loaded,
            None => {
                let loaded = load(&texts, edition, true, &mut state.hashes);
                loaded.map_err(|error| WriteError::Unusable(error.to_string()))?.0
            }
        };
        state.provider.has_now(&texts);
        state.texts = texts;
        state.keep();
        self.take(loaded);
        Ok(reference)
    }
}

impl ProviderState {
    /// Keeps a copy on disk, for a start without the provider.
    fn keep(&self) {
        if let Some(cache) = &self.cache {
            cache.keep(&self.texts, self.configuration.as_ref());
        }
    }

    /// Is there nothing wrong with the document at this place among the texts?
    fn usable(
        &mut self,
        texts: &Texts,
        edition: Edition,
        at: usize,
    ) -> Result<Option<v1::Loaded>, WriteError> {
        let Some((_, text)) = texts.get(at) else { return Ok(None) };
        let loaded = load(texts, edition, true, &mut self.hashes);
        let (loaded, report) = loaded.map_err(|error| WriteError::Unusable(error.to_string()))?;
        let of_it = |place: &trunkline_model::document::Place| Arc::ptr_eq(&place.source, text);
        match report.errors.iter().find(|error| error.place.as_ref().is_some_and(of_it)) {
            Some(error) => Err(WriteError::Unusable(match &error.help {
                Some(help) => format!("{} ({help})", error.message),
                None => error.message.clone(),
            })),
            None => Ok(Some(loaded)),
        }
    }
}

/// The first reading: of the provider, or of what was kept of it.
fn first(
    provider: &mut dyn Provider,
    cache: Option<&Cache>,
    access: &Access,
) -> Result<(Texts, Option<Value>, Option<String>), StoreError> {
    let kept = || cache.and_then(Cache::read);
    let ask = || {
        let reading = provider.read()?.unwrap_or_default();
        if !provider.is_lenient() {
            return Ok((reading.texts, None, None));
        }
        let known = kept().map(|(texts, _)| texts);
        let found = complete(provider.name(), reading, known.as_ref().unwrap_or(&Texts::new()))?;
        match (found.trouble, known) {
            (Some(why), None) => Err(StoreError::Unreachable { what: provider.name().to_owned(), why }),
            (trouble, _) => Ok((found.texts, provider.configuration().cloned(), trouble)),
        }
    };
    match patiently(access, kept, ask, &mut |text| tracing::warn!("{text}"))? {
        Answer::Fresh(found) => Ok(found),
        Answer::Kept((texts, configuration), trouble) => {
            provider.forget();
            Ok((texts, configuration, Some(trouble)))
        }
    }
}

fn load(
    texts: &Texts,
    edition: Edition,
    lenient: bool,
    known: &mut Hashes,
) -> Result<(v1::Loaded, Report), StoreError> {
    let mut fresh = Hashes::new();
    let mut hash = |user: &str, secret: &str| {
        let key = (user.to_owned(), secret.to_owned());
        let hash = match known.get(&key) {
            Some(hash) => hash.clone(),
            None => hash_password(secret).map_err(|error| error.to_string())?,
        };
        fresh.insert(key, hash.clone());
        Ok(hash)
    };
    let loaded = match lenient {
        true => v1::load_lenient(texts, edition, &mut hash),
        false => (v1::load(texts, edition, &mut hash).map_err(StoreError::Resources)?, Report::default()),
    };
    *known = fresh;
    Ok(loaded)
}

/// Tells what of a provider's documents is not used.
fn tell(name: &str, report: &Report) {
    if !report.errors.is_empty() {
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().take(MOST_TOLD).collect();
        let more = text.lines().count() - lines.len();
        let more = if more > 0 { format!("\n… and {more} more lines") } else { String::new() };
        tracing::warn!("{name}: documents with errors are ignored:\n{}{more}", lines.join("\n"));
    }
}

/// The collection and the document of each text, for the copy on disk.
fn as_documents(texts: &Texts) -> impl Iterator<Item = (Collection, &str)> {
    texts.iter().map(|(collection, text)| (*collection, text.text.as_str()))
}
