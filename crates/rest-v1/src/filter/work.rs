//! A bound on the work of one filter.

use std::cell::Cell;

use serde_json::Value;

/// Steps that any filter may take.
const BASE: u64 = 1_000_000;

/// Steps more for each item of the list.
const FOR_EACH: u64 = 200;

/// What is left of the steps of a filter. Once they are used up, paths lead nowhere and comparisons do not hold.
pub(super) struct Work(Cell<u64>);

impl Work {
    /// For a list of so many items.
    pub fn of(items: usize) -> Work {
        Work(Cell::new(BASE.saturating_add(FOR_EACH.saturating_mul(items as u64))))
    }

    pub fn is_over(&self) -> bool {
        self.0.get() == 0
    }

    /// Takes steps; whether there were so many.
    pub fn take(&self, steps: usize) -> bool {
        let left = self.0.get().saturating_sub(steps as u64);
        self.0.set(left);
        left > 0
    }

    /// Takes a step for each value in this one.
    pub fn take_all(&self, value: &Value) -> bool {
        self.take(1)
            && match value {
                Value::Array(items) => items.iter().all(|item| self.take_all(item)),
                Value::Object(entries) => entries.values().all(|item| self.take_all(item)),
                Value::String(text) => self.take(text.len() / 64),
                Value::Null | Value::Bool(_) | Value::Number(_) => true,
            }
    }
}
