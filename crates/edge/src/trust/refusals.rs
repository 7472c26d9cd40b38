//! INVITEs inside dialogs that we refused without a transaction. The ACK to such a refusal carries the dialog's own To tag and
//! mark, so that only its branch tells it from the ACK to a 2xx, which has a branch of its own (RFC 3261 §17.1.1.3, §13.2.2.4).

use std::collections::VecDeque;

use hashbrown::HashSet;
use trunkline_transaction::TransactionKey;

/// Refusals remembered, at most: the oldest gives way.
const MOST: usize = 4_096;

/// The refused INVITEs of one shard.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    keys: HashSet<TransactionKey, foldhash::fast::RandomState>,
    order: VecDeque<TransactionKey>,
}

impl Refusals {
    /// Remembers an INVITE that was refused.
    pub(crate) fn note(&mut self, key: TransactionKey) {
        if !self.keys.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    /// Was the INVITE with this key refused?
    pub(crate) fn has(&self, key: TransactionKey) -> bool {
        !self.keys.is_empty() && self.keys.contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let mut refusals = Refusals::default();
        for n in 0..=MOST as u128 {
            refusals.note(TransactionKey(n));
            refusals.note(TransactionKey(n));
        }
        assert!(!refusals.has(TransactionKey(0)) && refusals.has(TransactionKey(1)));
        assert!(refusals.has(TransactionKey(MOST as u128)));
        assert_eq!(refusals.keys.len(), MOST);
    }
}
