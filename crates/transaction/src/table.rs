//! A table of transactions with their deadlines: slots that are used again with a new generation, and a timer
//! wheel threaded through them.
//!
//! An entry sits in the wheel at most once, at or before its next deadline, so the many timers of a
//! transaction that ends early cost one insertion. When it comes up, the owner looks at the clock of its
//! machines and schedules it again.

use crate::timers::Now;

/// Milliseconds per turn of the wheel's smallest hand.
const TICK: u64 = 8;
/// Slots of the wheel; what lies further ahead than `TICK * SLOTS` (33 s) comes up early and is put off.
const SLOTS: usize = 4096;
const CHUNK: usize = 256;
const NIL: u32 = u32::MAX;

/// Where an entry stands, and which user of that place is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The place.
    pub number: u32,
    /// Counts its users; wraps.
    pub generation: u16,
}

struct Entry<T> {
    value: Option<T>,
    generation: u16,
    /// The slot of the wheel it is linked in, or NIL.
    linked: u32,
    due: Now,
    next: u32,
    prev: u32,
}

/// The table.
pub struct Table<T> {
    /// The generation of a place's first user.
    first: u16,
    chunks: Vec<Vec<Entry<T>>>,
    free: Vec<u32>,
    wheel: Vec<u32>,
    /// Ticks up to here have been handled.
    tick: u64,
    len: usize,
}

impl<T> Table<T> {
    /// An empty table whose clock stands at `now`.
    pub fn new(now: Now) -> Self {
        Table::with_generation(now, 1)
    }

    /// As [`Table::new`], with the generation of the first user of each place. It differs between processes where the name
    /// of a slot has to mean nothing after a restart.
    pub fn with_generation(now: Now, first: u16) -> Self {
        Table {
            first,
            chunks: Vec::new(),
            free: Vec::new(),
            wheel: vec![NIL; SLOTS],
            tick: now / TICK,
            len: 0,
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an entry in.
    pub fn insert(&mut self, value: T) -> Slot {
        if self.free.is_empty() {
            self.grow();
        }
        let number = self.free.pop().unwrap_or(NIL);
        self.len += 1;
        match self.entry_mut(number) {
            Some(e) => {
                e.value = Some(value);
                Slot { number, generation: e.generation }
            }
            None => Slot { number: NIL, generation: 0 },
        }
    }

    fn grow(&mut self) {
        let base = (self.chunks.len() * CHUNK) as u32;
        let mut chunk = Vec::with_capacity(CHUNK);
        for _ in 0..CHUNK {
            chunk.push(Entry {
                value: None,
                generation: self.first,
                linked: NIL,
                due: 0,
                next: NIL,
                prev: NIL,
            });
        }
        self.chunks.push(chunk);
        self.free.extend((base..base + CHUNK as u32).rev());
    }

    fn entry(&self, number: u32) -> Option<&Entry<T>> {
        self.chunks.get(number as usize / CHUNK)?.get(number as usize % CHUNK)
    }

    fn entry_mut(&mut self, number: u32) -> Option<&mut Entry<T>> {
        self.chunks.get_mut(number as usize / CHUNK)?.get_mut(number as usize % CHUNK)
    }

    /// The entry, if that user still has the place.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        self.entry(slot.number).filter(|e| e.generation == slot.generation)?.value.as_ref()
    }

    /// The entry, if that user still has the place.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entry_mut(slot.number).filter(|e| e.generation == slot.generation)?.value.as_mut()
    }

    /// Takes an entry out to work on it; its place and its deadline stay, until [`Table::put_back`] or [`Table::release`].
    pub fn take(&mut self, slot: Slot) -> Option<T> {
        self.entry_mut(slot.number).filter(|e| e.generation == slot.generation)?.value.take()
    }

    /// Puts an entry back that was taken out.
    pub fn put_back(&mut self, slot: Slot, value: T) {
        if let Some(e) = self.entry_mut(slot.number).filter(|e| e.generation == slot.generation) {
            e.value = Some(value);
        }
    }

    /// Gives the place of an entry that was taken out to others.
    pub fn release(&mut self, slot: Slot) {
        self.unlink(slot.number);
        if let Some(e) = self.entry_mut(slot.number).filter(|e| e.generation == slot.generation) {
            e.generation = e.generation.wrapping_add(1);
            self.free.push(slot.number);
            self.len -= 1;
        }
    }

    /// Who has the place now.
    pub fn current(&self, number: u32) -> Option<Slot> {
        self.entry(number).filter(|e| e.value.is_some()).map(|e| Slot { number, generation: e.generation })
    }

    /// The entry at a place, whoever it is.
    pub fn at(&self, number: u32) -> Option<&T> {
        self.entry(number)?.value.as_ref()
    }

