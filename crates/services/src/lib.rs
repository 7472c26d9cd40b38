//! Routr v2's services over gRPC, one type each: [`LocationService`].
//!
//! They implement the generated traits of `trunkline-wire`; `trunkline-rpc` serves them. What they answer is what Routr
//! 2.15 answers, where that is not a known mistake; `docs/routr-v2.md` lists the differences.

#![forbid(unsafe_code)]

mod location;

pub use location::{LocationService, RouteStore};
