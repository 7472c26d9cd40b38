//! Orders in which resources are listed.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use crate::resource::{Kind, Resource};

/// In which order a list comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// By ref.
    #[default]
    Reference,
    /// The newest first, as the Connect API lists.
    Newest,
}

impl Order {
    /// Which of two comes first.
    pub fn compare(self, a: &Resource, b: &Resource) -> Ordering {
        match self {
            Order::Reference => a.reference().cmp(b.reference()),
            Order::Newest => (b.times().0, a.reference()).cmp(&(a.times().0, b.reference())),
        }
    }
}

/// The orders of one version of the tables: made when somebody lists, forgotten with the next change of the kind. So a
/// client that takes page after page has them put in order once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sorted {
    slots: [[OnceLock<Arc<[Resource]>>; 2]; Kind::ALL.len()],
}

impl Sorted {
    pub(crate) fn get(
        &self,
        kind: Kind,
        order: Order,
        all: impl FnOnce() -> Vec<Resource>,
    ) -> Arc<[Resource]> {
        let made = || {
            let mut all = all();
            all.sort_unstable_by(|a, b| order.compare(a, b));
            all.into()
        };
        match self.slots.get(kind as usize).and_then(|orders| orders.get(order as usize)) {
            Some(slot) => slot.get_or_init(made).clone(),
            None => made(),
        }
    }

    pub(crate) fn forget(&mut self, kind: Kind) {
        if let Some(orders) = self.slots.get_mut(kind as usize) {
            *orders = Default::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agent, Domain, Tables};

    #[test]
    fn it_is_made_once_and_anew_after_a_change() {
        let mut tables = Tables::default();
        for name in ["b", "a"] {
            tables.put(Agent::new(name, name, None));
        }
        let refs = |tables: &Tables| -> Vec<String> {
            tables.sorted(Kind::Agent, Order::Reference).iter().map(|r| r.reference().to_string()).collect()
        };
        assert_eq!(refs(&tables), ["a", "b"]);
        let first = tables.sorted(Kind::Agent, Order::Reference);
        tables.put(Domain::new("d", "sip.local"));
        assert!(Arc::ptr_eq(&first, &tables.sorted(Kind::Agent, Order::Reference)), "another kind changed");
        let before = tables.clone();
        tables.put(Agent::new("c", "c", None));
        assert_eq!(refs(&tables), ["a", "b", "c"]);
        tables.remove(Kind::Agent, "a");
        assert_eq!(refs(&tables), ["b", "c"]);
        assert_eq!(refs(&before), ["a", "b"], "the version before keeps its own");
    }
}
