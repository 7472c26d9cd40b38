//! The forms resources are written in. Nothing past the door knows them.

pub mod v2;
