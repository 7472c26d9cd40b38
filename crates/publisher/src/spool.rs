//! Events on disk until another program has taken them: a folder of bounded size.
//!
//! Each event has a number, which is one greater than that of the event before, also after a restart. The events are lines of
//! `NUMBER JSON` in files that are named after their first event; `taken` has the number of the first event that nobody has
//! taken yet, and how many were given up since the last that was taken.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The bound is divided into so many files; the oldest goes as a whole.
const FILES: u64 = 8;
const ENDING: &str = ".events";
const TAKEN: &str = "taken";

/// The spool.
pub(crate) struct Spool {
    folder: PathBuf,
    most: u64,
    files: VecDeque<Segment>,
    /// Where the newest file is written.
    writer: Option<File>,
    /// The number of the next event that comes.
    next: u64,
    /// The number of the first event that nobody has taken.
    taken: u64,
    /// Where that one is in the oldest file, if it is known.
    at: u64,
    /// Events that were given up since the last batch was taken.
    lost: u64,
    /// Locked while this process uses the folder.
    _lock: File,
}

/// A file of the spool.
struct Segment {
    first: u64,
    /// Events in it.
    count: u64,
    bytes: u64,
}

/// Events that wait.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The number of the first one.
    pub first: u64,
    /// The events, as JSON.
    pub events: Vec<String>,
    /// How many were given up before them.
    pub lost: u64,
    /// Bytes of the file that they take.
    bytes: u64,
}

