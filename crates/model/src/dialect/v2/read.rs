//! Documents to resources.

use std::sync::Arc;

use serde_json::Value;

use super::belongs::foreign;
use super::spec;
use crate::document::{Fields, Node, Place, Reading, Source, entries};
use crate::reference::Ref;
use crate::resource::{Common, Extended, GeoInfo, Kind, Resource};

/// A document of one resource.
#[derive(Clone, Debug)]
pub struct Document {
    /// The data read; `None` if it could not be read.
    pub resource: Option<Resource>,
    /// Where it stands.
    pub node: Node,
}

/// Reads all resources of a text: documents, or lists of them. What cannot be read is noted.
pub fn documents(source: &Arc<Source>, reading: &Reading) -> Vec<Document> {
    let nodes = entries(source, reading).into_iter();
    nodes.map(|node| Document { resource: resource(&node, reading), node }).collect()
}

/// Reads one resource; `None` if there was an error, which is noted. Only the form is looked at: see
/// [`crate::validate`] for the rest.
pub fn resource(node: &Node, reading: &Reading) -> Option<Resource> {
    let before = reading.errors();
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let untitled = reading.fields("a resource", node)?;
    let Some(kind) = untitled.choice("kind", &kinds) else {
        if reading.errors() == before {
            let help = format!("write one of: {}", kinds.map(|(name, _)| name).join(", "));
            untitled.error("kind", "the kind is required", Some(help));
        }
        return None;
    };

    reading.use_schema(keys_of);
    reading.use_foreign(foreign);
    let top = reading.fields(kind.as_str(), node)?;
    if node.get("apiVersion").is_none() {
        top.error("apiVersion", "the apiVersion is required", Some("write `apiVersion: v2`".into()));
    }
    let resource = whole(kind, top)?;
    (reading.errors() == before).then_some(resource)
}

/// The paths of all keys of a kind, below its name, e.g. `Domain.spec.interDomain`; of an item of a list `[]` follows the key.
pub fn keys_of(kind: &str) -> Vec<String> {
    let place = Place::whole(Source::new("", ""));
    kind.parse().map_or_else(
        |()| Vec::new(),
        |kind: Kind| {
            Reading::keys_of(kind.as_str(), &place, |top| {
                whole(kind, top);
            })
        },
    )
}

fn whole(kind: Kind, top: Fields<'_>) -> Option<Resource> {
    let api_version = top.choice("apiVersion", &[("v2", "v2"), ("v2beta1", "v2beta1")]);
    top.node("kind");
    if matches!(kind, Kind::Trunk | Kind::Peer) {
        // What the running exchange knows of its destinations, from `list --json`.
        top.node("status");
    }
    let (common, geo) = common(&top, kind, api_version.unwrap_or("v2"));
    let Some(fields) = top.map("spec") else {
        if top.node("spec").is_none() {
            top.error("spec", "the spec is required", None);
        }
        top.finish();
        return None;
    };
    let mut resource: Resource = match kind {
        Kind::AccessControlList => spec::acl(&fields).into(),
        Kind::Credentials => spec::credentials(&fields).into(),
        Kind::Trunk => spec::trunk(&fields).into(),
        Kind::Number => spec::number(&fields, geo).into(),
        Kind::Domain => spec::domain(&fields).into(),
        Kind::Agent => spec::agent(&fields).into(),
        Kind::Peer => spec::peer(&fields).into(),
        Kind::User => spec::user(&fields).into(),
    };
    fields.finish();
    top.finish();
    resource.set_common(common);
    Some(resource)
}

/// The metadata of all kinds, and the geographic fields of a number, which are in `metadata`, too.
fn common(top: &Fields<'_>, kind: Kind, api_version: &str) -> (Common, GeoInfo) {
    let mut common = Common {
        reference: Ref::from(top.text("ref").unwrap_or_default()),
        name: String::new(),
        api_version: api_version.to_owned(),
        extended: Extended::new(),
        created_at: 0,
        updated_at: 0,
    };
    let mut geo = GeoInfo::default();
    if let Some(metadata) = top.map("metadata") {
        common.name = metadata.text("name").unwrap_or_default();
        common.created_at = metadata.integer("createdAt", 0..=i64::from(u32::MAX)).unwrap_or_default();
        common.updated_at = metadata.integer("updatedAt", 0..=i64::from(u32::MAX)).unwrap_or_default();
        if let Some(region) = metadata.text("region") {
            // Nothing reads it, but it is the operator's and must survive an export.
            common.extended.insert("region".into(), Value::String(region));
        }
        if kind == Kind::Number
            && let Some(info) = metadata.map("geoInfo")
        {
            geo = GeoInfo {
                city: info.text("city"),
                country: info.text("country"),
                country_iso_code: info.text("countryIsoCode"),
            };
            info.finish();
        }
        metadata.finish();
    }
    if let Some(node) = top.node("extended") {
        match node.to_json() {
            Value::Object(map) => common.extended.extend(map),
            _ => top.error("extended", format!("expected a map, found {}", node.describe()), None),
        }
    }
    (common, geo)
}
