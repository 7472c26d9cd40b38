//! What a transaction has only where it forks in turn, or is cancelled.

use super::branch::Waiting;

/// What few requests have, so that the others are small.
#[derive(Debug)]
pub(super) struct Aside<H>(Option<Box<Lists<H>>>);

#[derive(Debug)]
pub(super) struct Lists<H> {
    /// Targets for later, last first.
    pub(super) later: Vec<Waiting<H>>,
    /// Further flows of phones that are being tried, last first.
    pub(super) flows: Vec<Waiting<H>>,
    /// The Reason lines of the caller's CANCEL.
    pub(super) reason: Box<[u8]>,
}

impl<H> Aside<H> {
    pub(super) fn none() -> Aside<H> {
        Aside(None)
    }

    pub(super) fn lists(&mut self) -> &mut Lists<H> {
        let none = || Lists { later: Vec::new(), flows: Vec::new(), reason: Box::default() };
        self.0.get_or_insert_with(|| Box::new(none()))
    }

    pub(super) fn later(&self) -> &[Waiting<H>] {
        self.0.as_ref().map_or(&[], |lists| &lists.later)
    }

    pub(super) fn flows(&self) -> &[Waiting<H>] {
        self.0.as_ref().map_or(&[], |lists| &lists.flows)
    }

    pub(super) fn reason(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |lists| &lists.reason)
    }

    /// No further targets.
    pub(super) fn forget_later(&mut self) {
        if let Some(lists) = &mut self.0 {
            lists.later.clear();
        }
    }

    /// Of the further flows these stay.
    pub(super) fn retain_flows(&mut self, stays: impl Fn(&Waiting<H>) -> bool) {
        if let Some(lists) = &mut self.0 {
            lists.flows.retain(stays);
        }
    }
}
