//! Changes to a Redis that others change, too: each is made only if Redis still has what is known.

use std::collections::HashSet;
use std::time::Duration;

use redis::{Connection, Pipeline, RedisResult, Value as Said};
use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Edition};

use super::super::provider::name_of;
use super::reading::{is_ref, read};
use super::{LONGEST, Redis, Texts, Write, WriteError, all, set_ref, text_of};
use crate::routr_v1::provider::ref_of;

/// The sets of all collections but users.
pub(super) const SETS: [&str; 6] = ["agents", "domains", "peers", "gateways", "dids", "numbers"];

/// Asks for the size of each set.
pub(super) fn set_sizes() -> Pipeline {
    let mut sizes = redis::pipe();
    for set in SETS {
        sizes.cmd("SCARD").arg(set);
    }
    sizes
}

/// Are all sets empty? One that is of another type is not.
pub(super) fn are_empty(sizes: &[Said]) -> bool {
    sizes.iter().all(|size| *size == Said::Int(0))
}

/// What Redis has of the things that a change is about.
struct Found {
    document: Vec<u8>,
    members: Vec<(&'static str, HashSet<Vec<u8>>)>,
    /// It has nothing but users.
    is_empty: bool,
}

impl Redis {
    /// Makes a change, unless Redis has something else than is known.
    pub(super) fn make(&mut self, write: &Write, known: &Texts) -> Result<String, WriteError> {
        let (collection, reference, document) = match write {
            Write::Insert(collection, document) => {
                let given = ref_of(document).map(str::to_owned);
                let reference = match given {
                    Some(reference) => reference,
                    None => super::Provider::new_ref(self)?.unwrap_or_default(),
                };
                (*collection, reference, Some(document))
            }
            Write::Update(collection, reference, document) => {
                (*collection, reference.clone(), Some(document))
            }
            Write::Remove(collection, reference) => (*collection, reference.clone(), None),
        };
        let text = document.map(|document| text_to_write(document, &reference)).transpose()?;
        let is_new = matches!(write, Write::Insert(..));
        let (limit, name) = (self.timeout, self.name.clone());
        let mut members = std::mem::take(&mut self.members);
        let edition = self.edition;
        let set = document.filter(|_| is_new).map(|document| self.set_of(collection, document));
        let done = self.on(|connection| {
            let found = watched(connection, collection, &reference, limit)?;
            let lost = found.is_empty && known.iter().any(|(of, _)| *of != Collection::Users);
            let same = match is_new {
                true => {
                    found.members.iter().all(|(set, now)| members.get(set).is_none_or(|seen| seen == now))
                }
                false => has(&found, known, &name, collection, &reference),
            };
            if lost || !same || (is_new && !found.document.is_empty()) {
                redis::cmd("UNWATCH").query::<()>(connection)?;
                let taken = is_new && !lost && same;
                return Ok(if taken { Done::Taken } else { Done::Changed });
            }
            let mut commands = redis::pipe();
            match (&text, set) {
                (Some(text), Some(set)) => {
                    commands.cmd("SET").arg(&reference).arg(text);
                    commands.cmd("SADD").arg(set).arg(&reference);
                }
                (Some(text), None) => {
                    commands.cmd("SET").arg(&reference).arg(text);
                }
                (None, _) => {
                    commands.cmd("DEL").arg(&reference);
                    for set in collection.names() {
                        commands.cmd("SREM").arg(*set).arg(&reference);
                    }
                }
            }
            let made = transaction(connection, &mut commands, limit)?;
            Ok(if made { Done::Made } else { Done::Changed })
        });
        if !matches!(done, Ok(Done::Made)) {
            self.edition = edition;
        }
        if matches!(done, Ok(Done::Made)) {
            match set {
                Some(set) => {
                    members.entry(set).or_default().insert(reference.clone().into());
                }
                None if text.is_none() => {
                    for set in collection.names() {
                        members.entry(set).or_default().remove(reference.as_bytes());
                    }
                }
                None => {}
            }
        }
        self.members = members;
        match self.changed(done)? {
            Done::Made => Ok(reference),
            Done::Changed => Err(WriteError::Changed),
            Done::Taken => Err(WriteError::Unusable(format!("metadata.ref: `{reference}` is taken"))),
        }
    }

