//! Memory of transactions that have ended, for those that begin.

use trunkline_proxy::transaction::Branch;

use crate::context::{Context, Hop};

/// How many of each are kept.
const KEPT: usize = 65_536;

/// The pool of a shard.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    branches: Vec<Vec<Branch<Hop>>>,
    #[expect(clippy::vec_box, reason = "the boxes themselves are used again")]
    contexts: Vec<Box<Context>>,
}

impl Pool {
    /// An empty list of branches with room for one.
    pub(crate) fn branches(&mut self) -> Vec<Branch<Hop>> {
        self.branches.pop().unwrap_or_else(|| Vec::with_capacity(1))
    }

    /// Takes an empty list of branches back.
    pub(crate) fn give_branches(&mut self, branches: Vec<Branch<Hop>>) {
        if branches.capacity() == 1 && branches.is_empty() && self.branches.len() < KEPT {
            self.branches.push(branches);
        }
    }

    /// A place for a transaction.
    pub(crate) fn boxed(&mut self, context: Context) -> Box<Context> {
        match self.contexts.pop() {
            Some(mut place) => {
                *place = context;
                place
            }
            None => Box::new(context),
        }
    }

    /// Takes the place of a transaction back.
    pub(crate) fn give(&mut self, context: Box<Context>) {
        if self.contexts.len() < KEPT {
            self.contexts.push(context);
        }
    }
}
