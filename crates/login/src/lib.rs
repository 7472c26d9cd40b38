//! Logging in: who calls an API or the console, and what may they do?
//!
//! [`Login`] checks what a caller [`Presented`] against the [`User`](trunkline_model::User) resources in force, so
//! that a user who was disabled, or whose token was deleted, is out with his next call. One `Login` serves all doors
//! of the process: what is guessed at one of them is slowed at all.
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_login::{Login, Presented, Refused};
//! use trunkline_model::{Change, Role, User};
//! use trunkline_store::{Store, hash_password};
//!
//! let store = Store::open("memory:")?;
//! let mut ann = User::new("user-ann", "ann", Role::Operator);
//! ann.password_hash = Some(hash_password("correct horse")?);
//! store.apply(vec![Change::Create(ann.into())])?;
//!
//! let login = Login::new(store.live().clone())?;
//! let from = "192.0.2.7".parse()?;
//! let presented = Presented::from_header("Basic YW5uOmNvcnJlY3QgaG9yc2U=")?;
//! let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! let ann = runtime.block_on(login.check(from, presented))?;
//! assert_eq!((&*ann.username, ann.role), ("ann", Role::Operator));
//! assert!(ann.may_write());
//!
//! let guess = Presented::password("ann", "battery staple");
//! assert_eq!(runtime.block_on(login.check(from, guess)).err(), Some(Refused::Wrong));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What keeps strangers out, and the process well, while they try:
//!
//! * Argon2 runs on blocking threads, a few at a time; those who wait for one are counted, per source too, and
//!   beyond that [`Refused::Busy`].
//! * A user who does not exist, is disabled or has no password costs as much as a wrong password.
//! * Wrong ones are slowed per source address, per user from one source, and per user from anywhere, in a bounded
//!   table: [`Refused::Slowed`].
//! * What was right is remembered for minutes under a keyed hash, for programs that send their password with every
//!   call. The hash covers the stored one, so a changed password is in force at once.

#![forbid(unsafe_code)]

mod identity;
mod login;
mod permits;
mod presented;
mod verified;

pub use identity::{Identity, Means};
pub use login::{Login, Refused};
pub use presented::Presented;
