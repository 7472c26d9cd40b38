//! Events: the 45 types of Asterisk 22; unknown types as raw JSON.
#![allow(missing_docs)] // The members are named and meant as in Asterisk's own description.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{
    Bridge, Channel, ContactInfo, DeviceState, Endpoint, LiveRecording, Peer, Playback, ReferTo, ReferredBy,
    TextMessage, or_default,
};

macro_rules! events {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            /// The event of that name.
            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            #[serde(default)]
            #[non_exhaustive]
            pub struct $name {
                pub application: String,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub asterisk_id: Option<String>,
                pub timestamp: String,
                /// The dialog this copy is for.
                #[serde(skip_serializing_if = "Option::is_none")]
                pub dialog: Option<String>,
                $($(#[$meta])* pub $field: $type,)*
            }
        )*

        /// An event, typed.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Event {
            $($name(Box<$name>),)*
            /// An event of a type that is not known here; its frame has everything.
            Unknown(Bytes),
        }

        /// The types of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $($name,)*
        }

        impl EventType {
            /// All of them.
            pub const ALL: &'static [EventType] = &[$(EventType::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(EventType::$name => stringify!($name),)* }
            }

            /// The type of a name on the wire.
            #[must_use]
            pub fn from_name(name: &str) -> Option<EventType> {
                match name { $(stringify!($name) => Some(EventType::$name),)* _ => None }
            }
        }

        impl Event {
            /// The event in a frame. An unknown type is not an error.
            ///
            /// # Errors
            /// When the frame is no event, or its members have types that Asterisk never sends.
            pub fn read(frame: &Bytes) -> Result<Event, serde_json::Error> {
                #[derive(Deserialize)]
                struct Probe<'a> {
                    #[serde(borrow, rename = "type")]
                    event_type: std::borrow::Cow<'a, str>,
                }
                let probe: Probe<'_> = serde_json::from_slice(frame)?;
                match probe.event_type.as_ref() {
                    $(stringify!($name) => Ok(Event::$name(serde_json::from_slice(frame)?)),)*
                    _ => Ok(Event::Unknown(frame.clone())),
                }
            }

            /// Its type, when known here.
            #[must_use]
            pub fn event_type(&self) -> Option<EventType> {
                match self { $(Event::$name(_) => Some(EventType::$name),)* Event::Unknown(_) => None }
            }

            /// The event as JSON, without members that are not known here.
            ///
            /// # Errors
            /// Never for an event that was read.
            pub fn to_value(&self) -> Result<Value, serde_json::Error> {
                let (mut value, name) = match self {
                    $(Event::$name(e) => (serde_json::to_value(e)?, stringify!($name)),)*
                    Event::Unknown(frame) => return serde_json::from_slice(frame),
                };
                if let Some(members) = value.as_object_mut() {
                    members.insert("type".to_owned(), name.into());
                }
                Ok(value)
            }
        }
    };
}

