//! The messages between Routr v2's core services: the `.proto` files in `proto/`, and the code generated from them for
//! servers and clients.
//!
//! Packages, field numbers, names and services are those of Routr 2.15, so that its services and those of its users
//! talk to ours; `tests/tables.rs` compares them with its tables. What an absent value is: `docs/routr-v2.md`.
//!
//! ```
//! use prost::Message;
//! use trunkline_wire::location::FindRoutesRequest;
//!
//! let asked = FindRoutesRequest { aor: "sip:1001@sip.local".into(), ..FindRoutesRequest::default() };
//! assert_eq!(asked.encode_to_vec(), b"\x12\x12sip:1001@sip.local", "field 2");
//! ```

#![forbid(unsafe_code)]

/// Transports, `fonoster.routr.common.v2beta1`.
pub use generated::fonoster::routr::common::v2beta1 as common;
/// The location service, `fonoster.routr.location.v2beta1`.
pub use generated::fonoster::routr::location::v2beta1 as location;
/// Processors and middlewares, `fonoster.routr.processor.v2beta1`.
pub use generated::fonoster::routr::processor::v2beta1 as processor;
/// The requester, `fonoster.routr.requester.v2beta1`.
pub use generated::fonoster::routr::requester::v2beta1 as requester;
/// SIP messages, `fonoster.routr.sipmessage.v2beta1`.
pub use generated::fonoster::routr::sipmessage::v2beta1 as sipmessage;
/// Verifiers of tokens, `fonoster.verifier`.
pub use generated::fonoster::verifier;

/// The files as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core.bin"));

/// As the packages nest.
#[allow(missing_docs, clippy::all, rust_2018_idioms)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/core.rs"));
}
