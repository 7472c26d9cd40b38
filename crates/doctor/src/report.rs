//! The findings and the pass card as text and JSON.

use std::fmt::Write as _;

use serde_json::json;
use trunkline_model::document::printable;
use trunkline_probes::{Card, Verdict};

use crate::finding::{Finding, Severity};

/// All that was found.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) findings: Vec<Finding>,
    pub(crate) card: Option<Card>,
}

impl Report {
    /// Was no error found, and did all probes hold?
    pub(crate) fn is_good(&self) -> bool {
        let errors = self.count(Severity::Error);
        errors == 0 && self.card.as_ref().is_none_or(Card::has_held)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    pub(crate) fn to_json(&self) -> String {
        let probes = self.card.as_ref().map(|card| &card.results);
        let report = json!({
            "good": self.is_good(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": self.findings,
            "attack": probes,
        });
        format!("{report:#}\n")
    }

    pub(crate) fn to_text(&self, quiet: bool) -> String {
        let mut out = String::new();
        let mut sorted: Vec<_> = self.findings.iter().collect();
        sorted.sort_by_key(|f| f.severity);
        for finding in sorted.into_iter().filter(|f| !quiet || f.severity <= Severity::Warning) {
            line(finding, &mut out);
        }
        if let Some(card) = &self.card {
            out.push_str("\nprobes against a copy of the configuration on loopback\n");
            for result in &card.results {
                let word = match result.verdict {
                    Verdict::Held => "HELD",
                    Verdict::Failed => "FAILED",
                    Verdict::Skipped => "skipped",
                };
                let (probe, transport) = (result.probe, result.transport);
                let _ = writeln!(out, "{word:<8} {transport:<3} {probe:<24} {}", printable(&result.what));
                if result.verdict == Verdict::Failed {
                    let _ = writeln!(out, "{:37} {}", "", result.means);
                }
            }
        }
        let _ = writeln!(
            out,
            "\n{}, {}, {}; nothing wrong with {}",
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning), "warning"),
            counted(self.count(Severity::Note), "note"),
            counted(self.count(Severity::Ok), "other thing"),
        );
        if let Some(card) = &self.card {
            let count = |verdict| card.results.iter().filter(|r| r.verdict == verdict).count();
            let (held, failed) = (count(Verdict::Held), count(Verdict::Failed));
            let _ = writeln!(out, "{held} probes held, {failed} failed, {} skipped", count(Verdict::Skipped));
        }
        out
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn line(finding: &Finding, out: &mut String) {
    // Writing into a String cannot fail.
    let _ =
        writeln!(out, "{:<8} {:<13} {}", finding.severity.word(), finding.check, printable(&finding.what));
    for (title, text) in [("means", &finding.means), ("do", &finding.fix)] {
        if !text.is_empty() {
            let _ = writeln!(out, "{:22} {title}: {}", "", printable(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Findings;

    #[test]
    fn errors_come_first_and_decide() {
        let mut found = Findings::of("ports");
        found.ok("udp 127.0.0.1:5060 is free");
        let mut report = Report { findings: found.list, ..Report::default() };
        assert!(report.is_good() && report.to_text(true).trim_start().starts_with("0 errors"));
        let mut found = Findings::of("clock");
        found.warning("late", "it is late", "hurry");
        found.error("stopped\u{1b}[2J", "no time", "wind it");
        report.findings.extend(found.list);
        let text = report.to_text(false);
        assert!(
            !report.is_good() && text.starts_with("ERROR    clock         stopped\\u{1b}[2J\n"),
            "{text}"
        );
        assert!(
            text.contains("do: wind it\nWARNING")
                && text.contains("1 error, 1 warning, 0 notes; nothing wrong with 1 other thing"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
        assert_eq!(json["findings"][2]["do"], "wind it");
        assert_eq!((&json["good"], &json["attack"]), (&json!(false), &json!(null)));
    }
}
