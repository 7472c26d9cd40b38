//! Reading a map key by key.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use super::diagnostic::{Place, Report};
use super::nearest::{elsewhere, is_spelt_alike, leaf, nearest};
use super::node::{Content, Key, Node};

/// After so many errors no suggestions are made: a bad file may have thousands of unknown keys.
const MOST_HINTS: usize = 100;

/// The paths of all keys below a title, e.g. `Trunk.spec.inbound.uri` below `Trunk`.
pub(crate) type Schema = fn(&str) -> Vec<String>;

/// Where a key belongs that no map of this document has, as a remark such as ` (it is …)`; empty where nothing has such a key.
pub type Foreign = fn(&str) -> String;

/// A reading in progress: collects the errors.
#[derive(Debug, Default)]
pub struct Reading {
    report: RefCell<Report>,
    /// Tells where an unknown key belongs.
    schema: Cell<Option<Schema>>,
    /// Tells which other document has a key.
    foreign: Cell<Option<Foreign>>,
    /// Of a reading that looks for keys: what was asked for so far.
    keys: Option<RefCell<Vec<String>>>,
}

impl Reading {
    /// Runs a reader over a map in which every map and list it asks for is there and empty; gives the paths of all keys
    /// that it asks for, below `title`.
    pub(crate) fn keys_of(title: &str, place: &Place, read: impl FnOnce(Fields<'_>)) -> Vec<String> {
        let reading = Reading { keys: Some(RefCell::default()), ..Reading::default() };
        read(Fields::new(&reading, title.to_owned(), place, &[]));
        reading.keys.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Lets errors about unknown keys name the place where the key belongs.
    pub(crate) fn use_schema(&self, schema: Schema) {
        self.schema.set(Some(schema));
    }

    /// Lets errors about unknown keys name the other document that has the key.
    pub fn use_foreign(&self, foreign: Foreign) {
        self.foreign.set(Some(foreign));
    }

    /// Notes an error.
    pub fn error(&self, message: impl Into<String>, place: &Place, help: Option<String>) {
        self.report.borrow_mut().push(message, Some(place.clone()), help);
    }

    /// Notes that something else stands there than should.
    pub fn expected(&self, what: &str, node: &Node) {
        self.error(format!("expected {what}, found {}", node.describe()), &node.place, None);
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.report.borrow().errors.len()
    }

    /// Notes what another reading found.
    pub fn add(&self, other: Report) {
        self.report.borrow_mut().errors.extend(other.errors);
    }

    /// One of several words; case does not matter, nor `_` against `-`.
    pub fn word<T: Copy>(&self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(name, _)| *name);
        let Content::Scalar { text, .. } = &node.content else {
            self.expected(&format!("one of {}", names().collect::<Vec<_>>().join(", ")), node);
            return None;
        };
        let same = |name: &str| {
            name.len() == text.len()
                && name.bytes().zip(text.bytes()).all(|(a, b)| {
                    a.eq_ignore_ascii_case(&b) || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'))
                })
        };
        let found = words.iter().find(|(name, _)| same(name)).map(|(_, value)| *value);
        if found.is_none() {
            self.error(
                format!("`{text}` is unknown here{}", did_you_mean(text, names())),
                &node.place,
                Some(format!("expected one of: {}", names().collect::<Vec<_>>().join(", "))),
            );
        }
        found
    }

    /// Ends the reading.
    pub fn into_report(self) -> Report {
        self.report.into_inner()
    }

    /// Begins to read a map, called `title` in errors, e.g. `Domain.spec.context`. Anything else is an error.
    pub fn fields<'n>(&'n self, title: impl Into<String>, node: &'n Node) -> Option<Fields<'n>> {
        match &node.content {
            Content::Map(entries) => Some(Fields::new(self, title.into(), &node.place, entries)),
            Content::Scalar { .. } | Content::List(_) => {
                self.expected("a map", node);
                None
            }
        }
    }
}

/// A map that is read key by key. What was never asked for is unknown, and an error, when [`Fields::finish`] is
/// called. A key that is null counts as absent.
#[derive(Debug)]
pub struct Fields<'n> {
    reading: &'n Reading,
    title: String,
    place: &'n Place,
    entries: &'n [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
}

