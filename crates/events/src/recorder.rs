//! What a shard writes events with.

use std::sync::Arc;

use crate::code;
use crate::event::Event;
use crate::log::Log;

/// Events gathered before they are given to the log.
const GATHERED: usize = 16 << 10;
/// Requests of strangers that are refused at once, a second, whose events are kept: a flood of them would push out all else.
const STRANGERS: u32 = 100;

/// Writes the events of one shard. It gathers them and gives them to the log together ([`Recorder::commit`]).
#[derive(Debug)]
pub struct Recorder {
    log: Arc<Log>,
    gathered: Vec<u8>,
    count: u64,
    /// The request at hand, 0 for none.
    request: u64,
    /// Where its events begin, and how many there were before.
    begun: (usize, u64),
    last: u64,
    strangers: Strangers,
}

/// The allowance of strangers: how many were kept in the second.
#[derive(Debug, Default)]
struct Strangers {
    second: u64,
    kept: u32,
    dropped: u64,
}

impl Recorder {
    /// Writes to this log; `shard` makes the numbers of requests differ from those of other shards.
    pub fn new(log: Arc<Log>, shard: u8) -> Recorder {
        Recorder {
            log,
            gathered: Vec::new(),
            count: 0,
            request: 0,
            begun: (0, 0),
            last: u64::from(shard) << 56,
            strangers: Strangers::default(),
        }
    }

    /// Whether nothing is kept.
    pub fn is_off(&self) -> bool {
        self.log.is_off()
    }

    /// Another request than before is at hand, and nothing is known of it yet.
    pub fn clear(&mut self) {
        self.request = 0;
    }

    /// The request at hand gets a number.
    pub fn begin(&mut self) -> u64 {
        self.commit_if_full();
        self.last += 1;
        self.request = self.last;
        self.begun = (self.gathered.len(), self.count);
        self.request
    }

    /// Another request is at hand: one that was begun before.
    pub fn resume(&mut self, request: u64) {
        self.commit_if_full();
        self.request = request;
        self.begun = (self.gathered.len(), self.count);
    }

    /// The request at hand, 0 for none.
    pub fn request(&self) -> u64 {
        self.request
    }

    /// Something happened to the request at hand, at this time in milliseconds since 1970.
    pub fn note(&mut self, at: u64, event: Event<'_>) {
        if self.request == 0 || self.log.is_off() {
            return;
        }
        code::put(&mut self.gathered, self.request, at, event);
        self.count += 1;
    }

    /// The request at hand was refused at once, and is a stranger's: past some a second nothing is kept of it.
    pub fn refused_stranger(&mut self, at: u64) {
        let Strangers { second, kept, dropped } = &mut self.strangers;
        if at / 1000 != *second {
            (*second, *kept) = (at / 1000, 0);
        }
        if *kept < STRANGERS {
            *kept += 1;
            return;
        }
        let (start, before) = self.begun;
        *dropped += self.count.saturating_sub(before);
        self.gathered.truncate(start);
        self.count = before;
    }

    /// Events of strangers that were not kept.
    pub fn dropped(&self) -> u64 {
        self.strangers.dropped
    }

    /// What one step gathers is far less than a chunk of the log takes.
    fn commit_if_full(&mut self) {
        if self.gathered.len() >= GATHERED {
            self.commit();
        }
    }

    /// Gives what was gathered to the log.
    pub fn commit(&mut self) {
        if self.count > 0 {
            self.log.append(&self.gathered, self.count);
            self.gathered.clear();
            (self.count, self.begun) = (0, (0, 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cursor, Events};

    fn written(log: &Log) -> Vec<u64> {
        let mut out = Vec::new();
        let (mut cursor, mut bytes) = (Cursor::default(), Vec::new());
        log.read(&mut cursor, &mut bytes);
        out.extend(Events::new(&bytes).map(|entry| entry.request));
        out
    }

    #[test]
    fn a_flood_of_strangers_is_left_out() {
        let log = Arc::new(Log::new(1 << 20));
        let mut recorder = Recorder::new(Arc::clone(&log), 1);
        for n in 0..500 {
            recorder.clear();
            recorder.note(5_000, Event::GoesOn);
            recorder.begin();
            recorder.note(5_000, Event::Cancelled);
            recorder.note(5_000, Event::GoesOn);
            if n != 400 {
                recorder.refused_stranger(5_000);
            }
        }
        recorder.commit();
        let kept = written(&log);
        assert_eq!(kept.len(), 2 * (STRANGERS as usize + 1));
        assert_eq!(kept.last(), Some(&((1 << 56) + 401)));
        assert_eq!(recorder.dropped(), 2 * (499 - u64::from(STRANGERS)));
    }

    #[test]
    fn off_it_keeps_nothing() {
        let log = Arc::new(Log::new(0));
        let mut recorder = Recorder::new(Arc::clone(&log), 0);
        recorder.begin();
        recorder.note(1, Event::GoesOn);
        recorder.commit();
        assert!(written(&log).is_empty() && recorder.is_off());
    }
}