impl Spool {
    /// Opens or creates the folder, which is for the owner alone. It holds `most` bytes at most.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(folder: &Path, most: u64) -> io::Result<Spool> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process uses it"),
            TryLockError::Error(error) => error,
        })?;
        let (mut taken, mut lost) = (0, 0);
        match std::fs::read_to_string(folder.join(TAKEN)) {
            Ok(text) => {
                let mut numbers = text.split_ascii_whitespace().map(|n| n.parse().unwrap_or(0));
                (taken, lost) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut firsts = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            firsts.extend(name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse::<u64>().ok()));
        }
        firsts.sort_unstable();
        let mut spool = Spool {
            folder: folder.to_owned(),
            most,
            files: VecDeque::new(),
            writer: None,
            next: 1,
            taken: taken.max(1),
            at: 0,
            lost,
            _lock: lock,
        };
        for first in firsts {
            let segment = spool.recover(first)?;
            spool.next = segment.first + segment.count;
            spool.files.push_back(segment);
        }
        if spool.next < spool.taken {
            // The newest file is damaged, and what it holds was taken: no later event belongs behind it.
            for file in std::mem::take(&mut spool.files) {
                std::fs::remove_file(spool.path(file.first))?;
            }
            spool.next = spool.taken;
        }
        spool.forget_taken()?;
        Ok(spool)
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{first:020}{ENDING}"))
    }

    /// Counts the events of a file, and cuts off what was not written to its end.
    fn recover(&self, first: u64) -> io::Result<Segment> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(first))?;
        let (mut count, mut bytes) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if parsed(&line).is_none_or(|(number, _)| number != first + count) {
                break;
            }
            (count, bytes) = (count + 1, bytes + length);
        }
        file.set_len(bytes)?;
        Ok(Segment { first, count, bytes })
    }

    /// Events that wait.
    pub fn len(&self) -> u64 {
        self.next.saturating_sub(self.taken)
    }

    /// Appends events, and returns when they are on disk. Gives how many older ones were given up for them.
    ///
    /// # Errors
    /// When they cannot be written; none of them is kept then.
    pub fn append(&mut self, events: &[String]) -> io::Result<u64> {
        if events.is_empty() {
            return Ok(0);
        }
        if self.files.back().is_none_or(|newest| newest.bytes >= self.most / FILES) {
            self.begin()?;
        }
        let mut bytes = Vec::new();
        for (number, event) in (self.next..).zip(events) {
            bytes.extend_from_slice(format!("{number} ").as_bytes());
            bytes.extend_from_slice(event.as_bytes());
            bytes.push(b'\n');
        }
        if let Err(error) = self.write(&bytes) {
            // What a failed write left would be read as events.
            self.writer = None;
            if let Some(newest) = self.files.back() {
                let file = OpenOptions::new().write(true).open(self.path(newest.first));
                file.and_then(|file| file.set_len(newest.bytes))?;
            }
            return Err(error);
        }
        if let Some(newest) = self.files.back_mut() {
            newest.bytes += bytes.len() as u64;
            newest.count += events.len() as u64;
        }
        self.next += events.len() as u64;
        self.keep_bound()
    }

    fn begin(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(self.path(self.next))?;
        file.set_len(0)?;
        self.writer = Some(file);
        self.files.push_back(Segment { first: self.next, count: 0, bytes: 0 });
        // The name of the file is on disk before an event in it counts.
        File::open(&self.folder)?.sync_all()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.writer.is_none() {
            let newest = self.files.back().map_or(self.next, |newest| newest.first);
            self.writer = Some(OpenOptions::new().append(true).open(self.path(newest))?);
        }
        let Some(file) = &mut self.writer else { return Ok(()) };
        file.write_all(bytes)?;
        file.sync_data()
    }

    /// The oldest files go while there is more than the bound; the newest one stays.
    fn keep_bound(&mut self) -> io::Result<u64> {
        let mut given_up = 0;
        while self.files.len() > 1 && self.files.iter().map(|file| file.bytes).sum::<u64>() > self.most {
            let Some(oldest) = self.files.pop_front() else { break };
            let end = oldest.first + oldest.count;
            given_up += end.saturating_sub(self.taken.max(oldest.first));
            (self.taken, self.at) = (self.taken.max(end), 0);
            std::fs::remove_file(self.path(oldest.first))?;
        }
        if given_up > 0 {
            self.lost += given_up;
            self.note_taken()?;
        }
        Ok(given_up)
    }

    /// The events that wait longest: up to so many of so many bytes together, at least one.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn peek(&mut self, most: usize, bytes: u64) -> io::Result<Option<Waiting>> {
        self.forget_taken()?;
        let Some(oldest) = self.files.front().filter(|_| self.taken < self.next) else { return Ok(None) };
        let mut file = File::open(self.path(oldest.first))?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut waiting = Waiting { first: self.taken, lost: self.lost, ..Waiting::default() };
        let left = oldest.bytes.saturating_sub(self.at);
        let mut reader = BufReader::new(file.take(left));
        let mut line = Vec::new();
        while waiting.events.len() < most {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            let Some((number, json)) = parsed(&line) else { break };
            if number < self.taken {
                self.at += length;
                continue;
            }
            if !waiting.events.is_empty() && waiting.bytes + length > bytes {
                break;
            }
            waiting.bytes += length;
            waiting.events.push(json.to_owned());
        }
        if waiting.events.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an event in it cannot be read"));
        }
        Ok(Some(waiting))
    }

    /// Another program has taken these.
    ///
    /// # Errors
    /// When that cannot be noted; after a restart they are sent again.
    pub fn take(&mut self, waiting: &Waiting) -> io::Result<()> {
        let end = waiting.first + waiting.events.len() as u64;
        self.lost = self.lost.saturating_sub(waiting.lost);
        if end > self.taken {
            // The file may have been given up meanwhile.
            self.at = if self.taken == waiting.first { self.at + waiting.bytes } else { 0 };
            self.taken = end;
        }
        self.note_taken()?;
        self.forget_taken()
    }

    /// Notes that the events that wait longest cannot be read: they are given up with their file.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn give_up_oldest(&mut self) -> io::Result<u64> {
        let Some(oldest) = self.files.pop_front() else { return Ok(0) };
        let end = oldest.first + oldest.count;
        let given_up = end.saturating_sub(self.taken);
        if self.files.is_empty() {
            self.writer = None;
        }
        (self.taken, self.at, self.lost) = (self.taken.max(end), 0, self.lost + given_up);
        self.note_taken()?;
        std::fs::remove_file(self.path(oldest.first))?;
        Ok(given_up)
    }

    /// Removes files of which everything was taken; the newest one stays while it is written to.
    fn forget_taken(&mut self) -> io::Result<()> {
        while let Some(oldest) = self.files.front().filter(|f| f.first + f.count <= self.taken) {
            if self.files.len() == 1 && oldest.bytes < self.most / FILES {
                return Ok(());
            }
            std::fs::remove_file(self.path(oldest.first))?;
            self.files.pop_front();
            self.at = 0;
            if self.files.is_empty() {
                self.writer = None;
            }
        }
        // The end of a file before may have been unreadable.
        if let Some(oldest) = self.files.front().filter(|oldest| oldest.first > self.taken) {
            self.lost += oldest.first - self.taken;
            (self.taken, self.at) = (oldest.first, 0);
        }
        Ok(())
    }

    /// In place of the former note as a whole, or not at all.
    fn note_taken(&self) -> io::Result<()> {
        let fresh = self.folder.join("taken.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
        file.write_all(format!("{} {}\n", self.taken, self.lost).as_bytes())?;
        file.sync_data()?;
        std::fs::rename(&fresh, self.folder.join(TAKEN))
    }
}

