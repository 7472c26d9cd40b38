//! The forms resources are written in. Nothing past the door knows them.

pub mod v1;
pub mod v2;
