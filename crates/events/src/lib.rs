//! One stream of events: what became of each request. Shards write and never wait; whoever reads too slowly learns how many
//! events it lost.
//!
//! Each shard has a [`Log`] of a fixed size and a [`Recorder`] that writes to it. A [`Log`] is a ring of chunks: the oldest
//! chunk gives way to the newest. A reader has a [`Cursor`] of its own, copies a chunk at a time and decodes it with
//! [`Events`]. What happened to one call is put together by [`stories`].
//!
//! What is not part of one request, such as the calls and registrations themselves, is told on a [`Board`], of which all readers get
//! the same [`Notice`]s. While nobody reads, nothing is told. [`TYPES`] names all that there is.
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_events::{Answer, Cursor, Event, Events, Log, Recorder};
//!
//! let log = Arc::new(Log::new(1 << 20));
//! let mut recorder = Recorder::new(Arc::clone(&log), 0);
//! recorder.begin();
//! recorder.note(1_000, Event::Answered(Answer { code: 404, reason: None, ours: true }));
//! recorder.commit();
//!
//! let (mut cursor, mut bytes) = (Cursor::default(), Vec::new());
//! let read = log.read(&mut cursor, &mut bytes);
//! assert_eq!((read.lost, Events::new(&bytes).count()), (0, 1));
//! ```

#![forbid(unsafe_code)]

mod board;
mod code;
mod event;
mod log;
mod notice;
mod recorder;
mod refusals;
mod refused;
mod requests;
mod story;
mod subscription;
mod types;
mod unanswered;

pub use board::{Board, BoardReader};
pub use code::{Entry, Events};
pub use event::{Answer, Arrival, Attempt, Event, Failure, Heard};
pub use log::{Cursor, Log, Read};
pub use notice::{
    CallNotice, CallStep, DestinationNotice, Notice, RegistrationNotice, RegistrationStep, What,
    notice_headers, notice_text,
};
pub use recorder::Recorder;
pub use refusals::{PER_SECOND, Refusal, Refusals};
pub use refused::Refused;
pub use requests::Requests;
pub use story::{Query, Step, Story, filled, shown, stories, stories_of};
pub use subscription::Subscription;
pub use types::{EventTypes, LOST, TYPES};
pub use unanswered::{ABANDONED, Abandoned};
