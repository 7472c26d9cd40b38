//! The four transaction machines of RFC 3261 §17 with RFC 6026 and RFC 4320, the key that finds a
//! transaction, and the table that holds transactions with their deadlines. Sans-IO: `now` comes in, what
//! there is to do goes out.
//!
//! ```
//! use trunkline_transaction::{Actions, InviteClient, Class};
//!
//! let mut t = InviteClient::new(false, 0);
//! assert_eq!(t.deadline(), Some(500)); // timer A
//! assert_eq!(t.on_timer(500), Actions::RESEND);
//! assert_eq!(t.on_response(Class::Provisional, 600), Actions::DELIVER);
//! assert_eq!(t.on_response(Class::Success, 700), Actions::DELIVER);
//! ```
#![forbid(unsafe_code)]

mod actions;
mod invite_client;
mod invite_server;
mod key;
mod non_invite_client;
mod non_invite_server;
mod table;
pub mod timers;

pub use actions::{Actions, Class};
pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{KeyMaker, TransactionKey};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;
pub use table::{Slot, Table};
