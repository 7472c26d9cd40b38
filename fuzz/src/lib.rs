//! Fuzzing without a special toolchain: mutations of known messages, from a seed that is printed, thrown at each
//! parser for as long as `TRUNKLINE_SOAK_SECONDS` says.
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
pub mod login;
pub mod media;
mod mutate;
pub mod rest_v1;
mod rng;
mod soak;
pub mod targets;

pub use corpus::corpus;
pub use mutate::{LARGEST, mutate};
pub use rng::Rng;
pub use soak::{Report, seconds, soak};
