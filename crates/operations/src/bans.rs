//! Bans of those who guessed passwords.

use serde::{Deserialize, Serialize};

/// A ban.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BanEntry {
    /// What is banned: `flow` (a user from one address and port), `user` (a user from one address) or `source` (an address).
    pub scope: String,
    /// The IP address the guesses came from.
    pub source: String,
    /// Their port.
    pub port: u16,
    /// The user whose password was guessed at last.
    pub user: String,
    /// Since when, in seconds of Unix time.
    pub since: i64,
    /// Until when, in seconds of Unix time, unless more passwords are guessed.
    pub until: i64,
}
