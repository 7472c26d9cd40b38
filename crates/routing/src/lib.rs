//! The router: who calls, may they, where to.
#![forbid(unsafe_code)]

mod access;
mod callee;
mod caller;
mod e164;
mod egress;
mod explain;
mod headers;
mod local;
mod lookup;
mod party;
mod plan;
mod register;
mod request;
mod route;
mod target;

pub use explain::Fact;
pub use lookup::{Answer, Backend, Lookup, Step, Verdict};
pub use party::{Direction, Party};
pub use plan::{Outcome, Plan};
pub use request::{Options, Request};
pub use route::Route;
pub use target::{Binding, NextHop, Target, Targets, Text};
