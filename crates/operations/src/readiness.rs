//! Whether the process takes calls, and which of its parts fail.

use serde::Serialize;

/// The answer of `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The SIP listeners are open.
    pub listening: bool,
    /// The process has been told to end: no new calls.
    pub draining: bool,
    /// Its parts, as many as there are.
    pub parts: Vec<Part>,
}

/// A part that can fail without taking the process with it: a store, the media relay, a trunk registration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name: `store`, `location`, `calls`, `rtpengine`.
    pub name: String,
    /// Does it work?
    pub ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a trunk or peer: what is known of it.
    #[serde(flatten)]
    pub known: Option<Known>,
}

/// What is known of a trunk or peer of which no destination answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// `down` or `unknown`.
    pub state: &'static str,
    /// Since when, in seconds since 1970.
    pub since: i64,
    /// When one of its destinations is asked next, in seconds since 1970; absent if none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

impl Part {
    /// A part that works when nothing is `failing`.
    pub fn new(name: impl Into<String>, failing: Option<String>) -> Part {
        Part { name: name.into(), ok: failing.is_none(), reason: failing, known: None }
    }
}

impl Readiness {
    /// May a balancer send calls here? What is degraded still works from what is cached, so it does not count.
    pub fn is_ready(&self) -> bool {
        self.listening && !self.draining
    }

    /// One word: `ready`, `degraded` (ready with a part that fails), `starting` or `draining`.
    pub fn word(&self) -> &'static str {
        match (self.draining, self.listening) {
            (true, _) => "draining",
            (false, false) => "starting",
            (false, true) if self.parts.iter().all(|part| part.ok) => "ready",
            (false, true) => "degraded",
        }
    }
}
