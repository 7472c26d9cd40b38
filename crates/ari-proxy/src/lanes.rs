//! Order: requests for the same object run one after the other, all others concurrently.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// The requests under way by lane: in each, the one that came last.
#[derive(Default)]
pub(crate) struct Lanes {
    last: Mutex<HashMap<u64, Arc<Semaphore>>>,
}

/// A request's place in its lanes. Dropping it lets the next go.
pub(crate) struct Turn {
    lanes: Arc<Lanes>,
    mine: Vec<u64>,
    // Closed when the request is done; it never has a permit.
    done: Arc<Semaphore>,
    before: Vec<Arc<Semaphore>>,
}

impl Lanes {
    /// Takes a place in `lanes`, in the order of the calls. Requests that act on nothing have none.
    pub(crate) fn enter(self: &Arc<Self>, lanes: Vec<u64>) -> Option<Turn> {
        if lanes.is_empty() {
            return None;
        }
        let done = Arc::new(Semaphore::new(0));
        let mut last = self.last.lock();
        let before = lanes.iter().filter_map(|lane| last.insert(*lane, Arc::clone(&done))).collect();
        drop(last);
        Some(Turn { lanes: Arc::clone(self), mine: lanes, done, before })
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.last.lock().is_empty()
    }
}

impl Turn {
    /// Waits until every earlier request of these lanes is done.
    pub(crate) async fn wait(&mut self) {
        for before in self.before.drain(..) {
            // It has no permits, so this ends when it is closed.
            let _ = before.acquire().await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.done.close();
        let mut last = self.lanes.last.lock();
        for lane in &self.mine {
            if last.get(lane).is_some_and(|l| Arc::ptr_eq(l, &self.done)) {
                last.remove(lane);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_lane_is_in_order_and_leaves_nothing_behind() {
        let lanes = Arc::new(Lanes::default());
        let seen = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for n in 0..100 {
            let (lanes, seen) = (Arc::clone(&lanes), Arc::clone(&seen));
            let (entered, wait_entered) = tokio::sync::oneshot::channel();
            tasks.push(tokio::spawn(async move {
                // Every second one is in a second lane as well.
                let mut turn = lanes.enter(if n % 2 == 0 { vec![1] } else { vec![1, 2] }).unwrap();
                entered.send(()).unwrap();
                turn.wait().await;
                tokio::task::yield_now().await;
                assert_eq!(seen.fetch_add(1, Ordering::SeqCst), n);
            }));
            wait_entered.await.unwrap();
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(lanes.is_empty());
    }

    #[tokio::test]
    async fn a_dropped_request_lets_the_next_go() {
        let lanes = Arc::new(Lanes::default());
        let first = lanes.enter(vec![1]);
        let mut second = lanes.enter(vec![1, 2]).unwrap();
        let mut third = lanes.enter(vec![2]).unwrap();
        drop(first);
        second.wait().await;
        drop(second);
        third.wait().await;
        assert!(lanes.enter(Vec::new()).is_none());
    }
}
