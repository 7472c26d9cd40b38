//! A configuration of Routr v1 (`config/config.yml`), read as if it were `trunkline.yaml`.
//!
//! Its keys are turned into ours where they stand, so that errors, overrides and `--print-config` work as ever and
//! point into the operator's own file. What cannot be honoured becomes a warning that names the key; what would
//! change who may call or who is believed becomes an error.

mod addresses;
mod data_source;
mod nodes;
mod security;
mod spec;
mod stored;
mod variables;

use std::path::Path;

use serde_json::Value;
use trunkline_model::dialect::v1::Edition;
use trunkline_model::document::{Node, Place, Reading};

use crate::keys::Env;
use nodes::Tree;

pub use security::{DEFAULT_PASSWORD, conversion};
pub use stored::Stored;
pub(crate) use variables::is_variable;

/// A converted configuration of Routr v1.
pub(crate) struct Converted {
    /// The document in our own keys, each value where the operator wrote it.
    pub node: Node,
    /// The operator's document with the variables in it: what the REST API shows. Secrets included.
    pub document: Value,
    /// Keys without effect, one line each.
    pub warnings: Vec<String>,
}

/// Is this a configuration of Routr v1? Ours has neither `apiVersion` nor `spec`.
pub(crate) fn is_v1(root: &Node) -> bool {
    match root.get("apiVersion").and_then(Node::as_text) {
        Some(version) if VERSIONS.iter().any(|(known, ())| *known == version) => true,
        Some(version) if version.starts_with("v2") => false,
        Some(_) | None => root.get("spec").is_some(),
    }
}

const VERSIONS: [(&str, ()); 3] = [("v1beta1", ()), ("v1.0", ()), ("v1", ())];

/// Reads the document, what is stored beneath it, and the variables of Routr v1. Mistakes are noted.
pub(crate) fn convert(root: &Node, env: &Env, stored: Option<&Stored>, reading: &Reading) -> Converted {
    let folder = Path::new(&root.place.source.name).parent().unwrap_or(Path::new("")).to_owned();
    let edition = data_source::edition(root, env, &folder);
    let mut warnings = Vec::new();
    let whole = stored.map(|stored| stored::beneath(root, stored, &mut warnings));
    let root = variables::overlay(whole.as_ref().unwrap_or(root), env, edition);
    let mut out = Conversion {
        edition,
        folder,
        reading,
        env,
        tree: Tree::new(root.place.clone()),
        warnings,
        no_equal: Vec::new(),
        tls_listens: false,
    };
    if let Some(top) = reading.fields("the configuration", &root) {
        if top.choice("apiVersion", &VERSIONS).is_none() && root.get("apiVersion").is_none() {
            let help = "write `apiVersion: v1beta1`".to_owned();
            top.error("apiVersion", "the apiVersion is required", Some(help));
        }
        if let Some(metadata) = top.map("metadata") {
            if let (Some(name), Some(node)) = (metadata.text("userAgent"), metadata.node("userAgent")) {
                out.tree.set("userAgent", nodes::text(name, &node.place));
            }
            metadata.finish_open();
        }
        match top.map("spec") {
            Some(spec) => {
                out.spec(&spec);
                spec.finish();
            }
            None if root.get("spec").is_none() => top.error("spec", "the spec is required", None),
            None => {}
        }
        // Some keep `kind: Config` or notes of their own here.
        top.finish_open();
    }
    if !out.no_equal.is_empty() {
        let keys: Vec<String> = out.no_equal.iter().map(|key| format!("`{key}`")).collect();
        out.warnings.push(format!(
            "{}: {} have no effect: the REST API needs no thread settings, call records are in the database \
             (`trunkline calls records`), `trunkline status` shows the server",
            root.place,
            keys.join(", ")
        ));
    }
    variables::secrets(env, edition, &mut out.tree);
    Converted { node: out.tree.into_node(), document: root.to_json(), warnings: out.warnings }
}

/// A conversion in progress.
struct Conversion<'r> {
    edition: Edition,
    /// The folder of the configuration.
    folder: std::path::PathBuf,
    reading: &'r Reading,
    env: &'r Env,
    tree: Tree,
    warnings: Vec<String>,
    /// Keys of Routr's own workings, named in one warning.
    no_equal: Vec<String>,
    /// Does anything listen with TLS?
    tls_listens: bool,
}

impl Conversion<'_> {
    /// Logs more of these targets than `info`, beside those that other keys name.
    fn log(&mut self, targets: &str, place: &Place) {
        let so_far = self.tree.get("log.level").and_then(Node::as_text).unwrap_or("info").to_owned();
        self.tree.set("log.level", nodes::text(format!("{so_far},{targets}"), place));
    }

    /// Tells that a key is not honoured.
    fn warn(&mut self, key: &str, node: &Node, why: &str) {
        self.warnings.push(format!("{}: `{key}` has no effect: {why}", node.place));
    }
}
