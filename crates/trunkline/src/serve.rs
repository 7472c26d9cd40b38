//! `trunkline serve`: configuration, log, roles.

use std::io::{Write, stdout};
use std::process::ExitCode;

use trunkline_cli::{Common, LoadError};
use trunkline_config::{EXIT_USAGE, Env, Loaded};

use crate::args::Serve;
use crate::process::{Process, ProcessEnd};
use crate::{complain, descriptors, routr_v1, telemetry, with_causes};

/// The exit code that asks the parent process to start it again, as with the launcher of Routr v1.
const EXIT_RESTART: u8 = 123;

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
    telemetry::init(&loaded.config.log);
    for warning in loaded.warnings.iter().chain(&loaded.cautions()) {
        tracing::warn!("{warning}");
    }
    descriptors::raise_limit();
    match Process::build(loaded, common.config.as_deref()).and_then(Process::run) {
        Ok(ProcessEnd::Stop) => ExitCode::SUCCESS,
        Ok(ProcessEnd::Restart) => ExitCode::from(EXIT_RESTART),
        Err(error) => {
            complain(&format!("error: {}\n", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The configuration, or the text of what is wrong with it and an exit code. To be shown only, it is read `once`: without what a
/// Redis has of it that does not answer.
fn load(common: &Common, once: bool) -> Result<Loaded, (String, u8)> {
    let env = Env::of_process();
    if let Some(file) = overlooked(common, &env) {
        let told = format!(
            "error: there is no trunkline.yaml here, and {file} is the configuration of a Routr v1\n  \
             to serve with it:      trunkline serve --config {file}\n  \
             to move its resources: trunkline migrate . --dry-run\n  \
             to begin anew:         trunkline serve --config FILE (or TRUNKLINE_DATA=sqlite:trunkline.db)\n"
        );
        return Err((told, EXIT_USAGE));
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

/// The configuration of a Routr v1 in this folder, if none of ours is named or exists, and no exchange ever ran here.
/// Most likely the operator means that one; a first start would ignore it.
fn overlooked(common: &Common, env: &Env) -> Option<&'static str> {
    let named = common.config.is_some()
        || ["TRUNKLINE_CONFIG", "ROUTR_CONFIG_FILE", "CONFIG_FILE", "TRUNKLINE_DATA"]
            .iter()
            .any(|name| env.get(name).is_some());
    let ours = ["trunkline.yaml", "trunkline.db"].iter().any(|file| std::path::Path::new(file).exists());
    let found = ["config/config.yml", "config/config.yaml"];
    found.into_iter().find(|file| !named && !ours && trunkline_config::is_routr_v1(file.as_ref()))
}
