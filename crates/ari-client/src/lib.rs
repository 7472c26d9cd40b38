//! Client library for Asterisk's REST interface, over NATS or directly.
#![forbid(unsafe_code)]

mod nats;
pub mod stream;

pub use nats::{NatsConfig, NatsError};
