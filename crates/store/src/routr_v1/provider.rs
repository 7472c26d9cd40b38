//! The interface of the data providers of Routr v1.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_model::document::Source;

use super::routes::Route;
use crate::error::StoreError;

/// The texts of a whole set: a file of many documents, or one document each.
pub(crate) type Texts = Vec<(Collection, Arc<Source>)>;

/// What a provider gave at one reading.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub texts: Texts,
    /// The collections that it did not give.
    pub failed: Vec<Failure>,
}

/// A collection that could not be read, although the provider answers.
#[derive(Debug)]
pub(crate) struct Failure {
    pub collection: Collection,
    pub why: String,
    /// It counts as empty if nothing was known of it.
    pub may_be_empty: bool,
}

/// Where the documents of a Routr v1 are kept. Calls wait for a disk or a network.
pub(crate) trait Provider: Debug + Send {
    /// Everything; `None` if it is what the last call gave.
    fn read(&mut self) -> Result<Option<Reading>, StoreError>;

    /// Makes one change and gives the ref of the document, if the provider has what is `known`; otherwise
    /// [`WriteError::Changed`].
    fn write(&mut self, write: &Write, known: &Texts) -> Result<String, WriteError>;

    /// The phones that the old server knew, where they are kept beside the documents.
    fn routes(&mut self) -> Result<Vec<Route>, StoreError> {
        Ok(Vec::new())
    }

    /// The configuration that was found beside the documents at the last reading.
    fn configuration(&self) -> Option<&Value> {
        None
    }

    /// Keeps another configuration.
    fn write_configuration(&mut self, _: &Value) -> Result<(), WriteError> {
        Err(WriteError::ReadOnly)
    }

    /// Its name for operators, e.g. `Redis at 127.0.0.1:6379`, without secrets.
    fn name(&self) -> &str;

    /// The ref that the provider gives to a new document, where it does not leave that to a server.
    fn new_ref(&self) -> Result<Option<String>, WriteError> {
        Ok(None)
    }

    /// Takes note of the texts that it has after a change of ours: the next reading does not give them again.
    fn has_now(&mut self, _: &Texts) {}

    /// Gives everything at the next reading, whether it changed or not.
    fn forget(&mut self) {}

    /// The folder, where documents are files that are changed with an editor.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// In which edition the documents are written, if the provider can tell once it was read.
    fn edition(&self) -> Option<Edition> {
        None
    }

    /// Is one bad document left out? Otherwise the set before stays in force: an operator who edits files sees the
    /// mistake at once, a database may have had it for years.
    fn is_lenient(&self) -> bool {
        true
    }
}

/// How a provider that is not a folder is reached: what its URL does not say.
#[derive(Clone)]
pub struct Access {
    /// The user name of a REST service.
    pub username: String,
    /// The password of Redis or of a REST service.
    pub secret: String,
    /// Between two looks at a REST service.
    pub poll: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// How often a provider is tried at the start; 0: until it answers.
    pub tries: u32,
    /// Between two of these.
    pub interval: Duration,
    /// Where what was read is kept, for a start without the provider.
    pub cache: Option<PathBuf>,
    /// The CAs of a REST service or a database, in addition to those of the system: PEM, PKCS#12 or JKS.
    pub trusted_ca: Option<PathBuf>,
    /// The password of that file.
    pub trusted_ca_password: String,
}

impl Default for Access {
    fn default() -> Access {
        Access {
            username: String::new(),
            secret: String::new(),
            poll: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            tries: 1,
            interval: Duration::from_secs(2),
            cache: None,
            trusted_ca: None,
            trusted_ca_password: String::new(),
        }
    }
}

impl Access {
    /// The file of CAs with its password.
    pub(crate) fn authorities(&self) -> Option<(&Path, &str)> {
        self.trusted_ca.as_deref().map(|file| (file, self.trusted_ca_password.as_str()))
    }
}

impl Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A change to one document.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// A new one. Without a `metadata.ref` the provider chooses one.
    Insert(Collection, Value),
    /// Another text for the one of this ref.
    Update(Collection, String, Value),
    /// The one of this ref goes.
    Remove(Collection, String),
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Files are changed with an editor.
    #[error("the documents are in files: change them with an editor")]
    ReadOnly,
    /// There is no such document.
    #[error("there is no document with this ref")]
    NotFound,
    /// The exchange could not use the document.
    #[error("{0}")]
    Unusable(String),
    /// Another program changed the documents since they were read; they have been read again.
    #[error("another program changed the documents at the same moment; nothing was written: try again")]
    Changed,
    /// The provider does not answer. Nothing was changed, as far as can be known.
    #[error("{0}")]
    Unavailable(String),
    /// The provider refused, with its own status and words.
    #[error("{message}")]
    Refused {
        /// Its status, as in HTTP.
        status: u16,
        /// Its message.
        message: String,
    },
}

/// A hash of the texts at the last reading, whatever their order.
#[derive(Debug, Default)]
pub(crate) struct Last(Option<u64>);

impl Last {
    /// The reading, if it differs from the last one.
    pub fn changed(&mut self, reading: Reading) -> Option<Reading> {
        let mut hasher = DefaultHasher::new();
        for failure in &reading.failed {
            (failure.collection as usize, &failure.why).hash(&mut hasher);
        }
        let failed = if reading.failed.is_empty() { 0 } else { hasher.finish() };
        self.note(&reading.texts, failed).then_some(reading)
    }

    /// Notes the texts; whether they are others than before.
    pub fn differ(&mut self, texts: &Texts) -> bool {
        self.note(texts, 0)
    }

    fn note(&mut self, texts: &Texts, failed: u64) -> bool {
        let of_one = |(collection, source): &(Collection, Arc<Source>)| {
            let mut hasher = DefaultHasher::new();
            (*collection as usize, &source.name, &source.text).hash(&mut hasher);
            hasher.finish()
        };
        let digest = texts.iter().map(of_one).fold(failed, u64::wrapping_add);
        self.0.replace(digest) != Some(digest)
    }
}

/// A document as one text.
pub(crate) fn text_of(provider: &str, reference: &str, document: &Value) -> Arc<Source> {
    // Without escapes that JSON has and YAML does not, such as surrogate pairs.
    let mut text = document.to_string();
    if text.chars().any(is_escaped_in_yaml) {
        // Such characters stand in strings only, where both languages read the escape.
        let escaped = |c: char| match is_escaped_in_yaml(c) {
            true => format!("\\u{:04x}", u32::from(c)),
            false => c.to_string(),
        };
        text = text.chars().map(escaped).collect();
    }
    Source::new(name_of(provider, reference), text)
}

/// The name of a document's text.
pub(crate) fn name_of(provider: &str, reference: &str) -> String {
    format!("{provider}, {reference}")
}

/// Characters that JSON may have as they are, and YAML may not or takes for a line break.
fn is_escaped_in_yaml(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The ref of a document, if it has one.
pub(crate) fn ref_of(document: &Value) -> Option<&str> {
    document.pointer("/metadata/ref").and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Sets `metadata.ref`.
pub(crate) fn set_ref(document: &mut Value, reference: &str) {
    if let Some(top) = document.as_object_mut() {
        let metadata = top.entry("metadata").or_insert_with(|| Value::Object(Default::default()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("ref".into(), reference.into());
        }
    }
}
