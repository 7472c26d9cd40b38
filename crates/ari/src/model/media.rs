//! Playbacks, recordings and sounds.

use serde::{Deserialize, Serialize};

use super::or_default;

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
