//! Following the records: calls as they begin and end, for whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

use crate::record::{CallRecord, Filter};
use crate::row::{Kind, each};

/// What a follower that does not read may have waiting; what comes beyond is lost to it, and to nobody else.
const MOST_WAITING: usize = 4_096;

/// What a follower gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// A call has begun and goes on.
    Began(Box<CallRecord>),
    /// A call has ended; one that was short has not been seen before.
    Ended(Box<CallRecord>),
    /// So many of them were lost since the last one.
    Lost(u64),
    /// Nothing happened in the time given.
    Nothing,
    /// The records have ended.
    Closed,
}

/// Follows the records from when it was made until it is dropped.
pub struct Follower {
    inbox: Receiver<Followed>,
    lost: Arc<AtomicU64>,
}

impl Follower {
    /// The next thing that happens within `patience`.
    pub fn next(&self, patience: Duration) -> Followed {
        match self.lost.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => return Followed::Lost(lost),
        }
        match self.inbox.recv_timeout(patience) {
            Ok(followed) => followed,
            Err(RecvTimeoutError::Timeout) => Followed::Nothing,
            Err(RecvTimeoutError::Disconnected) => Followed::Closed,
        }
    }
}

struct Following {
    filter: Filter,
    /// Only those of strangers, or only those of others.
    of_strangers: Option<bool>,
    sender: SyncSender<Followed>,
    lost: Arc<AtomicU64>,
}

/// All who follow. The thread that writes the records tells them, so that the calls know nothing of it.
#[derive(Default)]
pub(crate) struct Followers(Mutex<Vec<Following>>);

impl Followers {
    pub fn add(&self, filter: Filter, of_strangers: Option<bool>) -> Follower {
        let (sender, inbox) = sync_channel(MOST_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        self.0.lock().push(Following { filter, of_strangers, sender, lost: Arc::clone(&lost) });
        Follower { inbox, lost }
    }

    /// Tells what has come to the queue behind this place.
    pub fn tell(&self, new: &[u8]) {
        let mut all = self.0.lock();
        if all.is_empty() || new.is_empty() {
            return;
        }
        // Most who follow want what failed: other calls are not even looked at. A sum that grows is told when its minute is over.
        let failed_alone = all.iter().all(|following| following.filter.failed);
        let wanted =
            |kind, status| !(matches!(kind, Kind::Answered | Kind::Sum) || failed_alone && status < 300);
        each(new, wanted, |kind, call| {
            let told = if kind == Kind::Open { Followed::Began } else { Followed::Ended };
            let record = CallRecord::of(&call);
            all.retain(|following| {
                let is_wanted = following.of_strangers.is_none_or(|strangers| strangers == call.is_strangers);
                if !is_wanted || !following.filter.admits(&record) {
                    return true;
                }
                match following.sender.try_send(told(Box::new(record.clone()))) {
                    Ok(()) => true,
                    Err(TrySendError::Full(_)) => {
                        following.lost.fetch_add(1, Ordering::Relaxed);
                        true
                    }
                    Err(TrySendError::Disconnected(_)) => false,
                }
            });
        });
    }
}
