//! SIP messages, sans-IO: an index made in one pass over the received bytes, typed headers read on demand,
//! forwarding as a list of splices.
//!
//! ```
//! use trunkline_sip::{Index, Limits, Message, Method};
//!
//! let bytes = b"OPTIONS sip:example.test SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\n\
//!     From: <sip:a@example.test>;tag=1\r\nTo: <sip:example.test>\r\n\
//!     Call-ID: 7\r\nCSeq: 1 OPTIONS\r\n\r\n";
//! let mut index = Index::default();
//! index.parse(bytes, &Limits::default())?;
//! let message = Message::new(bytes, &index);
//! assert_eq!(message.method(), Some(Method::Options));
//! assert_eq!(message.top_via()?.branch, b"z9hG4bK1");
//! assert_eq!(message.uri()?.host, b"example.test");
//! # Ok::<(), trunkline_sip::ParseError>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod class;
mod control;
mod date;
mod error;
mod flow;
mod frame;
mod index;
mod lex;
mod message;
mod method;
mod name;
mod put;
pub mod response;
mod scan;
mod source;
mod splice;
mod status;
mod uri;
mod via;

pub use address::Address;
pub use control::without_control_characters;
pub use date::{put_date, read_date};
pub use error::ParseError;
pub use flow::{ConnectionId, Flow, Transport};
pub use frame::Frame;
pub use index::{Header, Index, Limits, Span, StartLine};
pub use lex::{List, Param, Params, unquote};
pub use message::{Message, seconds};
pub use method::Method;
pub use name::HeaderName;
pub use put::{IN_USER, escape, put_address, put_ip, put_transport};
pub use source::{is_private, source_of};
pub use splice::Splices;
pub use status::reason;
pub use uri::{Scheme, Uri, canonical_ip, decode_escapes, parse_ip, uris_equal};
pub use via::{MAGIC_COOKIE, Via};
