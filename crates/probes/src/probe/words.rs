//! What arrived, in a few words.

use crate::message::Message;

/// What reached somebody, in a few words.
pub(super) fn seen(messages: &[Message]) -> String {
    seen_lines(&messages.iter().map(|message| message.first.clone()).collect::<Vec<_>>())
}

/// The same of first lines.
pub(super) fn seen_lines(lines: &[String]) -> String {
    match lines {
        [] => "nothing arrived".into(),
        [first] => format!("{first} arrived"),
        [first, rest @ ..] => format!("{first} arrived and {} more", rest.len()),
    }
}
