//! Server: Asterisk's REST interface over NATS; it replaces ari-proxy next to each Asterisk.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use trunkline_ari_proxy::{Config, run};
//!
//! let config = Config::from_sources(|name| std::env::var(name).ok(), None, &[])?;
//! run(config, async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod bus;
pub mod cli;
mod config;
mod file;
mod files;
mod handover;
mod http;
mod lanes;
mod link;
mod look;
mod metrics;
mod outbox;
mod proxy;
mod publish;
mod requests;
mod run;
mod send;
mod subscriptions;
mod traces;
mod twins;

pub use config::{Config, ConfigError, Delivery, File};
pub use metrics::Metrics;
pub use run::{ProxyError, run, run_with};
pub use traces::Traces;
