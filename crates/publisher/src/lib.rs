//! Events for other programs: as JSON lines in a file ([`FileSink`]), in signed batches to a webhook ([`Webhook`]), and as Routr's
//! events over NATS ([`Nats`]). And traces for OpenTelemetry ([`Otlp`]).
//!
//! A [`Source`] puts together what happens: the events of requests, the notices of calls and registrations, and the states that
//! are looked at from time to time ([`World`]). Each subscriber has its own, so that a slow one costs the others nothing and
//! learns how many events it lost. No shard waits for any of them.
//!
//! ```
//! use trunkline_publisher::Published;
//!
//! let mut event = Published::new(1_764_495_708_123, "ban.began");
//! event.put("source", "192.0.2.7");
//! assert_eq!(event.line(), r#"{"time":"2025-11-30T09:41:48.123Z","type":"ban.began","source":"192.0.2.7"}"#);
//! ```

#![forbid(unsafe_code)]

mod calls;
mod counters;
mod file;
mod headers;
mod nats;
mod otlp;
mod post;
mod published;
mod requests;
mod source;
mod spool;
mod states;
mod webhook;
mod world;

pub use counters::SinkCounters;
pub use file::FileSink;
pub use nats::{Nats, NatsConfig};
pub use otlp::{
    Attribute, FinishedSpan, Otlp, OtlpConfig, SpanId, SpanKind, SpanQueue, TraceId, parent_of, unix_nanos,
};
pub use published::Published;
pub use source::{Inputs, Source};
pub use webhook::{Webhook, WebhookConfig};
pub use world::World;
