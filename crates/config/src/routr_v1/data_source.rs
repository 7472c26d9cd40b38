//! The data source of the resources, and their edition.

use std::path::{Path, PathBuf};

use trunkline_model::dialect::v1::{Collection, Edition};
use trunkline_model::document::{Content, Fields, Node, Place, nearest};

use super::{Conversion, nodes, variables};
use crate::keys::Env;

const FILES: &str = "files_data_provider";
const REDIS: &str = "redis_data_provider";
const RESTFUL: &str = "restful_data_provider";
const PROVIDERS: [&str; 3] = [FILES, REDIS, RESTFUL];

/// Which edition a configuration was written for, by what only one of them has.
pub(super) fn edition(root: &Node, env: &Env, config_folder: &Path) -> Edition {
    match env.get("TRUNKLINE_DATA").and_then(|url| url.split_once(':')) {
        Some(("routr-v1-rc2" | "routr-v1-rc2-redis" | "routr-v1-rest", _)) => return Edition::Rc2,
        Some(("routr-v1" | "routr-v1-redis", _)) => return Edition::Late,
        _ => {}
    }
    let parameters = root.get("spec").and_then(|s| s.get("dataSource")).and_then(|d| d.get("parameters"));
    let variable = variables::of_path(env, "spec.dataSource.parameters");
    let provider = root.get("spec").and_then(|s| s.get("dataSource")).and_then(|d| d.get("provider"));
    let provider = variables::of_path(env, "spec.dataSource.provider").or(provider.and_then(Node::as_text));
    if provider == Some(RESTFUL) {
        // Late editions had it no more.
        return Edition::Rc2;
    }
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

/// `k=v,k=v`.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.trim(), value.trim())
    })
}

/// The value of a key in `k=v,k=v`.
fn in_pairs<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    pairs(text).find(|(k, value)| *k == key && !value.is_empty()).map(|(_, value)| value)
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

/// The keys that any provider takes: they are passed over where another one is meant.
const KNOWN: [&str; 9] =
    ["path", "host", "port", "secret", "baseUrl", "username", "max_retry", "retry_interval", "timeout"];

