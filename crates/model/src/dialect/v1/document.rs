//! The common fields of documents of Routr v1: version, kind, metadata.

use std::sync::Arc;

use serde_json::Value;

use super::resources::{self, Spec};
use super::{Collection, Edition, generated_ref};
use crate::document::{Node, Reading, Source, entries};
use crate::reference::Ref;

/// A document that could be read.
pub(super) struct Document {
    pub collection: Collection,
    /// Its `metadata.ref`, or the one generated in its place.
    pub reference: Ref,
    pub name: String,
    pub spec: Spec,
    pub node: Node,
    /// As the REST API shows it.
    pub json: Value,
}

impl Document {
    /// Its name in errors, e.g. `Gateway gweef506`.
    pub fn title(&self, edition: Edition) -> String {
        format!("{} {}", self.collection.kind(edition), self.reference)
    }
}

const VERSIONS: [(&str, ()); 3] = [("v1beta1", ()), ("v1.0", ()), ("v1", ())];

/// Reads all documents of a file. What cannot be read is noted.
pub(super) fn documents(
    file: Collection,
    source: &Arc<Source>,
    edition: Edition,
    reading: &Reading,
) -> Vec<Document> {
    let nodes = entries(source, reading).into_iter();
    nodes.filter_map(|node| document(file, node, edition, reading)).collect()
}

fn document(file: Collection, node: Node, edition: Edition, reading: &Reading) -> Option<Document> {
    let before = reading.errors();
    let top = reading.fields(file.kind(edition), &node)?;
    if top.choice("apiVersion", &VERSIONS).is_none() && node.get("apiVersion").is_none() {
        top.error("apiVersion", "the apiVersion is required", Some("write `apiVersion: v1beta1`".into()));
    }
    match top.text("kind") {
        Some(kind) if Collection::of_kind(&kind) == Some(file) => {}
        Some(kind) => {
            let wanted = file.kind(edition);
            let message = match Collection::of_kind(&kind) {
                Some(other) => format!(
                    "a {kind} in the file of {}: it belongs in {}.yml",
                    file.names().first().unwrap_or(&""),
                    other.names().last().unwrap_or(&"")
                ),
                None => format!("`{kind}` is not a kind of resource"),
            };
            top.error("kind", message, Some(format!("write `kind: {wanted}`")));
        }
        None if node.get("kind").is_none() => {
            let help = format!("write `kind: {}`", file.kind(edition));
            top.error("kind", "the kind is required", Some(help));
        }
        None => {}
    }
    let metadata = top.map("metadata");
    let text = |key| metadata.as_ref().and_then(|m| m.text(key)).filter(|text| !text.is_empty());
    let (reference, name) = (text("ref"), text("name"));
    let spec = top.map("spec");
    if spec.is_none() && top.node("spec").is_none() {
        top.error("spec", "the spec is required", None);
    }
    let read = spec.map(|spec| {
        let read = resources::spec(file, &spec, metadata.as_ref(), edition);
        spec.finish_open();
        read
    });
    // A number is its own name.
    if name.is_none() && file != Collection::Numbers {
        match &metadata {
            Some(metadata) => metadata.error("name", "the name is required", None),
            None => top.error("metadata", "the metadata with a name is required", None),
        }
    }
    if let Some(metadata) = metadata {
        metadata.finish_open();
    }
    top.finish_open();
    let spec = read?;
    if reading.errors() > before {
        return None;
    }
    let factor = resources::factor(file, &node);
    let reference = reference.unwrap_or_else(|| generated_ref(edition, file, &factor));
    let json = with_ref(node.to_json(), &reference);
    let name = name.unwrap_or_else(|| factor.clone());
    Some(Document {
        collection: file,
        reference: Ref::from(reference),
        // The model's names are shorter than Routr's could be; nothing finds a resource by it.
        name: name.chars().take(60).collect(),
        spec,
        node,
        json,
    })
}

fn with_ref(mut document: Value, reference: &str) -> Value {
    if let Some(top) = document.as_object_mut() {
        let metadata = top.entry("metadata").or_insert_with(|| Value::Object(Default::default()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("ref".into(), reference.into());
        }
    }
    document
}
