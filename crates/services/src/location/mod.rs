//! The location service: routes by address of record, and the choice among them.
//!
//! A [`RouteStore`] keeps the routes; the service has the rules: who may add one, which one a call gets.

mod choice;
mod memory;
mod route;
mod service;
mod store;

pub use service::LocationService;
pub use store::RouteStore;
