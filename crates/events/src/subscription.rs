//! A reader of the logs of all shards.

use std::sync::Arc;

use crate::log::{Cursor, Log};

/// Chunks of one log that are read in one turn, at most: a shard that writes faster than the subscriber reads must not keep
/// it from the other logs.
const CHUNKS: usize = 64;

/// Reads the events of all shards. It costs a shard nothing when its subscriber stops reading: events are overwritten, and the
/// subscriber is told how many it lost.
#[derive(Debug)]
pub struct Subscription {
    logs: Vec<(Arc<Log>, Cursor)>,
    bytes: Vec<u8>,
}

impl Subscription {
    /// Reads what happens from now on.
    pub fn from_now(logs: &[Arc<Log>]) -> Subscription {
        let logs = logs.iter().map(|log| (log.clone(), log.end())).collect();
        Subscription { logs, bytes: Vec::new() }
    }

    /// Reads from the oldest events that are kept.
    pub fn from_oldest(logs: &[Arc<Log>]) -> Subscription {
        let logs = logs.iter().map(|log| (log.clone(), Cursor::default())).collect();
        Subscription { logs, bytes: Vec::new() }
    }

    /// Gives the events since the last turn to `see`, in chunks for [`Events`](crate::Events), and returns how many were
    /// overwritten before they were read.
    pub fn turn(&mut self, mut see: impl FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        for (log, cursor) in &mut self.logs {
            for _ in 0..CHUNKS {
                let read = log.read(cursor, &mut self.bytes);
                lost += read.lost;
                if !self.bytes.is_empty() {
                    see(&self.bytes);
                }
                if !read.more {
                    break;
                }
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Event, Events, Recorder};

    fn answer(log: &Arc<Log>, shard: u8) {
        let mut recorder = Recorder::new(log.clone(), shard);
        recorder.begin();
        recorder.note(1, Event::Answered(Answer { code: 404, reason: None, ours: true }));
        recorder.commit();
    }

    #[test]
    fn each_event_is_read_once_and_the_lost_ones_are_counted() {
        let logs = [Arc::new(Log::new(1 << 16)), Arc::new(Log::new(1 << 16))];
        answer(&logs[0], 0);
        let (mut late, mut early) = (Subscription::from_now(&logs), Subscription::from_oldest(&logs));
        let count = |subscription: &mut Subscription| {
            let mut seen = 0;
            let lost = subscription.turn(|bytes| seen += Events::new(bytes).count());
            (seen, lost)
        };
        assert_eq!((count(&mut late), count(&mut early)), ((0, 0), (1, 0)));
        answer(&logs[1], 1);
        assert_eq!((count(&mut late), count(&mut early)), ((1, 0), (1, 0)));
        let written = 100_000;
        (0..written).for_each(|_| answer(&logs[0], 0));
        let (seen, lost) = count(&mut late);
        assert!(seen > 0 && lost > 0 && seen as u64 + lost == written, "{seen} {lost}");
    }
}
