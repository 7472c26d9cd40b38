//! The registrar: what a REGISTER does to bindings, RFC 3261 §10.3, with RFC 3327 (Path), RFC 3608 (Service-Route), RFC 5626
//! (outbound) and RFC 5627 (GRUU).
//!
//! [`Registrar::register`] knows no socket and no clock. A REGISTER that the router lets its sender send comes in, with the
//! time; what changed or why not comes out, and the header lines of the response stand in [`Memory`]. What it cannot know
//! itself it asks of its [`Surroundings`].
//!
//! ```
//! use std::net::SocketAddr;
//! use trunkline_location::Location;
//! use trunkline_proxy::Secret;
//! use trunkline_registrar::{Memory, Registrar, RegistrarConfig, Request, Surroundings};
//! use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport, Uri};
//!
//! struct Anywhere;
//! impl Surroundings for Anywhere {
//!     fn may_lead_to(&self, _: &[u8]) -> Result<(), &'static str> {
//!         Ok(())
//!     }
//!     fn may_be_there(&self) -> Result<(), &'static str> {
//!         Ok(())
//!     }
//!     fn is_behind_nat(&self, _: &Uri<'_>) -> bool {
//!         false
//!     }
//!     fn us(&self) -> SocketAddr {
//!         "192.0.2.1:5060".parse().expect("an address")
//!     }
//! }
//!
//! let bytes = b"REGISTER sip:sip.local SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
//!     From: <sip:1001@sip.local>;tag=1\r\nTo: <sip:1001@sip.local>\r\nCall-ID: 7\r\nCSeq: 1 REGISTER\r\n\
//!     Contact: <sip:1001@192.0.2.7>;expires=600\r\n\r\n";
//! let mut index = Index::default();
//! index.parse(bytes, &Limits::default())?;
//! let message = Message::new(bytes, &index);
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse()?,
//!     remote: "192.0.2.7:5060".parse()?,
//!     connection: ConnectionId::NONE,
//! };
//! let request = Request::new(message, message.top_via()?, &flow, b"sip:1001@sip.local");
//! let (config, secret, location) = (RegistrarConfig::default(), Secret::new([7; 16]), Location::new());
//! let registrar = Registrar { config: &config, secret: &secret, location: &location };
//! let mut memory = Memory::default();
//! let registered = registrar.register(&request, &Anywhere, 1_700_000_000_000, &mut memory).expect("it is taken");
//! assert_eq!(registered.changed.added, 1);
//! assert!(memory.headers.starts_with(b"Contact: <sip:1001@192.0.2.7>;expires=600\r\nService-Route: "));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod config;
mod contacts;
mod extensions;
mod gruu;
mod reach;
mod refusal;
mod registrar;

pub use config::{BySource, RegistrarConfig};
pub use gruu::{Ended, Named, is_of};
pub use refusal::Refusal;
pub use registrar::{Memory, Registered, Registrar, Request, Surroundings, check_to};
