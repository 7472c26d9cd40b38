//! The roles of a process: each is a type that is built from its part of the configuration and from what roles share
//! ([`Base`](crate::base::Base)). A process opens the listeners, files and threads of its roles and no others.
//!
//! | role | listeners | files beside those of its data | threads |
//! | --- | --- | --- | --- |
//! | `exchange`, [`Sip`] | `listen` | bindings, call records, the secret, a self-signed certificate | one per shard, `acceptor`, DNS, writers |
//! | `api`, [`Api`] | `grpc` | a self-signed certificate for `grpc.externalAddr` | `grpc` |
//! | `rest-v1`, [`RestV1`] | `routrV1.addr` | the salt of its tokens | `http` |
//! | `health`, [`Health`] | `http.addr` | none | `http` |
//! | `control`, [`Control`] | the Unix socket `control.socket` | none | `control` |
//! | `ari-proxy`, [`AriProxy`] | none; it connects to NATS and Asterisk | none | `ari-proxy` |
//!
//! The first, second, third and fifth open the resources (`data`), once for all of them.

mod api;
mod ari_proxy;
mod control;
mod health;
mod rest_v1;
mod sip;

pub use api::Api;
pub use ari_proxy::AriProxy;
pub use control::Control;
pub use health::Health;
pub use rest_v1::RestV1;
pub use sip::{RunningSip, Sip, SipConfig, SipView};