/// A whole line: number and JSON. What is no JSON would make a whole batch unreadable.
fn parsed(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (number, json) = line.split_once(' ')?;
    let is_event = serde_json::from_str::<Value>(json).is_ok_and(|event| event.is_object());
    is_event.then_some((number.parse().ok()?, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(numbers: std::ops::Range<u64>) -> Vec<String> {
        numbers.map(|n| format!("{{\"n\":{n}}}")).collect()
    }

    #[test]
    fn what_was_appended_survives_and_is_taken_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Spool::open(&folder.path().join("spool"), 1 << 20).expect("opened");
        let mut spool = open();
        assert_eq!(spool.peek(10, 1000).expect("read"), None);
        assert_eq!(spool.append(&events(1..6)).expect("written"), 0);
        let first = spool.peek(2, 1000).expect("read").expect("some");
        assert_eq!((first.first, &first.events, first.lost), (1, &events(1..3), 0));
        spool.take(&first).expect("noted");
        assert!(Spool::open(&folder.path().join("spool"), 1 << 20).is_err(), "it is in use");
        drop(spool);
        // Killed: what was not taken is there again, and a torn line is not.
        let file = std::fs::read_dir(folder.path().join("spool")).expect("read").filter_map(Result::ok);
        let file =
            file.map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "events")).expect("one");
        OpenOptions::new().append(true).open(&file).expect("open").write_all(b"6 {\"n\"").expect("torn");
        let mut spool = open();
        assert_eq!(spool.len(), 3);
        assert_eq!(spool.append(&events(6..8)).expect("written"), 0);
        let rest = spool.peek(10, 1000).expect("read").expect("some");
        assert_eq!((rest.first, &rest.events), (3, &events(3..8)));
        let bounded = spool.peek(10, 20).expect("read").expect("some");
        assert_eq!(bounded.events, events(3..5));
        spool.take(&rest).expect("noted");
        assert_eq!((spool.len(), spool.peek(10, 1000).expect("read")), (0, None));
        drop(spool);
        let mut spool = open();
        assert_eq!(spool.append(&events(8..9)).expect("written"), 0);
        assert_eq!(spool.peek(9, 99).expect("read").expect("one").first, 8);
    }

    #[test]
    fn the_oldest_go_and_their_number_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Spool::open(folder.path(), 4_000).expect("opened");
        let mut spool = open();
        let mut given_up = 0;
        for n in 1..1_001 {
            given_up += spool.append(&events(n..n + 1)).expect("written");
        }
        let on_disk: u64 = spool.files.iter().map(|file| file.bytes).sum();
        assert!(given_up > 500 && on_disk <= 4_000, "{given_up} {on_disk}");
        assert_eq!(spool.len() + given_up, 1_000);
        drop(spool);
        let mut spool = open();
        let waiting = spool.peek(5, 1000).expect("read").expect("some");
        assert_eq!((waiting.first, waiting.lost), (given_up + 1, given_up));
        // More are given up while these are on their way.
        for n in 1_001..2_001 {
            spool.append(&events(n..n + 1)).expect("written");
        }
        spool.take(&waiting).expect("noted");
        let next = spool.peek(1, 1000).expect("read").expect("some");
        assert_eq!(next.lost + next.first, 1 + given_up + (next.first - 1 - given_up) + next.lost);
        assert!(next.first > 1_000 && next.lost > 0);
        let mut taken = 0;
        while let Some(waiting) = spool.peek(100, 10_000).expect("read") {
            taken += waiting.events.len();
            spool.take(&waiting).expect("noted");
        }
        assert_eq!((spool.len(), spool.lost), (0, 0));
        assert!(taken > 100, "{taken}");
    }

    #[test]
    fn what_a_damaged_file_lacks_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Spool::open(folder.path(), 4_000).expect("opened");
        let mut spool = open();
        (1..101).for_each(|n| assert_eq!(spool.append(&events(n..n + 1)).expect("written"), 0));
        let second = spool.files.get(1).expect("some files").first;
        let path = spool.path(1);
        drop(spool);
        let text = std::fs::read_to_string(&path).expect("the first file");
        std::fs::write(&path, text.replace("3 {\"n\":3}", "3 {\"n\"\n:3}")).expect("damaged");
        let mut spool = open();
        let mut got = Vec::new();
        while let Some(waiting) = spool.peek(9, 999).expect("read") {
            got.push((waiting.first, waiting.lost));
            let numbers = waiting.first..waiting.first + waiting.events.len() as u64;
            assert_eq!(waiting.events, events(numbers), "each has its own number");
            spool.take(&waiting).expect("noted");
        }
        assert_eq!(got.get(..2), Some(&[(1, 0), (second, second - 3)][..]));
    }

    #[test]
    fn numbers_go_on_behind_a_damaged_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Spool::open(folder.path(), 1 << 20).expect("opened");
        let mut spool = open();
        spool.append(&events(1..11)).expect("written");
        let waiting = spool.peek(10, 999).expect("read").expect("some");
        spool.take(&waiting).expect("noted");
        let path = spool.path(1);
        drop(spool);
        std::fs::write(&path, "x").expect("damaged");
        for n in 11..14 {
            let mut spool = open();
            spool.append(&events(n..n + 1)).expect("written");
            assert_eq!(spool.len(), n - 10, "those before are still there");
        }
        assert_eq!(open().peek(9, 999).expect("read").expect("some").events, events(11..14));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_given_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(folder.path(), 1 << 20).expect("opened");
        spool.append(&events(1..4)).expect("written");
        std::fs::write(spool.path(1), "x".repeat(100)).expect("spoiled");
        assert!(spool.peek(9, 999).is_err());
        assert_eq!(spool.give_up_oldest().expect("removed"), 3);
        spool.append(&events(4..5)).expect("written");
        let waiting = spool.peek(9, 999).expect("read").expect("one");
        assert_eq!((waiting.first, waiting.lost), (4, 3));
    }
}
