//! The resource store: files, SQLite, PostgreSQL or memory behind one set of live tables.
//!
//! A [`Store`] is chosen by a URL and keeps a [`Live`] in step with what is stored. Readers on the packet path
//! take the `Live` and never touch the store; changes go through [`Store::apply`], all of them or none.
//!
//! ```
//! use trunkline_model::{Change, Domain, Kind};
//! use trunkline_store::Store;
//!
//! let store = Store::open("memory:")?;
//! store.apply(vec![Change::Create(Domain::new("domain-01", "sip.local").into())])?;
//! assert_eq!(store.live().load().count(Kind::Domain), 1);
//! # Ok::<(), trunkline_store::StoreError>(())
//! ```

#![forbid(unsafe_code)]

mod error;
mod files;
mod first_start;
mod list;
mod memory;
mod postgres;
mod routr_v1;
mod rows;
mod secret;
mod servers;
mod sqlite;
mod store;
mod transfer;
mod trusted;
mod watch;

pub use error::StoreError;
pub use files::resource_files;
pub use first_start::{FirstStart, Login};
pub use list::{Page, Query, list};
pub use routr_v1::{
    Access, Route, RoutrV1, StoredConfiguration, Write, WriteError, routr_v1_url, stored_configuration,
};
pub use secret::{
    CommonPassword, common_user_passwords, generate_secret, hash_password, hash_token, verify_password,
};
pub use servers::servers_of;
pub use store::Store;
pub use transfer::{ImportMode, Imported};
pub use trunkline_model::{Live, Order};
pub use trusted::connector;
pub use watch::Watch;
