//! Limits for password hashes: a few are computed at a time, some more wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trunkline_sip::source_of;

/// Passwords that are hashed or wait for it, of all sources.
const MOST: usize = 64;
/// The same of one source, so that nobody fills the room.
const MOST_OF_ONE: usize = 8;

/// The room.
#[derive(Debug)]
pub(crate) struct HashPermits {
    hashing: Arc<Semaphore>,
    waiting: Mutex<HashMap<IpAddr, usize>>,
}

/// A place in the room, held until the hash is done.
#[derive(Debug)]
pub(crate) struct HashPermit {
    permits: Arc<HashPermits>,
    source: IpAddr,
    /// The right to hash now.
    permit: Option<OwnedSemaphorePermit>,
}

impl HashPermits {
    /// Room for so many hashes at a time.
    pub(crate) fn new(hashing: usize) -> HashPermits {
        HashPermits { hashing: Arc::new(Semaphore::new(hashing)), waiting: Mutex::default() }
    }

    /// Enters and waits for the turn; `None` if there is no room.
    pub(crate) async fn turn(self: Arc<HashPermits>, source: IpAddr) -> Option<HashPermit> {
        let source = source_of(source);
        let mut place = {
            let mut waiting = self.waiting.lock();
            let all: usize = waiting.values().sum();
            let own = waiting.entry(source).or_insert(0);
            if all >= MOST || *own >= MOST_OF_ONE {
                if *own == 0 {
                    waiting.remove(&source);
                }
                return None;
            }
            *own += 1;
            drop(waiting);
            // From here on the place is left by being dropped, also when the caller goes while it waits.
            HashPermit { permits: self.clone(), source, permit: None }
        };
        // The semaphore is never closed.
        place.permit = Some(self.hashing.clone().acquire_owned().await.ok()?);
        Some(place)
    }
}

impl Drop for HashPermit {
    fn drop(&mut self) {
        let mut waiting = self.permits.waiting.lock();
        if let Some(own) = waiting.get_mut(&self.source) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_source_leaves_room_for_another() {
        let permits = Arc::new(HashPermits::new(1));
        let [a, b]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let first = permits.clone().turn(a).await.expect("room");
        let mut queue: Vec<_> = (1..MOST_OF_ONE).map(|_| Box::pin(permits.clone().turn(a))).collect();
        for waiting in &mut queue {
            assert!(futures_poll(waiting).await.is_none(), "it waits");
        }
        assert!(permits.clone().turn(a).await.is_none(), "no room for a ninth of one source");
        let mut other = Box::pin(permits.clone().turn(b));
        assert!(futures_poll(&mut other).await.is_none(), "it waits, and is not refused");
        drop((first, queue));
        let other = other.await;
        assert!(other.is_some());
        drop(other);
        assert!(permits.waiting.lock().is_empty(), "who leaves is forgotten");
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
