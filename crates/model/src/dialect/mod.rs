//! The file formats of resources. Only this module knows them.

pub mod v1;
pub mod v2;
