//! Names that no other message has.

use std::fmt::Write as _;

/// A short random text.
pub(crate) fn random() -> String {
    let mut bytes = [0; 6];
    // Without random numbers two messages may have one name, which no probe relies on.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
