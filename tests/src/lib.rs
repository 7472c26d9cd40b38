//! Whole-system flows against real parts: starts the `trunkline` binary on free loopback ports, SIPp beside it, and
//! speaks SIP itself where a test needs to see each message.
//!
//! ```no_run
//! use trunkline_tests::{Exchange, Resources, Ua};
//!
//! let exchange = Exchange::start(&Resources::new().domain("sip.test", "all").agent("sip.test", "1001", "secret"));
//! let mut phone = Ua::udp(exchange.udp(), "1001", "sip.test", "secret");
//! assert_eq!(phone.register(600).status(), 200);
//! ```
#![forbid(unsafe_code)]

mod asterisk;
mod baresip;
mod call;
mod cpu;
mod digest;
mod dns;
mod exchange;
mod grpc;
mod grpc_service;
mod json;
mod message;
mod network;
mod ports;
mod postgres;
mod redis;
mod repetitions;
mod resources;
mod rest;
mod role;
mod routr_v1;
mod rtpengine;
mod scratch;
mod sipp;
mod stream;
mod tls;
mod ua;
mod v1_service;
mod websocket;
mod wire;

pub use asterisk::Asterisk;
pub use baresip::Baresip;
pub use call::Dialog;
pub use cpu::{cpu_time, grows_with_size};
pub use digest::Challenge;
pub use dns::{NameServer, Record};
pub use exchange::{Exchange, binary, exchange_command};
pub use grpc::{Grpc, GrpcError};
pub use grpc_service::GrpcService;
pub use json::Messages;
pub use message::{Message, param, uri};
pub use network::{Network, Side};
pub use ports::{free_port, free_run};
pub use postgres::PostgresServer;
pub use redis::RedisServer;
pub use resources::{Resources, reference};
pub use rest::{Rest, RestReply, base64, token_claims};
pub use role::Role;
pub use routr_v1::{V1_DOMAIN, V1_NUMBER, V1Document, V1Edition, V1Folder, v1_agent};
pub use rtpengine::Rtpengine;
pub use rustls::pki_types::CertificateDer;
pub use rustls::pki_types::pem::PemObject;
pub use scratch::Scratch;
pub use sipp::{Sipp, SippRun};
pub use stream::Stream;
pub use tls::{Authority, key_store};
pub use ua::{Ua, fresh, sdp};
pub use v1_service::{Mood, V1Service};
pub use websocket::WebSocket;
pub use wire::{Closed, Wire, split_stream};

use std::time::{Duration, Instant};

/// How long a test waits for what must come: a bound against hanging, not a pace. However busy the machine is, it is enough.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `check` every few milliseconds until it gives a value; panics when it gives none.
pub fn wait_for<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    wait_for_every(Duration::from_millis(5), what, check)
}

/// The same with pauses of the caller's: for questions that must not come often.
pub fn wait_for_every<T>(pause: Duration, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(pause);
    }
}
