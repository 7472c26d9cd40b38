//! What time does to transactions.

use std::sync::atomic::Ordering;

use trunkline_proxy::transaction::Input;
use trunkline_transaction::Slot;
use trunkline_transport::Drops;

use crate::edge::Edge;
use crate::mail::Io;
use crate::memory::MessageMemory;

impl Edge {
    /// Looks at every transaction whose deadline has come.
    pub(crate) fn run_timers(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory) {
        let now = io.now();
        self.overload.measure(io.late(), now);
        let share = self.overload.dropped(now);
        if self.heavy.news(now).is_some() || share.is_some() {
            let kept = &self.shared.config.emergency_numbers;
            let drops = Drops { share: self.overload.share(), kept, heavy: self.heavy.sources() };
            self.kernel_drops = io.set_drops(drops);
            if let Some(flooding) = self.shared.flooding.get(usize::from(self.shard)) {
                flooding.store(self.heavy.sources().len() as u64, Ordering::Relaxed);
            }
        }
        while let Some(slot) = self.contexts.expired(now) {
            self.step(io, slot, Input::Timer, None);
        }
        self.register_at_trunks(io);
        self.background(io, memory);
    }
}

impl Edge {
    /// Tells how many requests wait for their final answer.
    pub(crate) fn count_pending(&self) {
        let waiting = |slot: &Slot| self.contexts.get(*slot).is_some_and(|c| c.proxy.is_proceeding());
        let count = self.contexts.slots().filter(waiting).count() as u64 + self.registry.leaving();
        if let Some(pending) = self.shared.pending.get(usize::from(self.shard)) {
            pending.store(count, Ordering::Relaxed);
        }
    }

    /// What is done now and then: questions to trunks, expired bindings, calls that nobody ends.
    fn background(&mut self, io: &mut Io<'_>, memory: &mut MessageMemory) {
        if self.draining {
            self.count_pending();
        }
        if io.now() < self.next_background {
            return;
        }
        self.next_background = io.now() + 1_000;
        if let Some(transactions) = self.shared.transactions.get(usize::from(self.shard)) {
            transactions.store(self.contexts.len() as u64, Ordering::Relaxed);
        }
        self.watch_sources(io, memory);
        self.qualify(io);
        if self.shard == 0 {
            self.shared.location.sweep(io.unix_ms(), SWEPT_AT_ONCE);
            self.shared.calls.sweep(io.unix_ms(), SWEPT_AT_ONCE);
            self.shared.dialogs.sweep(io.unix_ms(), SWEPT_AT_ONCE);
        }
        self.sweep_suspended(io);
        self.sweep_media(io);
    }
}

/// Entries looked at in one sweep: about a millisecond's worth.
const SWEPT_AT_ONCE: usize = 4_096;
