//! From the file and the environment to the tree.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use trunkline_model::dialect::v2::of_resources;
use trunkline_model::document::{Place, Reading, Report, Source, nearest, parse};

use crate::check::{Misfit, check, missing_data, missing_files};
use crate::keys::{Env, Keys, Origin, Value, variable};
use crate::routr_v1::{Stored, convert, is_v1};
use crate::tree::Config;

/// The configuration, and where each value of it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Every key with its value, in the order of the tree.
    pub values: Vec<Value>,
    /// Warnings: possible mistakes.
    pub warnings: Vec<String>,
    /// The operator's own document, variables in it, where that is a configuration of Routr v1. Secrets included.
    pub routr_v1: Option<serde_json::Value>,
}

/// Variables that mean something else than a key.
const OTHER_VARIABLES: [&str; 2] = ["TRUNKLINE_CONFIG", "TRUNKLINE_BIN"];

/// The file that is read if none is named.
const DEFAULT_FILE: &str = "trunkline.yaml";

impl Config {
    /// Reads the named file, or `$TRUNKLINE_CONFIG`, or `trunkline.yaml` in this folder if there is one. Where
    /// neither of the first is given, Routr v1's `$ROUTR_CONFIG_FILE` counts too, and `$CONFIG_FILE` if it names a
    /// configuration of Routr v1: others may use that name for something else.
    pub fn load(file: Option<&Path>, env: &Env) -> Result<Loaded, Report> {
        Config::load_over(file, env, None)
    }

    /// The same. What a configuration of Routr v1 does not set is taken from what its data provider has stored.
    pub fn load_over(file: Option<&Path>, env: &Env, stored: Option<&Stored>) -> Result<Loaded, Report> {
        let named = file.or_else(|| env.get("TRUNKLINE_CONFIG").map(Path::new));
        let named = named.or_else(|| env.get("ROUTR_CONFIG_FILE").map(Path::new));
        let named = named.or_else(|| env.get("CONFIG_FILE").map(Path::new).filter(|path| holds_v1(path)));
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let name = path.display().to_string();
        match Source::read(path) {
            Ok(source) => Config::read_over(Some(&source), env, stored),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                Config::read(None, env)
            }
            Err(error) => {
                let mut report = Report::default();
                report.push(format!("cannot read the configuration {name}: {error}"), None, None);
                Err(report)
            }
        }
    }

    /// Reads a text and the environment.
    pub fn read(file: Option<&Arc<Source>>, env: &Env) -> Result<Loaded, Report> {
        Config::read_over(file, env, None)
    }

    /// The same, with what a data provider has stored.
    pub fn read_over(
        file: Option<&Arc<Source>>,
        env: &Env,
        stored: Option<&Stored>,
    ) -> Result<Loaded, Report> {
        let reading = Reading::default();
        let mut documents = match file.map(parse).transpose() {
            Ok(documents) => documents.unwrap_or_default(),
            Err(error) => return Err(error.into()),
        };
        if let Some(second) = documents.get(1) {
            reading.error("the configuration must be one document", &second.place, None);
        }
        documents.truncate(1);
        let written = documents.first().filter(|node| !node.is_null());
        let converted = written.filter(|node| is_v1(node)).map(|node| convert(node, env, stored, &reading));
        let root = converted.as_ref().map(|converted| &converted.node).or(written);

        reading.use_foreign(of_resources);
        let mut config = Config::default();
        let mut keys = Keys::root(&reading, env, root);
        config.keys(&mut keys);
        let mut values = keys.finish();
        follow(&mut config, &mut values);

        let mut report = Report::default();
        // A value that could not be read is its default now: nothing to be measured by.
        if reading.errors() == 0 {
            for misfit in check(&config) {
                note(&mut report, &values, &misfit);
            }
        }
        let mut all = reading.into_report();
        all.errors.extend(report.errors);
        let mut warnings = unknown_variables(env, &values);
        let mut routr_v1 = None;
        if let Some(converted) = converted {
            warnings.extend(converted.warnings);
            routr_v1 = Some(converted.document);
        }
        all.unless(Loaded { config, values, warnings, routr_v1 })
    }
}

