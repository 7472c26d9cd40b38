//! The location service: AOR to bindings, selection among them, persistence.
//!
//! [`Location`] is the table in memory that every shard thread shares: a REGISTER is one call of
//! [`Location::register`] (RFC 3261 §10.3, applied as a whole or not at all), a lookup one of
//! [`Location::visit`], the choice of one binding among several one of [`Location::select`].
//! [`Persistence`] follows behind on a thread of its own; nothing on the packet's way waits for it.
//!
//! ```
//! use trunkline_location::{ContactChange, Location, Register};
//! use trunkline_sip::{ConnectionId, Flow, Transport};
//!
//! let location = Location::new();
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse()?,
//!     remote: "192.0.2.7:5060".parse()?,
//!     connection: ConnectionId::NONE,
//! };
//! let now = 1_700_000_000_000;
//! let contacts = [ContactChange::new(b"sip:1001@192.0.2.7", 3600)];
//! let register = Register::new(b"sip:1001@sip.local", b"call-1", 1, flow, &contacts);
//! location.register(&register, now, |binding| assert_eq!(binding.expires_in(now), 3600))?;
//!
//! let mut found = Vec::new();
//! location.visit(b"sip:1001@sip.local", now, |binding| found.push(binding.uri.to_vec()));
//! assert_eq!(found, [b"sip:1001@192.0.2.7"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod announce;
mod apply;
mod binding;
mod connections;
mod departures;
mod flows;
mod known_hosts;
mod locals;
mod location;
mod log;
mod origins;
mod persistence;
mod pins;
mod record;
mod register;
mod select;
mod sources;
mod until;
mod uri;

pub use binding::{Binding, BindingId, Timestamp};
pub use known_hosts::{KnownHost, KnownHosts};
pub use location::{Location, Stats};
pub use persistence::{Persistence, PersistenceError, PersistenceHealth};
pub use register::{ContactChange, Contacts, Outcome, Overflow, PASSED_ON, Register, RegisterError};
pub use select::{Algorithm, Select};
pub use uri::uri_equivalent;
