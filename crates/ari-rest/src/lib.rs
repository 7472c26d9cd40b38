//! One Asterisk's REST interface over HTTP and its events over a WebSocket: a keep-alive pool with
//! time-outs, a socket that is pinged, delays that grow with jitter.
//!
//! ```no_run
//! # async fn example() -> Result<(), trunkline_ari_rest::AriError> {
//! use trunkline_ari::{Method, RestCall};
//! use trunkline_ari_rest::{Ari, AriConfig};
//!
//! let ari = Ari::new(AriConfig::new("http://127.0.0.1:8088/ari", "user", "password"))?;
//! let call = RestCall { method: Method::Get, path: "/asterisk/info".into(), body: None, file: false };
//! let reply = ari.call(call).await?;
//! println!("{} {}", reply.status, reply.reason);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod backoff;
mod client;
mod config;
mod download;
mod error;
mod events;
mod http;
mod pool;
mod stream;
mod tls;
mod url;

pub use backoff::Backoff;
pub use client::{Ari, Reply};
pub use config::AriConfig;
pub use download::Download;
pub use error::AriError;
pub use events::Events;
pub use http::AriHttpError;
pub use url::{Url, UrlError};
