//! Endpoints, contacts and peers, device states, mailboxes, text messages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::or_default;

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
