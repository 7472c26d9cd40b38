//! Bridges, and transfers between channels and bridges.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Channel, or_default};

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

/// The party that asked for a transfer.
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

/// The target of a transfer.
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
