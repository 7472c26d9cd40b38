//! The pass card.

use serde::Serialize;

/// What a probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The exchange withstood it.
    Held,
    /// The attack had an effect.
    Failed,
    /// It could not be run.
    Skipped,
}

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeResult {
    /// Its name, e.g. `mark/stranger`.
    pub probe: &'static str,
    /// How its phones and strangers reached the exchange, e.g. `TLS`.
    pub transport: &'static str,
    /// What it showed.
    pub verdict: Verdict,
    /// What was done, and what happened.
    pub what: String,
    /// What a failure means, and what to do.
    pub means: &'static str,
}

impl ProbeResult {
    pub(crate) fn new(probe: &'static str, held: bool, what: String, means: &'static str) -> ProbeResult {
        let verdict = if held { Verdict::Held } else { Verdict::Failed };
        ProbeResult { probe, transport: "", verdict, what, means }
    }

    pub(crate) fn skipped(probe: &'static str, what: String) -> ProbeResult {
        ProbeResult { probe, transport: "", verdict: Verdict::Skipped, what, means: "" }
    }
}

/// All results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Card {
    /// In the order of the probes.
    pub results: Vec<ProbeResult>,
}

impl Card {
    /// Did no probe fail?
    pub fn has_held(&self) -> bool {
        self.results.iter().all(|result| result.verdict != Verdict::Failed)
    }
}
