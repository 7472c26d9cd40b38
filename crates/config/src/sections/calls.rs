//! `calls`: what is kept of calls.

use crate::keys::Keys;

section! {
    /// `calls`: call records.
    Calls {
        /// A record for every call.
        records: bool = true, "records";
        /// Refused calls of unknown callers with a record of their own, per minute; the others are summed up by source.
        refused_per_minute: u32 = 100, "refusedPerMinute";
        /// Records older than this are deleted, in days; 0 keeps them for ever.
        retention_days: u32 = 0, "retentionDays";
    }
}
