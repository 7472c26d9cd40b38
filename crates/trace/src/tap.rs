//! The tap of one shard: a ring of bytes that exists while somebody watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::entry::Seen;

/// Bytes of messages that wait to be read, at most.
const ROOM: usize = 4 << 20;
/// Bytes that a reader copies at once, about: so long it keeps the shard waiting.
const COPIED: usize = 256 << 10;

/// Where a shard puts what it receives and sends. The default one is watched by nobody.
#[derive(Debug, Default)]
pub struct Tap {
    watchers: AtomicUsize,
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// [`ROOM`] bytes while somebody watches, else none.
    bytes: Box<[u8]>,
    /// Where the oldest message begins and the newest ends, counted from the beginning of time.
    begin: u64,
    end: u64,
    /// How many messages came before the oldest, and how many came at all.
    before: u64,
    written: u64,
}

impl Tap {
    /// Does somebody watch?
    #[inline]
    pub fn is_on(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) != 0
    }

    /// Puts a message in. What is older gives way.
    pub fn put(&self, seen: &Seen<'_>) {
        let Some(length) = seen.length() else { return };
        let ring = &mut *self.ring.lock();
        if length as usize > ring.bytes.len() {
            // It is lost to all who watch.
            ring.begin = ring.end;
            ring.written += 1;
            ring.before = ring.written;
            return;
        }
        while ring.end - ring.begin + u64::from(length) > ring.bytes.len() as u64 {
            ring.begin += u64::from(ring.length_at(ring.begin));
            ring.before += 1;
        }
        let mut at = ring.end;
        seen.write(length, |part| {
            ring.copy_in(at, part);
            at += part.len() as u64;
        });
        ring.end = at;
        ring.written += 1;
    }

    /// Begins to watch.
    pub(crate) fn watch(self: &Arc<Tap>) -> Watch {
        let mut ring = self.ring.lock();
        if ring.bytes.is_empty() {
            // The system gives the memory when it is written to first.
            ring.bytes = vec![0; ROOM].into_boxed_slice();
        }
        self.watchers.fetch_add(1, Ordering::Relaxed);
        Watch { at: ring.end, number: ring.written, tap: Arc::clone(self) }
    }
}

impl Ring {
    fn copy_in(&mut self, at: u64, part: &[u8]) {
        let room = self.bytes.len();
        let place = (at % room as u64) as usize;
        let (first, second) = part.split_at(part.len().min(room - place));
        if let Some(to) = self.bytes.get_mut(place..place + first.len()) {
            to.copy_from_slice(first);
        }
        if let Some(to) = self.bytes.get_mut(..second.len()) {
            to.copy_from_slice(second);
        }
    }

    fn copy_out(&self, at: u64, length: usize, out: &mut Vec<u8>) {
        let place = (at % self.bytes.len() as u64) as usize;
        let first = length.min(self.bytes.len() - place);
        out.extend_from_slice(self.bytes.get(place..place + first).unwrap_or_default());
        out.extend_from_slice(self.bytes.get(..length - first).unwrap_or_default());
    }

    /// The length of the message that begins there. It is never 0, so that loops over messages end.
    fn length_at(&self, at: u64) -> u32 {
        let byte = |n: u64| {
            let place = ((at + n) % self.bytes.len() as u64) as usize;
            self.bytes.get(place).copied().unwrap_or(0)
        };
        u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]).max(1)
    }
}

/// A reader of one tap, from when it was made until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    tap: Arc<Tap>,
    at: u64,
    /// How many messages came before that place.
    number: u64,
}

