//! Routr v2's services over gRPC, one type each: [`LocationService`], [`EchoService`], [`SimpleAuthService`],
//! [`DispatcherService`].
//!
//! They implement the generated traits of `trunkline-wire`; `trunkline-rpc` serves them. What they answer is what Routr
//! 2.15 answers, where that is not a known mistake; `docs/routr-v2.md` lists the differences.

#![forbid(unsafe_code)]

mod dispatcher;
mod echo;
mod location;
mod message;
mod simpleauth;

pub use dispatcher::{DispatcherRules, DispatcherService, Middleware, ProcessorRule, check_match_func};
pub use echo::EchoService;
pub use location::{LocationService, RouteStore};
pub use simpleauth::{SimpleAuthRules, SimpleAuthService};
