//! Every property of Routr v1, what it does here, and the test that shows it: `properties.txt`, one a line.
//! `docs/routr-v1.md` has the list as its table; a test holds the two together.

use serde_json::Value;

use super::resources::EXPIRES;
use super::{Collection, Documents};

/// A property of the configuration (`of` is `None`) or of a kind of resource.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The kind of resource it belongs to.
    pub of: Option<Collection>,
    /// Its path; `[]` stands for the items of a list, `*` for any key.
    pub path: &'static str,
    /// Which releases have it: `Both`, `Early` (1.0.0-rc1 and rc2), `Late` (rc3 to 1.2.8).
    pub releases: &'static str,
    /// Its effect.
    pub does: &'static str,
    /// The test that shows it.
    pub shown_by: &'static str,
}

const LIST: &str = include_str!("properties.txt");

/// All of them, in the order of Routr's own documentation.
pub fn properties() -> impl Iterator<Item = Property> {
    LIST.lines().filter_map(|line| {
        let mut parts = line.split(" | ");
        let mut next = || parts.next().map(str::trim);
        let of = Collection::ALL.into_iter().find(|c| line.split(" | ").next() == c.names().last().copied());
        next()?;
        Some(Property { of, path: next()?, releases: next()?, does: next()?, shown_by: next()? })
    })
}

/// The common fields of documents.
const COMMON: [&str; 6] =
    ["apiVersion", "kind", "metadata.ref", "metadata.name", "metadata.createdOn", "metadata.modifiedOn"];

impl Documents {
    /// Keys that mean nothing here: they are kept and shown, and have no place in another store.
    pub fn unknown_keys(&self) -> Vec<String> {
        let mut found = Vec::new();
        for collection in Collection::ALL {
            for document in self.of(collection) {
                let reference = document.pointer("/metadata/ref").and_then(Value::as_str).unwrap_or_default();
                let kind = collection.kinds().first().copied().unwrap_or_default();
                leaves(document, String::new(), &mut |path| {
                    if !is_known(collection, path) {
                        found.push(format!("{kind} {reference}: `{path}`"));
                    }
                });
            }
        }
        found
    }
}

impl Documents {
    /// Values that are known and not used as they are written, one sentence each.
    pub fn adjusted_values(&self) -> Vec<String> {
        let mut found = Vec::new();
        for gateway in self.of(Collection::Gateways) {
            let reference = gateway.pointer("/metadata/ref").and_then(Value::as_str).unwrap_or_default();
            for path in ["spec.expires", "spec.regService.expires"] {
                let value = gateway.pointer(&format!("/{}", path.replace('.', "/")));
                let asked = value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
                let (least, most) = (u64::from(*EXPIRES.start()), u64::from(*EXPIRES.end()));
                let used = match asked {
                    Some(0) => "0: the default is used".to_owned(),
                    Some(n) if n < least => format!("{n} is too short: {least} seconds are used"),
                    Some(n) if n > most => format!("{n} is too long: {most} seconds are used"),
                    Some(_) | None => continue,
                };
                found.push(format!("Gateway {reference}: `{path}`: {used}"));
            }
        }
        found
    }
}

fn is_known(collection: Collection, path: &str) -> bool {
    let mut of_kind = properties().filter(|property| property.of == Some(collection));
    COMMON.contains(&path)
        || of_kind.any(|property| match property.path.strip_suffix('*') {
            Some(begin) => path.starts_with(begin),
            None => property.path == path,
        })
}

/// Every value that is neither map nor list, by its path.
fn leaves(value: &Value, path: String, see: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, path, see);
            }
        }
        Value::Array(items) => {
            // One of a list speaks for all.
            if let Some(item) = items.first() {
                leaves(item, format!("{path}[]"), see);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => see(&path),
    }
}
