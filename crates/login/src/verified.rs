//! Passwords that were right a moment ago.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// How long a password is not hashed again.
const KEEP: Duration = Duration::from_secs(300);
/// Passwords remembered at a time.
const MOST: usize = 1024;

/// Which user name, password and stored hash went together. Only a keyed hash over the three is kept, whose key
/// never leaves the process.
pub(crate) struct Verified {
    key: [u8; 32],
    known: Mutex<HashMap<[u8; 32], Instant>>,
}

/// The keyed hash.
pub(crate) type Mark = [u8; 32];

impl Verified {
    pub(crate) fn new() -> Result<Verified, getrandom::Error> {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key)?;
        Ok(Verified { key, known: Mutex::default() })
    }

    /// The mark of a user name, a password and the stored hash it is to fit.
    pub(crate) fn mark(&self, username: &str, password: &str, stored: &str) -> Mark {
        let mut hash = Sha256::new();
        hash.update(self.key);
        for part in [username, password, stored] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Was it right a moment ago?
    pub(crate) fn knows(&self, mark: &Mark, now: Instant) -> bool {
        self.known.lock().get(mark).is_some_and(|until| now < *until)
    }

    /// It is right.
    pub(crate) fn remember(&self, mark: Mark, now: Instant) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            known.retain(|_, until| now < *until);
        }
        if known.len() >= MOST
            && let Some(oldest) = known.iter().min_by_key(|(_, until)| **until).map(|(mark, _)| *mark)
        {
            known.remove(&oldest);
        }
        known.insert(mark, now + KEEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_for_a_while_and_bounded() {
        let verified = Verified::new().expect("random");
        let now = Instant::now();
        let mark = verified.mark("ann", "horse", "$argon2id$1");
        assert!(!verified.knows(&mark, now));
        verified.remember(mark, now);
        assert!(verified.knows(&mark, now + KEEP / 2));
        assert!(!verified.knows(&mark, now + KEEP));
        assert_ne!(mark, verified.mark("ann", "horse", "$argon2id$2"), "the stored hash counts");
        assert_ne!(mark, verified.mark("annh", "orse", "$argon2id$1"), "the parts do not run together");
        for n in 0..2 * MOST as u64 {
            let later = now + Duration::from_millis(n);
            verified.remember(verified.mark("eve", &n.to_string(), ""), later);
        }
        assert_eq!(verified.known.lock().len(), MOST);
        assert!(!verified.knows(&mark, now), "the oldest gave way");
    }
}
