//! Calls we record-routed: sessions per peer, limits, and a record for every call, once.
//!
//! [`Calls`] is told by the edge when a call starts, is answered and ends; it counts sessions from real
//! dialogs and holds what is live. [`Records`] follows behind on a thread of its own and keeps the records
//! in SQLite; nothing on the packet's way waits for it. Times are milliseconds since the Unix epoch.
//!
//! ```
//! use trunkline_calls::{CallStart, Calls, Counted, Direction, SessionKey};
//! use trunkline_proxy::Side;
//!
//! let calls = Calls::new();
//! let agent = SessionKey::reference(b"agent-01");
//! let start = CallStart {
//!     number: 7,
//!     call_id: b"a84b4c76e66710",
//!     from_tag: b"1928301774",
//!     from: b"sip:1001@sip.local",
//!     to: b"sip:1002@sip.local",
//!     to_header: b"",
//!     caller: Counted { limit: Some(2), ..Counted::of(agent) },
//!     ..CallStart::new(Direction::AgentToAgent, [192, 0, 2, 7].into())
//! };
//! let call = calls.start(&start, 1_000)?;
//! calls.answered(call, (b"314159", b"PCMU"), 4_000);
//! assert_eq!(calls.sessions(agent), 1);
//! assert!(calls.ended(7, Side::Callee, 9_000));
//! assert_eq!(calls.sessions(agent), 0);
//! # Ok::<(), trunkline_calls::Refused>(())
//! ```

#![forbid(unsafe_code)]

mod call;
mod calls;
mod cause;
mod codec;
mod counting;
mod dialogs;
mod ending;
mod failed;
mod follow;
mod histogram;
mod memory;
mod packed;
mod payer;
mod query;
mod rates;
mod record;
mod refused;
mod row;
mod schema;
mod sessions;
mod shares;
mod talker;
mod writer;

pub use call::{CallStart, CallView, CallerProof, Counted, Direction};
pub use calls::{CallHandle, Calls, Stats};
pub use cause::Cause;
pub use codec::codec_of;
pub use counting::{LimitReached, Refused};
pub use dialogs::{Answered, Dialogs, Ended, Ends, Event, Moved, NoRoom, Origin, Place, Refresh, Standing};
pub use ending::{Ender, FailedWith, ReasonLines};
pub use failed::{FailedCall, FailedCallBounds, FailedCalls};
pub use follow::{Followed, Follower};
pub use histogram::{DURATION_MS, Histogram, SETUP_MS};
pub use payer::Payer;
pub use record::{CallRecord, Filter};
pub use sessions::SessionKey;
pub use talker::{MOST_KEPT, Talker};
pub use writer::{Records, RecordsError, RecordsHealth};
