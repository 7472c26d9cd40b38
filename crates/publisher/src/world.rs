//! What is looked at from time to time.

use std::sync::Arc;

use trunkline_model::Live;
use trunkline_operations::{BanEntry, TrunkRegistration};

/// What is looked at from time to time.
pub trait World: Send + Sync {
    /// Our registrations at carriers.
    fn trunk_registrations(&self) -> Vec<TrunkRegistration>;
    /// Those who guessed passwords.
    fn bans(&self) -> Vec<BanEntry>;
    /// Requests that were refused or dropped so far because of overload, bans or limits, by counter.
    fn throttled(&self) -> Vec<(&'static str, u64)>;
    /// The resources.
    fn resources(&self) -> Arc<Live>;
}
