//! Common tasks: play and wait, ask for digits, record until something ends it,
//! watch a bridge.

pub mod audio;
mod monitor;
mod play;
mod prompt;
mod record;

pub use monitor::{BridgeChange, BridgeMonitor};
pub use play::PlayEnd;
pub use prompt::{Match, Prompt, PromptEnd, Prompted};
pub use record::{RecordEnd, RecordUntil, Recorded};

use trunkline_ari::{Event, EventType};

/// The events after which a channel is not in the application any more.
pub(crate) const GONE: [EventType; 2] = [EventType::StasisEnd, EventType::ChannelDestroyed];

/// Whether the event says that the channel of this id is not in the application any more. An event
/// for a dialog may be about another of its channels.
pub(crate) fn gone(event: &Event, id: &str) -> bool {
    match event {
        Event::StasisEnd(end) => end.channel.id == id,
        Event::ChannelDestroyed(end) => end.channel.id == id,
        _ => false,
    }
}
