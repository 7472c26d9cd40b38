//! The configuration that a late Routr v1 keeps in its Redis, beneath the file.

use std::path::Path;

use serde_json::Value;
use trunkline_model::dialect::v1::properties;
use trunkline_model::document::{Content, Key, Node, Source};

/// A configuration of Routr v1 from elsewhere: what the file does not set is taken from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// What the paths of its values begin with in messages, e.g. ``Redis at localhost:6379, key `config`: ``.
    pub prefix: String,
    /// The document.
    pub document: Value,
}

/// Keys of `spec.ex_rtpEngine`, which the list of properties has as a whole.
const RTPENGINE: [&str; 5] = ["enabled", "proto", "host", "port", "bridgeParams"];

/// Files that are passed over where they do not exist, with the password of each: the old server notes its own defaults.
const STORES: [(&str, &str, &str); 6] = [
    ("restService", "keyStore", "keyStorePassword"),
    ("restService", "trustStore", "trustStorePassword"),
    ("restService", "trueStore", "trueStorePassword"),
    ("securityContext", "keyStore", "keyStorePassword"),
    ("securityContext", "trustStore", "trustStorePassword"),
    ("securityContext", "trueStore", "trueStorePassword"),
];

impl Stored {
    /// The paths of keys that mean nothing.
    pub fn unknown_keys(&self) -> Vec<String> {
        let mut unknown = Vec::new();
        self.spec(&mut |path| unknown.push(path));
        unknown
    }

    /// `spec` without keys that mean nothing, and without the place of the data, which it is itself read from.
    fn spec(&self, unknown: &mut impl FnMut(String)) -> Option<Node> {
        let source = Source::new(self.prefix.clone(), "");
        let mut spec = Node::from_json(self.document.get("spec").filter(|spec| spec.is_object())?, &source);
        if let Content::Map(entries) = &mut spec.content {
            entries.retain(|(key, _)| key.text != "dataSource");
        }
        let known: Vec<String> = properties()
            .filter(|property| property.of.is_none())
            .map(|property| property.path.replace("[]", ""))
            .chain(RTPENGINE.map(|key| format!("spec.ex_rtpEngine.{key}")))
            .collect();
        prune(&mut spec, "spec", &known, unknown);
        Some(spec)
    }
}

/// Takes out what is null, and keys that are not known; a known key without known ones beneath it is taken whole.
fn prune(node: &mut Node, path: &str, known: &[String], unknown: &mut impl FnMut(String)) {
    match &mut node.content {
        Content::Scalar { .. } => {}
        Content::List(items) => items.iter_mut().for_each(|item| prune(item, path, known, unknown)),
        Content::Map(entries) => entries.retain_mut(|(key, value)| {
            let path = format!("{path}.{}", key.text);
            if value.is_null() {
                return false;
            }
            let beneath =
                |k: &&String| k.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
            if known.iter().any(|k| beneath(&k)) {
                prune(value, &path, known, unknown);
                return true;
            }
            let is_known = known.contains(&path);
            if !is_known {
                unknown(path);
            }
            is_known
        }),
    }
}

/// The document of the file with what it lacks from the stored one. Lists are taken whole from one of them.
pub(super) fn beneath(file: &Node, stored: &Stored, warnings: &mut Vec<String>) -> Node {
    let prefix = &stored.prefix;
    let mut file = file.clone();
    if let Some(agent) = stored.document.pointer("/metadata/userAgent").and_then(Value::as_str) {
        let mut node = Node::from_json(&agent.into(), &Source::new("", ""));
        node.name_by_path(&format!("{prefix}metadata.userAgent"));
        let metadata = Node { place: node.place.clone(), content: map("userAgent", node) };
        lay_beneath(&mut file, &Node { place: metadata.place.clone(), content: map("metadata", metadata) });
    }
    let mut unknown = |path: String| {
        warnings.push(format!("{prefix}{path}: the key is not known and has no effect"));
    };
    let Some(mut spec) = stored.spec(&mut unknown) else { return file };
    drop_missing_stores(&mut spec, |path, name| {
        warnings.push(format!("{prefix}{path}: there is no file {name}: the key has no effect"));
    });
    spec.name_by_path(&format!("{prefix}spec"));
    let place = spec.place.clone();
    lay_beneath(&mut file, &Node { place, content: map("spec", spec) });
    file
}

fn map(key: &str, value: Node) -> Content {
    Content::Map(vec![(Key { text: key.to_owned(), place: value.place.clone() }, value)])
}

/// Takes out key stores and trust stores that are not there: those of another machine.
fn drop_missing_stores(spec: &mut Node, mut tell: impl FnMut(String, &str)) {
    let Content::Map(sections) = &mut spec.content else { return };
    for (section, store, password) in STORES {
        let Some((_, node)) = sections.iter_mut().find(|(key, _)| key.text == section) else { continue };
        let Some(name) = node.get(store).and_then(Node::as_text).map(str::to_owned) else { continue };
        if Path::new(&name).exists() {
            continue;
        }
        tell(format!("spec.{section}.{store}"), &name);
        if let Content::Map(entries) = &mut node.content {
            entries.retain(|(key, _)| key.text != store && key.text != password);
        }
    }
}

/// Adds what is missing.
fn lay_beneath(over: &mut Node, under: &Node) {
    if over.is_null() {
        *over = under.clone();
        return;
    }
    let (Content::Map(over), Content::Map(under)) = (&mut over.content, &under.content) else { return };
    for (key, value) in under {
        match over.iter_mut().find(|(own, _)| own.text == key.text) {
            Some((_, own)) => lay_beneath(own, value),
            None => over.push((key.clone(), value.clone())),
        }
    }
}
