//! What a check finds.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work, or strangers can use it at the operator's expense. The command ends with 1.
    Error,
    /// It will fail, or allows more than is needed.
    Warning,
    /// Something to know.
    Note,
    /// The check found nothing wrong.
    Ok,
}

impl Severity {
    /// The first word of its line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Note => "note",
            Severity::Ok => "ok",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The check, e.g. `ports`.
    pub check: &'static str,
    /// What was found.
    pub what: String,
    /// What it means; empty if all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub means: String,
    /// What to do: the key or the command.
    #[serde(rename = "do", skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// The findings of one check.
pub(crate) struct Findings {
    check: &'static str,
    pub(crate) list: Vec<Finding>,
}

impl Findings {
    pub(crate) fn of(check: &'static str) -> Findings {
        Findings { check, list: Vec::new() }
    }

    fn add(&mut self, severity: Severity, what: String, means: &str, fix: &str) {
        let (check, means, fix) = (self.check, means.to_owned(), fix.to_owned());
        self.list.push(Finding { severity, check, what, means, fix });
    }

    pub(crate) fn ok(&mut self, what: impl Into<String>) {
        self.add(Severity::Ok, what.into(), "", "");
    }

    pub(crate) fn note(&mut self, what: impl Into<String>, means: &str, fix: &str) {
        self.add(Severity::Note, what.into(), means, fix);
    }

    pub(crate) fn warning(&mut self, what: impl Into<String>, means: &str, fix: &str) {
        self.add(Severity::Warning, what.into(), means, fix);
    }

    pub(crate) fn error(&mut self, what: impl Into<String>, means: &str, fix: &str) {
        self.add(Severity::Error, what.into(), means, fix);
    }
}
