//! Where the resources are, and in which edition they are written.

use std::path::{Path, PathBuf};

use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_model::document::{Content, Fields, Node, nearest};

use super::{Conversion, nodes, variables};
use crate::keys::Env;

const FILES: &str = "files_data_provider";
const PROVIDERS: [&str; 3] = [FILES, "redis_data_provider", "restful_data_provider"];

/// Which edition a configuration was written for, by what only one of them has.
pub(super) fn edition(root: &Node, env: &Env, config_folder: &Path) -> Edition {
    match env.get("TRUNKLINE_DATA").and_then(|url| url.split_once(':')) {
        Some(("routr-v1-rc2", _)) => return Edition::Rc2,
        Some(("routr-v1", _)) => return Edition::Late,
        _ => {}
    }
    let parameters = root.get("spec").and_then(|s| s.get("dataSource")).and_then(|d| d.get("parameters"));
    let variable = variables::of_path(env, "spec.dataSource.parameters");
    let given = variable.and_then(|text| in_pairs(text, "path")).map(PathBuf::from);
    let given = given.or_else(|| parameters.and_then(path).map(PathBuf::from));
    let folder = folder(given, config_folder);
    let has =
        |stem: &str| ["yml", "yaml"].iter().any(|suffix| folder.join(format!("{stem}.{suffix}")).exists());
    let [early, late] = [Collection::Numbers.names().first(), Collection::Numbers.names().last()];
    if early.is_some_and(|stem| has(stem)) {
        return Edition::Rc2;
    }
    if late.is_some_and(|stem| has(stem)) {
        return Edition::Late;
    }
    match (root.get("apiVersion").and_then(Node::as_text), parameters.map(|node| &node.content)) {
        (Some("v1" | "v1.0"), _) => Edition::Late,
        (_, Some(Content::Map(_))) => Edition::Rc2,
        _ => Edition::Late,
    }
}

/// `path` among the parameters of either form.
fn path(parameters: &Node) -> Option<String> {
    match &parameters.content {
        Content::Map(_) => parameters.get("path").and_then(Node::as_text).map(str::to_owned),
        Content::Scalar { text, .. } => in_pairs(text, "path").map(str::to_owned),
        Content::List(_) => None,
    }
}

/// The value of a key in `k=v,k=v`.
fn in_pairs<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(k, _)| k.trim() == key)
        .map(|(_, v)| v.trim())
}

/// The folder of the resources: the one given, else `config`, else that of the configuration itself.
fn folder(given: Option<PathBuf>, config_folder: &Path) -> PathBuf {
    let usual = PathBuf::from("config");
    match given {
        Some(folder) => folder,
        None if config_folder.as_os_str().is_empty() => PathBuf::from("."),
        None if config_folder.is_dir() => config_folder.to_owned(),
        None => usual,
    }
}

impl Conversion<'_> {
    pub(super) fn data_source(&mut self, spec: &Fields<'_>) {
        let mut given = None;
        let mut place = spec.place().clone();
        if let Some(source) = spec.map("dataSource") {
            place = source.place().clone();
            if let Some(provider) = source.node("provider") {
                place = provider.place.clone();
                self.provider(provider);
            }
            let parameters = source.node("parameters");
            given = parameters.and_then(path);
            match parameters.map(|node| (&node.content, node)) {
                Some((Content::Map(_), _)) => {
                    if let Some(map) = source.map("parameters") {
                        let others = ["path", "host", "port", "secret", "baseUrl", "username"];
                        for key in others {
                            map.node(key);
                        }
                        map.finish();
                    }
                }
                Some((Content::List(_), node)) => self.reading.expected("`path=FOLDER`", node),
                Some((Content::Scalar { .. }, _)) | None => {}
            }
            if let Some(node) = parameters {
                place = node.place.clone();
            }
            source.finish();
        }
        let scheme = match self.edition {
            Edition::Rc2 => "routr-v1-rc2",
            Edition::Late => "routr-v1",
        };
        let folder = folder(given.map(PathBuf::from), &self.folder);
        self.tree.set("data", nodes::text(format!("{scheme}:{}", folder.display()), &place));
    }

    fn provider(&self, node: &Node) {
        let name = node.as_text().unwrap_or_default();
        let (message, help) = match name {
            FILES => return,
            "redis_data_provider" => (
                "resources in Redis are not read yet".to_owned(),
                "write each collection to a file (`rctl get agents` and so on, or the JSON under each ref) and set \
                 `provider: files_data_provider` with `path=FOLDER`",
            ),
            "restful_data_provider" => (
                "resources of a REST service are not read yet".to_owned(),
                "write what its lists answer to agents.yml, domains.yml and the others, and set \
                 `provider: files_data_provider` with `path: FOLDER`",
            ),
            _ => {
                let near = nearest(name, PROVIDERS).map(|near| format!(" (did you mean `{near}`?)"));
                let message = format!("there is no data provider `{name}`{}", near.unwrap_or_default());
                (message, "resources are read from files: `provider: files_data_provider`")
            }
        };
        self.reading.error(message, &node.place, Some(help.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_pairs_or_a_map() {
        assert_eq!(in_pairs("host=localhost, path = etc/config", "path"), Some("etc/config"));
        assert_eq!(in_pairs("path", "path"), None);
        assert_eq!(folder(Some("a".into()), Path::new("b")), PathBuf::from("a"));
        assert_eq!(folder(None, Path::new("")), PathBuf::from("."));
    }
}
