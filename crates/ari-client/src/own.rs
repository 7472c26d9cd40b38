//! The calls that this application originated, so that `listen` can leave them out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use trunkline_ari::{Purpose, fresh};

/// How long an id that was given from outside is remembered. A call enters its application long
/// before, or never.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// The most ids that are remembered.
const MOST: usize = 10_000;

/// Tells the calls that clients of one application made from those that came in.
///
/// Ids made up here end in a mark of the application, which every instance of it recognises. Ids
/// that the program gives itself are remembered by the client that gave them.
#[derive(Debug)]
pub(crate) struct OwnCalls {
    mark: String,
    given: Mutex<HashMap<String, Instant>>,
}

impl OwnCalls {
    pub(crate) fn new(application: &str) -> Self {
        // FNV-1a: the same in every build, unlike the hashes of the standard library.
        let hash = application
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        OwnCalls { mark: format!("-{hash:08x}"), given: Mutex::default() }
    }

    /// Makes up `id` when it is empty, else remembers it.
    pub(crate) fn name(&self, id: &mut String, purpose: Purpose) {
        if id.is_empty() {
            *id = fresh(purpose) + &self.mark;
            return;
        }
        let now = Instant::now();
        let mut given = self.given.lock();
        if given.len() >= MOST {
            given.retain(|_, since| now.duration_since(*since) < REMEMBERED);
        }
        if given.len() < MOST {
            given.insert(id.clone(), now);
        }
    }

    /// Whether the call with this id was made by this application.
    pub(crate) fn made(&self, id: &str) -> bool {
        id.ends_with(&self.mark)
            || self.given.lock().get(id).is_some_and(|since| since.elapsed() < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instance_knows_the_ids_made_up_and_one_the_ids_given() {
        let (one, other, stranger) = (OwnCalls::new("app"), OwnCalls::new("app"), OwnCalls::new("app2"));
        let (mut made_up, mut given) = (String::new(), "mine".to_owned());
        one.name(&mut made_up, Purpose::Channel);
        one.name(&mut given, Purpose::Channel);
        assert_eq!(made_up.len(), 26 + 3 + 9);
        assert!(one.made(&made_up) && other.made(&made_up) && !stranger.made(&made_up));
        assert!(one.made("mine") && !other.made("mine"));
        assert!(!one.made("A-1795228565.0"));
    }

    #[test]
    fn memory_is_bounded() {
        let own = OwnCalls::new("app");
        for n in 0..2 * MOST {
            own.name(&mut format!("c{n}"), Purpose::Channel);
        }
        assert_eq!(own.given.lock().len(), MOST);
    }
}