    /// Takes an entry out.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        self.get(slot)?;
        self.unlink(slot.number);
        let e = self.entry_mut(slot.number)?;
        let value = e.value.take();
        e.generation = e.generation.wrapping_add(1);
        self.free.push(slot.number);
        self.len -= 1;
        value
    }

    /// All entries.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..(self.chunks.len() * CHUNK) as u32).filter_map(|n| self.current(n))
    }

    /// Lets the entry come up at `due` or up to one tick (8 ms) later. It is cheap to call with a later time
    /// than before: the entry stays where it is and comes up early.
    pub fn schedule(&mut self, slot: Slot, due: Now) {
        if self.get(slot).is_none() {
            return;
        }
        let ahead = due.div_ceil(TICK).saturating_sub(self.tick).clamp(1, SLOTS as u64 - 1);
        let due_tick = self.tick + ahead;
        let Some(e) = self.entry(slot.number) else { return };
        if e.linked != NIL && e.due <= due_tick {
            return;
        }
        self.unlink(slot.number);
        let wheel_slot = (due_tick % SLOTS as u64) as u32;
        let head = std::mem::replace(self.wheel_slot(wheel_slot), slot.number);
        if let Some(h) = self.entry_mut(head) {
            h.prev = slot.number;
        }
        if let Some(e) = self.entry_mut(slot.number) {
            (e.linked, e.due, e.next, e.prev) = (wheel_slot, due_tick, head, NIL);
        }
    }

    fn wheel_slot(&mut self, slot: u32) -> &mut u32 {
        &mut self.wheel[slot as usize % SLOTS]
    }

    fn unlink(&mut self, number: u32) {
        let Some(e) = self.entry_mut(number) else { return };
        if e.linked == NIL {
            return;
        }
        let (wheel_slot, next, prev) = (e.linked, e.next, e.prev);
        (e.linked, e.next, e.prev) = (NIL, NIL, NIL);
        match self.entry_mut(prev) {
            Some(p) => p.next = next,
            None => *self.wheel_slot(wheel_slot) = next,
        }
        if let Some(n) = self.entry_mut(next) {
            n.prev = prev;
        }
    }

    /// Turns the wheel to `now` and takes one entry out that has come up; `None` when there is no more. Call
    /// it until then.
    pub fn expired(&mut self, now: Now) -> Option<Slot> {
        let target = now / TICK;
        loop {
            let head = *self.wheel_slot((self.tick % SLOTS as u64) as u32);
            if head != NIL {
                self.unlink(head);
                return self.current(head);
            }
            if self.tick >= target {
                return None;
            }
            self.tick += 1;
        }
    }

    /// How long the owner may sleep, in milliseconds: to the next slot that holds something, at most `max`.
    pub fn sleep(&self, now: Now, max: u64) -> u64 {
        let mut tick = self.tick;
        let last = (now + max) / TICK;
        while tick <= last {
            if self.wheel[(tick % SLOTS as u64) as usize] != NIL {
                return (tick * TICK).saturating_sub(now);
            }
            tick += 1;
        }
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(t: &mut Table<&'static str>, now: Now) -> Vec<&'static str> {
        let mut out = Vec::new();
        while let Some(s) = t.expired(now) {
            out.push(*t.get(s).unwrap());
        }
        out.sort_unstable();
        out
    }

    #[test]
    fn comes_up_when_due_and_not_before() {
        let mut t = Table::new(1_000);
        let (a, b) = (t.insert("a"), t.insert("b"));
        t.schedule(a, 1_500);
        t.schedule(b, 2_000);
        assert!(run(&mut t, 1_490).is_empty());
        assert_eq!(run(&mut t, 1_508), ["a"]);
        t.schedule(b, 1_600); // earlier: moves
        assert_eq!(run(&mut t, 1_608), ["b"]);
        assert!(run(&mut t, 90_000).is_empty());
    }

    #[test]
    fn far_deadlines_come_up_early_and_are_put_off() {
        let mut t = Table::new(0);
        let a = t.insert("a");
        t.schedule(a, 100_000);
        assert_eq!(run(&mut t, 33_000), ["a"]);
        t.schedule(a, 100_000);
        assert!(run(&mut t, 60_000).is_empty());
    }

    #[test]
    fn removed_entries_are_gone_and_places_get_new_generations() {
        let mut t = Table::new(0);
        let a = t.insert("a");
        let b = t.insert("b");
        t.schedule(a, 16);
        t.schedule(b, 16);
        assert_eq!(t.remove(a), Some("a"));
        assert_eq!(t.get(a), None);
        let c = t.insert("c");
        assert_eq!(c.number, a.number);
        assert_ne!(c.generation, a.generation);
        assert_eq!(run(&mut t, 100), ["b"]);
        assert_eq!(t.len(), 2);
    }

    #[test]
    fn sleeps_to_the_next_deadline() {
        let mut t = Table::new(0);
        assert_eq!(t.sleep(0, 1_000), 1_000);
        let a = t.insert("a");
        t.schedule(a, 504);
        assert_eq!(t.sleep(4, 1_000), 500);
    }

    #[test]
    fn entries_of_all_chunks_are_told_apart() {
        let mut t = Table::with_generation(0, 7);
        let slots: Vec<Slot> = (0..3 * CHUNK).map(|n| t.insert(n)).collect();
        assert_eq!((t.len(), t.slots().count(), t.is_empty()), (3 * CHUNK, 3 * CHUNK, false));
        for (n, slot) in slots.iter().enumerate() {
            assert_eq!((slot.number as usize, slot.generation), (n, 7));
            assert_eq!(
                (t.get(*slot), t.at(slot.number), t.current(slot.number)),
                (Some(&n), Some(&n), Some(*slot))
            );
            t.schedule(*slot, 1_000 + n as Now * 10);
        }
        assert_eq!((t.at(3 * CHUNK as u32), t.current(NIL)), (None, None));
        for (n, slot) in slots.iter().enumerate() {
            // Its own time has come, and that of the next one has not.
            let now = (1_000 + n as Now * 10).next_multiple_of(TICK);
            assert_eq!(t.expired(now), Some(*slot), "{n}");
            assert_eq!(t.expired(now), None, "{n}");
            *t.get_mut(*slot).unwrap() += 1;
            assert_eq!(t.remove(*slot), Some(n + 1));
        }
        assert!(t.is_empty() && t.slots().next().is_none());
    }

    #[test]
    fn an_entry_that_is_worked_on_keeps_its_place_and_its_time() {
        let mut t = Table::new(0);
        let (a, b) = (t.insert("a"), t.insert("b"));
        t.schedule(a, 80);
        assert_eq!(t.take(a), Some("a"));
        assert_eq!((t.take(a), t.remove(a), t.len()), (None, None, 2));
        assert_eq!((t.get(a), t.at(a.number)), (None, None));
        t.put_back(a, "c");
        assert_eq!(t.get(a), Some(&"c"));
        assert_eq!(run(&mut t, 80), ["c"]);
        t.schedule(a, 160);
        t.take(a);
        t.release(a);
        assert_eq!((t.len(), t.get(a)), (1, None));
        assert!(run(&mut t, 1_000).is_empty(), "nobody is there to be called");
        // Who had the place before has no part in it.
        let next = t.insert("d");
        assert_eq!(next.number, a.number);
        t.put_back(a, "old");
        t.release(a);
        t.schedule(a, 1_100);
        assert_eq!((t.take(a), t.len()), (None, 2));
        assert_eq!((t.get(next), t.get(b)), (Some(&"d"), Some(&"b")));
        assert!(run(&mut t, 2_000).is_empty());
    }

    #[test]
    fn neighbours_in_one_slot_of_the_wheel_leave_without_each_other() {
        let mut t = Table::new(0);
        let all: Vec<Slot> = ["a", "b", "c", "d", "e"].map(|name| t.insert(name)).into();
        for slot in &all {
            t.schedule(*slot, 100);
        }
        // The first, the last and one in the middle.
        for gone in [0, 2, 4] {
            t.remove(all[gone]);
        }
        t.schedule(all[1], 40);
        assert_eq!((run(&mut t, 48), run(&mut t, 200)), (vec!["b"], vec!["d"]));
    }

    #[test]
    fn a_clock_may_stand_anywhere() {
        for start in [0, 7, 1_000_003, 1 << 40] {
            let mut t = Table::new(start);
            let a = t.insert("a");
            for (ahead, other) in [(1, 9), (100, 1_000), (20_000, 30_000), (32_000, 1)] {
                let due = start + 50_000 + ahead;
                while let Some(early) = t.expired(start + 50_000) {
                    assert_eq!(early, a);
                }
                t.schedule(a, due);
                assert_eq!(run(&mut t, due - 1), Vec::<&str>::new(), "{start} {ahead}: too early");
                let asleep = t.sleep(start + 50_000, 40_000);
                assert!((ahead..=ahead + TICK).contains(&asleep), "{start} {ahead}: sleeps {asleep}");
                assert_eq!(run(&mut t, due + TICK), ["a"], "{start} {ahead}: too late");
                assert_eq!(t.sleep(due + TICK, other), other, "nothing is due");
                t = Table::new(start);
                assert_eq!(t.insert("a"), a);
            }
        }
    }
}
