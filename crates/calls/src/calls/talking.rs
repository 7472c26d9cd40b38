//! The sides of answered calls, as it takes to hang up.

use trunkline_proxy::Side;

use super::{CallHandle, Calls, SHARDS};
use crate::talker::{SHORT_ROOM, Talker, pair};

impl Calls {
    /// Both sides of a call that has just been answered, written by `write` into memory of earlier calls: the caller, the callee.
    /// Of several answers the first one counts.
    pub fn set_talkers(&self, call: CallHandle, write: impl FnOnce(&mut [Talker; 2])) {
        self.with(call, |table, number| {
            let slot = table.slots.get_mut(number as usize);
            if let Some(slot) = slot.filter(|slot| slot.talkers.iter().all(|talker| talker.flow.is_none())) {
                write(&mut slot.talkers);
                slot.weigh(&self.memory);
            }
        });
    }

    /// Is there memory to keep that a side of a call asks to be reached at a target of so many bytes? For the usual ones there is,
    /// so that calls which are up go on.
    pub fn may_ask_to_move(&self, number: u64, bytes: usize) -> bool {
        if bytes <= SHORT_ROOM {
            return true;
        }
        let table = self.table(number as usize % SHARDS).lock();
        let slot = table.find(number).and_then(|place| table.slots.get(place as usize));
        slot.is_none_or(|slot| self.memory.has_room(slot.payer, bytes as u64).is_ok())
    }

    /// Both sides of an answered call, for their BYEs; `None` when it is not answered, has ended, or its sides are not known.
    pub fn talkers(&self, number: u64) -> Option<[Talker; 2]> {
        let mut table = self.table(number as usize % SHARDS).lock();
        let place = table.find(number)?;
        let slot = table.slots.get_mut(place as usize).filter(|slot| slot.row.is_answered())?;
        slot.talkers.iter().any(|talker| talker.flow.is_some()).then(|| slot.talkers.clone())
    }

    /// This side of an answered call asks, by a request of this CSeq, to be reached at another target.
    pub fn asks_to_move(&self, number: u64, side: Side, (cseq, target): (u32, &[u8])) {
        self.with_talkers(number, |talkers, _| pair(talkers, side)[0].ask(cseq, target));
    }

    /// The request of this CSeq of this side is accepted; the other side says, where it does, at which target it is from now on.
    /// False when that is too long to be kept, or there is no memory for it: the call is to end then.
    #[must_use]
    pub fn moved(&self, number: u64, side: Side, (cseq, target): (u32, Option<&[u8]>)) -> bool {
        let mut kept = true;
        self.with_talkers(number, |talkers, has_room| {
            let [asked, asking] = pair(talkers, side);
            asked.grant(cseq);
            if let Some(target) = target {
                let fits = target.len() <= SHORT_ROOM || has_room(target.len());
                kept = asking.move_to(target) && fits;
            }
        });
        kept
    }

    fn with_talkers(&self, number: u64, change: impl FnOnce(&mut [Talker; 2], &dyn Fn(usize) -> bool)) {
        let mut table = self.table(number as usize % SHARDS).lock();
        let place = table.find(number);
        if let Some(slot) = place.and_then(|place| table.slots.get_mut(place as usize)) {
            let payer = slot.payer;
            change(&mut slot.talkers, &|bytes| self.memory.has_room(payer, bytes as u64).is_ok());
            slot.weigh(&self.memory);
        }
    }
}
