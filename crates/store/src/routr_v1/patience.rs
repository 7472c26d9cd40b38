//! Asking a provider that may not answer yet.

use super::provider::Access;
use crate::error::StoreError;

/// Where an answer comes from.
pub(super) enum Answer<T, K> {
    /// The provider.
    Fresh(T),
    /// What was kept of it, with the reason.
    Kept(K, String),
}

/// Asks a provider as often as `access` says, unless there is something `kept` of it.
pub(super) fn patiently<T, K>(
    access: &Access,
    kept: impl Fn() -> Option<K>,
    mut ask: impl FnMut() -> Result<T, StoreError>,
    warn: &mut dyn FnMut(String),
) -> Result<Answer<T, K>, StoreError> {
    let mut tried = 0u32;
    loop {
        let error = match ask() {
            Ok(answer) => return Ok(Answer::Fresh(answer)),
            Err(error @ (StoreError::Unreachable { .. } | StoreError::Emptied(_))) => error,
            Err(error) => return Err(error),
        };
        if let Some(kept) = kept() {
            warn(format!("{error}; the copy of its resources is in force until it gives them again"));
            return Ok(Answer::Kept(kept, error.to_string()));
        }
        tried = tried.saturating_add(1);
        if access.tries != 0 && tried >= access.tries {
            return Err(error);
        }
        warn(format!("{error}; the next try follows in {:?}", access.interval));
        std::thread::sleep(access.interval);
    }
}