/// The key of a configuration of Routr v1 that a file of ours comes from.
fn key_in_v1(path: &'static str) -> &'static str {
    match path {
        "data" => "spec.dataSource.parameters.path",
        "tls.pkcs12.file" => "spec.securityContext.keyStore",
        "tls.clientCa" | "tls.trustedCa" => "spec.securityContext.trustStore",
        "routrV1.pkcs12.file" => "spec.restService.keyStore",
        "routrV1.trustStore.file" => "spec.restService.trustStore",
        other => other,
    }
}

/// Notes a value that does not fit, where it came from.
fn note(report: &mut Report, values: &[Value], misfit: &Misfit) {
    note_as(report, values, misfit.path, misfit, None);
}

/// The same, with the key that the operator wrote, and a remedy.
fn note_as(report: &mut Report, values: &[Value], shown: &str, misfit: &Misfit, remedy: Option<String>) {
    let origin = values.iter().find(|value| value.path == misfit.path).map(|value| &value.origin);
    let (place, help) = match origin {
        Some(Origin::File(place)) => (Some(place.clone()), None),
        Some(Origin::Variable(name)) => {
            let source = Source::new(format!("environment variable {name}"), "");
            (Some(Place::whole(source)), None)
        }
        Some(Origin::Default) | None => (None, Some(format!("`{}` has its default", misfit.path))),
    };
    report.push(format!("`{shown}`: {}", misfit.message), place, remedy.or(help));
}

/// Does this file hold a configuration of Routr v1?
pub fn holds_v1(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    parse(&Source::new("", text)).is_ok_and(|documents| documents.first().is_some_and(is_v1))
}

/// A default gives way to the bounds that the operator set.
fn follow(config: &mut Config, values: &mut [Value]) {
    let r = &mut config.registrar;
    let value = values.iter_mut().find(|value| value.path == "registrar.defaultExpires");
    if let Some(value) = value.filter(|value| matches!(value.origin, Origin::Default))
        && r.min_expires <= r.max_expires
    {
        r.default_expires = r.default_expires.clamp(r.min_expires, r.max_expires);
        value.shown = r.default_expires.to_string();
    }
}

/// Variables that look like ours and override nothing.
fn unknown_variables(env: &Env, values: &[Value]) -> Vec<String> {
    let known: Vec<String> = values.iter().map(|value| variable(&value.path)).collect();
    let unknown = env
        .names()
        .filter(|name| !OTHER_VARIABLES.contains(name) && !known.iter().any(|known| known == name));
    let warn = |name: &str| {
        let near = nearest(name, known.iter().map(String::as_str));
        let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        format!("the environment variable {name} sets no known key{near}")
    };
    unknown.map(warn).collect()
}

impl Loaded {
    /// Where the value of a key came from, e.g. of `listen.udp`.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.values.iter().find(|value| value.path == path).map(|value| &value.origin)
    }

    /// Looks for what the configuration names on this machine: files that must be readable, folders that must be there.
    pub fn check_files(&self) -> Result<(), Report> {
        self.report_of(missing_files(&self.config))
    }

    /// Looks for the folder of the resources alone, where they are in one.
    pub fn check_data(&self) -> Result<(), Report> {
        self.report_of(missing_data(&self.config))
    }

    fn report_of(&self, misfits: impl IntoIterator<Item = Misfit>) -> Result<(), Report> {
        self.report(misfits.into_iter().map(|misfit| (misfit.path, misfit.message, None)).collect())
    }

    /// The same report for what others find wrong with values: key, message and remedy of each.
    pub fn report(&self, found: Vec<(&'static str, String, Option<String>)>) -> Result<(), Report> {
        let mut report = Report::default();
        for (path, message, help) in found {
            let shown = if self.routr_v1.is_some() { key_in_v1(path) } else { path };
            note_as(&mut report, &self.values, shown, &Misfit { path, message }, help);
        }
        report.unless(())
    }

    /// Every key with its value as the file would have it, and where it came from.
    pub fn to_json(&self) -> String {
        let one = |value: &Value| {
            let shown = serde_json::json!({ "value": value.shown, "from": value.origin.to_string() });
            (value.path.clone(), shown)
        };
        format!("{:#}\n", self.values.iter().map(one).collect::<serde_json::Value>())
    }
}

impl Loaded {
    /// The values that are `wanted` as YAML, with the origin of each behind it.
    pub fn to_yaml(&self, wanted: impl Fn(&Value) -> bool) -> String {
        let mut text = String::new();
        let mut open: Vec<&str> = Vec::new();
        for value in self.values.iter().filter(|value| wanted(value)) {
            let mut steps: Vec<&str> = value.path.split('.').collect();
            let key = steps.pop().unwrap_or_default();
            let shared = steps.iter().zip(&open).take_while(|(a, b)| a == b).count();
            for (depth, step) in steps.iter().enumerate().skip(shared) {
                text += &format!("{:width$}{step}:\n", "", width = depth * 2);
            }
            let indent = steps.len() * 2;
            text += &format!("{:indent$}{key}: {}  # {}\n", "", value.shown, value.origin);
            open = steps;
        }
        text
    }
}

/// The whole tree as YAML that can be read again (secrets aside), with the origin of each value behind it.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_yaml(|_| true))
    }
}
