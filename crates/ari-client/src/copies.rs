//! Copies of one event for a dialog are delivered once.
//!
//! A dialog gets a copy from the proxy of each application that follows the thing, on one Asterisk
//! under different names; and original proxies send one for every thing of the event that is bound.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use trunkline_ari::Object;

/// How long after an event a copy of it counts as one.
const WINDOW: Duration = Duration::from_secs(5);

/// Events that are remembered at most.
const REMEMBERED: usize = 4096;

/// The copies that came lately.
#[derive(Default)]
pub(crate) struct Copies {
    /// What was told, by what the events say.
    told: HashMap<u64, Told>,
    /// When, the first one first.
    order: VecDeque<(Instant, u64)>,
}

/// An event that may come several times, each time in the name of several applications.
#[derive(Default)]
struct Told {
    times: u32,
    /// How often it came in the name of each application.
    of: Vec<(u64, u32)>,
}

impl Copies {
    /// Whether the event in `frame` was told already. What is no event was not.
    pub(crate) fn again(&mut self, frame: &[u8], now: Instant) -> bool {
        let Ok(event) = Object::parse(frame) else { return false };
        while let Some((when, print)) = self.order.front()
            && (now.saturating_duration_since(*when) >= WINDOW || self.order.len() > REMEMBERED)
        {
            self.told.remove(print);
            self.order.pop_front();
        }
        // Our proxies write the dialog first and send one copy. Original ones write it elsewhere, and
        // may send several that are the same.
        let one_each = frame.trim_ascii_start().starts_with(b"{\"dialog\":");
        let (mut what, mut who) = (DefaultHasher::new(), DefaultHasher::new());
        for (name, value) in event.iter() {
            match name {
                "application" => value.hash(&mut who),
                "dialog" => {}
                _ => (name, value).hash(&mut what),
            }
        }
        let (what, who) = (what.finish(), who.finish());
        if !self.told.contains_key(&what) {
            self.order.push_back((now, what));
        }
        let told = self.told.entry(what).or_default();
        let times = match told.of.iter_mut().find(|(app, _)| *app == who) {
            Some((_, times)) => {
                if one_each {
                    *times += 1;
                }
                *times
            }
            None => {
                told.of.push((who, 1));
                1
            }
        };
        let again = times <= told.times;
        told.times = told.times.max(times);
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(app: &str, digit: &str) -> String {
        format!(
            r#"{{"dialog":"d","type":"ChannelDtmfReceived","application":"{app}","digit":"{digit}","timestamp":"t"}}"#
        )
    }

    #[test]
    fn copies_of_two_applications_are_one_and_events_that_are_alike_are_two() {
        let (mut copies, now) = (Copies::default(), Instant::now());
        let mut again = |frame: String| copies.again(frame.as_bytes(), now);
        assert!(!again(ours("a", "1")));
        assert!(again(ours("b", "1")));
        assert!(!again(ours("a", "1")), "the same digit once more");
        assert!(again(ours("b", "1")));
        assert!(!again(ours("b", "2")));
        assert!(again(ours("a", "2")));
        assert!(!again("nonsense".to_owned()) && !again("nonsense".to_owned()));
    }

    #[test]
    fn original_proxies_copy_as_often_as_things_are_bound() {
        let (mut copies, now) = (Copies::default(), Instant::now());
        let original = |bridge: &str| {
            format!(
                r#"{{"application":"a","dialog":"d","type":"ChannelEnteredBridge","timestamp":"t","bridge":{{"id":"{bridge}"}}}}"#
            )
        };
        let told: Vec<_> = (0..3).map(|_| !copies.again(original("b").as_bytes(), now)).collect();
        assert_eq!(told, [true, false, false]);
        assert!(!copies.again(original("c").as_bytes(), now));
        assert!(!copies.again(original("b").as_bytes(), now + WINDOW), "forgotten by then");
    }

    #[test]
    fn little_is_remembered() {
        let (mut copies, now) = (Copies::default(), Instant::now());
        for n in 0..REMEMBERED * 3 {
            assert!(!copies.again(ours("a", &n.to_string()).as_bytes(), now));
        }
        assert!(copies.told.len() <= REMEMBERED + 2 && copies.order.len() <= REMEMBERED + 2);
    }
}
