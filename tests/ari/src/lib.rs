//! Parts for the tests: a nats-server, a scripted ARI, a real Asterisk.

pub mod asterisk;
pub mod fake;
pub mod golden;
pub mod nats;
pub mod proxy;
pub mod wait;