impl Watch {
    /// Copies the next messages into `out`, which is cleared first; how many were lost before them, and whether there are more.
    pub(crate) fn read(&mut self, out: &mut Vec<u8>) -> (u64, bool) {
        out.clear();
        let ring = self.tap.ring.lock();
        let mut lost = 0;
        if self.at < ring.begin {
            lost = ring.before - self.number;
            (self.at, self.number) = (ring.begin, ring.before);
        }
        let mut end = self.at;
        while end < ring.end && end - self.at < COPIED as u64 {
            end += u64::from(ring.length_at(end));
            self.number += 1;
        }
        if end > self.at {
            ring.copy_out(self.at, (end - self.at) as usize, out);
        }
        self.at = end;
        (lost, end < ring.end)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut ring = self.tap.ring.lock();
        if self.tap.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            ring.bytes = Box::default();
            ring.begin = ring.end;
            ring.before = ring.written;
        }
    }
}

#[cfg(test)]
mod tests {
    use trunkline_sip::Transport;

    use super::*;
    use crate::entry::{Direction, Entries};

    fn put(tap: &Tap, at: u64, bytes: &[u8]) {
        tap.put(&Seen {
            at,
            direction: Direction::Sent,
            transport: Transport::Wss,
            local: "[::1]:5060".parse().unwrap(),
            remote: "192.0.2.7:1".parse().unwrap(),
            reason: "acl.denied",
            bytes,
        });
    }

    #[test]
    fn what_is_put_in_comes_out() {
        let tap = Arc::new(Tap::default());
        put(&tap, 1, b"nobody watches");
        let mut watch = tap.watch();
        let mut bytes = Vec::new();
        assert_eq!(watch.read(&mut bytes), (0, false));
        put(&tap, 2, b"one");
        put(&tap, 3, b"");
        assert_eq!(watch.read(&mut bytes), (0, false));
        let all: Vec<_> = Entries(&bytes).collect();
        assert_eq!(all.len(), 2);
        let Seen { at, direction, transport, local, remote, reason, bytes } = all[0];
        assert_eq!((at, direction, transport), (2, Direction::Sent, Transport::Wss));
        assert_eq!((local.to_string().as_str(), remote.to_string().as_str()), ("[::1]:5060", "192.0.2.7:1"));
        assert_eq!((reason, bytes), ("acl.denied", &b"one"[..]));
    }

    #[test]
    fn a_slow_reader_learns_what_it_lost() {
        let tap = Arc::new(Tap::default());
        let (mut slow, mut quick) = (tap.watch(), tap.watch());
        let (mut bytes, mut read) = (Vec::new(), 0);
        let written = 200;
        for n in 0..written {
            put(&tap, n, &vec![n as u8; 50_000 + n as usize]);
            loop {
                let (lost, more) = quick.read(&mut bytes);
                assert_eq!(lost, 0);
                for seen in Entries(&bytes) {
                    assert_eq!((seen.at, seen.bytes), (read, &vec![read as u8; 50_000 + read as usize][..]));
                    read += 1;
                }
                if !more {
                    break;
                }
            }
        }
        assert_eq!(read, written);
        let (mut lost, mut got) = (0, Vec::new());
        loop {
            let (gone, more) = slow.read(&mut bytes);
            lost += gone;
            got.extend(Entries(&bytes).map(|seen| seen.at));
            if !more {
                break;
            }
        }
        assert_eq!(got, (lost..written).collect::<Vec<_>>());
        assert!(lost > 100 && got.len() > 60, "{lost}");
        drop(quick);
        assert!(tap.is_on());
        drop(slow);
        assert!(!tap.is_on() && tap.ring.lock().bytes.is_empty());
    }

    #[test]
    fn one_that_is_too_large_is_counted() {
        let tap = Arc::new(Tap::default());
        let (mut watch, mut bytes) = (tap.watch(), Vec::new());
        put(&tap, 1, b"before");
        put(&tap, 2, &vec![0; ROOM]);
        put(&tap, 3, b"after");
        assert_eq!(watch.read(&mut bytes), (2, false));
        assert_eq!(Entries(&bytes).map(|seen| seen.at).collect::<Vec<_>>(), [3]);
    }
}