impl<'n> Fields<'n> {
    fn new(reading: &'n Reading, title: String, place: &'n Place, entries: &'n [(Key, Node)]) -> Fields<'n> {
        let mut seen: HashMap<&str, &Key> = HashMap::with_capacity(entries.len());
        for (key, _) in entries {
            let first = *seen.entry(&key.text).or_insert(key);
            if !std::ptr::eq(first, key) {
                let help = (first.place.line > 0).then(|| format!("first on line {}", first.place.line));
                reading.error(format!("key `{}` stands twice", key.text), &key.place, help);
            }
        }
        Fields { reading, title, place, entries, asked: RefCell::default() }
    }

    /// Where the map stands.
    pub fn place(&self) -> &'n Place {
        self.place
    }

    /// The name of the map in errors.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The value of a key.
    pub fn node(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node).filter(|node| !node.is_null())
    }

    /// Text; a plain number or boolean counts as the text it is written as.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        match &node.content {
            Content::Scalar { text, .. } => Some(text.clone()),
            Content::List(_) | Content::Map(_) => {
                self.reading.expected("text", node);
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let value = node.to_json().as_bool();
        if value.is_none() {
            self.reading.expected("true or false", node);
        }
        value
    }

    /// A whole number within a range.
    pub fn integer(&self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let node = self.node(key)?;
        let value = node.to_json().as_i64();
        match value {
            Some(n) if range.contains(&n) => return value,
            Some(n) => self.reading.error(
                format!("{n} is out of range: from {} to {}", range.start(), range.end()),
                &node.place,
                None,
            ),
            None => self.reading.expected("a whole number", node),
        }
        None
    }

    /// One of several words; case does not matter, nor `_` against `-`.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let node = self.node(key)?;
        self.reading.word(node, words)
    }

    /// A list of words as in [`Fields::choice`].
    pub fn choices<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<Vec<T>> {
        let items = self.list(key)?;
        Some(items.iter().filter_map(|item| self.reading.word(item, words)).collect())
    }

    /// A list.
    pub fn list(&self, key: &'static str) -> Option<&'n [Node]> {
        let node = self.node(key)?;
        match &node.content {
            Content::List(items) => Some(items),
            Content::Scalar { .. } | Content::Map(_) => {
                self.reading.expected("a list", node);
                None
            }
        }
    }

    /// A list of texts, each with its place.
    pub fn texts(&self, key: &'static str) -> Option<Vec<(String, &'n Place)>> {
        let mut texts = Vec::new();
        for item in self.list(key)? {
            match &item.content {
                Content::Scalar { text, .. } if !item.is_null() => texts.push((text.clone(), &item.place)),
                Content::Scalar { .. } | Content::List(_) | Content::Map(_) => {
                    self.reading.expected("text", item);
                }
            }
        }
        Some(texts)
    }

    /// A map within this one; its title is this one's and the key.
    pub fn map(&self, key: &'static str) -> Option<Fields<'n>> {
        let title = format!("{}.{key}", self.title);
        match self.node(key) {
            Some(node) => self.reading.fields(title, node),
            None => self.empty(title),
        }
    }

    /// A map of which only the keys are read, if it exists.
    fn empty(&self, title: String) -> Option<Fields<'n>> {
        self.reading.keys.as_ref().map(|_| Fields::new(self.reading, title, self.place, &[]))
    }

    /// The maps of a list; their title is this one's, the key and `[]`.
    pub fn maps(&self, key: &'static str) -> Option<Vec<Fields<'n>>> {
        let title = format!("{}.{key}[]", self.title);
        if self.reading.keys.is_some() {
            self.asked.borrow_mut().push(key);
            return self.empty(title).map(|one| vec![one]);
        }
        Some(self.list(key)?.iter().filter_map(|item| self.reading.fields(title.clone(), item)).collect())
    }

    /// Notes an error at a key's value, or at the map if it has none.
    pub fn error(&self, key: &str, message: impl Into<String>, help: Option<String>) {
        let node = self.entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| &node.place);
        self.reading.error(message, node.unwrap_or(self.place), help);
    }

    /// Notes an error at a place within.
    pub fn error_at(&self, place: &Place, message: impl Into<String>, help: Option<String>) {
        self.reading.error(message, place, help);
    }

    /// Ends the reading: every key nobody asked for is an error.
    pub fn finish(self) {
        if let Some(keys) = &self.reading.keys {
            let paths = self.asked.borrow();
            keys.borrow_mut().extend(paths.iter().map(|key| format!("{}.{key}", self.title)));
        }
        let (root, within) = self.title.split_once('.').unwrap_or((&self.title, ""));
        let within = if within.is_empty() { String::new() } else { format!("{within}.") };
        let (root, schema) = (root.to_owned(), self.reading.schema.get());
        let paths = || {
            let all = schema.map(|schema| schema(&root)).unwrap_or_default();
            all.iter().filter_map(|path| path.split_once('.')).map(|(_, path)| path.to_owned()).collect()
        };
        self.finish_within(&within, paths);
    }

    /// As [`Fields::finish`]. What is unknown here may belong elsewhere: `paths` gives the paths of all keys of the
    /// document, `within` is what those of this map begin with.
    pub fn finish_within(self, within: &str, paths: impl Fn() -> Vec<String>) {
        let asked = self.asked.borrow();
        let all = OnceCell::new();
        for (key, _) in self.entries {
            if asked.contains(&key.text.as_str()) {
                continue;
            }
            let mut meant = did_you_mean(&key.text, asked.iter().copied());
            if self.reading.errors() < MOST_HINTS {
                let all = all.get_or_init(&paths);
                if meant.is_empty() {
                    meant = elsewhere(&key.text, within, all);
                }
                // The very name in another document is meant rather than one that is only like it here.
                if !is_spelt_alike(&key.text, asked.iter().copied().chain(all.iter().map(|path| leaf(path))))
                    && let Some(foreign) = self.reading.foreign.get()
                {
                    let foreign = foreign(&key.text);
                    meant = if foreign.is_empty() { meant } else { foreign };
                }
            }
            self.reading.error(
                format!("unknown key `{}`{meant}", key.text),
                &key.place,
                Some(format!("{} takes: {}", self.title, once_each(&asked))),
            );
        }
    }
}

/// The names, each once: a key may be asked for more than once.
fn once_each(names: &[&str]) -> String {
    let mut seen = std::collections::HashSet::new();
    let names: Vec<&str> = names.iter().copied().filter(|name| seen.insert(*name)).collect();
    names.join(", ")
}

impl Fields<'_> {
    /// Ends the reading of a map that may hold keys of the operator's own: only what looks like a key that was asked
    /// for, and is not there, is an error.
    pub fn finish_open(self) {
        let asked = self.asked.borrow();
        let there = |name: &str| self.entries.iter().any(|(key, _)| key.text == name);
        for (key, _) in self.entries {
            if asked.contains(&key.text.as_str()) {
                continue;
            }
            let missing = asked.iter().copied().filter(|name| !there(name));
            if let Some(near) = nearest(&key.text, missing) {
                self.reading.error(
                    format!("unknown key `{}` (did you mean `{near}`?)", key.text),
                    &key.place,
                    Some(format!("{} takes: {}", self.title, once_each(&asked))),
                );
            }
        }
    }
}

/// ` (did you mean …?)`, or nothing.
fn did_you_mean<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, names).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}
