//! The objects that an event concerns, read from the raw message without knowing its type.

use std::borrow::Cow;

use crate::key::kinds;
use crate::object::Object;

/// An event as a proxy sees it: its type and the things it concerns. The frame itself travels on
/// untouched.
#[derive(Debug)]
pub struct Sighting<'a> {
    /// The event's `type`, such as `StasisStart`.
    pub event_type: Cow<'a, str>,
    /// The things whose dialogs get a copy, as kind and id.
    pub things: Vec<(&'static str, Cow<'a, str>)>,
    /// The channel or bridge of a playback or recording. Its dialogs get no copy, as partners know
    /// it; whoever follows the channel or bridge itself wants the event.
    pub target: Option<(&'static str, Cow<'a, str>)>,
}

/// Why a frame is not an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEvent {
    /// Not one JSON object.
    #[error("the frame is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// No `type`.
    #[error("the frame has no `type`")]
    NoType,
}

/// Members that hold a channel, in whatever event.
const CHANNELS: [&str; 12] = [
    "channel",
    "caller",
    "peer",
    "forwarded",
    "replace_channel",
    "transferee",
    "transferer_first_leg",
    "transferer_second_leg",
    "transfer_target",
    "destination_link_first_leg",
    "destination_link_second_leg",
    "destination_threeway_channel",
];

/// Members that hold a bridge; its channels count too.
const BRIDGES: [&str; 5] = [
    "bridge",
    "bridge_from",
    "transferer_first_leg_bridge",
    "transferer_second_leg_bridge",
    "destination_threeway_bridge",
];

impl<'a> Sighting<'a> {
    /// Reads a frame of the event WebSocket.
    ///
    /// # Errors
    /// When the frame is not an object with a `type`.
    pub fn read(frame: &'a [u8]) -> Result<Self, NotAnEvent> {
        let event = Object::parse(frame)?;
        let event_type = event.text("type").unwrap_or_default();
        if event_type.is_empty() {
            return Err(NotAnEvent::NoType);
        }
        let mut sighting = Sighting { event_type, things: Vec::with_capacity(4), target: None };
        for (name, value) in event.iter() {
            if value.starts_with('{')
                && let Some(object) = Object::from_raw(value)
            {
                sighting.member(name, &object);
            }
        }
        Ok(sighting)
    }

    /// The thing that is no more after this event, so that its dialogs can be forgotten.
    #[must_use]
    pub fn ended(&self) -> Option<&(&'static str, Cow<'a, str>)> {
        let kind = match self.event_type.as_ref() {
            "ChannelDestroyed" => kinds::CHANNEL,
            "BridgeDestroyed" => kinds::BRIDGE,
            "PlaybackFinished" => kinds::PLAYBACK,
            "RecordingFinished" | "RecordingFailed" => kinds::LIVE_RECORDING,
            _ => return None,
        };
        self.things.iter().find(|(k, _)| *k == kind)
    }

    fn member(&mut self, name: &str, object: &Object<'a>) {
        match name {
            "playback" => {
                self.thing(kinds::PLAYBACK, object, "id");
                self.target(object);
            }
            "recording" => {
                self.thing(kinds::LIVE_RECORDING, object, "name");
                self.target(object);
            }
            "device_state" => self.thing(kinds::DEVICE_STATE, object, "name"),
            "endpoint" => self.endpoint(object),
            // A transfer tells its parties one level down.
            "refer_to" | "referred_by" => {
                for name in ["source_channel", "destination_channel", "connected_channel"] {
                    if let Some(channel) = object.object(name) {
                        self.thing(kinds::CHANNEL, &channel, "id");
                    }
                }
                if let Some(bridge) = object.object("bridge") {
                    self.bridge(&bridge);
                }
            }
            _ if CHANNELS.contains(&name) => self.thing(kinds::CHANNEL, object, "id"),
            _ if BRIDGES.contains(&name) => self.bridge(object),
            _ => {}
        }
    }

    fn thing(&mut self, kind: &'static str, object: &Object<'a>, id: &'static str) {
        match object.text(id) {
            Ok(id) if !id.is_empty() => self.things.push((kind, id)),
            _ => {}
        }
    }

