//! Reading the taps of all shards: one list of messages in the order of their times.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::entry::{Direction, Entries, Seen, Traced};
use crate::filter::{Filter, Filtering};
use crate::summary::Summary;
use crate::tap::{Tap, Watch};

/// Bytes of messages that are held until it is known whether their call fails, at most.
const HELD: usize = 8 << 20;
/// Messages older than this before a failure are not told with it, in microseconds.
const HELD_FOR: u64 = 300_000_000;

/// Somebody who watches, from when it was made until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    watches: Vec<Watch>,
    filtering: Filtering,
    /// Of a shard that was read before another one there may be older ones.
    early: Vec<Traced>,
    holding: Holding,
    bytes: Vec<u8>,
}

/// What a watcher gets at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// How many messages were lost, whether the filter wants them or not.
    pub lost: u64,
    /// The messages, by time.
    pub messages: Vec<Traced>,
    /// There is more to read at once.
    pub more: bool,
}

impl Watcher {
    /// Watches these taps.
    pub fn new(taps: &[Arc<Tap>], filter: Filter) -> Watcher {
        Watcher {
            watches: taps.iter().map(Tap::watch).collect(),
            filtering: Filtering::new(filter),
            early: Vec::new(),
            holding: Holding::default(),
            bytes: Vec::new(),
        }
    }

    /// What came since the last time and before `now`, in microseconds since 1970.
    pub fn turn(&mut self, now: u64) -> Turn {
        let mut turn = Turn::default();
        let mut read = std::mem::take(&mut self.early);
        for watch in &mut self.watches {
            let (lost, more) = watch.read(&mut self.bytes);
            turn.lost += lost;
            turn.more |= more;
            for seen in Entries(&self.bytes) {
                let summary = Summary::of(seen.bytes);
                if !self.filtering.admits(&seen, &summary) {
                    continue;
                }
                match self.filtering.failed() {
                    true => self.holding.take(seen, &summary, &mut read),
                    false => read.push(seen.into()),
                }
            }
        }
        read.sort_by_key(|message| message.at);
        // What was held until a call failed is older than what was told.
        let early = read.partition_point(|message| message.at < now);
        self.early = read.split_off(early);
        turn.messages = read;
        turn
    }
}

/// Messages of calls that have not failed yet.
#[derive(Debug, Default)]
struct Holding {
    calls: HashMap<Vec<u8>, Held>,
    /// The Call-IDs, the oldest first.
    order: VecDeque<Vec<u8>>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Held {
    messages: Vec<Traced>,
    bytes: usize,
    /// It began with a request of the exchange.
    ours: bool,
    failed: bool,
}

impl Holding {
    /// Holds a message, or tells it with all that was held of a call that has failed.
    fn take(&mut self, seen: Seen<'_>, summary: &Summary<'_>, tell: &mut Vec<Traced>) {
        if summary.call_id.is_empty() {
            if is_failure(&seen, summary, false) {
                tell.push(seen.into());
            }
            return;
        }
        let held = match self.calls.get_mut(summary.call_id) {
            Some(held) => held,
            None => {
                self.order.push_back(summary.call_id.to_vec());
                let ours = seen.direction == Direction::Sent && summary.status.is_none();
                self.calls.entry(summary.call_id.to_vec()).or_insert(Held { ours, ..Held::default() })
            }
        };
        held.failed |= is_failure(&seen, summary, held.ours);
        if held.failed {
            let since = seen.at.saturating_sub(HELD_FOR);
            self.bytes -= std::mem::take(&mut held.bytes);
            tell.extend(held.messages.drain(..).filter(|message| message.at >= since));
            tell.push(seen.into());
            return;
        }
        let size = seen.bytes.len() + size_of::<Traced>();
        held.bytes += size;
        self.bytes += size;
        held.messages.push(seen.into());
        while self.bytes > HELD || self.order.len() > HELD / 1024 {
            let Some(held) = self.order.pop_front().and_then(|oldest| self.calls.remove(&oldest)) else {
                return;
            };
            self.bytes -= held.bytes;
        }
    }
}

/// Is it a final response that says that a request failed? A challenge says that of none: the client may answer it.
fn is_failure(seen: &Seen<'_>, summary: &Summary<'_>, ours: bool) -> bool {
    let told = match seen.direction {
        Direction::Sent => true,
        // Others may answer yet, unless it was the exchange that asked.
        Direction::Received => ours,
    };
    match summary.status {
        Some(401 | 407) => told && !matches!(seen.reason, "" | "auth.required" | "auth.stale"),
        Some(status) => told && status >= 300,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sip::Transport;

    use super::*;

    fn put(tap: &Tap, at: u64, direction: Direction, message: &str) {
        tap.put(&Seen {
            at,
            direction,
            transport: Transport::Udp,
            local: "192.0.2.1:5060".parse().unwrap(),
            remote: "192.0.2.7:5060".parse().unwrap(),
            reason: "",
            bytes: message.as_bytes(),
        });
    }

    fn times(turn: Turn) -> Vec<u64> {
        turn.messages.into_iter().map(|message| message.at).collect()
    }

    #[test]
    fn the_messages_of_all_shards_are_in_order() {
        let taps = [Arc::new(Tap::default()), Arc::new(Tap::default())];
        let mut watcher = Watcher::new(&taps, Filter::default());
        put(&taps[1], 10, Direction::Received, "a");
        put(&taps[0], 20, Direction::Received, "b");
        put(&taps[1], 30, Direction::Received, "c");
        assert_eq!(times(watcher.turn(25)), [10, 20]);
        put(&taps[0], 28, Direction::Received, "d");
        assert_eq!(times(watcher.turn(40)), [28, 30]);
        assert_eq!(watcher.turn(50), Turn::default());
    }

    #[test]
    fn a_call_that_fails_is_told_from_its_beginning() {
        use Direction::{Received, Sent};
        let taps = [Arc::new(Tap::default())];
        let mut watcher = Watcher::new(&taps, Filter { failed: true, ..Filter::default() });
        let response = |status: &str, call: &str| {
            format!("SIP/2.0 {status}\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n")
        };
        let request = |call: &str| format!("INVITE sip:a@b SIP/2.0\r\nCall-ID: {call}\r\n\r\n");
        for (at, direction, message) in [
            (1, Received, request("good")),
            (2, Received, request("bad")),
            (3, Sent, response("407 Proxy Authentication Required", "bad")),
            (4, Received, response("486 Busy Here", "good")),
            (5, Sent, response("200 OK", "good")),
            (6, Sent, request("ours")),
            (7, Sent, response("404 Not Found", "bad")),
            (8, Received, response("403 Forbidden", "ours")),
            (9, Received, request("bad")),
        ] {
            put(&taps[0], at, direction, &message);
        }
        assert_eq!(times(watcher.turn(100)), [2, 3, 6, 7, 8, 9]);
        assert!(watcher.holding.bytes > 0 && watcher.holding.calls.len() == 3);
        for n in 0..20_000 {
            put(&taps[0], n, Received, &request(&n.to_string()));
            if n % 1000 == 0 {
                watcher.turn(100_000);
            }
        }
        watcher.turn(100_000);
        assert!(watcher.holding.bytes <= HELD && watcher.holding.order.len() <= HELD / 1024);
        assert_eq!(watcher.holding.order.len(), watcher.holding.calls.len());
    }
}
