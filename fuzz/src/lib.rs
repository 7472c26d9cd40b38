//! Fuzzing without a special toolchain: mutations of known messages, from a seed that is printed, thrown at each
//! parser and at machines without sockets for as long as `TRUNKLINE_SOAK_SECONDS` says. `cargo xtask fuzz` runs all of
//! them until so many inputs were thrown.
//!
//! ```
//! use trunkline_fuzz::{corpus, soak};
//!
//! // A target looks at bytes and panics when something that must hold does not.
//! let report = soak("length", &corpus(), std::time::Duration::from_millis(20), |bytes| {
//!     assert!(bytes.len() <= trunkline_fuzz::LARGEST);
//! });
//! assert!(report.inputs > 0);
//! ```
#![forbid(unsafe_code)]

pub mod ari;
mod corpus;
mod list;
pub mod login;
mod long;
pub mod machines;
pub mod media;
mod mutate;
pub mod registrar;
pub mod rest_v1;
mod rng;
pub mod routing;
mod soak;
pub mod targets;
pub mod tokens;
pub mod trace;

pub use corpus::corpus;
pub use list::{TARGETS, Target, target};
pub use long::run;
pub use mutate::{LARGEST, mutate};
pub use rng::Rng;
pub use soak::{Report, seconds, soak};
