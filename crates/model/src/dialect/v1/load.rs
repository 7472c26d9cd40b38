//! A folder of Routr v1 as one set.

use std::collections::HashMap;
use std::sync::Arc;

use super::document::{Document, documents};
use super::made::{Maker, field_in_v1};
use super::{Collection, Documents, Edition};
use crate::apply::{Change, Reason, Violation};
use crate::document::{Place, Reading, Report, Source};
use crate::reference::Ref;
use crate::tables::Tables;

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The resources.
    pub tables: Tables,
    /// The documents they were made from.
    pub documents: Documents,
}

/// Reads the files of all collections as one set; all errors of all files, or the resources. `hash` makes a user's
/// secret what the model keeps of it: user name and secret to argon2 in the PHC string format.
pub fn load(
    files: &[(Collection, Arc<Source>)],
    edition: Edition,
    hash: &mut dyn FnMut(&str, &str) -> Result<String, String>,
) -> Result<Loaded, Report> {
    let reading = Reading::default();
    let read =
        files.iter().flat_map(|(collection, source)| documents(*collection, source, edition, &reading));
    let found = distinct(read, edition, &reading);
    let unread = reading.errors() > 0;
    // What could not be read is not there to be referred to; that would be no finding of its own.
    let aside = Reading::default();
    let into = if unread { &aside } else { &reading };
    let made = Maker::new(&found, edition, into, hash).run();
    let changes: Vec<Change> = made.iter().map(|made| Change::Create(made.resource.clone())).collect();
    let mut tables = Tables::default();
    if let Err(violations) = tables.apply(&changes) {
        for violation in violations {
            let Some(document) = made.get(violation.change).and_then(|made| found.get(made.from)) else {
                continue;
            };
            // Told above, in the words of Routr.
            if matches!(violation.reason, Reason::Dangling { .. }) && reading.errors() > 0 {
                continue;
            }
            let place = &document.node.at(field_in_v1(document.collection, &violation.field)).place;
            let message = format!("{}: {}", document.title(edition), said(&violation));
            let help = match &violation.reason {
                Reason::Taken { by } => made
                    .iter()
                    .find(|other| other.resource.reference() == by)
                    .and_then(|other| found.get(other.from))
                    .map(|other| format!("{by} stands at {}", other.node.at("metadata").place)),
                Reason::Dangling { .. } | Reason::Invalid(_) | Reason::Missing | Reason::InUse(_) => None,
            };
            reading.error(message, place, help);
        }
    }
    let mut all = Documents::default();
    for document in found {
        all.push(document.collection, document.json);
    }
    reading.into_report().unless(Loaded { tables, documents: all })
}

/// The documents without those whose ref another one has: two of the same user name, host or number.
fn distinct(read: impl Iterator<Item = Document>, edition: Edition, reading: &Reading) -> Vec<Document> {
    let mut places: HashMap<Ref, Place> = HashMap::new();
    let mut found = Vec::new();
    for document in read {
        let place = document.node.at("metadata.ref").place.clone();
        match places.get(&document.reference) {
            Some(first) => {
                let message = format!("{}: there is one of that ref already", document.title(edition));
                reading.error(message, &place, Some(format!("it stands at {first}")));
            }
            None => {
                places.insert(document.reference.clone(), place);
                found.push(document);
            }
        }
    }
    found
}

/// The finding, with the field's name in it where the value alone does not say which it is.
fn said(violation: &Violation) -> String {
    match &violation.reason {
        Reason::Taken { by } if violation.field == "ref" => format!("the ref is that of {by} too"),
        reason => reason.to_string(),
    }
}
