//! Limits for password hashes: a few are computed at a time, some more wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trunkline_sip::source_of;

/// Passwords that are hashed or wait for it, of all sources.
const MOST: usize = 64;
/// Beyond that, of users from where they have logged in before: others cannot keep them out.
const MOST_KNOWN: usize = 32;
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

    /// Enters and waits for the turn; `None` if there is no room. `known`: the user has logged in from there before.
    pub(crate) async fn turn(self: Arc<HashPermits>, source: IpAddr, known: bool) -> Option<HashPermit> {
        let source = source_of(source);
        let mut place = {
            let mut waiting = self.waiting.lock();
            let all: usize = waiting.values().sum();
            let own = waiting.entry(source).or_insert(0);
            let most = if known { MOST + MOST_KNOWN } else { MOST };
            if all >= most || *own >= MOST_OF_ONE {
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
        let first = permits.clone().turn(a, false).await.expect("room");
        let mut queue: Vec<_> = (1..MOST_OF_ONE).map(|_| Box::pin(permits.clone().turn(a, false))).collect();
        for waiting in &mut queue {
            assert!(futures_poll(waiting).await.is_none(), "it waits");
        }
        assert!(permits.clone().turn(a, false).await.is_none(), "no room for a ninth of one source");
        let mut other = Box::pin(permits.clone().turn(b, false));
        assert!(futures_poll(&mut other).await.is_none(), "it waits, and is not refused");
        drop((first, queue));
        let other = other.await;
        assert!(other.is_some());
        drop(other);
        assert!(permits.waiting.lock().is_empty(), "who leaves is forgotten");
    }

    #[tokio::test]
    async fn a_crowd_leaves_room_for_who_is_known() {
        let permits = Arc::new(HashPermits::new(1));
        let at = |n: usize| IpAddr::from([192, 0, 2, (n / MOST_OF_ONE) as u8]);
        let first = permits.clone().turn(at(0), false).await.expect("room");
        let mut crowd: Vec<_> = (1..MOST).map(|n| Box::pin(permits.clone().turn(at(n), false))).collect();
        for waiting in &mut crowd {
            assert!(futures_poll(waiting).await.is_none(), "it waits");
        }
        let operator = IpAddr::from([192, 0, 2, 99]);
        assert!(permits.clone().turn(operator, false).await.is_none(), "no room for one more");
        let mut known = Box::pin(permits.clone().turn(operator, true));
        assert!(futures_poll(&mut known).await.is_none(), "it waits, and is not refused");
        drop((first, crowd));
        assert!(known.await.is_some());
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
