//! The resources of an exchange, their validation, and the dialects that read them.
//!
//! The canonical model is [`Domain`], [`Agent`], [`Peer`], [`Trunk`], [`Number`], [`AccessControlList`],
//! [`Credentials`] and [`User`]. They live in [`Tables`], a set that never changes once it is published: a change
//! makes a new set that shares all but the touched parts with the old one, and [`Live`] swaps it in. Readers look
//! things up by bytes of a message without allocating:
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_model::{Agent, Domain, Live, Ref, Tables};
//!
//! let live = Live::new(Tables::default());
//! live.update(|tables| {
//!     tables.put(Domain::new("domain-01", "sip.local"));
//!     tables.put(Agent::new("agent-01", "1001", Some(Ref::new("domain-01"))));
//! });
//!
//! let tables = live.load();
//! let domain = tables.domain_by_uri(b"SIP.local").expect("hosts ignore case");
//! let agent = tables.agent(Some(&domain.reference), b"1001").expect("just put");
//! assert_eq!(agent.max_contacts, None);
//! ```

#![forbid(unsafe_code)]

mod apply;
mod caution;
mod common;
pub mod dialect;
pub mod document;
mod live;
mod reference;
mod resource;
mod sharded;
mod sorted;
mod tables;
mod tenants;
mod time;
mod validate;

pub use apply::{Change, Reason, Violation};
pub use caution::{Asked, SHORT_PASSWORD, Unproven, may_be_device};
pub use common::is_common_password;
pub use live::Live;
pub use reference::Ref;
pub use resource::{
    AccessControlList, Agent, Algorithm, Authenticate, CallLimits, ClientCertificate, Credentials,
    DigestAlgorithm, Domain, EgressPolicy, Extended, GeoInfo, InterDomain, Kind, LoadBalancing, Number, Peer,
    Privacy, Resource, Role, Rule, ShownAs, Token, Trunk, TrunkUri, User, is_everybodys, network,
};
pub use sorted::Order;
pub use tables::{Difference, Referrer, Tables, normal_aor};
pub use time::Utc;
pub use validate::{Problem, is_host, validate};
