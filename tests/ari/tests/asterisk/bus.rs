//! Requests to one node and what came of each kind.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::{Value, json};
use trunkline_ari::{Kind, Subjects};
use trunkline_tests_ari::wait::{PATIENCE, until};

use crate::APP;

/// No option.
pub const NONE: Value = Value::Null;
/// Plays until it is stopped, so that a slow machine still finds it.
pub const ENDLESS: &str = "tone:ring";
/// What other operations on a thing that is not there are answered.
pub const NOT_FOUND: &str = "Non-2XX response: 404 Not Found";

/// What a question for a thing that is not there is answered.
pub fn not_had(label: &str, id: &str) -> String {
    format!("failed to get data: Error getting data for {label} '{id}': {NOT_FOUND}")
}

/// What was shown of each kind.
#[derive(Default, Clone)]
pub struct Shown {
    pub ok: bool,
    pub failed: Option<String>,
    pub down: bool,
}

/// The bus as the test sees it: requests to one node, and its events.
pub struct Bus {
    pub nats: async_nats::Client,
    pub events: async_nats::Subscriber,
    pub shown: BTreeMap<&'static str, Shown>,
    pub node: &'static str,
}

/// Whether `got` has everything that `want` has.
fn contains(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (Value::Object(got), Value::Object(want)) => {
            want.iter().all(|(n, w)| got.get(n).is_some_and(|g| contains(g, w)))
        }
        (Value::Array(got), Value::Array(want)) => want.iter().all(|w| got.iter().any(|g| contains(g, w))),
        _ => got == want,
    }
}

impl Bus {
    /// What comes back for a request.
    pub async fn ask(&self, kind: Kind, key: &Value, option: &Value) -> Value {
        let mut request = json!({"kind": kind.name(), "key": key});
        if !option.is_null() {
            request[kind.option()] = option.clone();
        }
        let subject = Subjects::default().request(kind.class(), APP, self.node);
        let asked = self.nats.request(subject, request.to_string().into());
        let reply =
            tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time").expect("an answer");
        serde_json::from_slice(&reply.payload).expect("the answer is JSON")
    }

    /// The key of a thing of our node.
    pub fn key(&self, id: &str) -> Value {
        json!({"id": id, "node": self.node, "app": APP})
    }

    /// A success whose reply has at least `want`.
    pub async fn ok(&mut self, kind: Kind, id: &str, option: Value, want: Value) -> Value {
        let reply = self.ask(kind, &self.key(id), &option).await;
        assert_eq!(reply["error"], "", "{} {id} {option}: {reply}", kind.name());
        assert!(contains(&reply, &want), "{}: {reply} lacks {want}", kind.name());
        self.shown.entry(kind.name()).or_default().ok = true;
        reply
    }

    /// A success whose reply names a thing of this kind and id on our node.
    pub async fn made(&mut self, kind: Kind, id: &str, option: Value, of: &str, made: &str) {
        let want = json!({"key": {"kind": of, "id": made, "node": self.node, "app": APP}});
        self.ok(kind, id, option, want).await;
    }

    /// A success that says nothing more.
    pub async fn done(&mut self, kind: Kind, id: &str, option: Value) {
        let reply = self.ok(kind, id, option, json!({})).await;
        assert_eq!(reply, json!({"error": ""}), "{}", kind.name());
    }

    /// A failure with exactly this text.
    pub async fn fails(&mut self, kind: Kind, key: Value, option: Value, text: &str) {
        let reply = self.ask(kind, &key, &option).await;
        assert_eq!(reply, json!({"error": text}), "{} {key} {option}", kind.name());
        self.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }

    /// A failure of Asterisk's own, whichever.
    pub async fn refused(&mut self, kind: Kind, id: &str, option: Value) {
        let reply = self.ask(kind, &self.key(id), &option).await;
        let text = reply["error"].as_str().unwrap_or_default();
        assert!(text.starts_with("Non-2XX response: 4"), "{}: {reply}", kind.name());
        self.shown.entry(kind.name()).or_default().failed.get_or_insert_with(|| text.to_owned());
    }

    /// The next event of this type for this channel, bridge, playback or recording.
    pub async fn event(&mut self, event_type: &str, id: &str) -> Value {
        self.event_with(event_type, id, json!({})).await
    }

    /// The next such event that has at least `want`. Events before it are passed over, so steps wait
    /// for events in the order in which Asterisk sends them.
    pub async fn event_with(&mut self, event_type: &str, id: &str, want: Value) -> Value {
        let wanted = async {
            loop {
                let message = self.events.next().await.expect("events");
                let event: Value = serde_json::from_slice(&message.payload).expect("an event");
                let is = |member: &str, name: &str| event[member][name] == id;
                if event["type"] == event_type
                    && (id.is_empty()
                        || is("channel", "id")
                        || is("bridge", "id")
                        || is("playback", "id")
                        || is("recording", "name"))
                    && contains(&event, &want)
                {
                    return event;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, wanted).await;
        found.unwrap_or_else(|_| panic!("no {event_type} of {id} with {want}"))
    }

    /// Waits until a playback has begun and can be controlled: Asterisk tells the one before it allows the other, and what
    /// controls it in between is answered 500. Nothing else shows when it may be.
    pub async fn plays(&mut self, id: &str) {
        self.event("PlaybackStarted", id).await;
        let restart = json!({"command": "restart"});
        until("the playback takes commands", || async {
            self.ask(Kind::PlaybackControl, &self.key(id), &restart).await["error"] == ""
        })
        .await;
    }

    /// Waits until a recording has begun and its file is there: Asterisk tells the one before it makes the other, and what
    /// scraps it in between is answered 500.
    pub async fn records(&mut self, name: &str) {
        self.event("RecordingStarted", name).await;
        until("the recording's file is there", || async {
            self.ask(Kind::RecordingStoredData, &self.key(name), &NONE).await["error"] == ""
        })
        .await;
    }

    /// Waits until Asterisk says that the channel is answered, which is when it takes commands.
    pub async fn answered(&mut self, channel: &str) {
        self.event_with("ChannelStateChange", channel, json!({"channel": {"state": "Up"}})).await;
    }
}
