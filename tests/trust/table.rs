//! How often what was tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Counts of caller × action × variant.
#[derive(Clone, Debug, Default)]
pub struct Table {
    counts: BTreeMap<(String, String, String), u64>,
    /// First requests that were sent.
    pub begun: u64,
    /// Dialogs that came to be.
    pub dialogs: u64,
    pub histories: u64,
    pub messages: u64,
}

impl Table {
    pub fn count(&mut self, caller: impl ToString, action: impl ToString, variant: impl ToString) {
        *self.counts.entry((caller.to_string(), action.to_string(), variant.to_string())).or_default() += 1;
    }

    pub fn add(&mut self, other: &Table) {
        for (key, n) in &other.counts {
            *self.counts.entry(key.clone()).or_default() += n;
        }
        self.begun += other.begun;
        self.dialogs += other.dialogs;
        self.histories += other.histories;
        self.messages += other.messages;
    }

    pub fn print(&self) -> String {
        let mut out = format!("{:<10} {:<12} {:<40} {:>9}\n", "caller", "action", "variant", "times");
        for ((caller, action, variant), n) in &self.counts {
            let _ = writeln!(out, "{caller:<10} {action:<12} {variant:<40} {n:>9}");
        }
        let _ = writeln!(
            out,
            "{} histories, {} first requests, {} dialogs, {} messages",
            self.histories, self.begun, self.dialogs, self.messages
        );
        out
    }
}
