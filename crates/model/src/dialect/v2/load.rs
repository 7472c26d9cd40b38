//! Whole sets of documents.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::read::{Document, documents, resource};
use crate::apply::{Change, Reason, Violation};
use crate::document::{Node, Reading, Report, Source};
use crate::resource::Resource;
use crate::tables::Tables;

/// Reads all texts as one set; all errors of all texts, or the tables.
pub fn load(sources: &[Arc<Source>]) -> Result<Tables, Report> {
    let mut tables = Tables::default();
    apply(&mut tables, sources, Change::Create)?;
    Ok(tables)
}

/// Reads all texts and changes the tables by them: each resource becomes what `change` makes of it. Gives the
/// changes made; on any error, all of which are given, the tables stay.
pub fn apply(
    tables: &mut Tables,
    sources: &[Arc<Source>],
    change: impl Fn(Resource) -> Change,
) -> Result<Vec<Change>, Report> {
    let reading = Reading::default();
    let documents = sources.iter().flat_map(|source| documents(source, &reading)).collect();
    apply_documents(tables, documents, reading, change)
}

/// The same with documents that a program made: their errors name fields instead of lines.
pub fn apply_json(
    tables: &mut Tables,
    documents: &[Value],
    change: impl Fn(Resource) -> Change,
) -> Result<Vec<Change>, Report> {
    let (reading, source) = (Reading::default(), Source::new("", ""));
    let read = |value| {
        let mut node = Node::from_json(value, &source);
        node.name_by_path("");
        Document { resource: resource(&node, &reading), node }
    };
    let documents = documents.iter().map(read).collect();
    apply_documents(tables, documents, reading, change).map_err(|mut report| {
        for error in &mut report.errors {
            let Some(path) = error.place.take().map(|place| place.source.name.clone()) else { continue };
            let key = path.rsplit('.').next().unwrap_or_default();
            if !error.message.contains(key) {
                error.message = format!("{path}: {}", error.message);
            }
        }
        report
    })
}

fn apply_documents(
    tables: &mut Tables,
    documents: Vec<Document>,
    reading: Reading,
    change: impl Fn(Resource) -> Change,
) -> Result<Vec<Change>, Report> {
    let mut found = Vec::new();
    // What could not be read is not there to be referred to; that is no finding of its own.
    let mut unread = HashSet::new();
    let mut changes = Vec::new();
    for document in documents {
        match document.resource {
            Some(resource) => {
                changes.push(change(resource));
                found.push(document.node);
            }
            None => unread.extend(document.node.get("ref").and_then(Node::as_text).map(str::to_owned)),
        }
    }
    let mut next = tables.clone();
    if let Err(violations) = next.apply(&changes) {
        for violation in violations {
            let follows = matches!(&violation.reason, Reason::Dangling { to, .. } if unread.contains(&**to));
            if !follows {
                note(&violation, &found, &reading);
            }
        }
    }
    reading.into_report().unless(())?;
    *tables = next;
    Ok(changes)
}

fn note(violation: &Violation, found: &[Node], reading: &Reading) {
    let Some(node) = found.get(violation.change) else { return };
    let place = &node.at(&violation.field).place;
    let message = match place.line {
        // Only the field says what it is about.
        0 => violation.to_string(),
        _ => format!("{} {}: {}", violation.kind, violation.reference, violation.reason),
    };
    let help = match &violation.reason {
        Reason::Taken { by } => found
            .iter()
            .find(|other| other.get("ref").and_then(Node::as_text) == Some(by))
            .filter(|other| other.place.line > 0)
            .map(|other| format!("{by} stands at {}", other.place)),
        Reason::Dangling { .. } | Reason::Invalid(_) | Reason::Missing | Reason::InUse(_) => None,
    };
    reading.error(message, place, help);
}
