//! `trunkline serve`: configuration, log, roles.

use std::io::{Write, stdout};
use std::process::ExitCode;

use trunkline_cli::{Common, LoadError};
use trunkline_config::{EXIT_USAGE, Env, Loaded};

use crate::args::Serve;
use crate::process::Process;
use crate::{complain, descriptors, otlp, routr_v1, telemetry, with_causes};

/// Loads the configuration, builds the roles and runs them to the end.
pub fn run(common: &Common, serve: &Serve) -> ExitCode {
    let loaded = match load(common, serve.print_config) {
        Ok(loaded) => loaded,
        Err((report, code)) => {
            complain(&report);
            return ExitCode::from(code);
        }
    };
    if serve.print_config {
        let text = if common.json { loaded.to_json() } else { loaded.to_string() };
        // A reader that closes the pipe early, such as `head`, is no error.
        let _ = stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let checked = loaded.check_data().and_then(|()| trunkline_cli::check_stores(&loaded, true));
    if let Err(report) = checked {
        complain(&report.to_string());
        return ExitCode::from(EXIT_USAGE);
    }
    // It ends last, so that it sends what the roles did at their end.
    let _otlp = match otlp::start(otlp::configured(&loaded.config.otlp)) {
        Ok(exporter) => exporter,
        Err(code) => return code,
    };
    telemetry::init(&loaded.config.log);
    for warning in loaded.warnings.iter().chain(&loaded.cautions()) {
        tracing::warn!("{warning}");
    }
    descriptors::raise_limit();
    match Process::build(loaded, common.config.as_deref()).and_then(Process::run) {
        Ok(end) => ExitCode::from(u8::try_from(end.code()).unwrap_or_default()),
        Err(error) => {
            let text = with_causes(&error);
            let prefix = if text.starts_with("error: ") { "" } else { "error: " };
            complain(&format!("{prefix}{text}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The configuration, or the text of what is wrong with it and an exit code. To be shown only, it is read `once`: without what a
/// Redis has of it that does not answer.
fn load(common: &Common, once: bool) -> Result<Loaded, (String, u8)> {
    let env = Env::of_process();
    if let Some(file) = trunkline_cli::overlooked(common, &env) {
        return Err((trunkline_cli::told(file, "serve"), EXIT_USAGE));
    }
    let file = common.config.as_deref();
    // The log is not open yet: its own settings are read here.
    let mut warn = |warning: String| complain(&format!("warning: {warning}\n"));
    let loaded = match once {
        true => trunkline_cli::load_once(file, &env, &mut warn).map_err(LoadError::Mistakes),
        false => trunkline_cli::load(file, &env, routr_v1::access, &mut warn),
    };
    loaded.map_err(|error| match error {
        LoadError::Mistakes(report) => (report.to_string(), EXIT_USAGE),
        LoadError::Provider(error) => (format!("error: {error}\n"), 1),
    })
}
