//! Rebalancing.

use crate::keys::Keys;

section! {
    /// `handover`: rebalancing of a busy source.
    Handover {
        /// The load in percent above which new calls of the heaviest source move to other workers; 0: any, 100: never.
        busy_percent: u16 = 70, "busyPercent";
        /// After this time of calm, one worker serves the source again, in seconds.
        calm_seconds: u32 = 180, "calmSeconds";
    }
}
