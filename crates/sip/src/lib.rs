//! SIP messages: index in place, typed headers on demand, URIs, splices, builders (sans-IO).

mod flow;

pub use flow::{ConnectionId, Flow, Transport};