impl Conversion<'_> {
    /// `dataSource`: the provider, and its parameters as a map or as one text.
    pub(super) fn data_source(&mut self, spec: &Fields<'_>) {
        let mut found = Parameters { place: spec.place().clone(), nodes: Vec::new() };
        // The container image's default is another one, as that of Routr's own.
        let mut provider = FILES.to_owned();
        if let Some(name) = self.env.get(variables::DEFAULT_PROVIDER).filter(|name| !name.is_empty()) {
            let node = nodes::text(name, &variables::place(variables::DEFAULT_PROVIDER));
            self.known(name, &node);
            (provider, found.place) = (name.to_owned(), node.place);
        }
        if let Some(source) = spec.map("dataSource") {
            if let Some(node) = source.node("provider") {
                found.place = node.place.clone();
                provider = node.as_text().unwrap_or_default().to_owned();
                self.known(&provider, node);
            }
            if let Some(node) = source.node("parameters") {
                found.place = node.place.clone();
                self.parameters(node, &source, &mut found);
            }
            source.finish();
        }
        match provider.as_str() {
            REDIS => self.redis(&found),
            RESTFUL => self.restful(&found),
            _ => {
                let scheme = match self.edition {
                    Edition::Rc2 => "routr-v1-rc2",
                    Edition::Late => "routr-v1",
                };
                let folder = folder(found.text("path").map(PathBuf::from), &self.folder);
                let place = found.node("path").map_or(&found.place, |node| &node.place);
                self.tree.set("data", nodes::text(format!("{scheme}:{}", folder.display()), place));
            }
        }
    }

    fn parameters(&self, node: &Node, source: &Fields<'_>, found: &mut Parameters) {
        match &node.content {
            Content::Map(_) => {
                let Some(map) = source.map("parameters") else { return };
                for key in KNOWN {
                    let value = map.node(key).filter(|value| value.as_text().is_some_and(|t| !t.is_empty()));
                    found.nodes.extend(value.map(|value| (key, value.clone())));
                }
                map.finish();
            }
            Content::Scalar { text, .. } => {
                for (key, value) in pairs(text) {
                    match KNOWN.into_iter().find(|known| *known == key) {
                        Some(_) if value.is_empty() => {}
                        Some(known) => found.nodes.push((known, nodes::text(value, &node.place))),
                        None => {
                            let near = nearest(key, KNOWN).map(|near| format!(" (did you mean `{near}`?)"));
                            let message = format!("unknown parameter `{key}`{}", near.unwrap_or_default());
                            self.reading.error(message, &node.place, None);
                        }
                    }
                }
            }
            Content::List(_) => self.reading.expected("`path=FOLDER`, or a map", node),
        }
    }

    /// `redis_data_provider`: where Redis is, and how patiently it is asked.
    fn redis(&mut self, found: &Parameters) {
        let host = found.text("host").unwrap_or("localhost");
        let host =
            if host.contains(':') { format!("[{}]", host.trim_matches(['[', ']'])) } else { host.into() };
        let port = self.whole(found, "port", 1..=65_535).unwrap_or(6379);
        let scheme = match self.edition {
            Edition::Rc2 => "routr-v1-rc2-redis",
            Edition::Late => "routr-v1-redis",
        };
        self.tree.set("data", nodes::text(format!("{scheme}:{host}:{port}"), &found.place));
        self.secret(found);
        // -1 is for ever, which is 0 here.
        if let Some(tries) = self.whole(found, "max_retry", -1..=i64::from(u32::MAX)) {
            self.tree.set("routrV1.provider.tries", nodes::text(tries.max(0).to_string(), &found.place));
        }
        if let Some(seconds) = self.whole(found, "retry_interval", 0..=3600) {
            self.tree.set("routrV1.provider.retrySeconds", nodes::text(seconds.to_string(), &found.place));
        }
        if let Some(ms) = self.whole(found, "timeout", 1..=60_000) {
            // Shorter than a busy machine's pause is no sign of an absent server.
            self.tree.set("routrV1.provider.timeoutMs", nodes::text(ms.max(100).to_string(), &found.place));
        }
    }

    /// `restful_data_provider`: the base URL, and who asks.
    fn restful(&mut self, found: &Parameters) {
        let base = found.text("baseUrl").unwrap_or("http://localhost:8080/v1/ctl").to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            let place = found.node("baseUrl").map_or(&found.place, |node| &node.place);
            let help = "e.g. http://localhost:8080/v1/ctl".to_owned();
            self.reading.error(format!("`{base}` is not a base URL"), place, Some(help));
        }
        self.tree.set("data", nodes::text(format!("routr-v1-rest:{base}"), &found.place));
        let username = found.node("username").cloned();
        let username = username.unwrap_or_else(|| nodes::text("admin", &found.place));
        self.tree.set("routrV1.provider.username", username);
        self.secret(found);
        if found.node("secret").is_none() {
            self.tree.set("routrV1.provider.secret", nodes::text("changeit", &found.place));
        }
    }

    fn secret(&mut self, found: &Parameters) {
        if let Some(secret) = found.node("secret") {
            self.tree.set("routrV1.provider.secret", secret.clone());
        }
    }

    /// A number among the parameters.
    fn whole(&self, found: &Parameters, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let node = found.node(key)?;
        let text = node.as_text().unwrap_or_default();
        let number = text.parse().ok().filter(|n| range.contains(n));
        if number.is_none() {
            let what = format!("a whole number from {} to {}", range.start(), range.end());
            self.reading.error(format!("`{key}`: `{text}` is not {what}"), &node.place, None);
        }
        number
    }

    fn known(&self, name: &str, node: &Node) {
        if PROVIDERS.contains(&name) {
            return;
        }
        let near = nearest(name, PROVIDERS).map(|near| format!(" (did you mean `{near}`?)"));
        let message = format!("there is no data provider `{name}`{}", near.unwrap_or_default());
        let help = format!("write one of {}", PROVIDERS.join(", "));
        self.reading.error(message, &node.place, Some(help));
    }
}

/// The parameters of a provider, each where it stands.
struct Parameters {
    /// Where they are missed that are not there.
    place: Place,
    nodes: Vec<(&'static str, Node)>,
}

impl Parameters {
    fn node(&self, key: &str) -> Option<&Node> {
        self.nodes.iter().find(|(known, _)| *known == key).map(|(_, node)| node)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.node(key).and_then(Node::as_text)
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
