//! The announcements of proxies.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::key::Key;

/// Says that a proxy is there (`announce`) or going (`bye`).
///
/// The node is written twice: older documents call it `asterisk`. Either is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The Asterisk, by its entity id.
    #[serde(default)]
    pub node: String,
    /// The same once more.
    #[serde(default)]
    pub asterisk: String,
    /// The ARI application.
    #[serde(default)]
    pub application: String,
}

impl Announcement {
    /// The announcement of a proxy.
    #[must_use]
    pub fn new(application: &str, node: &str) -> Self {
        Announcement { node: node.to_owned(), asterisk: node.to_owned(), application: application.to_owned() }
    }

    /// The node, by whichever name it came.
    #[must_use]
    pub fn node(&self) -> &str {
        if self.node.is_empty() { &self.asterisk } else { &self.node }
    }

    /// The body of the message.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// One proxy of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The Asterisk, by its entity id.
    pub node: String,
    /// The ARI application.
    pub app: String,
}

/// Which proxies were heard of, and when.
#[derive(Debug, Default)]
pub struct Cluster {
    members: HashMap<Member, Instant>,
    last_purge: Option<Instant>,
}

impl Cluster {
    /// How often members announce themselves.
    pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(60);
    /// How long a member counts after its last announcement.
    pub const MAX_AGE: Duration = Duration::from_secs(5 * 60);
    const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
    const PURGE_AGE: Duration = Duration::from_secs(12 * 60 * 60);

    /// A proxy announced itself. Returns whether it was not known before.
    pub fn heard(&mut self, announcement: &Announcement, now: Instant) -> bool {
        let due =
            self.last_purge.is_none_or(|last| now.saturating_duration_since(last) >= Self::PURGE_INTERVAL);
        if due {
            self.purge(Self::PURGE_AGE, now);
            self.last_purge = Some(now);
        }
        let member = Member { node: announcement.node().to_owned(), app: announcement.application.clone() };
        self.members.insert(member, now).is_none()
    }

    /// A proxy said goodbye.
    pub fn left(&mut self, announcement: &Announcement) {
        self.members.retain(|m, _| m.node != announcement.node() || m.app != announcement.application);
    }

    /// Drops members not heard of for `age`.
    pub fn purge(&mut self, age: Duration, now: Instant) {
        self.members.retain(|_, heard| now.saturating_duration_since(*heard) <= age);
    }

    /// Members that match the node and application of `key` (empty matches all) and were heard of
    /// within `age`.
    pub fn matching(&self, key: &Key, age: Duration, now: Instant) -> Vec<Member> {
        let hit = |m: &Member| {
            (key.node.is_empty() || key.node == m.node) && (key.app.is_empty() || key.app == m.app)
        };
        let fresh = |heard: &Instant| now.saturating_duration_since(*heard) <= age;
        let mut members: Vec<_> =
            self.members.iter().filter(|(m, heard)| hit(m) && fresh(heard)).map(|(m, _)| m.clone()).collect();
        members.sort_by(|a, b| (&a.app, &a.node).cmp(&(&b.app, &b.node)));
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_name_of_the_node_is_read() {
        let old: Announcement = serde_json::from_str(r#"{"asterisk":"n","application":"a"}"#).unwrap();
        let new: Announcement = serde_json::from_str(r#"{"node":"n","application":"a"}"#).unwrap();
        assert_eq!(old.node(), new.node());
        assert_eq!(
            String::from_utf8(Announcement::new("a", "n").to_json()).unwrap(),
            r#"{"node":"n","asterisk":"n","application":"a"}"#
        );
    }

    #[test]
    fn members_match_by_node_by_app_by_both_and_by_neither() {
        let (mut c, now) = (Cluster::default(), Instant::now());
        for (app, node) in [("a", "1"), ("a", "2"), ("b", "1"), ("b|x", "1")] {
            assert!(c.heard(&Announcement::new(app, node), now));
        }
        assert!(!c.heard(&Announcement::new("a", "1"), now));
        let count =
            |app: &str, node: &str| c.matching(&Key::default().at(app, node), Cluster::MAX_AGE, now).len();
        assert_eq!(
            (count("", ""), count("a", ""), count("", "1"), count("a", "2"), count("c", "")),
            (4, 2, 3, 1, 0)
        );
    }

    #[test]
    fn members_age_leave_and_are_purged() {
        let (mut c, start) = (Cluster::default(), Instant::now());
        c.heard(&Announcement::new("a", "1"), start);
        let later = start + Duration::from_secs(301);
        assert!(c.matching(&Key::default(), Cluster::MAX_AGE, later).is_empty());
        c.heard(&Announcement::new("a", "2"), later);
        c.purge(Duration::from_secs(300), later);
        assert_eq!(c.matching(&Key::default(), Duration::MAX, later).len(), 1);
        c.left(&Announcement::new("a", "2"));
        assert!(c.matching(&Key::default(), Duration::MAX, later).is_empty());
    }
}
