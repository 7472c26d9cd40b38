//! Events, as an operator follows them.

use serde::{Deserialize, Serialize};

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventQuery {
    /// Types such as `call.ended`, or groups such as `call`; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Those from now on, instead of those that are kept.
    #[serde(default)]
    pub follow: bool,
}

/// Events, as a subscriber gets them. None of them: the exchange lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLines {
    /// The events, each as JSON.
    #[serde(default)]
    pub events: Vec<String>,
    /// No more come.
    #[serde(default)]
    pub over: bool,
}
