//! The messages that the exchange receives and sends, for whoever watches them.
//!
//! Each shard has a [`Tap`]. Nobody watches it as a rule: then a message costs one load of a number. While somebody watches, the
//! shard copies each message into a ring of a fixed size and waits for nobody; a [`Watcher`] that reads too slowly learns how
//! many messages it lost. What it reads is filtered ([`Filter`]) and has no secrets any more ([`masked`]), as text, as a file
//! for Wireshark ([`pcap`]) or for a capture server ([`hep`]).
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_sip::Transport;
//! use trunkline_trace::{Direction, Filter, Seen, Tap, Watcher};
//!
//! let tap = Arc::new(Tap::default());
//! let mut watcher = Watcher::new(&[Arc::clone(&tap)], Filter::default());
//! assert!(tap.is_on());
//! tap.put(&Seen {
//!     at: 1_000_000,
//!     direction: Direction::Received,
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse().unwrap(),
//!     remote: "192.0.2.7:5060".parse().unwrap(),
//!     reason: "",
//!     bytes: b"OPTIONS sip:sip.local SIP/2.0\r\n\r\n",
//! });
//! let turn = watcher.turn(2_000_000);
//! assert_eq!((turn.lost, turn.messages.len()), (0, 1));
//! drop(watcher);
//! assert!(!tap.is_on());
//! ```

#![forbid(unsafe_code)]

mod entry;
mod filter;
pub mod hep;
mod mask;
pub mod pcap;
mod summary;
mod tap;
mod watcher;

pub use entry::{Direction, Seen, Traced};
pub use filter::{Filter, Source};
pub use mask::{masked, shown};
pub use summary::Summary;
pub use tap::Tap;
pub use watcher::{Turn, Watcher};
