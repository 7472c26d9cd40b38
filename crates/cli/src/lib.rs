//! The operator's commands, and the control socket of the running server.
//!
//! * [`Command`] is the tree of subcommands, to be put beside `serve` by the binary; [`run`] runs one.
//! * A running server answers on a Unix socket: [`ControlServer`] asks its
//!   [`Operations`](trunkline_operations::Operations), the protocol is in [`protocol`]. When no server runs, the commands work on the database themselves.
//!
//! ```
//! use clap::Parser;
//! use trunkline_cli::{Common, Command};
//!
//! #[derive(Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     common: Common,
//!     #[command(subcommand)]
//!     command: Command,
//! }
//!
//! let arguments = Arguments::parse_from(["trunkline", "agents", "list", "--json"]);
//! assert!(matches!(arguments.command, Command::Agents(_)));
//! ```

#![forbid(unsafe_code)]

mod backend;
mod bans;
mod calls;
mod change;
mod check;
mod command;
mod connection;
mod create;
mod drain;
mod edit;
mod events;
mod explain;
mod live;
mod migrate;
mod overlooked;
pub mod protocol;
mod quoted;
mod resources;
mod run;
mod running;
mod server;
mod show;
mod stores;
mod terminal;
mod time;
mod tokens;
mod trace;
mod words;

pub use backend::{StoreOnly, answer, transports};
pub use command::{Check, Command, Common, parse};
pub use connection::{ConnectError, Connection, LoadError, access, load, load_once, stored};
pub use create::derived_ref;
pub use overlooked::{overlooked, told};
pub use quoted::quoted;
pub use run::{Offline, run};
pub use server::ControlServer;
pub use stores::check_stores;
pub use terminal::Terminal;
pub use words::in_its_words;
