//! One Asterisk's REST interface over HTTP and its events over a WebSocket.
#![forbid(unsafe_code)]
