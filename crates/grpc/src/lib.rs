//! The messages of Routr v2's resource services ("Connect API"): the `.proto` files in `proto/`, and the code generated
//! from them for servers and clients.
//!
//! Package, message and field names are those that Routr's SDK and command line bring along, so that they work
//! unchanged; `crates/api` serves them.
//!
//! ```
//! use prost::Message;
//! use trunkline_grpc::connect::agents::{Agent, Privacy};
//!
//! let agent = Agent { username: "1001".into(), privacy: Privacy::None.into(), ..Agent::default() };
//! let bytes = agent.encode_to_vec();
//! assert_eq!(bytes, b"\x22\x041001\x28\x01", "field 4 and field 5");
//! assert_eq!(Agent::decode(&*bytes)?, agent);
//! # Ok::<(), prost::DecodeError>(())
//! ```

#![forbid(unsafe_code)]

/// The resource services, `fonoster.routr.connect.*.v2beta1`, one module each.
pub mod connect {
    pub use crate::generated::fonoster::routr::connect::acl::v2beta1 as acl;
    pub use crate::generated::fonoster::routr::connect::agents::v2beta1 as agents;
    pub use crate::generated::fonoster::routr::connect::credentials::v2beta1 as credentials;
    pub use crate::generated::fonoster::routr::connect::domains::v2beta1 as domains;
    pub use crate::generated::fonoster::routr::connect::numbers::v2beta1 as numbers;
    pub use crate::generated::fonoster::routr::connect::peers::v2beta1 as peers;
    pub use crate::generated::fonoster::routr::connect::trunks::v2beta1 as trunks;

    /// The files of the services as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/connect.bin"));
}

/// As the packages nest.
#[allow(missing_docs, clippy::all, rust_2018_idioms)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/connect.rs"));
}
