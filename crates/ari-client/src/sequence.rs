//! Events in order of their sequence numbers, and the missing ones.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// Something that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The node whose events are missing; empty when it is not known.
    pub node: String,
    /// How many are missing, when they were numbered.
    pub missing: Option<u64>,
    /// Why, as far as it is known.
    pub reason: String,
}

/// How long an event waits for one numbered before it that may still come: a proxy sends again what
/// the stream did not confirm, and a NATS cluster may take many seconds to find a new leader. What
/// the proxy knows to be lost is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The result for a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sorted {
    Event(Bytes),
    Gap(Gap),
}

/// The numbers of all nodes.
#[derive(Default)]
pub(crate) struct Sequencer {
    nodes: HashMap<String, Numbers>,
}

struct Numbers {
    epoch: String,
    next: u64,
    waiting: BTreeMap<u64, Held>,
    since: Option<Instant>,
}

struct Held {
    body: Bytes,
    gap: Option<String>,
}

/// A message of the stream.
pub(crate) struct Numbered<'m> {
    /// `application.node`: each proxy numbers its own.
    pub node: &'m str,
    pub epoch: &'m str,
    pub sequence: u64,
    /// Events with a lower number that have not arrived will not arrive.
    pub oldest: Option<u64>,
    pub gap: Option<&'m str>,
    pub body: Bytes,
}

impl Sequencer {
    /// Takes a message; what is due comes out in order.
    pub(crate) fn take(&mut self, message: Numbered<'_>, now: Instant, out: &mut VecDeque<Sorted>) {
        let numbers = self.nodes.entry(message.node.to_owned()).or_insert_with(|| Numbers {
            epoch: message.epoch.to_owned(),
            // Wherever a reader begins is the beginning.
            next: message.sequence,
            waiting: BTreeMap::new(),
            since: None,
        });
        if numbers.epoch != message.epoch {
            // The proxy started anew: nothing of before can come any more.
            numbers.give_up(u64::MAX, message.node, out);
            numbers.epoch = message.epoch.to_owned();
            numbers.next = 1;
        }
        if message.sequence < numbers.next {
            return;
        }
        let held = Held { body: message.body, gap: message.gap.map(str::to_owned) };
        let before = numbers.next;
        numbers.waiting.insert(message.sequence, held);
        numbers.give_up(message.oldest.unwrap_or(0), message.node, out);
        numbers.release(message.node, out);
        // Each hole has its own time.
        let since = if numbers.next == before { numbers.since } else { None };
        numbers.since = if numbers.waiting.is_empty() { None } else { since.or(Some(now)) };
    }

    /// Since when a number is missing, the eldest of all.
    pub(crate) fn hole(&self) -> Option<Instant> {
        self.nodes.values().filter_map(|numbers| numbers.since).min()
    }

    /// Gives up waiting for what did not come in time. Returns when to ask again.
    pub(crate) fn expire(&mut self, now: Instant, out: &mut VecDeque<Sorted>) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (node, numbers) in &mut self.nodes {
            let Some(since) = numbers.since else { continue };
            let due = since + PATIENCE;
            if due <= now {
                numbers.give_up(u64::MAX, node, out);
                numbers.since = None;
            } else {
                next = Some(next.map_or(due, |n| n.min(due)));
            }
        }
        next
    }
}

/// The node of `application.node`, under which numbers are kept.
fn name_of(place: &str) -> String {
    place.rsplit('.').next().unwrap_or(place).to_owned()
}

impl Numbers {
    /// Lets go what stands next without a hole.
    fn release(&mut self, node: &str, out: &mut VecDeque<Sorted>) {
        while let Some(held) = self.waiting.remove(&self.next) {
            self.next += 1;
            out.push_back(match held.gap {
                Some(reason) => Sorted::Gap(Gap { node: name_of(node), missing: None, reason }),
                None => Sorted::Event(held.body),
            });
        }
    }

    /// Tells the holes below a number, and lets go what waited behind them.
    fn give_up(&mut self, below: u64, node: &str, out: &mut VecDeque<Sorted>) {
        while self.next < below
            && let Some((first, _)) = self.waiting.first_key_value()
        {
            let end = below.min(*first);
            let missing = end.saturating_sub(self.next);
            if missing > 0 {
                out.push_back(Sorted::Gap(Gap {
                    node: name_of(node),
                    missing: Some(missing),
                    reason: "the proxy or the stream had no room for them".to_owned(),
                }));
            }
            self.next = end;
            self.release(node, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Feed(Sequencer, Instant, VecDeque<Sorted>);

    impl Feed {
        fn new() -> Self {
            Feed(Sequencer::default(), Instant::now(), VecDeque::new())
        }

        fn take(&mut self, epoch: &str, sequence: u64) {
            self.take_knowing(epoch, sequence, None);
        }

        fn take_knowing(&mut self, epoch: &str, sequence: u64, oldest: Option<u64>) {
            let body = Bytes::from(sequence.to_string());
            let message = Numbered { node: "n", epoch, sequence, oldest, gap: None, body };
            self.0.take(message, self.1, &mut self.2);
        }

        /// Numbers as they came out; gaps as negative counts.
        fn out(&mut self) -> Vec<i64> {
            let number = |s: Sorted| match s {
                Sorted::Event(b) => std::str::from_utf8(&b).unwrap().parse().unwrap(),
                Sorted::Gap(g) => -(g.missing.unwrap() as i64),
            };
            self.2.drain(..).map(number).collect()
        }
    }

    #[test]
    fn order_is_restored_and_doubles_are_dropped() {
        let mut feed = Feed::new();
        for n in [5, 6, 6, 8, 5, 7, 9] {
            feed.take("e", n);
        }
        assert_eq!(feed.out(), [5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_hole_is_told_after_a_while() {
        let mut feed = Feed::new();
        for n in [1, 5, 6] {
            feed.take("e", n);
        }
        assert_eq!(feed.out(), [1]);
        let due = feed.0.expire(feed.1, &mut feed.2).unwrap();
        assert!(feed.out().is_empty());
        assert!(feed.0.expire(due, &mut feed.2).is_none());
        assert_eq!(feed.out(), [-3, 5, 6]);
        feed.take("e", 7);
        assert_eq!(feed.out(), [7]);
    }

    #[test]
    fn what_the_proxy_gave_up_is_told_at_once_and_what_it_holds_is_waited_for() {
        let mut feed = Feed::new();
        feed.take_knowing("e", 1, Some(1));
        // 2 to 4 are lost; 5 was not confirmed and is sent again after 6.
        feed.take_knowing("e", 6, Some(5));
        assert_eq!(feed.out(), [1, -3]);
        feed.take_knowing("e", 7, Some(5));
        feed.take_knowing("e", 5, Some(5));
        assert_eq!(feed.out(), [5, 6, 7]);
        assert!(feed.0.expire(feed.1 + PATIENCE, &mut feed.2).is_none());
    }

    #[test]
    fn a_new_start_of_the_proxy_begins_at_one() {
        let mut feed = Feed::new();
        feed.take("e", 3);
        feed.take("f", 1);
        feed.take("g", 2);
        assert_eq!(feed.out(), [3, 1]);
        feed.0.expire(feed.1 + PATIENCE, &mut feed.2);
        assert_eq!(feed.out(), [-1, 2]);
    }
}
