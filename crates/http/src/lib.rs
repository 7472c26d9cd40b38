//! HTTP listeners. The one of every process (`http.addr`, 127.0.0.1:8000 by default) has health, readiness and metrics,
//! and whatever else mounts on it; APIs with a port of their own have another, with or without TLS.
//!
//! | path | answers |
//! | --- | --- |
//! | `/healthz` | 200 while the process works. A dead store never turns it red: a restart would not mend it |
//! | `/readyz` | 200 while calls are taken, 503 before listening and while draining; says what is degraded |
//! | `/metrics` | Prometheus' text format, version 0.0.4 |
//!
//! The listener has one thread with a runtime of its own, so nothing that happens here delays a SIP message. What
//! it tells comes from a [`Operations`](trunkline_operations::Operations), asked once per request on that thread: an implementation reads counters and
//! must not wait.
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_http::{HttpServer, health};
//! use trunkline_operations::{OperationError, Operations, Readiness};
//! use trunkline_store::Store;
//!
//! struct Nothing;
//! impl Operations for Nothing {
//!     fn store(&self) -> Result<Arc<Store>, OperationError> {
//!         Err(OperationError::NotRunning)
//!     }
//!     fn readiness(&self) -> Readiness {
//!         Readiness { listening: true, ..Readiness::default() }
//!     }
//! }
//!
//! let server = HttpServer::new("127.0.0.1:0".parse()?).mount(health(Arc::new(Nothing))).start()?;
//! println!("health on http://{}/healthz", server.address());
//! server.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod accept;
mod connection;
mod exposition;
mod figures;
mod health;
mod patience;
mod server;
mod target;

pub use accept::{Descriptors, accept};
/// The routes to mount: axum's router, without a fallback.
pub use axum::Router;
pub use exposition::{Exposition, Kind};
pub use health::health;
pub use server::{HttpError, HttpServer, KEY, RunningHttp, TlsSource};
