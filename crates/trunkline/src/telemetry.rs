//! Logs: events with fields, on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use trunkline_config::{Log, LogFormat};

/// Starts logging as configured.
pub fn init(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.init(),
    }
}
