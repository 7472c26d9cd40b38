//! The sections about what an operator can find out.

use crate::keys::Keys;
use crate::sections::section;
use crate::setting::words;

section! {
    /// `events`: what became of each request, for `trunkline explain`.
    Events {
        /// Bytes of events that are kept in memory, the latest ones; 0 keeps none.
        memory: u32 = 64 << 20, "memory";
    }
}

words! {
    /// The form of log lines.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    LogFormat {
        /// For people.
        Text = "text",
        /// An object per line.
        Json = "json",
    }
}

section! {
    /// `log`: level and form of the log.
    Log {
        /// `error`, `warn`, `info`, `debug`, `trace`, or filters such as `info,trunkline_edge=debug`.
        level: String = "info".into(), "level";
        /// The form of its lines.
        format: LogFormat = LogFormat::Text, "format";
    }
}
