//! NATS subjects of the bus.

use crate::key::Key;

/// The default prefix of subjects, with its dot.
pub const DEFAULT_PREFIX: &str = "ari.";

/// The queue group that every proxy joins for [`Class::Create`]: one of them answers.
pub const CREATE_QUEUE: &str = "ariproxy";

/// The queue group of `listen`: one application instance gets each new call.
pub const LISTEN_QUEUE: &str = "ARIProxyStasisStartDistributorQueue";

/// The class of a request, the first token of its subject. It does not restrict the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Keys, lists and staging.
    Get,
    /// The data of a thing, information, variables.
    Data,
    /// Operations that make nothing new.
    Command,
    /// Operations that make something: delivered to one proxy.
    Create,
}

impl Class {
    /// All four.
    pub const ALL: [Class; 4] = [Class::Get, Class::Data, Class::Command, Class::Create];

    /// The token in the subject.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Get => "get",
            Class::Data => "data",
            Class::Command => "command",
            Class::Create => "create",
        }
    }
}

/// Makes subjects under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

impl Default for Subjects {
    fn default() -> Self {
        Subjects::new(DEFAULT_PREFIX)
    }
}

impl Subjects {
    /// Subjects that start with `prefix` as it stands.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        Subjects { prefix: prefix.into() }
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `P class[.app[.node]]`; the node counts only with an application.
    #[must_use]
    pub fn request(&self, class: Class, app: &str, node: &str) -> String {
        self.join(class.name(), app, node)
    }

    /// `P event.app.node`, where a proxy publishes what Asterisk sent.
    #[must_use]
    pub fn event(&self, app: &str, node: &str) -> String {
        self.join("event", app, node)
    }

    /// `P dialogevent.dialog`, where copies for a dialog go.
    #[must_use]
    pub fn dialog_event(&self, dialog: &str) -> String {
        format!("{}dialogevent.{dialog}", self.prefix)
    }

    /// `P ping`, which every proxy answers by announcing itself.
    #[must_use]
    pub fn ping(&self) -> String {
        format!("{}ping", self.prefix)
    }

    /// `P announce`, where proxies say that they are there.
    #[must_use]
    pub fn announce(&self) -> String {
        format!("{}announce", self.prefix)
    }

    /// `P bye`, where proxies say that their Asterisk is gone. Go clients do not know it.
    #[must_use]
    pub fn bye(&self) -> String {
        format!("{}bye", self.prefix)
    }

    /// `P stream.app.node.type`, what goes to the JetStream stream.
    #[must_use]
    pub fn stream(&self, app: &str, node: &str, event_type: &str) -> String {
        format!("{}stream.{}.{}.{}", self.prefix, token(app), token(node), token(event_type))
    }

    /// The subjects of the stream that match an application (all when empty), a node (all when
    /// empty) and an event type (all when empty).
    #[must_use]
    pub fn stream_filter(&self, app: &str, node: &str, event_type: &str) -> String {
        let or_any = |text: &str| if text.is_empty() { "*".to_owned() } else { token(text) };
        format!("{}stream.{}.{}.{}", self.prefix, or_any(app), or_any(node), or_any(event_type))
    }

    /// All subjects of the stream.
    #[must_use]
    pub fn stream_all(&self) -> String {
        format!("{}stream.>", self.prefix)
    }

    /// The name of the JetStream stream of this prefix.
    #[must_use]
    pub fn stream_name(&self) -> String {
        let name: String = self
            .prefix
            .trim_end_matches('.')
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .collect();
        format!("{name}_events")
    }

    /// Where events for a key arrive: those of its dialog, else of its application and node.
    #[must_use]
    pub fn events_of(&self, key: &Key) -> String {
        if !key.dialog.is_empty() {
            return self.dialog_event(&key.dialog);
        }
        match (key.app.is_empty(), key.node.is_empty()) {
            (true, _) => format!("{}event.>", self.prefix),
            (false, true) => format!("{}event.{}.>", self.prefix, key.app),
            (false, false) => self.event(&key.app, &key.node),
        }
    }

    fn join(&self, class: &str, app: &str, node: &str) -> String {
        match (app.is_empty(), node.is_empty()) {
            (true, _) => format!("{}{class}", self.prefix),
            (false, true) => format!("{}{class}.{app}", self.prefix),
            (false, false) => format!("{}{class}.{app}.{node}", self.prefix),
        }
    }
}

/// Whether `text` can stand in a subject as it is: tokens that are not empty, without wildcards,
/// white space and control characters. Others would change where a message goes, and a line end
/// would end the command that carries it.
#[must_use]
pub fn is_subject(text: &str) -> bool {
    let token = |token: &str| {
        !token.is_empty()
            && !token.chars().any(|c| matches!(c, '*' | '>') || c.is_whitespace() || c.is_control())
    };
    text.split('.').all(token)
}

/// One token of a stream subject: characters with a meaning in subjects become underscores.
fn token(text: &str) -> String {
    let part = |c: char| !matches!(c, '.' | '*' | '>') && !c.is_whitespace() && !c.is_control();
    text.chars().map(|c| if part(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let s = Subjects::default();
        assert_eq!(s.request(Class::Get, "", "n"), "ari.get");
        assert_eq!(s.request(Class::Data, "a", ""), "ari.data.a");
        assert_eq!(s.request(Class::Create, "a", "n"), "ari.create.a.n");
        assert_eq!(Subjects::new("x.").request(Class::Command, "a", ""), "x.command.a");
    }

    #[test]
    fn events_by_key() {
        let s = Subjects::default();
        assert_eq!(s.events_of(&Key::default()), "ari.event.>");
        assert_eq!(s.events_of(&Key::default().at("", "n")), "ari.event.>");
        assert_eq!(s.events_of(&Key::default().at("a", "")), "ari.event.a.>");
        assert_eq!(s.events_of(&Key::default().at("a", "n")), "ari.event.a.n");
        assert_eq!(s.events_of(&Key::default().at("a", "n").with_dialog("d")), "ari.dialogevent.d");
    }

    #[test]
    fn stream_subjects_keep_their_tokens() {
        let s = Subjects::default();
        assert_eq!(s.stream("a.b", "02:00", "Dial"), "ari.stream.a_b.02:00.Dial");
        assert_eq!(s.stream_filter("a", "", "StasisStart"), "ari.stream.a.*.StasisStart");
        assert_eq!(s.stream_name(), "ari_events");
        assert_eq!(s.stream("a", "n", "X\r\nPUB y"), "ari.stream.a.n.X__PUB_y");
    }

    #[test]
    fn what_is_no_subject() {
        for good in ["d", "a.b", "02:00:00", "01h-rp", "é"] {
            assert!(is_subject(good), "{good}");
        }
        for bad in ["", ".", "a.", ".a", "a..b", "a b", "a\r\nPUB x 0", "*", "a.>", "a>b", "a\0", "a\tb"] {
            assert!(!is_subject(bad), "{bad:?}");
        }
    }
}
