//! Channels.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::or_default;

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
