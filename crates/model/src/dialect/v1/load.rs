//! A folder of Routr v1 as one set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::document::{Document, documents};
use super::made::{Made, Maker, field_in_v1};
use super::{Collection, Documents, Edition};
use crate::apply::{Change, Reason, Violation};
use crate::document::{Place, Reading, Report, Source, parse};
use crate::reference::Ref;
use crate::resource::Resource;
use crate::tables::Tables;

/// The data read.
#[derive(Debug)]
pub struct Loaded {
    /// The resources.
    pub tables: Tables,
    /// The documents they were made from.
    pub documents: Documents,
}

/// Makes a user's secret what the model keeps of it: user name and secret to argon2 in the PHC string format.
type Hasher<'h> = &'h mut dyn FnMut(&str, &str) -> Result<String, String>;

/// Reads the files of all collections as one set; all errors of all files, or the resources.
pub fn load(
    files: &[(Collection, Arc<Source>)],
    edition: Edition,
    hash: Hasher<'_>,
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
        note(&violations, &made, &found, edition, &reading);
    }
    let mut all = Documents::default();
    for document in found {
        all.push(document.collection, document.json);
    }
    reading.into_report().unless(Loaded { tables, documents: all })
}

/// Reads texts of one document each, and leaves out what cannot be used: a database may have had its mistakes for
/// years, and one of them must not silence all phones. What was left out is in the report; the documents are all
/// there, so that they can be listed and mended.
pub fn load_lenient(
    texts: &[(Collection, Arc<Source>)],
    edition: Edition,
    hash: Hasher<'_>,
) -> (Loaded, Report) {
    let reading = Reading::default();
    let mut all = Documents::default();
    let mut read = Vec::with_capacity(texts.len());
    for (collection, source) in texts {
        let found = documents(*collection, source, edition, &reading);
        if found.is_empty() {
            let written = parse(source).unwrap_or_default().into_iter().next();
            if let Some(json) = written.map(|node| node.to_json()).filter(serde_json::Value::is_object) {
                all.push(*collection, json);
            }
        }
        read.extend(found);
    }
    let found = distinct(read.into_iter(), edition, &reading);
    let mut made = Maker::new(&found, edition, &reading, hash).lenient().run();
    let tables = loop {
        let changes: Vec<Change> = made.iter().map(|made| Change::Create(made.resource.clone())).collect();
        let mut tables = Tables::default();
        let Err(violations) = tables.apply(&changes) else { break tables };
        note(&violations, &made, &found, edition, &reading);
        let mut wrong: HashSet<usize> = violations.iter().map(|violation| violation.change).collect();
        // A domain whose number is left out still has its phones.
        for violation in violations.iter().filter(|v| v.field.starts_with("spec.context.egressPolicies")) {
            if let Some(Made { resource: Resource::Domain(domain), .. }) = made.get_mut(violation.change)
                && !domain.egress_policies.is_empty()
            {
                Arc::make_mut(domain).egress_policies.clear();
                wrong.remove(&violation.change);
            }
        }
        let mended = wrong.len() < violations.iter().map(|v| v.change).collect::<HashSet<_>>().len();
        let mut at = 0..;
        let before = made.len();
        made.retain(|_| !at.next().is_some_and(|at| wrong.contains(&at)));
        if made.len() == before && !mended {
            // Nothing to leave out any more: better none than a loop.
            break Tables::default();
        }
    };
    for document in found {
        all.push(document.collection, document.json);
    }
    (Loaded { tables, documents: all }, reading.into_report())
}

/// Reports what the model refuses, with its place in the documents.
fn note(violations: &[Violation], made: &[Made], found: &[Document], edition: Edition, reading: &Reading) {
    for violation in violations {
        let Some(document) = made.get(violation.change).and_then(|made| found.get(made.from)) else {
            continue;
        };
        // Told above, in the words of Routr.
        if matches!(violation.reason, Reason::Dangling { .. }) && reading.errors() > 0 {
            continue;
        }
        let place = &document.node.at(field_in_v1(document.collection, &violation.field)).place;
        let message = format!("{}: {}", document.title(edition), said(violation));
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

/// The documents without those whose ref another one has: two of the same user name, host or number.
fn distinct(read: impl Iterator<Item = Document>, edition: Edition, reading: &Reading) -> Vec<Document> {
    let mut places: HashMap<Ref, Place> = HashMap::new();
    let mut found = Vec::new();
    for document in read {
        let place = document.node.at("metadata.ref").place.clone();
        match places.get(&document.reference) {
            Some(first) => {
                let message = format!("{}: the ref exists already", document.title(edition));
                reading.error(message, &place, Some(format!("it is at {first}")));
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
        Reason::Taken { by } if violation.field == "ref" => format!("the ref is used by {by}, too"),
        reason => reason.to_string(),
    }
}
