//! File descriptors: the limit of the process, and who may take the last ones.
//!
//! Whoever can connect to a listener can use up the descriptors of the process. So connections that others make never take the
//! last [`FOR_OURSELVES`] of them, connections that we make never the last half of those, and a listener that operators need
//! ([`Spare`]) keeps a few of its own.
//!
//! The kernel gives out the lowest free number (POSIX.1-2017, 2.14 "File Descriptor Allocation"). A descriptor with a high
//! number therefore proves that all lower numbers are in use, and nothing has to be counted.
//!
//! ```
//! use trunkline_descriptors::{Taker, may_keep};
//!
//! let file = std::fs::File::open("/dev/null")?;
//! assert!(may_keep(&file, Taker::Accepted));
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod limit;
mod spare;

pub use limit::{FOR_OURSELVES, Limit, Taker, in_use, is_exhausted, limit, may_keep, raise};
pub use spare::Spare;
