//! The limit, and what is left below it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// So many descriptors no accepted connection takes: they are for files, name servers, health, operators and the connections
/// that we make. Of a small limit it is a quarter.
pub const FOR_OURSELVES: u64 = 64;

/// The soft limit as it was last read; 0 before.
static IN_FORCE: AtomicU64 = AtomicU64::new(0);

/// The limit of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The one in force.
    pub soft: u64,
    /// What the soft one can be raised to without privileges.
    pub hard: u64,
}

impl Limit {
    /// The number at which a taker's descriptors end.
    fn end(self, taker: Taker) -> u64 {
        let ours = FOR_OURSELVES.min(self.soft / 4);
        match taker {
            Taker::Accepted => self.soft - ours,
            Taker::Made => self.soft - ours / 2,
        }
    }

    /// How many connections of others fit beside what is open now.
    pub fn connections(self, in_use: u64) -> u64 {
        self.end(Taker::Accepted).saturating_sub(in_use)
    }
}

/// Who takes a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// A connection that was accepted: others decide how many there are.
    Accepted,
    /// A connection that we make.
    Made,
}

/// Raises the soft limit to the hard one; gives the limit before and after.
pub fn raise() -> io::Result<(Limit, Limit)> {
    let before = read()?;
    if before.soft < before.hard {
        setrlimit(Resource::RLIMIT_NOFILE, before.hard, before.hard)?;
    }
    Ok((before, read()?))
}

/// The limit in force.
pub fn limit() -> io::Result<Limit> {
    read()
}

fn read() -> io::Result<Limit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    IN_FORCE.store(soft, Ordering::Relaxed);
    Ok(Limit { soft, hard })
}

/// May this taker keep this new descriptor? If not, it is to be closed at once.
pub fn may_keep(descriptor: &impl AsFd, taker: Taker) -> bool {
    let Ok(number) = u64::try_from(descriptor.as_fd().as_raw_fd()) else { return true };
    let within = |soft: u64| number < Limit { soft, hard: soft }.end(taker);
    // The limit is read anew before a refusal: `prlimit` changes it from outside.
    within(IN_FORCE.load(Ordering::Relaxed)) || read().is_ok_and(|now| within(now.soft))
}

/// How many descriptors are open; `None` where the kernel does not say.
pub fn in_use() -> Option<u64> {
    // Since Linux 6.2 the folder's size is the answer, and needs no descriptor.
    let size = std::fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return Some(size);
    }
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // The folder itself was open while it was read.
    Some(count.saturating_sub(1))
}

/// Are connections of others refused for want of descriptors?
pub fn is_exhausted() -> bool {
    // Without any descriptor there is none for the question either.
    !File::open("/dev/null").is_ok_and(|probe| may_keep(&probe, Taker::Accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_for_ourselves() {
        let limit = Limit { soft: 1024, hard: 4096 };
        assert_eq!([limit.end(Taker::Accepted), limit.end(Taker::Made)], [960, 992]);
        assert_eq!((limit.connections(60), limit.connections(2_000)), (900, 0));
        let small = Limit { soft: 64, hard: 64 };
        assert_eq!([small.end(Taker::Accepted), small.end(Taker::Made)], [48, 56]);
    }

    #[test]
    fn what_is_open_is_counted() {
        let before = in_use().expect("the kernel says");
        let files: Vec<_> = (0..20).map(|_| File::open("/dev/null").expect("a file")).collect();
        assert!(in_use().expect("the kernel says") >= before.max(20));
        assert!(files.iter().all(|file| may_keep(file, Taker::Made)) && !is_exhausted());
    }
}
