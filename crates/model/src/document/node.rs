//! The tree of a document.

use std::sync::Arc;

use serde_json::Value;

use super::diagnostic::{Place, Source};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// A key of a map and where it stands.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

/// The content of a node. The reader of a plain scalar decides on its type, so that `username: 0123` keeps
/// its zero.
#[derive(Clone, Debug)]
pub enum Content {
    /// Text. `plain` if it stood without quotes and so may be a number, a boolean or null.
    Scalar {
        /// The text, escapes resolved.
        text: String,
        /// Did it stand without quotes?
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order written; keys may repeat.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// Is it null, `~` or nothing?
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// In words, for "expected …, found …".
    pub fn describe(&self) -> &'static str {
        match &self.content {
            Content::Scalar { .. } if self.is_null() => "nothing",
            Content::Scalar { text, plain: true } if scalar(text).is_boolean() => "a boolean",
            Content::Scalar { text, plain: true } if scalar(text).is_number() => "a number",
            Content::Scalar { .. } => "text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// Names each value by its path, where it has no place in a text: `spec.enabled`.
    pub fn name_by_path(&mut self, path: &str) {
        self.place.source = Source::new(path, "");
        match &mut self.content {
            Content::Scalar { .. } => {}
            Content::List(items) => {
                items.iter_mut().enumerate().for_each(|(n, item)| item.name_by_path(&format!("{path}[{n}]")));
            }
            Content::Map(entries) => {
                let dot = if path.is_empty() { "" } else { "." };
                for (key, value) in entries {
                    value.name_by_path(&format!("{path}{dot}{}", key.text));
                }
            }
        }
    }

    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            Content::List(_) | Content::Map(_) => None,
        }
    }

    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            Content::Scalar { .. } | Content::List(_) => None,
        }
    }

    /// The node at a path such as `spec.context.egressPolicies[1].rule`, or the nearest above it that exists.
    pub fn at(&self, path: &str) -> &Node {
        let mut node = self;
        for step in path.split(['.', '[']) {
            let next = match (step.strip_suffix(']'), &node.content) {
                (Some(index), Content::List(items)) => index.parse::<usize>().ok().and_then(|i| items.get(i)),
                (Some(_), Content::Scalar { .. } | Content::Map(_)) => None,
                (None, _) => node.get(step),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// As JSON, for data that is passed on unread.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar { .. } if self.is_null() => Value::Null,
            Content::Scalar { text, plain: true } => scalar(text),
            Content::Scalar { text, plain: false } => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect())
            }
        }
    }

    /// From JSON, which knows no places: all are that of `source` as a whole.
    pub fn from_json(value: &Value, source: &Arc<Source>) -> Node {
        let content = match value {
            Value::Null => Content::Scalar { text: String::new(), plain: true },
            Value::Bool(b) => Content::Scalar { text: b.to_string(), plain: true },
            Value::Number(n) => Content::Scalar { text: n.to_string(), plain: true },
            Value::String(text) => Content::Scalar { text: text.clone(), plain: false },
            Value::Array(items) => {
                Content::List(items.iter().map(|item| Node::from_json(item, source)).collect())
            }
            Value::Object(entries) => Content::Map(
                entries
                    .iter()
                    .map(|(key, value)| {
                        let place = Place::whole(source.clone());
                        (Key { text: key.clone(), place }, Node::from_json(value, source))
                    })
                    .collect(),
            ),
        };
        Node { place: Place::whole(source.clone()), content }
    }
}

/// What a plain scalar stands for in YAML's core schema (YAML 1.2.2 §10.3.2), octal and hexadecimal aside.
fn scalar(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if let Ok(n) = text.parse::<i64>() {
            return n.into();
        }
        if let Ok(n) = text.parse::<u64>() {
            return n.into();
        }
        if let Some(n) = text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
            return Value::Number(n);
        }
    }
    Value::String(text.to_owned())
}
