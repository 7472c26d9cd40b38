//! What an event means for the cause of a failure.

use trunkline_sip::Transport;

use crate::event::{Answer, Failure};

/// What an event means for the causes.
#[derive(Clone, Debug)]
pub(crate) enum Sign {
    Nothing,
    Arrived {
        method: String,
        from: String,
        uri: String,
        call_id: String,
        inside: bool,
        contact: String,
        source: String,
        private_media: bool,
        rewritten: bool,
    },
    /// It waits for the media relay.
    Relay,
    Sent {
        branch: u8,
        uri: String,
        trunk: String,
        transport: Transport,
        to: String,
        unheard: bool,
    },
    Heard {
        code: u16,
        why: String,
        private_media: bool,
        clock: i32,
    },
    Failed {
        branch: u8,
        how: Failure,
    },
    Media(String),
    Answered(Answer),
}