    /// `target_uri`: `channel:ID` or `bridge:ID`.
    fn target(&mut self, object: &Object<'a>) {
        let Ok(uri) = object.text("target_uri") else { return };
        for kind in [kinds::CHANNEL, kinds::BRIDGE] {
            if let Some(id) = uri.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')) {
                self.target = Some((kind, Cow::Owned(id.to_owned())));
            }
        }
    }

    fn bridge(&mut self, bridge: &Object<'a>) {
        self.thing(kinds::BRIDGE, bridge, "id");
        self.channels(bridge, "channels");
    }

    fn endpoint(&mut self, endpoint: &Object<'a>) {
        let (Ok(technology), Ok(resource)) = (endpoint.text("technology"), endpoint.text("resource")) else {
            return;
        };
        self.things.push((kinds::ENDPOINT, Cow::Owned(format!("{technology}/{resource}"))));
        if self.event_type == "ChannelUserevent" {
            self.channels(endpoint, "channel_ids");
        }
    }

    fn channels(&mut self, object: &Object<'a>, name: &str) {
        let Some(list) = object.get(name) else { return };
        let ids: Vec<String> = serde_json::from_str(list).unwrap_or_default();
        self.things.extend(ids.into_iter().map(|id| (kinds::CHANNEL, Cow::Owned(id))));
    }
}

/// The frame with `"dialog":"…"` added and nothing else changed.
#[must_use]
pub fn with_dialog(frame: &[u8], dialog: &str) -> Vec<u8> {
    let Some(open) = frame.iter().position(|b| *b == b'{') else { return frame.to_vec() };
    let (head, rest) = frame.split_at(open + 1);
    let mut out = Vec::with_capacity(frame.len() + dialog.len() + 16);
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"dialog\":");
    crate::json::write_text(&mut out, dialog);
    if rest.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'}') {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn things(frame: &str) -> Vec<String> {
        let sighting = Sighting::read(frame.as_bytes()).unwrap();
        sighting.things.iter().map(|(k, id)| format!("{k}:{id}")).collect()
    }

    #[test]
    fn entering_a_bridge_concerns_the_bridge_and_its_channels() {
        let frame = r#"{"type":"ChannelEnteredBridge","bridge":{"id":"b","channels":["c","d"]},"channel":{"id":"c"}}"#;
        assert_eq!(things(frame), ["bridge:b", "channel:c", "channel:d", "channel:c"]);
    }

    #[test]
    fn a_dial_concerns_its_parties_and_a_peer_status_does_not_name_a_channel() {
        assert_eq!(
            things(r#"{"type":"Dial","peer":{"id":"p"},"caller":{"id":"c"},"dialstring":"x"}"#),
            ["channel:p", "channel:c"]
        );
        let frame = r#"{"type":"PeerStatusChange","peer":{"peer_status":"x"},"endpoint":{"technology":"T","resource":"R","channel_ids":["z"]}}"#;
        assert_eq!(things(frame), ["endpoint:T/R"]);
        assert!(things(r#"{"type":"CallBroadcast","caller":"4711"}"#).is_empty());
    }

    #[test]
    fn a_transfer_is_read_one_level_down() {
        let frame = r#"{"type":"ChannelTransfer","refer_to":{"destination_channel":{"id":"d"}},"referred_by":{"source_channel":{"id":"s"},"bridge":{"id":"b","channels":[]}}}"#;
        assert_eq!(things(frame), ["channel:d", "channel:s", "bridge:b"]);
    }

    #[test]
    fn a_playback_tells_what_it_is_played_on() {
        let frame = br#"{"type":"PlaybackStarted","playback":{"id":"p","target_uri":"channel:c:1"}}"#;
        let sighting = Sighting::read(frame).unwrap();
        assert_eq!(sighting.things, [(kinds::PLAYBACK, Cow::Borrowed("p"))]);
        assert_eq!(sighting.target, Some((kinds::CHANNEL, Cow::Borrowed("c:1"))));
        let frame = br#"{"type":"RecordingFinished","recording":{"name":"r","target_uri":"bridge:b"}}"#;
        assert_eq!(Sighting::read(frame).unwrap().target, Some((kinds::BRIDGE, Cow::Borrowed("b"))));
    }

    #[test]
    fn ends_are_known() {
        let frame = br#"{"type":"RecordingFailed","recording":{"name":"r"}}"#;
        assert_eq!(
            Sighting::read(frame).unwrap().ended(),
            Some(&(kinds::LIVE_RECORDING, Cow::Borrowed("r")))
        );
        assert!(Sighting::read(br#"{"type":"NewInFuture","channel":{"id":"c"}}"#).unwrap().ended().is_none());
        assert!(Sighting::read(b"{}").is_err() && Sighting::read(b"nonsense").is_err());
    }

    #[test]
    fn a_dialog_is_added_and_nothing_else_changes() {
        assert_eq!(with_dialog(br#" { "type":"X" }"#, "d\"1"), br#" {"dialog":"d\"1", "type":"X" }"#);
        assert_eq!(with_dialog(b"{}", "d"), br#"{"dialog":"d"}"#);
    }
}
