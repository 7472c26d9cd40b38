//! The proxy core of RFC 3261 §16, sans-IO: the transaction that takes one request to its targets and one answer back
//! ([`ProxyTransaction`]), the branch that finds it and shows loops, the Record-Route parameter that proves a dialog to be
//! ours and keeps the ways back.
//!
//! ```
//! use trunkline_proxy::{Branch, ResponseContext, Secret};
//!
//! let secret = Secret::new([7; 16]);
//! let branch = Branch { shard: 0, fork: 1, generation: 2, slot: 3, loop_mac: 4 };
//! assert_eq!(Branch::decode(&branch.encoded(&secret), &secret), Some(branch));
//!
//! let mut context = ResponseContext::default();
//! context.started();
//! context.started();
//! assert!(!context.on_final(0, 486).exhausted);
//! assert!(context.on_final(1, 480).exhausted);
//! assert_eq!(context.best(), Some((0, 486)));
//! ```
#![forbid(unsafe_code)]

mod base64url;
mod branch;
mod buffers;
mod companion;
mod flow_token;
mod hex;
mod mark;
mod names;
mod party;
mod response_context;
mod sealed;
mod secret;
mod target;
pub mod transaction;

pub use branch::{Branch, StatelessBranch, StatelessUse};
pub use buffers::Buffers;
pub use companion::put_companion;
pub use flow_token::FlowToken;
pub use mark::{Belongs, Holder, Mark, Seen, Side, Way};
pub use names::{Bound, Names};
pub use party::PartyKind;
pub use response_context::{After, ResponseContext};
pub use secret::Secret;
pub use transaction::ProxyTransaction;
