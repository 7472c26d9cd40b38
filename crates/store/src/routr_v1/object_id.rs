//! Refs as Routr v1 makes them in Redis: BSON ObjectIds, 24 lower-case hexadecimal digits.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::StoreError;

/// A new one: four bytes of Unix time, eight of chance. BSON counts in the last three, which says no more to a reader.
pub(super) fn object_id() -> Result<String, StoreError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let mut chance = [0u8; 8];
    getrandom::fill(&mut chance).map_err(StoreError::Random)?;
    Ok(format!("{:08x}{:016x}", now as u32, u64::from_be_bytes(chance)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_equal() {
        let ids: Vec<String> = (0..100).map(|_| object_id().expect("random bytes")).collect();
        assert!(ids.iter().all(|id| id.len() == 24 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        let mut distinct = ids.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), ids.len());
    }
}
