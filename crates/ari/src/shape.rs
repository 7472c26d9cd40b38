//! Asterisk's objects in NATS messages: their members and names.

use crate::json::{JsonWriter, is_empty};
use crate::key::kinds;
use crate::object::Object;

/// How one member is carried over.
enum Member {
    /// Always there; `""` when Asterisk has none.
    Text,
    /// Left out when empty.
    Optional,
    /// Always there; 0 when Asterisk has none.
    Number,
    /// Always there as it stands; `null` when Asterisk has none.
    Any,
    /// An object of its own, `null` when Asterisk has none.
    Inner(&'static [Field]),
}

/// A member on the bus and the one of Asterisk it comes from.
struct Field {
    name: &'static str,
    from: &'static str,
    member: Member,
}

const fn field(name: &'static str, member: Member) -> Field {
    Field { name, from: name, member }
}

/// A kind of thing that Asterisk describes.
pub(crate) struct Entity {
    /// The key kind.
    pub kind: &'static str,
    /// The member of a reply's `data`.
    pub data: &'static str,
    /// Its name in errors.
    pub label: &'static str,
    /// Its name in errors about a missing key.
    pub key_label: &'static str,
    /// The path of the collection.
    pub collection: &'static [&'static str],
    /// The members that make an id, joined by `/`.
    pub id: &'static [&'static str],
    fields: &'static [Field],
}

use Member::{Any, Inner, Number, Optional, Text};

const CALLER: Member = Inner(&[field("name", Optional), field("number", Optional)]);

pub(crate) static APPLICATION: Entity = Entity {
    kind: kinds::APPLICATION,
    data: "application",
    label: "application",
    key_label: "application",
    collection: &["applications"],
    id: &["name"],
    fields: &[
        field("name", Text),
        field("bridge_ids", Any),
        field("channel_ids", Any),
        field("device_names", Any),
        field("endpoint_ids", Any),
    ],
};

pub(crate) static BRIDGE: Entity = Entity {
    kind: kinds::BRIDGE,
    data: "bridge",
    label: "bridge",
    key_label: "bridge",
    collection: &["bridges"],
    id: &["id"],
    fields: &[
        field("id", Text),
        field("bridge_class", Text),
        field("bridge_type", Text),
        field("channels", Any),
        field("creator", Text),
        field("name", Text),
        field("technology", Text),
    ],
};

pub(crate) static CHANNEL: Entity = Entity {
    kind: kinds::CHANNEL,
    data: "channel",
    label: "channel",
    key_label: "channel",
    collection: &["channels"],
    id: &["id"],
    fields: &[
        field("id", Text),
        field("name", Text),
        field("state", Text),
        field("accountcode", Text),
        field("caller", CALLER),
        field("connected", CALLER),
        field("creationtime", Text),
        field("dialplan", Inner(&[field("context", Text), field("exten", Text), field("priority", Number)])),
        field("channelvars", Any),
    ],
};

pub(crate) static DEVICE_STATE: Entity = Entity {
    kind: kinds::DEVICE_STATE,
    data: "device_state",
    label: "deviceState",
    key_label: "device",
    collection: &["deviceStates"],
    id: &["name"],
    fields: &[field("name", Text), field("state", Text)],
};

pub(crate) static ENDPOINT: Entity = Entity {
    kind: kinds::ENDPOINT,
    data: "endpoint",
    label: "endpoint",
    key_label: "endpoint",
    collection: &["endpoints"],
    id: &["technology", "resource"],
    fields: &[
        field("channel_ids", Any),
        field("resource", Text),
        field("state", Optional),
        field("technology", Text),
    ],
};

pub(crate) static LIVE_RECORDING: Entity = Entity {
    kind: kinds::LIVE_RECORDING,
    data: "live_recording",
    label: "liveRecording",
    key_label: "liveRecording",
    collection: &["recordings", "live"],
    id: &["name"],
    fields: &[
        field("cause", Optional),
        field("duration", Optional),
        field("format", Text),
        field("name", Text),
        field("silence_duration", Optional),
        field("state", Text),
        field("talking_duration", Optional),
        field("target_uri", Text),
    ],
};

pub(crate) static LOG: Entity = Entity {
    kind: kinds::LOGGING,
    data: "log",
    label: "logging",
    key_label: "logging",
    collection: &["asterisk", "logging"],
    id: &["channel"],
    fields: &[
        field("channel", Text),
        Field { name: "levels", from: "configuration", member: Text },
        Field { name: "types", from: "type", member: Text },
        field("status", Text),
    ],
};

