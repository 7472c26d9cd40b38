//! Whole sets of documents.

use std::collections::HashSet;
use std::sync::Arc;

use super::read::documents;
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
    let mut found = Vec::new();
    // What could not be read is not there to be referred to; that is no finding of its own.
    let mut unread = HashSet::new();
    let mut changes = Vec::new();
    for document in sources.iter().flat_map(|source| documents(source, &reading)) {
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
    let message = format!("{} {}: {}", violation.kind, violation.reference, violation.reason);
    let help = match &violation.reason {
        Reason::Taken { by } => found
            .iter()
            .find(|other| other.get("ref").and_then(Node::as_text) == Some(by))
            .map(|other| format!("{by} stands at {}", other.place)),
        Reason::Dangling { .. } | Reason::Invalid(_) | Reason::Missing | Reason::InUse(_) => None,
    };
    reading.error(message, place, help);
}
