//! Requests, as they arrive and as a client writes them.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::key::{Key, KeyView};
use crate::kind::Kind;
use crate::object::{NotText, Object};

/// A request read in place. Options stay raw until the plan asks for them.
#[derive(Debug)]
pub struct Request<'a> {
    object: Object<'a>,
    kind: Option<Kind>,
    key: Option<KeyView<'a>>,
}

/// A request that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not one JSON object.
    #[error("the request is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// A member has the wrong type.
    #[error("the request cannot be read: {0}")]
    Member(#[from] NotText),
}

impl<'a> Request<'a> {
    /// Reads a request from the body of a message.
    ///
    /// # Errors
    /// The error in the body.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestError> {
        let object = Object::parse(body)?;
        let kind = Kind::from_name(&object.text("kind")?);
        let key = object.object("key").map(|k| KeyView::read(&k)).transpose()?;
        Ok(Request { object, kind, key })
    }

    /// The kind, when it is one we know.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The key, unless it is absent or `null`.
    #[must_use]
    pub fn key(&self) -> Option<&KeyView<'a>> {
        self.key.as_ref()
    }

    /// The options under `name`.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<Object<'a>> {
        self.object.object(name)
    }

    /// Which things the request acts on, as hashes: requests that share one are carried out in the
    /// order they came. Lists and information act on nothing.
    #[must_use]
    pub fn lanes(&self) -> Vec<u64> {
        let mut lanes = Vec::new();
        let mut add = |kind: &str, id: &str| {
            if !id.is_empty() {
                let mut hasher = DefaultHasher::new();
                (kind, id).hash(&mut hasher);
                lanes.push(hasher.finish());
            }
        };
        let Some(kind) = self.kind() else { return Vec::new() };
        if let Some(key) = &self.key {
            let thing = kind.name();
            let end = thing
                .char_indices()
                .skip(1)
                .find(|(_, c)| c.is_ascii_uppercase())
                .map_or(thing.len(), |(n, _)| n);
            add(thing.get(..end).unwrap_or(thing), &key.id);
        }
        // A channel that a bridge operation moves must wait for what the channel is doing.
        if let Some(option) = self.option(kind.option()) {
            for channel in option.list("channel").unwrap_or_default().split(',') {
                add("Channel", channel);
            }
            for inner in ["originate_request", "channel_create_request", "options"] {
                if let Some(inner) = option.object(inner) {
                    add("Channel", &inner.text("channelId").unwrap_or_default());
                }
            }
        }
        // A request may name a great many things, and one of them twice.
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }
}

/// A request as a client writes it.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    /// What is asked for.
    pub kind: Kind,
    /// Of what; an empty key is written `{}`.
    pub key: Key,
    /// The options, under [`Kind::option`].
    pub option: Option<Box<RawValue>>,
}

impl OwnedRequest {
    /// A request without options.
    #[must_use]
    pub fn new(kind: Kind, key: Key) -> Self {
        OwnedRequest { kind, key, option: None }
    }

    /// The same request with `option`, which is written as JSON.
    ///
    /// # Errors
    /// When `option` cannot be JSON.
    pub fn with_option(mut self, option: &impl Serialize) -> Result<Self, serde_json::Error> {
        self.option = Some(serde_json::value::to_raw_value(option)?);
        Ok(self)
    }

    /// Whether it has what its kind needs, and names nothing that leads elsewhere.
    ///
    /// # Errors
    /// The words that a proxy would refuse with, unasked.
    pub fn check(&self) -> Result<(), String> {
        let body = self.to_json();
        let request = Request::parse(&body).map_err(|e| e.to_string())?;
        let site = crate::Site { app: self.key.app.clone(), node: self.key.node.clone() };
        crate::plan::plan(&request, &site).map(drop).map_err(|crate::plan::Refusal(text)| text)
    }

    /// The body of the message.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut w = crate::json::JsonWriter::with_capacity(128);
        w.text("kind", self.kind.name());
        w.nested("key", |out| {
            // Writing into a Vec cannot fail.
            let _ = serde_json::to_writer(out, &self.key);
        });
        if let Some(option) = &self.option {
            w.raw(self.kind.option(), option.get());
        }
        w.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_read() {
        let r = Request::parse(br#"{"KIND":"ChannelData","Key":{"ID":"c"},"more":[1]}"#).unwrap();
        assert_eq!(r.kind(), Some(Kind::ChannelData));
        assert_eq!(r.key().unwrap().id, "c");
    }

    #[test]
    fn a_null_key_is_no_key() {
        assert!(Request::parse(br#"{"kind":"ChannelData","key":null}"#).unwrap().key().is_none());
        assert!(Request::parse(br#"{"kind":5}"#).is_err());
    }

    #[test]
    fn requests_for_one_channel_share_a_lane() {
        let lanes = |json: &str| Request::parse(json.as_bytes()).unwrap().lanes();
        let answer = lanes(r#"{"kind":"ChannelAnswer","key":{"id":"c"}}"#);
        let add =
            lanes(r#"{"kind":"BridgeAddChannel","key":{"id":"b"},"bridge_add_channel":{"channel":"c"}}"#);
        let originate = lanes(
            r#"{"kind":"ChannelOriginate","key":{},"channel_originate":{"originate_request":{"channelId":"c"}}}"#,
        );
        assert_eq!(answer.len(), 1);
        assert_eq!(add.len(), 2);
        assert!(add.contains(&answer[0]) && originate.contains(&answer[0]));
        assert!(lanes(r#"{"kind":"ChannelList","key":{}}"#).is_empty());
        for channels in [r#""c,d,c,,d""#, r#"["c","d","c"]"#] {
            let twice = format!(
                r#"{{"kind":"BridgeAddChannel","key":{{"id":"b"}},"bridge_add_channel":{{"channel":{channels}}}}}"#
            );
            let twice = lanes(&twice);
            assert_eq!(twice.len(), 3, "{channels}");
            assert!(twice.contains(&answer[0]));
        }
    }

    #[test]
    fn what_a_kind_needs_is_checked() {
        let of = |kind, id: &str| OwnedRequest::new(kind, Key::new("", id));
        let why = |request: OwnedRequest| request.check().unwrap_err();
        assert_eq!(why(of(Kind::ChannelHangup, "c")), "channel_hangup is required");
        assert_eq!(why(of(Kind::ChannelOriginate, "")), "OriginateRequest is mandatory");
        assert_eq!(why(of(Kind::ChannelAnswer, "")), "channel key not supplied");
        assert!(why(of(Kind::ChannelAnswer, "..")).contains("cannot be part of a path"));
        let hangup = of(Kind::ChannelHangup, "c").with_option(&serde_json::json!({"reason": ""})).unwrap();
        assert_eq!(hangup.check(), Ok(()));
        assert_eq!(of(Kind::ChannelList, "").check(), Ok(()));
    }

    #[test]
    fn a_written_request_is_read_back() {
        let request = OwnedRequest::new(Kind::ChannelMute, Key::new("channel", "c"))
            .with_option(&serde_json::json!({"direction": "in"}))
            .unwrap();
        assert_eq!(
            String::from_utf8(request.to_json()).unwrap(),
            r#"{"kind":"ChannelMute","key":{"kind":"channel","id":"c"},"channel_mute":{"direction":"in"}}"#
        );
    }
}
