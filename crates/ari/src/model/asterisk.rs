//! Asterisk itself: applications, build and status, modules, logs, variables, configuration.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::or_default;

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
