//! Types, subjects and messages of Asterisk's REST interface over NATS (sans-IO).
