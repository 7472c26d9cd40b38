//! The options of operations.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::words::{Direction, Format, IfExists, TerminateOn};

/// Variables by name.
pub type Variables = BTreeMap<String, String>;

fn nanoseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn whole_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_secs())
}

/// One medium is a text, as original proxies take it.
fn one_or_more<S: Serializer>(media: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match media {
        [one] => serializer.serialize_str(one),
        more => more.serialize(serializer),
    }
}

fn is_zero(time: &Duration) -> bool {
    time.is_zero()
}

/// A new call, either into an application or to a place in the dialplan.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Originate {
    /// The endpoint to call, such as `PJSIP/1001`.
    pub endpoint: String,
    /// How long to ring; zero leaves it to Asterisk (30 s).
    #[serde(skip_serializing_if = "is_zero", serialize_with = "whole_seconds")]
    pub timeout: Duration,
    /// Caller id, such as `"Name" <number>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub caller_id: String,
    /// Context of the dialplan.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Extension of the dialplan.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub extension: String,
    /// Priority of the dialplan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// Label of the dialplan, instead of a priority.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The application that gets the channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app: String,
    /// The arguments of the application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// Codecs, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub formats: String,
    /// The channel's id; made up when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel_id: String,
    /// The id of the other half of a `Local` channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub other_channel_id: String,
    /// The channel on whose behalf it is; Asterisk must know it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Variables of the new channel.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
}

/// A channel that is made and not dialled yet.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateChannel {
    /// The recipient, such as `PJSIP/1001`.
    pub endpoint: String,
    /// The application that gets it.
    pub app: String,
    /// The arguments of the application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// Its id; made up when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel_id: String,
    /// The id of the other half of a `Local` channel.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub other_channel_id: String,
    /// The channel on whose behalf it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Codecs, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub formats: String,
    /// Variables of the new channel.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
}

/// A channel whose voice goes to and comes from a program. Empty fields leave the usual: `rtp`,
/// `udp`, `client`, `both`, the proxy's own application.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExternalMedia {
    /// Its id; made up when empty.
    #[serde(rename = "channelId")]
    pub channel_id: String,
    /// The application that gets it.
    pub app: String,
    /// Host and port of the program.
    pub external_host: String,
    /// `rtp` or `audiosocket`.
    pub encapsulation: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// `client`.
    pub connection_type: String,
    /// The codec.
    pub format: String,
    /// Which way its voice goes.
    pub direction: Direction,
    /// Variables of the new channel.
    pub variables: Option<Variables>,
    /// An opaque text for the encapsulation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// An opaque text for the transport.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub transport_data: String,
}

/// How a recording is made.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// The file format.
    pub format: Format,
    /// The longest it may be; zero is no limit.
    #[serde(serialize_with = "nanoseconds")]
    pub max_duration: Duration,
    /// The silence that ends it; zero is none.
    #[serde(serialize_with = "nanoseconds")]
    pub max_silence: Duration,
    /// If there is one of that name.
    pub exists: IfExists,
    /// Whether a beep begins it.
    pub beep: bool,
    /// The DTMF digit that ends it.
    pub terminate: TerminateOn,
    /// The format in which a bridge is recorded, when it differs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub recorder_format: String,
}

/// How a channel is listened to or spoken into.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snoop {
    /// The application that gets the snooping channel.
    pub app: String,
    /// The arguments of the application.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// What is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spy: Option<Direction>,
    /// Who hears what is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper: Option<Direction>,
}

/// How media is played.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Play {
    /// The playback's id; made up when empty.
    pub playback_id: String,
    /// The media to play, one after the other, such as `sound:hello-world`; see [`crate::audio`].
    #[serde(serialize_with = "one_or_more")]
    pub media_uri: Vec<String>,
    /// The language of sounds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lang: String,
    /// Where to begin, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsetms: Option<u32>,
    /// How far forward and reverse go, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipms: Option<u32>,
    /// The format of the announcer on a bridge.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub announcer_format: String,
}

impl Play {
    /// Plays `media` in the usual way.
    #[must_use]
    pub fn media(media: impl Into<String>) -> Self {
        Play { media_uri: vec![media.into()], ..Play::default() }
    }

    /// Plays several media one after the other. Original proxies take one only.
    #[must_use]
    pub fn all(media: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Play { media_uri: media.into_iter().map(Into::into).collect(), ..Play::default() }
    }
}

/// The times of DTMF digits; zero leaves Asterisk its own.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dtmf {
    /// Before the first digit.
    #[serde(serialize_with = "nanoseconds")]
    pub before: Duration,
    /// Between digits.
    #[serde(serialize_with = "nanoseconds")]
    pub between: Duration,
    /// Of each digit.
    #[serde(serialize_with = "nanoseconds")]
    pub duration: Duration,
    /// After the last digit.
    #[serde(serialize_with = "nanoseconds")]
    pub after: Duration,
}

/// How a channel joins a bridge.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AddChannel {
    /// The channel.
    pub channel: String,
    /// Its role, in holding bridges.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Whether its DTMF is kept from the bridge.
    #[serde(rename = "absorbDTMF", skip_serializing_if = "std::ops::Not::not")]
    pub absorb_dtmf: bool,
    /// Whether it is muted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub mute: bool,
    /// Whether the others are not told who it is.
    #[serde(rename = "inhibitConnectedLineUpdates", skip_serializing_if = "std::ops::Not::not")]
    pub inhibit_connected_line_updates: bool,
}

/// A text message to or through an endpoint.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Message {
    /// To whom, such as `pjsip:1001`; empty when the endpoint is named otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// From whom.
    pub from: String,
    /// The text.
    pub body: String,
    /// Headers and the like.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
}

/// A request to an endpoint to call somebody else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Refer {
    /// To whom; empty when the endpoint is named otherwise.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// From whom.
    pub from: String,
    /// The endpoint to call.
    pub refer_to: String,
    /// Whether `refer_to` is rewritten to point at Asterisk.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub to_self: bool,
    /// Headers and the like.
    #[serde(skip_serializing_if = "Variables::is_empty")]
    pub variables: Variables,
}
