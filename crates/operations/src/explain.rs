//! Why calls and other requests ended as they did.

use serde::{Deserialize, Serialize};

/// Which calls are to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainQuery {
    /// The one with this Call-ID; otherwise the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Only what failed.
    #[serde(default)]
    pub failed: bool,
    /// Only what began at or after, in seconds of Unix time.
    #[serde(default)]
    pub since: i64,
    /// How many at most.
    pub limit: usize,
}

/// A call, registration or other request, explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The Call-ID.
    pub call_id: String,
    /// The method.
    pub method: String,
    /// The URI of From.
    pub from: String,
    /// The Request-URI.
    pub to: String,
    /// When it began, in milliseconds of Unix time.
    pub began: u64,
    /// The status of its final response, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether it failed.
    pub failed: bool,
    /// The reason code of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, in order.
    pub steps: Vec<ExplainedStep>,
    /// What went wrong and what to do.
    pub hints: Vec<String>,
    /// The names of the findings among them.
    #[serde(default)]
    pub findings: Vec<String>,
    /// The same as text.
    pub text: String,
}

/// One thing that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedStep {
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// In words.
    pub text: String,
    /// Whether it explains the step before it.
    pub detail: bool,
}
