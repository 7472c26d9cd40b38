//! Keys: the node and the kind and id of an object.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::object::{NotText, Object};

/// Names one thing of a cluster: its kind and id, the node it lives on, the application it belongs
/// to and, when wanted, the dialog that its events are copied to. Empty fields are not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// One of [`kinds`], or free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The id within the kind; `TECH/RESOURCE` of an endpoint, `class/type/id` of configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The Asterisk it is on: its entity id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// The dialog that the thing's events are copied to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dialog: String,
    /// The ARI application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app: String,
}

/// The kinds of thing a key can name.
pub mod kinds {
    #![allow(missing_docs)]
    pub const APPLICATION: &str = "application";
    pub const BRIDGE: &str = "bridge";
    pub const CHANNEL: &str = "channel";
    pub const CONFIG: &str = "config";
    pub const DEVICE_STATE: &str = "devicestate";
    pub const ENDPOINT: &str = "endpoint";
    pub const LIVE_RECORDING: &str = "liverecording";
    pub const LOGGING: &str = "logging";
    pub const MAILBOX: &str = "mailbox";
    pub const MODULE: &str = "module";
    pub const PLAYBACK: &str = "playback";
    pub const SOUND: &str = "sound";
    pub const STORED_RECORDING: &str = "storedrecording";
    pub const VARIABLE: &str = "variable";
}

impl Key {
    /// A key of a kind and id, anywhere.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Key { kind: kind.into(), id: id.into(), ..Key::default() }
    }

    /// The same key on `node`, in `app`.
    #[must_use]
    pub fn at(mut self, app: impl Into<String>, node: impl Into<String>) -> Self {
        self.app = app.into();
        self.node = node.into();
        self
    }

    /// The same key with its events copied to `dialog`.
    #[must_use]
    pub fn with_dialog(mut self, dialog: impl Into<String>) -> Self {
        self.dialog = dialog.into();
        self
    }

    /// Another thing at the same place and in the same dialog.
    #[must_use]
    pub fn sibling(&self, kind: impl Into<String>, id: impl Into<String>) -> Self {
        Key { kind: kind.into(), id: id.into(), ..self.clone() }
    }

    /// Whether application and node are both known, so that exactly one proxy is meant.
    #[must_use]
    pub fn is_located(&self) -> bool {
        !self.app.is_empty() && !self.node.is_empty()
    }

    /// Whether two keys can mean the same thing: every field that both have is equal.
    #[must_use]
    pub fn matches(&self, other: &Key) -> bool {
        fn agree(a: &str, b: &str) -> bool {
            a.is_empty() || b.is_empty() || a == b
        }
        agree(&self.kind, &other.kind)
            && agree(&self.id, &other.id)
            && agree(&self.node, &other.node)
            && agree(&self.dialog, &other.dialog)
            && agree(&self.app, &other.app)
    }
}

/// A key as it stands in a request.
#[derive(Clone, Debug, Default)]
pub struct KeyView<'a> {
    /// See [`Key::kind`].
    pub kind: Cow<'a, str>,
    /// See [`Key::id`].
    pub id: Cow<'a, str>,
    /// See [`Key::dialog`].
    pub dialog: Cow<'a, str>,
    /// See [`Key::app`].
    pub app: Cow<'a, str>,
}

impl<'a> KeyView<'a> {
    pub(crate) fn read(object: &Object<'a>) -> Result<Self, NotText> {
        Ok(KeyView {
            kind: object.text("kind")?,
            id: object.text("id")?,
            dialog: object.text("dialog")?,
            app: object.text("app")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_not_written() {
        assert_eq!(serde_json::to_string(&Key::default()).unwrap(), "{}");
        let key = Key::new("channel", "c1").at("app", "n");
        assert_eq!(
            serde_json::to_string(&key).unwrap(),
            r#"{"kind":"channel","id":"c1","node":"n","app":"app"}"#
        );
    }

    #[test]
    fn keys_match_on_the_fields_both_have() {
        let any = Key::default();
        let c1 = Key::new("channel", "c1");
        assert!(any.matches(&c1));
        assert!(c1.matches(&c1.clone().at("app", "node")));
        assert!(!c1.matches(&Key::new("channel", "c2")));
        assert!(!Key::default().at("a", "n").matches(&Key::default().at("a", "m")));
        assert!(!c1.clone().with_dialog("d").matches(&c1.with_dialog("e")));
    }
}
