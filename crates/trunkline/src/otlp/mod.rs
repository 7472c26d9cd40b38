//! Traces for OpenTelemetry (`otlp`): requests over gRPC, HTTP and ARI, and a sampled share of calls.

mod calls;
mod layer;

use std::process::ExitCode;
use std::sync::OnceLock;

use trunkline_config::{EXIT_USAGE, Otlp as Settings};
use trunkline_publisher::{Otlp, OtlpConfig, SpanQueue};

use crate::complain;

pub use calls::start as start_calls;
pub use layer::SpanLayer;

/// Spans with this target are for the collector, and never for the log.
pub const TARGET: &str = "otlp";

static QUEUE: OnceLock<SpanQueue> = OnceLock::new();

/// Where spans go, if anywhere.
pub fn queue() -> Option<&'static SpanQueue> {
    QUEUE.get()
}

/// The collector that the configuration names.
pub fn configured(settings: &Settings) -> Option<OtlpConfig> {
    settings.url.clone().map(|url| OtlpConfig {
        url,
        authorization: settings.authorization.0.clone(),
        trusted_ca: settings.trusted_ca.clone(),
    })
}

/// Starts the exporter, if there is a collector. To be called before the log is opened: what is wrong is written to standard error.
pub fn start(config: Option<OtlpConfig>) -> Result<Option<Otlp>, ExitCode> {
    let Some(config) = config else { return Ok(None) };
    let queue = QUEUE.get_or_init(SpanQueue::default).clone();
    Otlp::start(&config, queue).map(Some).map_err(|error| {
        complain(&format!("error: traces (otlp): {error}\n"));
        ExitCode::from(EXIT_USAGE)
    })
}
