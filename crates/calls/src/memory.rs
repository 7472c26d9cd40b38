//! The memory of calls: what all of them hold, all whom nobody knows together, and each party.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::counting::LimitReached;
use crate::payer::Payer;
use crate::shares::{Owner, Shares};

/// What a call takes beside its texts: its places in the tables of calls and dialogs, and the usual remote targets.
const PLACE: u64 = 1536;

/// What a call of these texts takes.
pub(crate) fn of_texts(bytes: usize) -> u64 {
    PLACE + bytes as u64
}

/// How much calls hold.
pub(crate) struct Memory {
    hasher: foldhash::quality::RandomState,
    shares: Shares,
    all: AtomicU64,
    /// What those hold whom nobody knows: they are many, and share one party's part.
    unknown: AtomicU64,
    most: AtomicU64,
    percent: AtomicU64,
}

impl Memory {
    /// Without a limit.
    pub(crate) fn new() -> Memory {
        Memory {
            hasher: foldhash::quality::RandomState::default(),
            shares: Shares::new(),
            all: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            most: AtomicU64::new(u64::MAX),
            percent: AtomicU64::new(100),
        }
    }

    pub(crate) fn set_limit(&self, bytes: u64, percent: u8) {
        self.most.store(bytes, Ordering::Relaxed);
        self.percent.store(u64::from(percent), Ordering::Relaxed);
    }

    pub(crate) fn held(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    fn owner(&self, payer: Payer) -> Owner {
        Owner::new(self.hasher.hash_one(payer))
    }

    /// Is there room for so many bytes more of this one? `None` always has room: an emergency call.
    pub(crate) fn has_room(&self, payer: Option<Payer>, more: u64) -> Result<(), LimitReached> {
        let Some(payer) = payer else { return Ok(()) };
        let most = self.most.load(Ordering::Relaxed);
        if self.held().saturating_add(more) > most {
            return Err(LimitReached::Memory);
        }
        let part = |of: u64| of / 100 * self.percent.load(Ordering::Relaxed);
        let share = part(most);
        // One address has no more than its part of what those have together whom nobody knows.
        let own = match payer {
            Payer::Party(..) => share,
            Payer::Source(_) if self.unknown.load(Ordering::Relaxed).saturating_add(more) > share => {
                return Err(LimitReached::Share);
            }
            Payer::Source(_) => part(share),
        };
        match self.shares.has_room(self.owner(payer), more, own) {
            true => Ok(()),
            false => Err(LimitReached::Share),
        }
    }

    /// This one holds `now`, and had `before`.
    pub(crate) fn change(&self, payer: Option<Payer>, before: u64, now: u64) {
        // Without a sign, what is given back is added as what it lacks to 2^64.
        let by = now.wrapping_sub(before);
        if by == 0 {
            return;
        }
        self.all.fetch_add(by, Ordering::Relaxed);
        let Some(payer) = payer else { return };
        self.shares.take(self.owner(payer), by);
        if matches!(payer, Payer::Source(_)) {
            self.unknown.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use trunkline_proxy::PartyKind;

    use super::*;

    #[test]
    fn each_has_its_share_and_strangers_share_one() {
        let memory = Memory::new();
        memory.set_limit(10_000, 40);
        let account = |n| Some(Payer::Party(PartyKind::Agent, n));
        let source = |n: u8| Some(Payer::Source([192, 0, 2, n].into()));
        memory.change(account(1), 0, 4_000);
        assert_eq!(memory.has_room(account(1), 1), Err(LimitReached::Share));
        // A stranger has 40 % of their 40 %.
        assert_eq!(memory.has_room(source(1), 1_601), Err(LimitReached::Share));
        (1..=3).for_each(|n| memory.change(source(n), 0, 1_300));
        assert_eq!(memory.has_room(source(4), 100), Ok(()));
        assert_eq!(memory.has_room(source(4), 101), Err(LimitReached::Share));
        assert_eq!(memory.has_room(account(2), 2_100), Ok(()));
        assert_eq!(memory.has_room(account(2), 2_101), Err(LimitReached::Memory));
        assert_eq!(memory.has_room(None, 1 << 40), Ok(()));
        memory.change(account(1), 4_000, 1_000);
        assert_eq!((memory.held(), memory.has_room(account(1), 3_000)), (4_900, Ok(())));
    }
}