    /// The set a new document is a member of. In a database that has no numbers yet, the first one says by its kind which
    /// edition wrote it.
    fn set_of(&mut self, collection: Collection, document: &Value) -> &'static str {
        let of_kind = match document["kind"].as_str() {
            Some(kind) if kind.eq_ignore_ascii_case("DID") => Edition::Rc2,
            Some(kind) if kind.eq_ignore_ascii_case("Number") => Edition::Late,
            _ => self.hint,
        };
        let edition = self.edition.unwrap_or(of_kind);
        if collection == Collection::Numbers {
            self.edition = Some(edition);
        }
        let names = collection.names();
        let name = if edition == Edition::Rc2 { names.first() } else { names.last() };
        name.copied().unwrap_or_default()
    }
}

/// What became of a change.
enum Done {
    Made,
    Changed,
    /// The key of a new document is used already.
    Taken,
}

/// The text of a document under its ref, if it could be read again.
fn text_to_write(document: &Value, reference: &str) -> Result<String, WriteError> {
    if !is_ref(reference) {
        let why = "metadata.ref: it is empty, has more than 256 bytes, or has control characters";
        return Err(WriteError::Unusable(why.into()));
    }
    let mut document = document.clone();
    set_ref(&mut document, reference);
    let text = document.to_string();
    match text.len() {
        ..=LONGEST => Ok(text),
        length => Err(WriteError::Unusable(format!(
            "the document has {length} bytes, more than the {LONGEST} that are read again"
        ))),
    }
}

/// Watches what a change is about, and reads it.
fn watched(
    connection: &mut Connection,
    collection: Collection,
    reference: &str,
    limit: Duration,
) -> RedisResult<Found> {
    let names = collection.names();
    let mut commands = redis::pipe();
    commands.cmd("WATCH").arg(reference).arg(names).arg(&SETS);
    commands.cmd("GETRANGE").arg(reference).arg(0).arg(LONGEST);
    for set in names {
        commands.cmd("SMEMBERS").arg(*set);
    }
    for set in SETS {
        commands.cmd("SCARD").arg(set);
    }
    let answers = all(connection, &commands, 2 + names.len() + SETS.len(), limit)?;
    let mut answers = answers.into_iter();
    let mut next = || answers.next().unwrap_or(Said::Nil);
    next().extract_error()?;
    // A key of another type is not empty, and no document.
    let document = match next().extract_error() {
        Ok(text) => redis::from_redis_value(text)?,
        Err(error) if error.code() == Some("WRONGTYPE") => b"?".to_vec(),
        Err(error) => return Err(error),
    };
    let mut members = Vec::new();
    for set in names {
        members.push((*set, redis::from_redis_value(next().extract_error()?)?));
    }
    let sizes: Vec<Said> = answers.collect();
    Ok(Found { document, members, is_empty: are_empty(&sizes) })
}

/// Is the known document there, in a set, and as it is known?
fn has(found: &Found, known: &Texts, name: &str, of: Collection, reference: &str) -> bool {
    let listed = found.members.iter().any(|(_, members)| members.contains(reference.as_bytes()));
    let Ok(mut document) = read(&found.document) else { return false };
    set_ref(&mut document, reference);
    let text = text_of(name, reference, &document);
    let known = known.iter().find(|(kind, text)| *kind == of && text.name == name_of(name, reference));
    listed && known.is_some_and(|(_, known)| known.text == text.text)
}

/// Makes changes, all or none; whether they were made, or one of the watched keys was changed before.
fn transaction(connection: &mut Connection, commands: &mut Pipeline, limit: Duration) -> RedisResult<bool> {
    let commands = commands.atomic();
    // MULTI, each command queued, EXEC.
    let found = all(connection, commands, commands.len() + 2, limit)?;
    match found.into_iter().map(Said::extract_error).collect::<RedisResult<Vec<_>>>()?.pop() {
        Some(Said::Array(done)) => {
            let done: RedisResult<Vec<Said>> = done.into_iter().map(Said::extract_error).collect();
            done.map(|_| true)
        }
        Some(Said::Nil) => Ok(false),
        _ => Err((redis::ErrorKind::Client, "the transaction was not carried out").into()),
    }
}
