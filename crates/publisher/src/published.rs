//! An event as other programs get it.

use serde_json::{Map, Value};
use trunkline_events::LOST;
use trunkline_model::Utc;

/// An event: time, type, fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The type, one of [`trunkline_events::TYPES`].
    pub kind: &'static str,
    /// What else is said.
    pub fields: Map<String, Value>,
}

impl Published {
    /// One without fields.
    pub fn new(at: u64, kind: &'static str) -> Published {
        Published { at, kind, fields: Map::new() }
    }

    /// Events were lost.
    pub fn lost(at: u64, count: u64) -> Published {
        let mut event = Published::new(at, LOST);
        event.put("count", count);
        event
    }

    /// Sets a field. Empty text and null are left out.
    pub fn put(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        if !value.is_null() && value != "" {
            self.fields.insert(key.to_owned(), value);
        }
    }

    /// Sets a field to a time, where there is one.
    pub(crate) fn put_time(&mut self, key: &str, at: impl Into<Option<u64>>) {
        if let Some(at) = at.into() {
            self.put(key, iso(at));
        }
    }

    /// A field that is text.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The event as JSON on one line, without its end.
    pub fn line(&self) -> String {
        let mut out = format!("{{\"time\":\"{}\",\"type\":\"{}\"", iso(self.at), self.kind);
        for (key, value) in &self.fields {
            out.push(',');
            out.push_str(&Value::from(key.as_str()).to_string());
            out.push(':');
            out.push_str(&value.to_string());
        }
        out.push('}');
        out
    }
}

/// `2026-11-30T09:41:48.123Z`
pub(crate) fn iso(ms: u64) -> String {
    let Utc { year, month, day, hour, minute, second } = Utc::of_unix((ms / 1000) as i64);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}
