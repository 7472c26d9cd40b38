//! The configuration of Routr v2's services: a file for each of them that has one, and their environment.
//!
//! The files are those of Routr 2.15, unchanged: YAML, JSON or TOML. A key that only looks like a known one is an error;
//! other unknown keys are accepted, as there. [`RoleFile::read`] reads any of them, for `trunkline check`.

mod dispatcher;
mod environment;
mod file;
mod location;
mod toml;
mod users;

pub use dispatcher::{DispatcherRole, MiddlewareEntry, ProcessorEntry};
pub use environment::{RoleEnv, RoleTls};
pub use file::{RoleFile, default_file, is_role_file};
pub use location::{LocationCache, LocationRole};
pub use users::read_users;
