//! The log of one shard: a ring of chunks. The shard appends under a lock that readers hold for the copy of one chunk only.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// Bytes of a chunk, at most.
const CHUNK: usize = 64 << 10;

/// A bounded log of events.
#[derive(Debug)]
pub struct Log {
    ring: Mutex<Ring>,
    /// Chunks that are kept.
    most: usize,
}

#[derive(Debug)]
struct Ring {
    /// The bytes of all chunks. The system gives the memory when it is written to first.
    slab: Box<[u8]>,
    chunks: VecDeque<Chunk>,
    /// The number of the first chunk that is kept.
    first: u64,
    /// Events that were written.
    written: u64,
}

#[derive(Debug, Default)]
struct Chunk {
    /// How many events were written before its first one.
    before: u64,
    /// Where its bytes are.
    start: usize,
    end: usize,
}

/// Where a reader stands. The default one is at the oldest event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    chunk: u64,
    at: usize,
    /// Events before it.
    seen: u64,
}

/// What a reader got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Events that were overwritten before this reader came to them.
    pub lost: u64,
    /// Whether there is more to read at once.
    pub more: bool,
}

impl Log {
    /// A log that keeps so many bytes, at least one chunk; 0 keeps nothing.
    pub fn new(bytes: usize) -> Log {
        let most = bytes.div_ceil(CHUNK);
        let ring = Ring {
            slab: vec![0; most * CHUNK].into_boxed_slice(),
            chunks: VecDeque::with_capacity(most),
            first: 0,
            written: 0,
        };
        Log { ring: Mutex::new(ring), most }
    }

    /// Whether it keeps nothing.
    pub fn is_off(&self) -> bool {
        self.most == 0
    }

    /// Appends so many events; more than a chunk takes are lost.
    pub(crate) fn append(&self, events: &[u8], count: u64) {
        let ring = &mut *self.ring.lock();
        let fits = |chunk: &Chunk| chunk.end - chunk.start + events.len() <= CHUNK;
        if !ring.chunks.back().is_some_and(fits) {
            let start = match ring.chunks.len() >= self.most {
                true => {
                    ring.first += 1;
                    ring.chunks.pop_front().map_or(0, |oldest| oldest.start)
                }
                false => ring.chunks.len() * CHUNK,
            };
            ring.chunks.push_back(Chunk { before: ring.written, start, end: start });
        }
        ring.written += count;
        let Some(chunk) = ring.chunks.back_mut().filter(|chunk| fits(chunk)) else { return };
        let end = chunk.end + events.len();
        if let Some(place) = ring.slab.get_mut(chunk.end..end) {
            place.copy_from_slice(events);
            chunk.end = end;
        }
    }

    /// A cursor behind the newest event.
    pub fn end(&self) -> Cursor {
        let ring = self.ring.lock();
        match ring.chunks.back() {
            None => Cursor { chunk: ring.first, at: 0, seen: ring.written },
            Some(last) => Cursor {
                chunk: ring.first + ring.chunks.len() as u64 - 1,
                at: last.end - last.start,
                seen: ring.written,
            },
        }
    }

    /// Copies the events behind the cursor into `out`, which is cleared first: those of one chunk at most.
    pub fn read(&self, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read {
        out.clear();
        let ring = self.ring.lock();
        let mut lost = 0;
        if cursor.chunk < ring.first {
            let oldest = ring.chunks.front().map_or(ring.written, |chunk| chunk.before);
            lost = oldest.saturating_sub(cursor.seen);
            *cursor = Cursor { chunk: ring.first, at: 0, seen: oldest };
        }
        let place = (cursor.chunk - ring.first) as usize;
        let Some(chunk) = ring.chunks.get(place) else { return Read { lost, more: false } };
        out.extend_from_slice(ring.slab.get(chunk.start + cursor.at..chunk.end).unwrap_or_default());
        match ring.chunks.get(place + 1) {
            None => *cursor = Cursor { chunk: cursor.chunk, at: chunk.end - chunk.start, seen: ring.written },
            Some(next) => *cursor = Cursor { chunk: cursor.chunk + 1, at: 0, seen: next.before },
        }
        Read { lost, more: cursor.chunk - ring.first > place as u64 }
    }

    /// Reads everything that is kept, a chunk at a time.
    pub fn for_each_chunk(&self, mut visit: impl FnMut(&[u8])) {
        let (mut cursor, mut bytes) = (Cursor::default(), Vec::new());
        // Whoever writes faster than this reads keeps nobody here for ever.
        for _ in 0..=self.most {
            let read = self.read(&mut cursor, &mut bytes);
            visit(&bytes);
            if !read.more {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &Log, n: u8) {
        log.append(&[n; 1000], 1);
    }

    #[test]
    fn a_slow_reader_learns_what_it_lost_and_keeps_nobody_waiting() {
        let log = Log::new(2 * CHUNK);
        let (mut cursor, mut bytes) = (Cursor::default(), Vec::new());
        append(&log, 1);
        assert_eq!(log.read(&mut cursor, &mut bytes), Read { lost: 0, more: false });
        assert_eq!(bytes, [1; 1000]);
        let written = 1_000;
        for n in 0..written {
            append(&log, n as u8);
        }
        let (mut lost, mut got) = (0, 0);
        loop {
            let read = log.read(&mut cursor, &mut bytes);
            (lost, got) = (lost + read.lost, got + bytes.len() / 1000);
            if !read.more {
                break;
            }
        }
        assert_eq!(lost as usize + got, written);
        assert!(lost > 800 && got > 60, "{lost} {got}");
        assert_eq!(bytes.last(), Some(&((written - 1) as u8)));
        assert_eq!(log.read(&mut cursor, &mut bytes), Read { lost: 0, more: false });
        assert!(bytes.is_empty());
        assert_eq!(log.end(), cursor);
    }

    #[test]
    fn everything_that_is_kept_is_visited_once() {
        let log = Log::new(4 * CHUNK);
        (0..200).for_each(|n| append(&log, n));
        let mut all = Vec::new();
        log.for_each_chunk(|bytes| all.extend(bytes.chunks(1000).map(|event| event[0])));
        assert_eq!(all, (0..200).collect::<Vec<u8>>());
    }
}
