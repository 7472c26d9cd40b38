//! gRPC connections for services and their clients.
//!
//! [`RpcServer`] serves one service with health and reflection, in plaintext or over TLS; [`serve_connection`] is one
//! connection of it, for servers with checks of their own. [`RpcChannel`] is a client: one connection for all calls,
//! made when it is needed and made again when it has broken. All is bounded: connections, calls, bytes, time.

#![forbid(unsafe_code)]

mod channel;
mod connection;
mod deadline;
mod phase;
mod server;

pub use channel::{RpcAddress, RpcChannel};
pub use connection::{Calls, serve as serve_connection};
pub use deadline::deadline;
pub use phase::{ServerPhase, reached};
pub use server::{MOST_REQUEST, RpcError, RpcServer};
