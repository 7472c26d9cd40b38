//! Asterisk's own objects: every member of every model of Asterisk 22.
#![allow(missing_docs)] // The members are named and meant as in Asterisk's own description.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Takes `null` for the default: proxies write it where Asterisk had nothing.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// An ARI application and what it is subscribed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Application {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub channel_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub bridge_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub endpoint_ids: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub device_names: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub events_allowed: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    pub events_disallowed: Vec<Value>,
}

/// How Asterisk was built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct BuildInfo {
    #[serde(deserialize_with = "or_default")]
    pub os: String,
    #[serde(deserialize_with = "or_default")]
    pub kernel: String,
    #[serde(deserialize_with = "or_default")]
    pub options: String,
    #[serde(deserialize_with = "or_default")]
    pub machine: String,
    #[serde(deserialize_with = "or_default")]
    pub date: String,
    #[serde(deserialize_with = "or_default")]
    pub user: String,
}

/// Which Asterisk it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SystemInfo {
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    #[serde(deserialize_with = "or_default")]
    pub entity_id: String,
}

/// As whom Asterisk runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SetId {
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    #[serde(deserialize_with = "or_default")]
    pub group: String,
}

/// How Asterisk is configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ConfigInfo {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub default_language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_channels: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open_files: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_load: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub setid: SetId,
}

/// Since when Asterisk runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StatusInfo {
    #[serde(deserialize_with = "or_default")]
    pub startup_time: String,
    #[serde(deserialize_with = "or_default")]
    pub last_reload_time: String,
}

/// Everything `GET /asterisk/info` tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AsteriskInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusInfo>,
}

/// The answer to a ping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AsteriskPing {
    #[serde(deserialize_with = "or_default")]
    pub asterisk_id: String,
    #[serde(deserialize_with = "or_default")]
    pub ping: String,
    #[serde(deserialize_with = "or_default")]
    pub timestamp: String,
}

/// A module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Module {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub description: String,
    #[serde(deserialize_with = "or_default")]
    pub use_count: i64,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub support_level: String,
}

/// A log channel as Asterisk describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LogChannel {
    #[serde(deserialize_with = "or_default")]
    pub channel: String,
    #[serde(deserialize_with = "or_default")]
    pub r#type: String,
    #[serde(deserialize_with = "or_default")]
    pub status: String,
    #[serde(deserialize_with = "or_default")]
    pub configuration: String,
}

/// The value of a variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Variable {
    #[serde(deserialize_with = "or_default")]
    pub value: String,
}

/// The values of several variables.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Variables {
    #[serde(deserialize_with = "or_default")]
    pub variables: Value,
}

/// One attribute of a configuration object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ConfigTuple {
    #[serde(deserialize_with = "or_default")]
    pub attribute: String,
    #[serde(deserialize_with = "or_default")]
    pub value: String,
}

/// A bridge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Bridge {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub technology: String,
    #[serde(deserialize_with = "or_default")]
    pub bridge_type: String,
    #[serde(deserialize_with = "or_default")]
    pub bridge_class: String,
    #[serde(deserialize_with = "or_default")]
    pub creator: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub channels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_source_id: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub creationtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridgevars: Option<Value>,
}

/// Where in the dialplan a channel is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Dialplan {
    #[serde(deserialize_with = "or_default")]
    pub context: String,
    #[serde(deserialize_with = "or_default")]
    pub exten: String,
    #[serde(deserialize_with = "or_default")]
    pub priority: i64,
    #[serde(deserialize_with = "or_default")]
    pub app_name: String,
    #[serde(deserialize_with = "or_default")]
    pub app_data: String,
}

/// A name and a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CallerId {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub number: String,
}

