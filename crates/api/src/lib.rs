//! The resource services over gRPC, as Routr v2's clients know them ("Connect API"): agents, domains, peers, trunks,
//! numbers, credentials and access control lists, on the same store as the command line.
//!
//! An [`ApiServer`] has two endpoints:
//!
//! | endpoint | key | who |
//! | --- | --- | --- |
//! | [`Endpoint::Internal`] | `grpc.addr`, 127.0.0.1:51907 | processes on this machine: plaintext, no login, passwords shown, reflection |
//! | [`Endpoint::External`] | `grpc.externalAddr`, 0.0.0.0:51908 | others: TLS, a login with every call, passwords hidden |
//!
//! They have one thread with a runtime of its own, so that nothing that happens here delays a SIP message; what waits
//! for the disk, or looks at many resources, runs beside it. What a stranger may take is bounded: connections, of one
//! address too, the time a connection may be silent, the size of a request and the time it takes.
//!
//! Codes and texts of errors are those of Routr 2.15; where this departs from it, docs/api.md says so.

#![forbid(unsafe_code)]

mod caller;
mod counts;
mod extended;
mod gate;
mod kind;
mod kinds;
mod method;
mod reasons;
mod resources;
mod server;
mod services;
mod uuid;
mod version;

pub use counts::Count;
pub use server::{ApiError, ApiServer, Endpoint, RunningApi};