pub(crate) static MAILBOX: Entity = Entity {
    kind: kinds::MAILBOX,
    data: "mailbox",
    label: "mailbox",
    key_label: "mailbox",
    collection: &["mailboxes"],
    id: &["name"],
    fields: &[field("name", Text), field("new_messages", Number), field("old_messages", Number)],
};

pub(crate) static MODULE: Entity = Entity {
    kind: kinds::MODULE,
    data: "module",
    label: "module",
    key_label: "module",
    collection: &["asterisk", "modules"],
    id: &["name"],
    fields: &[
        field("name", Text),
        field("description", Text),
        field("support_level", Text),
        field("use_count", Number),
        field("status", Text),
    ],
};

pub(crate) static PLAYBACK: Entity = Entity {
    kind: kinds::PLAYBACK,
    data: "playback",
    label: "playback",
    key_label: "playback",
    collection: &["playbacks"],
    id: &["id"],
    fields: &[
        field("id", Text),
        field("language", Optional),
        field("media_uri", Text),
        field("state", Text),
        field("target_uri", Text),
    ],
};

pub(crate) static SOUND: Entity = Entity {
    kind: kinds::SOUND,
    data: "sound",
    label: "sound",
    key_label: "sound",
    collection: &["sounds"],
    id: &["id"],
    fields: &[field("formats", Any), field("id", Text), field("text", Optional)],
};

pub(crate) static STORED_RECORDING: Entity = Entity {
    kind: kinds::STORED_RECORDING,
    data: "stored_recording",
    label: "storedRecording",
    key_label: "storedRecording",
    collection: &["recordings", "stored"],
    id: &["name"],
    fields: &[field("format", Text), field("name", Text)],
};

impl Entity {
    /// A kind of thing that keys name but that Asterisk has no collection of.
    pub(crate) const fn nameless(kind: &'static str, label: &'static str) -> Self {
        Entity { kind, data: label, label, key_label: label, collection: &[], id: &[], fields: &[] }
    }

    /// The id of one of Asterisk's objects of this kind.
    pub(crate) fn id_of(&self, object: &Object<'_>) -> String {
        let mut id = String::new();
        for (n, part) in self.id.iter().enumerate() {
            if n > 0 {
                id.push('/');
            }
            id.push_str(&object.text(part).unwrap_or_default());
        }
        id
    }

    /// Writes Asterisk's `object` as the bus has it, `key` (JSON) first.
    pub(crate) fn write(&self, out: &mut Vec<u8>, key: &[u8], object: &Object<'_>) {
        out.extend_from_slice(b"{\"key\":");
        out.extend_from_slice(key);
        let mut w = JsonWriter::reopen(std::mem::take(out));
        write_fields(&mut w, self.fields, object);
        *out = w.finish();
    }
}

fn write_fields(w: &mut JsonWriter, fields: &[Field], object: &Object<'_>) {
    for field in fields {
        let raw = object.get(field.from);
        match &field.member {
            Text => w.raw(field.name, raw.unwrap_or("\"\"")),
            Number => w.raw(field.name, raw.unwrap_or("0")),
            Any => w.raw(field.name, raw.unwrap_or("null")),
            Optional => w.raw_unless_empty(field.name, raw.filter(|r| !is_empty(r))),
            Inner(inner) => match object.object(field.from) {
                None => w.raw(field.name, "null"),
                Some(value) => w.nested(field.name, |out| {
                    out.push(b'{');
                    let mut w = JsonWriter::reopen(std::mem::take(out));
                    write_fields(&mut w, inner, &value);
                    *out = w.finish();
                }),
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_as_partners_know_it() {
        let ari = br#"{"id":"c","protocol_id":"","name":"N","state":"Up","caller":{"name":"","number":"1"},
            "connected":{"name":"","number":""},"accountcode":"","dialplan":{"context":"x","exten":"s",
            "priority":1,"app_name":"Stasis"},"creationtime":"t","language":"en"}"#;
        let mut out = Vec::new();
        CHANNEL.write(&mut out, b"{}", &Object::parse(ari).unwrap());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"key":{},"id":"c","name":"N","state":"Up","accountcode":"","caller":{"number":"1"},"connected":{},"creationtime":"t","dialplan":{"context":"x","exten":"s","priority":1},"channelvars":null}"#
        );
    }

    #[test]
    fn an_endpoint_is_named_by_technology_and_resource() {
        let ari = Object::parse(br#"{"technology":"PJSIP","resource":"1001"}"#).unwrap();
        assert_eq!(ENDPOINT.id_of(&ari), "PJSIP/1001");
    }
}
