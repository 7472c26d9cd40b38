//! The recorded cases: reading, filling in and comparing.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

/// One recorded case; the fields are those of the recording.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Case {
    pub name: String,
    pub order: u32,
    pub kind: String,
    pub subject: Option<String>,
    pub request: Value,
    #[serde(default, rename = "noReplySubject")]
    pub no_reply_subject: bool,
    pub replies: Vec<Value>,
    pub rest: Vec<Rest>,
    pub events: Option<Vec<Published>>,
    pub raw: Option<Vec<Value>>,
    #[serde(default)]
    pub crash: bool,
    pub outcome: String,
    pub encodes: Vec<String>,
}

/// One call of the REST interface.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Rest {
    pub method: String,
    pub path: String,
    pub body: Option<Value>,
    pub status: u16,
    pub response: Option<Value>,
}

/// One message on the bus.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Published {
    pub subject: String,
    pub body: Value,
}

/// All cases in the order of the recording.
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/ari-proxy.json");
    let text = std::fs::read_to_string(path).expect("tests/golden/ari-proxy.json");
    let mut cases = serde_json::from_str::<File>(&text).expect("the recorded cases").cases;
    cases.sort_by_key(|c| c.order);
    cases
}

/// The placeholders whose value is known: the node, and ids as they came up.
#[derive(Debug, Default)]
pub struct Known(HashMap<String, String>);

impl Known {
    /// Knows the node.
    #[must_use]
    pub fn new(node: &str) -> Self {
        Known(HashMap::from([("<node>".to_owned(), node.to_owned())]))
    }

    /// `text` with every known placeholder filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        let mut out = text.to_owned();
        if out.contains('<') {
            for (placeholder, value) in &self.0 {
                out = out.replace(placeholder, value);
            }
        }
        out
    }

    /// A JSON value with every known placeholder filled in.
    #[must_use]
    pub fn fill_value(&self, value: &Value) -> Value {
        serde_json::from_str(&self.fill(&value.to_string())).expect("JSON stays JSON")
    }

    /// Compares text; an unknown placeholder of an id that the proxy makes takes the id it finds.
    pub fn text_matches(&mut self, want: &str, got: &str) -> bool {
        let want = self.fill(want);
        if want == got {
            return true;
        }
        let Some(open) = want.find("<id") else { return false };
        let Some(close) = want.get(open..).and_then(|w| w.find('>')).map(|n| open + n + 1) else {
            return false;
        };
        let placeholder = want[open..close].to_owned();
        let purpose = placeholder.trim_end_matches('>').rsplit(':').next().unwrap_or_default().to_owned();
        let Some(id) = got.get(open..open + 29) else { return false };
        let made = id.ends_with(&format!("-{purpose}"))
            && id[..26].bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if !made {
            return false;
        }
        self.0.insert(placeholder, id.to_owned());
        self.text_matches(&want, got)
    }

    /// Compares JSON; the order of members does not count.
    pub fn value_matches(&mut self, want: &Value, got: &Value) -> bool {
        match (want, got) {
            (Value::String(want), Value::String(got)) => self.text_matches(want, got),
            (Value::Array(want), Value::Array(got)) => {
                want.len() == got.len() && want.iter().zip(got).all(|(w, g)| self.value_matches(w, g))
            }
            (Value::Object(want), Value::Object(got)) => {
                want.len() == got.len()
                    && want.iter().all(|(name, w)| got.get(name).is_some_and(|g| self.value_matches(w, g)))
            }
            _ => want == got,
        }
    }
}

/// A path with its percent-encoding undone.
#[must_use]
pub fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut n = 0;
    while n < bytes.len() {
        let hex = (bytes[n] == b'%').then(|| path.get(n + 1..n + 3)).flatten();
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                n += 3;
            }
            None => {
                out.push(bytes[n]);
                n += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
