//! The configuration of the connection to one Asterisk.

use std::path::PathBuf;
use std::time::Duration;

/// How to reach one Asterisk.
#[derive(Clone)]
pub struct AriConfig {
    /// The REST interface, such as `http://localhost:8088/ari`.
    pub http_url: String,
    /// The event WebSocket, such as `ws://localhost:8088/ari/events`.
    pub websocket_url: String,
    /// The `Origin` header of the WebSocket.
    pub origin: String,
    /// The ARI user.
    pub username: String,
    /// Its password.
    pub password: String,
    /// A file of certificate authorities (PEM) for `https` and `wss`, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The time limit of one call (default 10 s).
    pub timeout: Duration,
    /// How many connections may be open at once (default 32; Asterisk's own limit is 100).
    pub connections: usize,
    /// The longest answer and the longest event that are read, in bytes (default 16 MiB).
    pub max_answer: usize,
    /// The longest file of a stored recording that is read, in bytes (default 256 MiB).
    pub max_file: usize,
    /// How long the WebSocket may be silent before it is pinged; after twice that it is dead
    /// (default 10 s).
    pub keep_alive: Duration,
}

impl std::fmt::Debug for AriConfig {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AriConfig")
            .field("http_url", &self.http_url)
            .field("websocket_url", &self.websocket_url)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl AriConfig {
    /// The REST interface at `http_url`, the WebSocket at `/events` below it, all else by default.
    #[must_use]
    pub fn new(http_url: &str, username: &str, password: &str) -> Self {
        let websocket = http_url.trim_end_matches('/').replacen("http", "ws", 1);
        AriConfig {
            http_url: http_url.to_owned(),
            websocket_url: format!("{websocket}/events"),
            origin: "http://localhost/".to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            ca: None,
            timeout: Duration::from_secs(10),
            connections: 32,
            max_answer: 16 << 20,
            max_file: 256 << 20,
            keep_alive: Duration::from_secs(10),
        }
    }
}
