//! Walking over the tree: one list of keys serves reading, overriding and printing.

use std::collections::BTreeMap;
use std::fmt;

use trunkline_model::document::{Content, Fields, Node, Place, Reading, Source};

use crate::routr_v1::is_variable;
use crate::setting::Setting;
use crate::tree::Config;

/// Environment variables, by name.
#[derive(Clone, Debug, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The variables of this process whose names begin with `TRUNKLINE_`, and those of Routr v1; one that is not text
    /// is left out.
    pub fn of_process() -> Env {
        let text =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let ours = |name: &str| name.starts_with(PREFIX) || is_variable(name);
        Env(text.filter(|(name, _)| ours(name)).collect())
    }

    /// The variables of this process with these names.
    pub(crate) fn named<'a>(names: impl Iterator<Item = &'a str>) -> Env {
        Env(names.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect())
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variables of Routr v1.
    pub fn of_routr_v1(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| is_variable(name) && *name != "HOME")
    }

    /// The names that are ours.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with(PREFIX))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(pairs: [(&str, &str); N]) -> Env {
        Env(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

const PREFIX: &str = "TRUNKLINE_";

/// The variable that overrides a key: `registrar.maxExpires` is `TRUNKLINE_REGISTRAR_MAX_EXPIRES`.
pub(crate) fn variable(path: &str) -> String {
    let mut name = String::from(PREFIX);
    for c in path.chars() {
        match c {
            '.' => name.push('_'),
            c if c.is_ascii_uppercase() => {
                name.push('_');
                name.push(c);
            }
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    name
}

/// Where a value came from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The program's default.
    Default,
    /// The file, there.
    File(Place),
    /// That environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(place) => place.fmt(f),
            Origin::Variable(name) => f.write_str(name),
        }
    }
}

/// A key with its value, as text.
#[derive(Clone, Debug)]
pub struct Value {
    /// The key, e.g. `registrar.maxExpires`.
    pub path: String,
    /// The value as YAML on one line; secrets are not shown.
    pub shown: String,
    /// Where it came from.
    pub origin: Origin,
}

impl Value {
    /// Is it set? Otherwise it has its default.
    pub fn is_set(&self) -> bool {
        !matches!(self.origin, Origin::Default)
    }
}

/// The keys of one section, while it is read.
pub(crate) struct Keys<'n> {
    reading: &'n Reading,
    env: &'n Env,
    prefix: String,
    fields: Option<Fields<'n>>,
    values: Vec<Value>,
}

impl<'n> Keys<'n> {
    /// The keys of the whole tree, over the document of a file.
    pub(crate) fn root(reading: &'n Reading, env: &'n Env, node: Option<&'n Node>) -> Keys<'n> {
        let fields = node.and_then(|node| reading.fields("the configuration", node));
        Keys { reading, env, prefix: String::new(), fields, values: Vec::new() }
    }

    /// One key: takes the variable's value or the file's, if there is one, and notes what is there now.
    pub(crate) fn value<T: Setting>(&mut self, key: &'static str, slot: &mut T) {
        let path = format!("{}{key}", self.prefix);
        let mut origin = Origin::Default;
        let in_file = self.fields.as_ref().and_then(|fields| fields.node(key));
        let name = variable(&path);
        if let Some(text) = self.env.get(&name) {
            // A mistake in the file is one even where the variable hides it.
            in_file.map(|node| T::read(node, self.reading));
            let node = variable_node(&name, text);
            if let Some(value) = T::read(&node, self.reading) {
                *slot = value;
            }
            origin = Origin::Variable(name);
        } else if let Some(node) = in_file {
            if let Some(value) = T::read(node, self.reading) {
                *slot = value;
            }
            origin = Origin::File(node.place.clone());
        }
        self.values.push(Value { path, shown: slot.show(), origin });
    }

    /// A section; `keys` names what is in it.
    pub(crate) fn section(&mut self, key: &'static str, keys: impl FnOnce(&mut Keys<'n>)) {
        let path = format!("{}{key}", self.prefix);
        let node = self.fields.as_ref().and_then(|fields| fields.node(key));
        let fields = node.and_then(|node| self.reading.fields(format!("`{path}`"), node));
        let prefix = format!("{path}.");
        let mut inner = Keys { reading: self.reading, env: self.env, prefix, fields, values: Vec::new() };
        keys(&mut inner);
        self.values.extend(inner.finish());
    }

    /// Ends the section: unknown keys are errors.
    pub(crate) fn finish(self) -> Vec<Value> {
        if let Some(fields) = self.fields {
            fields.finish_within(&self.prefix, all_paths);
        }
        self.values
    }
}

/// The paths of all keys there are.
fn all_paths() -> Vec<String> {
    let (reading, env) = (Reading::default(), Env::default());
    let mut keys = Keys::root(&reading, &env, None);
    Config::default().keys(&mut keys);
    keys.finish().into_iter().map(|value| value.path).collect()
}

/// A variable's text as if it stood in a file. What is no list or map stays text, whatever it begins with: it may be a
/// password.
fn variable_node(name: &str, text: &str) -> Node {
    let source = Source::new(format!("environment variable {name}"), text);
    let place = Place { source, line: 1, column: 1, length: text.chars().count() as u32 };
    Node { place, content: Content::Scalar { text: text.trim().to_owned(), plain: true } }
}
