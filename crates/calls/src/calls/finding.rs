//! Which calls are live.

use std::hash::BuildHasher as _;

use super::{Calls, SHARDS, Slot};
use crate::call::CallView;

impl Calls {
    /// What a dialog is found by, whichever side names it.
    pub(super) fn dialog(&self, call_id: &[u8], [one, other]: [&[u8]; 2]) -> u64 {
        self.hasher.hash_one((call_id, one.min(other), one.max(other)))
    }

    /// The number of an answered call that lives, whose dialog has this Call-ID and these tags, and that `matches` picks. It takes as
    /// long among many calls as among few.
    pub fn of_dialog(
        &self,
        call_id: &[u8],
        tags: [&[u8]; 2],
        matches: impl Fn(&CallView<'_>) -> bool,
    ) -> Option<u64> {
        let hash = self.dialog(call_id, tags);
        (0..SHARDS).find_map(|shard| {
            let table = self.table(shard).lock();
            let same = |slot: &&Slot| {
                let call = slot.row.view();
                let own = [[call.from_tag, call.to_tag], [call.to_tag, call.from_tag]];
                call.call_id == call_id && own.contains(&tags) && matches(&call)
            };
            let mut found = table.by_dialog.iter_hash(hash);
            found.find_map(|(_, place)| table.slots.get(*place as usize).filter(same).map(|slot| slot.number))
        })
    }

    /// The numbers of the live calls that `matches` picks.
    pub fn find(&self, matches: impl Fn(&CallView<'_>) -> bool) -> Vec<u64> {
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            let table = self.table(shard).lock();
            let live = table.slots.iter().filter(|slot| slot.generation % 2 == 1);
            found.extend(live.filter(|slot| matches(&slot.row.view())).map(|slot| slot.number));
        }
        found
    }

    /// Whether the call of this number lives, and is answered.
    pub fn is_up(&self, number: u64) -> Option<bool> {
        let table = self.table(number as usize % SHARDS).lock();
        let place = table.find(number)?;
        table.slots.get(place as usize).map(|slot| slot.row.is_answered())
    }
}
