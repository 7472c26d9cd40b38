//! Events as JSON lines in a file of bounded size.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counters::SinkCounters;
use crate::published::Published;
use crate::source::Source;

/// How often it is looked whether the file is still in its place.
const LOOK: Duration = Duration::from_secs(1);
/// It is complained about a file that cannot be written once in this time.
const SILENCE: Duration = Duration::from_secs(60);

/// Writes events to a file. When the file is full it becomes `FILE.1`, the one of that name `FILE.2`, and so on.
pub struct FileSink {
    source: Source,
    lines: Lines,
    events: Vec<Published>,
    /// Events that could not be written since the last line.
    missing: u64,
    complained: Option<Instant>,
    counters: Arc<SinkCounters>,
}

impl FileSink {
    /// Opens the file, which may have `most` bytes; `keep` earlier ones are kept.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        source: Source,
        path: &Path,
        (most, keep): (u64, u32),
        counters: Arc<SinkCounters>,
    ) -> io::Result<FileSink> {
        let mut lines = Lines::new(path, most, keep);
        lines.open()?;
        Ok(FileSink { source, lines, events: Vec::new(), missing: 0, complained: None, counters })
    }

    /// Writes what happened since the last time.
    pub fn look(&mut self, now: u64) {
        self.events.clear();
        self.counters.lose(self.source.turn(now, &mut self.events));
        if self.events.is_empty() {
            return;
        }
        if self.missing > 0 {
            self.events.insert(0, Published::lost(now, self.missing));
        }
        let count = self.events.len() as u64 - u64::from(self.missing > 0);
        match self.lines.write(self.events.iter().map(Published::line)) {
            Ok(()) => {
                self.missing = 0;
                self.counters.works();
                self.counters.publish(count);
            }
            Err(error) => {
                self.missing += count;
                self.counters.lose(count);
                self.counters.fail(&error.to_string());
                if self.complained.is_none_or(|at| at.elapsed() >= SILENCE) {
                    self.complained = Some(Instant::now());
                    let path = self.lines.path.display();
                    tracing::warn!(%path, %error, "cannot write events (events.file); they are lost");
                }
            }
        }
    }
}

/// The file.
struct Lines {
    path: PathBuf,
    file: Option<File>,
    size: u64,
    most: u64,
    keep: u32,
    looked: Option<Instant>,
}

impl Lines {
    fn new(path: &Path, most: u64, keep: u32) -> Lines {
        Lines { path: path.to_owned(), file: None, size: 0, most, keep, looked: None }
    }

    /// The file is for the owner alone: events name callers and callees.
    fn open(&mut self) -> io::Result<()> {
        // A terminal or a device is nothing whose mode may be changed.
        if std::fs::metadata(&self.path).is_ok_and(|about| !about.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let mut options = OpenOptions::new();
        let mut file = options.create(true).read(true).append(true).mode(0o600).open(&self.path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        self.size = file.metadata()?.len();
        if self.size > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                // The process was ended within a line.
                file.write_all(b"\n")?;
                self.size += 1;
            }
        }
        self.file = Some(file);
        Ok(())
    }

    /// Closes a file that somebody has moved or removed.
    fn look(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let place = std::fs::metadata(&self.path).map(|about| (about.dev(), about.ino())).ok();
        let own = self.file.as_ref().and_then(|file| file.metadata().ok());
        if own.is_none_or(|own| Some((own.dev(), own.ino())) != place) {
            self.file = None;
        }
    }

    fn write(&mut self, lines: impl Iterator<Item = String>) -> io::Result<()> {
        self.look();
        if self.file.is_none() {
            self.open()?;
        }
        let mut bytes = Vec::new();
        for line in lines {
            let length = line.len() as u64 + 1;
            if self.size + bytes.len() as u64 + length > self.most && self.size + bytes.len() as u64 > 0 {
                self.put(&std::mem::take(&mut bytes))?;
                self.rotate()?;
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.open()?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(bytes) {
            // What is there now is looked at anew: a part may have been written.
            self.file = None;
            return Err(error);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        self.file = None;
        if self.keep == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            for n in (1..self.keep).rev() {
                match std::fs::rename(numbered(n), numbered(n + 1)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            std::fs::rename(&self.path, numbered(1))?;
        }
        self.open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn full_files_are_kept_up_to_a_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events");
        std::fs::write(&path, "torn").expect("written");
        let mut file = Lines::new(&path, 10, 2);
        file.open().expect("opened");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        file.write(
            ["aaaa", "bbbb", "cccc", "dddd", "a line that is too long"].map(str::to_owned).into_iter(),
        )
        .expect("written");
        let at = |n: u32| lines(&folder.path().join(format!("events.{n}")));
        assert_eq!(lines(&path), ["a line that is too long"]);
        assert_eq!(at(1), ["dddd"]);
        assert_eq!(at(2), ["bbbb", "cccc"]);
        assert!(!folder.path().join("events.3").exists());
    }

    #[test]
    fn a_file_that_was_moved_is_begun_anew_and_a_device_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events");
        let mut file = Lines::new(&path, 1_000, 2);
        file.write(["a".to_owned()].into_iter()).expect("written");
        std::fs::rename(&path, folder.path().join("moved")).expect("moved");
        file.looked = None;
        file.write(["b".to_owned()].into_iter()).expect("written");
        assert_eq!((lines(&folder.path().join("moved")), lines(&path)), (vec!["a".into()], vec!["b".into()]));
        let error = Lines::new(Path::new("/dev/null"), 1_000, 2).open().expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
