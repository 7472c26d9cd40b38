//! What time does to transactions.

use std::sync::atomic::Ordering;

use trunkline_transaction::{Actions, Slot};

use crate::context::{Cancel, Limit};
use crate::edge::Edge;
use crate::mail::{EdgeMail, Io};

impl Edge {
    /// Looks at every transaction whose deadline has come.
    pub(crate) fn run_timers(&mut self, io: &mut Io<EdgeMail>) {
        let now = io.now();
        while let Some(slot) = self.contexts.expired(now) {
            self.on_deadline(io, slot);
            self.settle(io, slot);
        }
        self.register_at_trunks(io);
        self.background(io);
    }

    fn on_deadline(&mut self, io: &mut Io<EdgeMail>, slot: Slot) {
        let now = io.now();
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let actions = context.server.on_timer(now);
        let count = context.branches.len();
        if actions.has(Actions::RESEND) {
            self.send_response_again(io, slot);
        }
        for i in 0..count {
            self.on_branch_deadline(io, slot, i);
        }
    }

    fn on_branch_deadline(&mut self, io: &mut Io<EdgeMail>, slot: Slot, i: usize) {
        let now = io.now();
        let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) else { return };
        let actions = branch.client.on_timer(now);
        let resend = actions.has(Actions::RESEND);
        let mut resend_cancel = false;
        if let Cancel::Sent(cancel) = &mut branch.cancel {
            resend_cancel = cancel.on_timer(now).has(Actions::RESEND);
        }
        let limit = branch.limit();
        if resend {
            self.send_again(io, slot, i);
        }
        if resend_cancel {
            self.send_cancel(io, slot, i);
        }
        if actions.has(Actions::TIMEOUT) {
            self.counters.timeouts.add();
            return self.branch_failed(io, slot, i, 408);
        }
        let grown = self.contexts.get(slot).and_then(|c| c.branches.get(i)).is_some_and(|b| b.grown);
        match limit {
            Limit::Silence(at) if now >= at && grown => self.fall_back(io, slot, i),
            Limit::Silence(at) if now >= at => {
                // The next way is tried; should this one wake up after all, it is cancelled.
                if let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) {
                    branch.cancel = Cancel::Wanted;
                }
                self.branch_failed(io, slot, i, 408);
            }
            Limit::Answer(at) if now >= at => self.on_no_answer(io, slot, i),
            Limit::Silence(_) | Limit::Answer(_) | Limit::None => {}
        }
    }

    /// Timer C: cancel, and if that was done already, give up (RFC 3261 §16.8). The caller need not wait for the
    /// callee's 487, nor for a phone that is silent.
    fn on_no_answer(&mut self, io: &mut Io<EdgeMail>, slot: Slot, i: usize) {
        let Some(branch) = self.contexts.get_mut(slot).and_then(|c| c.branches.get_mut(i)) else { return };
        if let Cancel::Sent(_) = branch.cancel {
            branch.client.terminate();
        } else {
            branch.limit = Limit::None;
            self.cancel_branch(io, slot, i);
        }
        self.branch_unanswered(io, slot, i);
    }
}

impl Edge {
    /// Tells how many requests wait for their final answer.
    pub(crate) fn count_pending(&self) {
        let waiting = |slot: &Slot| self.contexts.get(*slot).is_some_and(|c| c.server.is_proceeding());
        let count = self.contexts.slots().filter(waiting).count() as u64 + self.registry.leaving();
        if let Some(pending) = self.shared.pending.get(usize::from(self.shard)) {
            pending.store(count, Ordering::Relaxed);
        }
    }

    /// What is done now and then: questions to trunks, expired bindings, calls that nobody ends.
    fn background(&mut self, io: &mut Io<EdgeMail>) {
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
        self.watch_sources(io);
        self.qualify(io);
        if self.shard == 0 {
            self.shared.location.sweep(io.unix_ms(), SWEPT_AT_ONCE);
            self.shared.calls.sweep(io.unix_ms(), SWEPT_AT_ONCE);
            self.shared.dialogs.sweep(io.unix_ms(), SWEPT_AT_ONCE);
            if let Some(media) = &self.shared.media {
                media.sweep(io.unix_ms());
            }
        }
    }
}

/// Entries looked at in one sweep: about a millisecond's worth.
const SWEPT_AT_ONCE: usize = 4_096;
