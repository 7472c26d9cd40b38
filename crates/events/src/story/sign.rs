//! What an event means for the cause of a failure.

use crate::event::Answer;

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
    },
    Sent {
        uri: String,
        trunk: String,
    },
    Heard {
        code: u16,
        why: String,
    },
    Media(String),
    Answered(Answer),
}
