//! Client library for Asterisk's REST interface, over NATS or directly.
