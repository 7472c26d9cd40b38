//! Routr v1 (API v1beta1): one YAML list per collection, `{apiVersion, kind, metadata, spec}` each.
//!
//! | in Routr v1 | here |
//! | --- | --- |
//! | User | [`crate::User`], its secret hashed when it is read |
//! | Agent of several domains | one [`crate::Agent`] per domain, one [`crate::Credentials`] for all |
//! | Domain with `accessControlList` and `egressPolicy` | [`crate::Domain`] and its own [`crate::AccessControlList`] |
//! | Gateway | [`crate::Trunk`] whose calls may come from anywhere, as in Routr, and its credentials |
//! | DID or Number | [`crate::Number`] |
//! | Peer with a `device` | [`crate::Peer`] of that AOR, and the [`crate::Domain`] its device is, unless there is one |
//!
//! What Routr did by default comes out explicit: calls are not authenticated
//! ([`crate::Authenticate::Register`], unless a domain's `spec.authenticate` asks for more), and what an access list says of those it does not name depends on the
//! [`Edition`]. Keys that nobody knows are the operator's own and stay in the [`Documents`]; those that look like a
//! known one are errors.

mod acl;
mod collection;
mod document;
mod edition;
mod load;
mod made;
mod properties;
mod refs;
mod resources;

pub use acl::{net, with_default};
pub use collection::{Collection, Documents};
pub use edition::Edition;
pub use load::{Loaded, load, load_lenient};
pub(crate) use made::DEVICE;
pub use properties::{Property, properties};
pub use refs::generated_ref;
