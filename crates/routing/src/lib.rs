//! The router: who calls, may they, where to.
#![forbid(unsafe_code)]

mod lookup;
mod party;
mod plan;
mod request;
mod route;
mod target;

pub use lookup::{Answer, Backend, Lookup, Step, Verdict};
pub use party::{Direction, Party};
pub use plan::{Outcome, Plan};
pub use request::{Options, Request};
pub use route::Route;
pub use target::{Binding, NextHop, Target, Targets, Text};
