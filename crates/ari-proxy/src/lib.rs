//! Server: Asterisk's REST interface over NATS.
