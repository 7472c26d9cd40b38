//! Notices of what is not part of one request, such as calls and registrations: a bounded board for the whole process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::notice::{Notice, What};

/// Notices that are kept for readers, the latest ones, and their bytes.
const MOST: usize = 16_384;
const MOST_BYTES: usize = 32 << 20;
/// Notices that a reader takes in one turn, at most: the board is locked for so long.
const AT_ONCE: usize = 1_024;

/// A bounded board of notices. While nobody watches, a notice costs one load; a reader that does not read costs nothing, and learns
/// how many notices it lost.
#[derive(Debug, Default)]
pub struct Board {
    watchers: AtomicUsize,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    notices: VecDeque<Arc<Notice>>,
    /// The number of the first notice that is kept.
    first: u64,
    /// Bytes of all.
    bytes: usize,
}

/// A reader of a [`Board`], from when it was made until it is dropped.
#[derive(Debug)]
pub struct BoardReader {
    board: Arc<Board>,
    next: u64,
}

impl Board {
    /// Does anybody read? Otherwise no notice need be made.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Relaxed) > 0
    }

    /// Puts a notice up, of this time in milliseconds since 1970. The oldest one gives way.
    pub fn post(&self, at: u64, what: What) {
        if !self.is_watched() {
            return;
        }
        let size = what.size();
        let notice = Arc::new(Notice { at, what });
        let mut shelf = self.shelf.lock();
        while shelf.notices.len() >= MOST || shelf.bytes + size > MOST_BYTES {
            let Some(gone) = shelf.notices.pop_front() else { break };
            shelf.first += 1;
            shelf.bytes = shelf.bytes.saturating_sub(gone.what.size());
        }
        shelf.bytes += size;
        shelf.notices.push_back(notice);
    }

    /// Reads what is put up from now on.
    pub fn watch(self: &Arc<Board>) -> BoardReader {
        let shelf = self.shelf.lock();
        self.watchers.fetch_add(1, Ordering::Relaxed);
        let next = shelf.first + shelf.notices.len() as u64;
        drop(shelf);
        BoardReader { board: Arc::clone(self), next }
    }

    /// Reads also what was put up before for other readers, if there are any.
    pub fn watch_kept(self: &Arc<Board>) -> BoardReader {
        let mut reader = self.watch();
        reader.next = self.shelf.lock().first;
        reader
    }
}

impl BoardReader {
    /// Takes the notices since the last turn into `out`, and gives the number of those that were lost.
    pub fn turn(&mut self, out: &mut Vec<Arc<Notice>>) -> u64 {
        let mut lost = 0;
        loop {
            let shelf = self.board.shelf.lock();
            lost += shelf.first.saturating_sub(self.next);
            self.next = self.next.max(shelf.first);
            let from = (self.next - shelf.first) as usize;
            let before = out.len();
            out.extend(shelf.notices.iter().skip(from).take(AT_ONCE).cloned());
            let taken = out.len() - before;
            self.next += taken as u64;
            // Whoever writes faster than this reads keeps nobody here for ever.
            if taken < AT_ONCE || out.len() >= MOST {
                return lost;
            }
        }
    }
}

impl Drop for BoardReader {
    fn drop(&mut self) {
        let mut shelf = self.board.shelf.lock();
        if self.board.watchers.fetch_sub(1, Ordering::Relaxed) == 1 {
            shelf.first += shelf.notices.len() as u64;
            (shelf.notices, shelf.bytes) = (VecDeque::new(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{LONGEST_HEADERS, RegistrationNotice, RegistrationStep, text};

    fn post(board: &Board, at: u64) {
        let mut notice = RegistrationNotice::new(RegistrationStep::Added, b"sip:1001@sip.local");
        notice.contact = "sip:1001@192.0.2.7".into();
        board.post(at, What::Registration(Box::new(notice)));
    }

    fn times(reader: &mut BoardReader) -> (u64, Vec<u64>) {
        let mut out = Vec::new();
        let lost = reader.turn(&mut out);
        (lost, out.iter().map(|notice| notice.at).collect())
    }

    #[test]
    fn nothing_is_kept_while_nobody_reads() {
        let board = Arc::new(Board::default());
        post(&board, 1);
        let mut reader = board.watch();
        assert!(board.is_watched());
        post(&board, 2);
        let (mut late, mut all) = (board.watch(), board.watch_kept());
        post(&board, 3);
        assert_eq!(times(&mut reader), (0, vec![2, 3]));
        assert_eq!(times(&mut late), (0, vec![3]));
        assert_eq!(times(&mut all), (0, vec![2, 3]));
        drop((reader, late, all));
        assert!(!board.is_watched() && board.shelf.lock().notices.is_empty());
        let mut again = board.watch_kept();
        post(&board, 4);
        assert_eq!(times(&mut again), (0, vec![4]));
    }

    #[test]
    fn a_slow_reader_learns_what_it_lost() {
        let board = Arc::new(Board::default());
        let mut reader = board.watch();
        let written = MOST as u64 + 100;
        (0..written).for_each(|n| post(&board, n));
        let (lost, got) = times(&mut reader);
        assert_eq!((lost, got.len()), (100, MOST));
        assert_eq!(got.first(), Some(&100));
        assert_eq!(times(&mut reader), (0, Vec::new()));
    }

    #[test]
    fn long_texts_are_cut_and_their_bytes_are_bounded() {
        let board = Arc::new(Board::default());
        let mut reader = board.watch();
        let long = vec![b'x'; 60_000];
        for n in 0..20_000 {
            let mut notice = RegistrationNotice::new(RegistrationStep::Added, &long);
            notice.headers = text(&long, LONGEST_HEADERS);
            board.post(n, What::Registration(Box::new(notice)));
        }
        let shelf = board.shelf.lock();
        assert!(shelf.bytes <= MOST_BYTES && shelf.bytes > MOST_BYTES / 2, "{}", shelf.bytes);
        assert_eq!(shelf.bytes, shelf.notices.iter().map(|notice| notice.what.size()).sum::<usize>());
        drop(shelf);
        let (lost, got) = times(&mut reader);
        assert!(lost > 0 && lost as usize + got.len() == 20_000);
    }
}
