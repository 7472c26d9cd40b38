//! Addresses that failed lately: others of their name stand before them (RFC 3263 §4.3).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::RwLock;
use trunkline_sip::Transport;
use trunkline_transport::Egress;

use super::way::Way;

/// Addresses, at most.
const MOST: usize = 10_000;
/// No address is left alone for longer than this because its 503 asks for it.
const LONGEST: Duration = Duration::from_secs(3600);

/// The addresses that failed, and until when they are avoided.
#[derive(Debug)]
pub(crate) struct Avoided {
    /// For so long, where nothing else is asked for.
    avoid: Duration,
    failed: RwLock<HashMap<(Transport, SocketAddr), Instant>>,
}

impl Avoided {
    pub(super) fn new(avoid: Duration) -> Avoided {
        Avoided { avoid, failed: RwLock::default() }
    }

    /// An address did not answer: others of its host stand before it for a while.
    pub(super) fn note(&self, egress: &Egress, at_least: Duration) {
        let mut failed = self.failed.write();
        if failed.len() >= MOST
            && let Some(one) = failed.keys().next().copied()
        {
            failed.remove(&one);
        }
        let until = Instant::now() + self.avoid.max(at_least.min(LONGEST));
        failed.insert((egress.transport, egress.remote), until);
    }

    /// Of the ways not in `tried` the first that has not failed lately; the first, when all have.
    pub(super) fn choose(&self, ways: &[Way], tried: u16) -> Option<usize> {
        let open = || (0..ways.len().min(16)).filter(|n| tried >> n & 1 == 0);
        let first = open().next();
        if ways.len() < 2 {
            return first;
        }
        let failed = self.failed.read();
        if failed.is_empty() {
            return first;
        }
        let now = Instant::now();
        let fresh = |n: &usize| {
            ways.get(*n).is_some_and(|w| failed.get(&(w.transport, w.address)).is_none_or(|t| *t <= now))
        };
        open().find(fresh).or(first)
    }
}
