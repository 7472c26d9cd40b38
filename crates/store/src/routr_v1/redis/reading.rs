//! Reading what a Redis holds, whatever that is.

use std::collections::BTreeSet;

use redis::RedisResult;
use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};

use super::super::provider::{Failure, Reading};
use super::writing::{SETS, are_empty, set_sizes};
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

/// Lines about wrong keys in the log, at most.
const MOST_TOLD: usize = 20;

/// The key of a late Routr's general configuration.
pub(super) const CONFIGURATION: &str = "config";

impl Redis {
    /// All documents, and the edition that the sets of numbers tell.
    pub(super) fn documents(&mut self) -> Result<Reading, StoreError> {
        let mut reading = Reading::default();
        let (mut told, mut bytes) = (Told::default(), 0);
        let mut numbers = Vec::new();
        for collection in Collection::ALL {
            let mut seen = BTreeSet::new();
            let start = reading.texts.len();
            let mut failure = None;
            for set in collection.names() {
                let refs = match self.members(set, &mut told)? {
                    Ok(refs) => refs,
                    Err(why) => {
                        failure = Some(Failure { collection, why, may_be_empty: false });
                        continue;
                    }
                };
                let before = reading.texts.len();
                let refs: Vec<String> = refs.into_iter().filter(|one| seen.insert(one.clone())).collect();
                for chunk in refs.chunks(CHUNK) {
                    bytes += self.chunk(collection, chunk, &mut reading.texts, &mut told)?;
                    if bytes > MOST_BYTES {
                        let why = format!("its documents have more than {MOST_BYTES} bytes");
                        return Err(StoreError::Unreachable { what: self.name.clone(), why });
                    }
                }
                if collection == Collection::Numbers {
                    numbers.push(reading.texts.len() - before);
                }
            }
            if reading.texts.len() == start && !seen.is_empty() && failure.is_none() {
                let name = collection.names().last().copied().unwrap_or_default();
                let why = format!("`{name}` has {} refs, and there is no document of any", seen.len());
                failure = Some(Failure { collection, why, may_be_empty: true });
            }
            reading.failed.extend(failure);
        }
        self.edition = match numbers[..] {
            [early, late] if early > late => Some(Edition::Rc2),
            [early, late] if late > early => Some(Edition::Late),
            _ => self.edition,
        };
        told.tell(&self.name, &mut self.told);
        Ok(reading)
    }

    /// The refs in a set, and what cannot be one passed over; inside, why there are none.
    fn members(
        &mut self,
        set: &'static str,
        told: &mut Told,
    ) -> Result<Result<Vec<String>, String>, StoreError> {
        let count: RedisResult<usize> = self.on(|connection| redis::cmd("SCARD").arg(set).query(connection));
        let count = match count {
            Ok(count) => count,
            Err(error) if error.code() == Some("WRONGTYPE") => {
                return Ok(Err(format!("the key `{set}` is not a set")));
            }
            Err(error) => return Err(unreachable(&self.name, &error)),
        };
        if count > MOST {
            let why = format!("the set `{set}` has {count} members, more than {MOST}");
            return Err(StoreError::Unreachable { what: self.name.clone(), why });
        }
        let members: Vec<Vec<u8>> = self
            .on(|connection| redis::cmd("SMEMBERS").arg(set).query(connection))
            .map_err(|error| unreachable(&self.name, &error))?;
        self.members.insert(set, members.iter().cloned().collect());
        let mut refs = Vec::with_capacity(members.len());
        let mut odd = |member: &str| {
            let shown: String = member.chars().take(60).collect();
            told.note(|| format!("the member `{shown}` of the set `{set}` is no ref and is ignored"));
        };
        for member in members {
            match String::from_utf8(member) {
                Ok(text) if is_ref(&text) => refs.push(text),
                Ok(text) => odd(&text.escape_debug().to_string()),
                Err(error) => odd(&error.as_bytes().escape_ascii().to_string()),
            }
        }
        refs.sort();
        Ok(Ok(refs))
    }

    /// Does it have no phones, domains, gateways, numbers and peers any more, of those that are known?
    pub fn has_lost(&mut self, known: &Texts) -> Result<bool, StoreError> {
        if known.iter().all(|(of, _)| *of == Collection::Users) {
            return Ok(false);
        }
        let limit = self.timeout;
        let counts = self.on(|connection| all(connection, &set_sizes(), SETS.len(), limit));
        let counts = counts.map_err(|error| unreachable(&self.name, &error))?;
        Ok(are_empty(&counts))
    }

    /// The documents of some refs: of each as many bytes as a document may have and one more, whatever is stored.
    fn chunk(
        &mut self,
        of: Collection,
        refs: &[String],
        texts: &mut Texts,
        told: &mut Told,
    ) -> Result<usize, StoreError> {
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
                Err(why) => told.note(|| format!("the document under the key {reference} is ignored: {why}")),
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

/// What is wrong with keys and members, as much of it as a log should have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    lines: Vec<String>,
    more: usize,
}

impl Told {
    fn note(&mut self, line: impl FnOnce() -> String) {
        match self.lines.len() < MOST_TOLD {
            true => self.lines.push(line()),
            false => self.more += 1,
        }
    }

    /// Tells it, unless it is what was told `before`.
    fn tell(self, name: &str, before: &mut Told) {
        if self != *before {
            for line in &self.lines {
                tracing::warn!("{name}: {line}");
            }
            if self.more > 0 {
                tracing::warn!("{name}: {} more keys and members are ignored", self.more);
            }
        }
        *before = self;
    }
}

/// Could this be the ref of a document?
pub(super) fn is_ref(text: &str) -> bool {
    (1..=LONGEST_REF).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    match bytes.len() {
        ..=LONGEST => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        _ => Err(format!("it has more than {LONGEST} bytes")),
    }
}