events! {
    DeviceStateChanged {
        #[serde(deserialize_with = "or_default")]
        device_state: DeviceState,
    }
    PlaybackStarted {
        #[serde(deserialize_with = "or_default")]
        playback: Playback,
    }
    PlaybackContinuing {
        #[serde(deserialize_with = "or_default")]
        playback: Playback,
    }
    PlaybackFinished {
        #[serde(deserialize_with = "or_default")]
        playback: Playback,
    }
    RecordingStarted {
        #[serde(deserialize_with = "or_default")]
        recording: LiveRecording,
    }
    RecordingFinished {
        #[serde(deserialize_with = "or_default")]
        recording: LiveRecording,
    }
    RecordingFailed {
        #[serde(deserialize_with = "or_default")]
        recording: LiveRecording,
    }
    ApplicationMoveFailed {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(deserialize_with = "or_default")]
        destination: String,
        #[serde(deserialize_with = "or_default")]
        args: Vec<String>,
    }
    ApplicationRegistered {
    }
    ApplicationUnregistered {
    }
    ApplicationReplaced {
    }
    BridgeCreated {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
    }
    BridgeDestroyed {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
    }
    BridgeMerged {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
        #[serde(deserialize_with = "or_default")]
        bridge_from: Bridge,
    }
    BridgeBlindTransfer {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        replace_channel: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transferee: Option<Channel>,
        #[serde(deserialize_with = "or_default")]
        exten: String,
        #[serde(deserialize_with = "or_default")]
        context: String,
        #[serde(deserialize_with = "or_default")]
        result: String,
        #[serde(deserialize_with = "or_default")]
        is_external: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        bridge: Option<Bridge>,
    }
    BridgeAttendedTransfer {
        #[serde(deserialize_with = "or_default")]
        transferer_first_leg: Channel,
        #[serde(deserialize_with = "or_default")]
        transferer_second_leg: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        replace_channel: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transferee: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transfer_target: Option<Channel>,
        #[serde(deserialize_with = "or_default")]
        result: String,
        #[serde(deserialize_with = "or_default")]
        is_external: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        transferer_first_leg_bridge: Option<Bridge>,
        #[serde(skip_serializing_if = "Option::is_none")]
        transferer_second_leg_bridge: Option<Bridge>,
        #[serde(deserialize_with = "or_default")]
        destination_type: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_bridge: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_application: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_link_first_leg: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_link_second_leg: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_threeway_channel: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        destination_threeway_bridge: Option<Bridge>,
    }
    BridgeVideoSourceChanged {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
        #[serde(skip_serializing_if = "Option::is_none")]
        old_video_source_id: Option<String>,
    }
    ChannelCreated {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelDestroyed {
        #[serde(deserialize_with = "or_default")]
        cause: i64,
        #[serde(deserialize_with = "or_default")]
        cause_txt: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        tech_cause: Option<i64>,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelEnteredBridge {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<Channel>,
    }
    ChannelLeftBridge {
        #[serde(deserialize_with = "or_default")]
        bridge: Bridge,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelStateChange {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelDtmfReceived {
        #[serde(deserialize_with = "or_default")]
        digit: String,
        #[serde(deserialize_with = "or_default")]
        duration_ms: i64,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelDialplan {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(deserialize_with = "or_default")]
        dialplan_app: String,
        #[serde(deserialize_with = "or_default")]
        dialplan_app_data: String,
    }
    ChannelCallerId {
        #[serde(deserialize_with = "or_default")]
        caller_presentation: i64,
        #[serde(deserialize_with = "or_default")]
        caller_presentation_txt: String,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelUserevent {
        #[serde(deserialize_with = "or_default")]
        eventname: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bridge: Option<Bridge>,
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<Endpoint>,
        #[serde(deserialize_with = "or_default")]
        userevent: Value,
    }
    ChannelHangupRequest {
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tech_cause: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        soft: Option<bool>,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelVarset {
        #[serde(deserialize_with = "or_default")]
        variable: String,
        #[serde(deserialize_with = "or_default")]
        value: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<Channel>,
    }
    ChannelToneDetected {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelTalkingStarted {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ChannelTalkingFinished {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(deserialize_with = "or_default")]
        duration: i64,
    }
    ChannelHold {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        musicclass: Option<String>,
    }
    ChannelUnhold {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    ContactStatusChange {
        #[serde(deserialize_with = "or_default")]
        endpoint: Endpoint,
        #[serde(deserialize_with = "or_default")]
        contact_info: ContactInfo,
    }
    EndpointStateChange {
        #[serde(deserialize_with = "or_default")]
        endpoint: Endpoint,
    }
    Dial {
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<Channel>,
        #[serde(deserialize_with = "or_default")]
        peer: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        forward: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        forwarded: Option<Channel>,
        #[serde(skip_serializing_if = "Option::is_none")]
        dialstring: Option<String>,
        #[serde(deserialize_with = "or_default")]
        dialstatus: String,
    }
    StasisEnd {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    StasisStart {
        #[serde(deserialize_with = "or_default")]
        args: Vec<String>,
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        replace_channel: Option<Channel>,
    }
    TextMessageReceived {
        #[serde(deserialize_with = "or_default")]
        message: TextMessage,
        #[serde(skip_serializing_if = "Option::is_none")]
        endpoint: Option<Endpoint>,
    }
    ChannelConnectedLine {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
    }
    PeerStatusChange {
        #[serde(deserialize_with = "or_default")]
        endpoint: Endpoint,
        #[serde(deserialize_with = "or_default")]
        peer: Peer,
    }
    ChannelTransfer {
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        #[serde(deserialize_with = "or_default")]
        refer_to: ReferTo,
        #[serde(deserialize_with = "or_default")]
        referred_by: ReferredBy,
    }
    RESTResponse {
        #[serde(deserialize_with = "or_default")]
        transaction_id: String,
        #[serde(deserialize_with = "or_default")]
        request_id: String,
        #[serde(deserialize_with = "or_default")]
        status_code: i64,
        #[serde(deserialize_with = "or_default")]
        reason_phrase: String,
        #[serde(deserialize_with = "or_default")]
        uri: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_body: Option<String>,
    }
    CallBroadcast {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(skip_serializing_if = "Option::is_none")]
        caller: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        called: Option<String>,
    }
    CallClaimed {
        #[serde(deserialize_with = "or_default")]
        channel: Channel,
        #[serde(deserialize_with = "or_default")]
        winner_app: String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_type_is_typed_and_an_unknown_one_is_kept() {
        assert_eq!(EventType::ALL.len(), 45);
        let frame = Bytes::from_static(br#"{"type":"StasisStart","application":"a","timestamp":"t","args":["x"],"channel":{"id":"c","new_member":1}}"#);
        let Event::StasisStart(start) = Event::read(&frame).unwrap() else { panic!("the wrong type") };
        assert_eq!((start.channel.id.as_str(), start.args.as_slice()), ("c", ["x".to_owned()].as_slice()));
        let frame = Bytes::from_static(br#"{"type":"FromTheFuture","x":1}"#);
        assert_eq!(Event::read(&frame).unwrap(), Event::Unknown(frame));
        assert!(Event::read(&Bytes::from_static(b"{}")).is_err());
    }
}
