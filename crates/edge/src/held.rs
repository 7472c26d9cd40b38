//! The memory of a shard's transactions: how much all of them hold, each source that has shown nothing, and each party.

use std::hash::BuildHasher as _;
use std::net::IpAddr;

use hashbrown::HashMap;
use trunkline_calls::Payer;
use trunkline_sip::source_of;

/// How much transactions may hold.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// All of a shard, in bytes.
    pub shard: usize,
    /// Those of one source that has shown nothing, in bytes; an IPv6 /64 counts as one.
    pub stranger: u32,
    /// Those of one account, peer or trunk, or of one source of whom nobody knows who it is, in percent of the shard's.
    pub percent: u8,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        MemoryLimits { shard: 1 << 30, stranger: 4 << 20, percent: 25 }
    }
}

impl MemoryLimits {
    fn share(&self) -> u64 {
        self.shard as u64 * u64::from(self.percent) / 100
    }
}

/// Why there is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoMemory {
    /// All of the shard's is taken, or all of a stranger's.
    Full,
    /// All of its share.
    Share,
}

/// The bytes that transactions of a shard hold.
#[derive(Debug, Default)]
pub(crate) struct Held {
    all: usize,
    strangers: HashMap<IpAddr, u32, foldhash::fast::RandomState>,
    /// What all sources hold of whom nobody knows who they are: they are many, and share one party's part.
    unknown: u64,
    shares: Shares,
}

impl Held {
    /// Takes so many bytes, of a stranger's share where it is one's.
    pub(crate) fn take(
        &mut self,
        stranger: Option<IpAddr>,
        payer: Payer,
        bytes: u32,
        limits: &MemoryLimits,
    ) -> Result<(), NoMemory> {
        if self.all + bytes as usize > limits.shard {
            return Err(NoMemory::Full);
        }
        let unknown = if matches!(payer, Payer::Source(_)) { self.unknown } else { 0 };
        if self.shares.of(payer).max(unknown) + u64::from(bytes) > limits.share() {
            return Err(NoMemory::Share);
        }
        if let Some(source) = stranger.map(source_of) {
            let has = self.strangers.get(&source).copied().unwrap_or(0).saturating_add(bytes);
            if has > limits.stranger {
                return Err(NoMemory::Full);
            }
            self.strangers.insert(source, has);
        }
        self.all += bytes as usize;
        self.shares.change(payer, |has| *has += u64::from(bytes));
        if matches!(payer, Payer::Source(_)) {
            self.unknown += u64::from(bytes);
        }
        Ok(())
    }

    /// Gives them back.
    pub(crate) fn give(&mut self, stranger: Option<IpAddr>, payer: Payer, bytes: u32) {
        self.all = self.all.saturating_sub(bytes as usize);
        self.shares.change(payer, |has| *has = has.saturating_sub(u64::from(bytes)));
        if matches!(payer, Payer::Source(_)) {
            self.unknown = self.unknown.saturating_sub(u64::from(bytes));
        }
        let Some(source) = stranger.map(source_of) else { return };
        if let Some(has) = self.strangers.get_mut(&source) {
            *has = has.saturating_sub(bytes);
            if *has == 0 {
                self.strangers.remove(&source);
            }
        }
    }
}

/// Places of a row.
const PLACES: usize = 4096;

/// What each party holds, in two rows that are hashed differently: of fixed size, so that nothing is allocated or searched. Others at
/// the same place count, too, but two parties share both of theirs once in 16 million.
#[derive(Debug)]
struct Shares {
    rows: [Box<[u64]>; 2],
    hasher: foldhash::quality::RandomState,
}

impl Default for Shares {
    fn default() -> Self {
        let row = || vec![0; PLACES].into_boxed_slice();
        Shares { rows: [row(), row()], hasher: foldhash::quality::RandomState::default() }
    }
}

impl Shares {
    fn places(&self, payer: Payer) -> [usize; 2] {
        let hash = self.hasher.hash_one(payer);
        [hash as usize % PLACES, (hash >> 32) as usize % PLACES]
    }

    /// What this one holds, at most.
    fn of(&self, payer: Payer) -> u64 {
        let places = self.places(payer);
        let held = self.rows.iter().zip(places).filter_map(|(row, place)| row.get(place).copied());
        held.min().unwrap_or(0)
    }

    fn change(&mut self, payer: Payer, change: impl Fn(&mut u64)) {
        let places = self.places(payer);
        self.rows.iter_mut().zip(places).filter_map(|(row, place)| row.get_mut(place)).for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use trunkline_proxy::PartyKind;

    use super::*;

    const LIMITS: MemoryLimits = MemoryLimits { shard: 1_000, stranger: 300, percent: 40 };

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nobody_holds_more_than_its_share() {
        let mut held = Held::default();
        let limits = MemoryLimits { percent: 100, ..LIMITS };
        let mut take = |from: &str, bytes| {
            let payer = Payer::new((PartyKind::Stranger, 0), at(from));
            held.take(Some(at(from)), payer, bytes, &limits).is_ok()
        };
        assert!(take("2001:db8::1", 200) && !take("2001:db8::2", 101) && take("2001:db8::2", 100));
        assert!(take("192.0.2.1", 300) && take("192.0.2.2", 300));
        assert!(!take("192.0.2.3", 101) && take("192.0.2.3", 100) && !take("192.0.2.4", 1));
        for (from, bytes) in [("2001:db8::1", 200), ("2001:db8::2", 100), ("192.0.2.2", 300)] {
            held.give(Some(at(from)), Payer::new((PartyKind::Stranger, 0), at(from)), bytes);
        }
        assert_eq!((held.strangers.len(), held.all), (2, 400), "{held:?}");
    }

    #[test]
    fn all_who_are_unknown_share_one_part() {
        let mut held = Held::default();
        let source = |n: u8| Payer::Source(IpAddr::from([192, 0, 2, n]));
        assert_eq!(held.take(None, source(1), 200, &LIMITS), Ok(()));
        assert_eq!(held.take(None, source(2), 200, &LIMITS), Ok(()));
        assert_eq!(held.take(None, source(3), 1, &LIMITS), Err(NoMemory::Share));
        assert_eq!(held.take(None, Payer::Party(PartyKind::Agent, 1), 400, &LIMITS), Ok(()));
        held.give(None, source(1), 200);
        assert_eq!(held.take(None, source(3), 200, &LIMITS), Ok(()));
    }

    #[test]
    fn no_account_takes_what_others_need() {
        let mut held = Held::default();
        let account = |n| Payer::new((PartyKind::Agent, n), at("192.0.2.1"));
        assert_eq!(held.take(None, account(1), 400, &LIMITS), Ok(()));
        assert_eq!(held.take(None, account(1), 1, &LIMITS), Err(NoMemory::Share));
        // From the same address, and of the same number.
        for other in [account(2), Payer::Party(PartyKind::Trunk, 1), Payer::Source(at("192.0.2.1"))] {
            assert_eq!(held.take(None, other, 200, &LIMITS), Ok(()));
        }
        assert_eq!(held.take(None, account(3), 1, &LIMITS), Err(NoMemory::Full));
        held.give(None, account(1), 400);
        assert_eq!(held.take(None, account(1), 1, &LIMITS), Ok(()));
    }
}
