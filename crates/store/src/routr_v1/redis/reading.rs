//! Reading what a Redis holds, whatever that is.

use std::collections::BTreeSet;

use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};

use super::{LONGEST, Redis, Texts, all, set_ref, text_of, unreachable};
use crate::error::StoreError;

/// Documents asked for at once.
pub(super) const CHUNK: usize = 500;

/// A longer ref is none; Routr's have 24 characters at most.
const LONGEST_REF: usize = 256;

/// More documents of a kind than anybody has.
const MOST: usize = 1_000_000;

/// More bytes of documents than anybody has.
const MOST_BYTES: usize = 1 << 30;

/// The key of a late Routr's general configuration.
pub(super) const CONFIGURATION: &str = "config";

impl Redis {
    /// All documents, and the edition that the names of the sets tell.
    pub(super) fn documents(&mut self) -> Result<Texts, StoreError> {
        let mut texts = Texts::new();
        let (mut edition, mut bytes) = (None, 0);
        for collection in Collection::ALL {
            let mut refs = BTreeSet::new();
            for set in collection.names() {
                let members = self.members(set)?;
                if collection == Collection::Numbers && !members.is_empty() {
                    edition = Some(if *set == "dids" { Edition::Rc2 } else { Edition::Late });
                }
                refs.extend(members);
            }
            let refs: Vec<String> = refs.into_iter().collect();
            for chunk in refs.chunks(CHUNK) {
                bytes += self.chunk(collection, chunk, &mut texts)?;
                if bytes > MOST_BYTES {
                    let why = format!("its documents have more than {MOST_BYTES} bytes");
                    return Err(StoreError::Unreachable { what: self.name.clone(), why });
                }
            }
        }
        self.edition = edition.or(self.edition);
        Ok(texts)
    }

    /// The refs in a set. What cannot be one is passed over.
    fn members(&mut self, set: &str) -> Result<Vec<String>, StoreError> {
        let count: usize = self
            .on(|connection| redis::cmd("SCARD").arg(set).query(connection))
            .map_err(|error| unreachable(&self.name, &error))?;
        if count > MOST {
            let why = format!("the set `{set}` has {count} members, more than {MOST}");
            return Err(StoreError::Unreachable { what: self.name.clone(), why });
        }
        let members: Vec<Vec<u8>> = self
            .on(|connection| redis::cmd("SMEMBERS").arg(set).query(connection))
            .map_err(|error| unreachable(&self.name, &error))?;
        let mut refs = Vec::with_capacity(members.len());
        for member in members {
            match String::from_utf8(member) {
                Ok(text) if is_ref(&text) => refs.push(text),
                Ok(text) => self.odd(set, &text.escape_debug().to_string()),
                Err(error) => self.odd(set, &error.as_bytes().escape_ascii().to_string()),
            }
        }
        Ok(refs)
    }

    fn odd(&self, set: &str, member: &str) {
        let shown: String = member.chars().take(60).collect();
        tracing::warn!("{}: the member `{shown}` of the set `{set}` is no ref and is ignored", self.name);
    }

    /// The documents of some refs: of each as many bytes as a document may have and one more, whatever is stored.
    fn chunk(&mut self, of: Collection, refs: &[String], texts: &mut Texts) -> Result<usize, StoreError> {
        let limit = self.timeout;
        let found = self
            .on(|connection| {
                let mut gets = redis::pipe();
                for reference in refs {
                    gets.cmd("GETRANGE").arg(reference).arg(0).arg(LONGEST);
                }
                all(connection, &gets, refs.len(), limit)
            })
            .map_err(|error| unreachable(&self.name, &error))?;
        let mut bytes = 0;
        for (reference, found) in refs.iter().zip(found) {
            let found = found.extract_error().map_err(|error| error.to_string());
            let found = found.and_then(|found| {
                redis::from_redis_value::<Vec<u8>>(found).map_err(|error| error.to_string())
            });
            bytes += found.as_ref().map_or(0, Vec::len);
            // A ref without a document is one that is about to go, or that comes this moment.
            if found.as_ref().is_ok_and(Vec::is_empty) {
                continue;
            }
            match found.and_then(|bytes| read(&bytes)) {
                Ok(mut document) => {
                    // The key is what Routr finds it by.
                    set_ref(&mut document, reference);
                    texts.push((of, text_of(&self.name, reference, &document)));
                }
                Err(why) => {
                    tracing::warn!("{}: the document under the key {reference} is ignored: {why}", self.name);
                }
            }
        }
        Ok(bytes)
    }

    /// The configuration; inside, why there is none that can be used.
    pub fn read_configuration(&mut self) -> Result<Result<Option<Value>, String>, StoreError> {
        let found = self.on(|connection| {
            redis::cmd("GETRANGE").arg(CONFIGURATION).arg(0).arg(LONGEST).query::<Vec<u8>>(connection)
        });
        let why = match found {
            Ok(bytes) if bytes.is_empty() => return Ok(Ok(None)),
            Ok(bytes) => match read(&bytes) {
                Ok(document) if document.is_object() => return Ok(Ok(Some(document))),
                Ok(_) => "it is not an object".to_owned(),
                Err(why) => why,
            },
            Err(error) if error.code() == Some("WRONGTYPE") => "it is not a string".to_owned(),
            Err(error) => return Err(unreachable(&self.name, &error)),
        };
        Ok(Err(format!("{}: the configuration under the key `{CONFIGURATION}` is ignored: {why}", self.name)))
    }
}

/// Could this be the ref of a document?
fn is_ref(text: &str) -> bool {
    (1..=LONGEST_REF).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn read(bytes: &[u8]) -> Result<Value, String> {
    match bytes.len() {
        ..=LONGEST => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        _ => Err(format!("it has more than {LONGEST} bytes")),
    }
}
