//! What the exchange sends of its own accord to trunks and peers: registrations at carriers, and OPTIONS that find out who
//! answers. Both are machines without sockets, names and clocks: told what happened and when, they say what is to be done.
//!
//! ```
//! use trunkline_trunks::{Next, Registration, Response};
//!
//! let mut registration = Registration::new(false, 0);
//! assert_eq!(registration.on_time(0), Next::Ask);
//! registration.sent(false, 0);
//! let granted = Response { status: 200, granted: Some(600), ..Response::default() };
//! assert_eq!(registration.on_response(&granted, 20), Next::Rest);
//! assert!(registration.is_registered(20));
//! assert_eq!(registration.due(), Some(540_020));
//! ```
#![forbid(unsafe_code)]

mod qualifier;
mod registration;

pub use qualifier::{Outcome, Output, Place, Qualifier, State, Subject};
pub use registration::{EXPIRES, Next, Registration, Response};
