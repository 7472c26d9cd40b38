//! Where traces of requests are sent. The program that runs the proxy sends them.

use std::path::PathBuf;

/// A collector of OpenTelemetry.
#[derive(Clone)]
pub struct Traces {
    /// The URL, for OTLP over HTTP.
    pub url: String,
    /// The header Authorization; empty for none.
    pub authorization: String,
    /// A file of certificate authorities in addition to those of the system.
    pub ca: Option<PathBuf>,
}

impl std::fmt::Debug for Traces {
    /// Without the header.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").field("url", &self.url).finish_non_exhaustive()
    }
}