/// RTP statistics of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RtpStatistics {
    #[serde(deserialize_with = "or_default")]
    pub txcount: i64,
    #[serde(deserialize_with = "or_default")]
    pub rxcount: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rxjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_maxjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_minjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_normdevjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_stdevjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_maxjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_minjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_normdevjitter: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_stdevjitter: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub txploss: i64,
    #[serde(deserialize_with = "or_default")]
    pub rxploss: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_maxrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_minrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_normdevrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_stdevrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_maxrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_minrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_normdevrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_stdevrxploss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxrtt: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minrtt: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normdevrtt: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdevrtt: Option<f64>,
    #[serde(deserialize_with = "or_default")]
    pub local_ssrc: i64,
    #[serde(deserialize_with = "or_default")]
    pub remote_ssrc: i64,
    #[serde(deserialize_with = "or_default")]
    pub txoctetcount: i64,
    #[serde(deserialize_with = "or_default")]
    pub rxoctetcount: i64,
    #[serde(deserialize_with = "or_default")]
    pub channel_uniqueid: String,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Channel {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub protocol_id: String,
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub state: String,
    #[serde(deserialize_with = "or_default")]
    pub caller: CallerId,
    #[serde(deserialize_with = "or_default")]
    pub connected: CallerId,
    #[serde(deserialize_with = "or_default")]
    pub accountcode: String,
    #[serde(deserialize_with = "or_default")]
    pub dialplan: Dialplan,
    #[serde(deserialize_with = "or_default")]
    pub creationtime: String,
    #[serde(deserialize_with = "or_default")]
    pub language: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channelvars: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_rdnis: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenantid: Option<String>,
}

/// The state of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct DeviceState {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub state: String,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Endpoint {
    #[serde(deserialize_with = "or_default")]
    pub technology: String,
    #[serde(deserialize_with = "or_default")]
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub channel_ids: Vec<String>,
}

/// A text message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TextMessage {
    #[serde(deserialize_with = "or_default")]
    pub from: String,
    #[serde(deserialize_with = "or_default")]
    pub to: String,
    #[serde(deserialize_with = "or_default")]
    pub body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<Value>,
}

/// A mailbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Mailbox {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub old_messages: i64,
    #[serde(deserialize_with = "or_default")]
    pub new_messages: i64,
}

/// A playback.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Playback {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(deserialize_with = "or_default")]
    pub media_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_media_uri: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub target_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub state: String,
}

/// A recording on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StoredRecording {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub format: String,
}

/// A recording being made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LiveRecording {
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    #[serde(deserialize_with = "or_default")]
    pub format: String,
    #[serde(deserialize_with = "or_default")]
    pub target_uri: String,
    #[serde(deserialize_with = "or_default")]
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talking_duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence_duration: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A format and language a sound exists in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FormatLangPair {
    #[serde(deserialize_with = "or_default")]
    pub language: String,
    #[serde(deserialize_with = "or_default")]
    pub format: String,
}

/// A sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Sound {
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub formats: Vec<FormatLangPair>,
}

/// A contact and its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ContactInfo {
    #[serde(deserialize_with = "or_default")]
    pub uri: String,
    #[serde(deserialize_with = "or_default")]
    pub contact_status: String,
    #[serde(deserialize_with = "or_default")]
    pub aor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roundtrip_usec: Option<String>,
}

/// The state of a peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Peer {
    #[serde(deserialize_with = "or_default")]
    pub peer_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// Where a transfer is to go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReferTo {
    #[serde(deserialize_with = "or_default")]
    pub requested_destination: RequiredDestination,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_channel: Option<Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_channel: Option<Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
}

/// Who asked for a transfer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReferredBy {
    #[serde(deserialize_with = "or_default")]
    pub source_channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_channel: Option<Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Bridge>,
}

/// What a transfer asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RequiredDestination {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_protocol_params: Option<Vec<AdditionalParam>>,
}

/// One parameter of a transfer request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AdditionalParam {
    #[serde(deserialize_with = "or_default")]
    pub parameter_name: String,
    #[serde(deserialize_with = "or_default")]
    pub parameter_value: String,
}
