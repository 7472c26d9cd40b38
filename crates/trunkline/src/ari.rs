//! The commands `ari` and `ari-proxy`.

use std::future::Future;
use std::process::ExitCode;

use trunkline_ari_proxy::cli::{AriProxyArgs, CliError, run_proxy};
use trunkline_config::Log;
use trunkline_publisher::OtlpConfig;

use crate::{complain, otlp, telemetry};

/// Runs a proxy to its end.
pub fn proxy(arguments: &AriProxyArgs) -> ExitCode {
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => return failure(&error.into()),
    };
    let traces = config.traces.clone().map(|traces| OtlpConfig {
        url: traces.url,
        authorization: traces.authorization,
        trusted_ca: traces.ca,
    });
    // It ends last, so that it sends what the proxy did at its end.
    let _otlp = match otlp::start(traces) {
        Ok(exporter) => exporter,
        Err(code) => return code,
    };
    telemetry::init(&Log::default());
    finish(run_proxy(config))
}

/// Runs a command to its end.
pub fn finish(command: impl Future<Output = Result<(), CliError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: no runtime: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_unread() => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &CliError) -> ExitCode {
    complain(&format!("error: {error}\n"));
    ExitCode::from(error.exit_status())
}
