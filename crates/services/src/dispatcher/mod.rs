//! The dispatcher: sends each message through middlewares and to the first processor that wants it.

mod json;
mod matcher;
mod native;
mod script;
mod service;

pub use matcher::check_match_func;
pub use service::{DispatcherRules, DispatcherService, Middleware, ProcessorRule};
