//! The one binary: arguments, configuration, wiring.

use std::io::{Write, stderr, stdin, stdout};
use std::process::ExitCode;

use trunkline_cli::{Common, ControlBackend, StoreOnly, Terminal};
use trunkline_config::{Config, EXIT_USAGE, Env, Log};

mod api;
mod args;
mod ari;
mod edge_config;
mod exchange;
mod first_start;
mod offline;
mod report;
mod routr_v1;
mod secret;
mod telemetry;
mod tls;

use args::{Args, Command, Serve};
use exchange::{Ended, Exchange};
use offline::Offline;

/// Gives memory back when a large file of resources has been read; see BENCHMARKS.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What whoever started the process takes for "start me again", as the launcher of Routr v1 does.
const EXIT_RESTART: u8 = 123;

fn main() -> ExitCode {
    let args: Args = match trunkline_cli::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match args.command {
        Command::Serve(serve) => run_exchange(&args.common, &serve),
        Command::Operator(command) => {
            let (mut input, mut out, mut err) = (stdin().lock(), stdout().lock(), stderr().lock());
            let mut terminal = Terminal { input: &mut input, out: &mut out, err: &mut err };
            let offline = |config: &Config, store: StoreOnly| -> Box<dyn ControlBackend> {
                Box::new(Offline::new(config, store))
            };
            let env = Env::of_process();
            ExitCode::from(trunkline_cli::run(&command, &args.common, &env, &mut terminal, &offline))
        }
        Command::AriProxy(proxy) => {
            telemetry::init(&Log::default());
            ari::finish(proxy.run())
        }
        Command::Ari(ari) => ari::finish(ari.run(args.common.json)),
    }
}

/// The configuration of a Routr v1 in this folder, where none of ours is named or there, and nothing was ever started
/// here: most likely that is what is meant, and a first start would make something else of the folder.
fn overlooked(common: &Common, env: &Env) -> Option<&'static str> {
    let named = common.config.is_some()
        || ["TRUNKLINE_CONFIG", "ROUTR_CONFIG_FILE", "CONFIG_FILE", "TRUNKLINE_DATA"]
            .iter()
            .any(|name| env.get(name).is_some());
    let ours = ["trunkline.yaml", "trunkline.db"].iter().any(|file| std::path::Path::new(file).exists());
    let found = ["config/config.yml", "config/config.yaml"];
    found.into_iter().find(|file| !named && !ours && trunkline_config::is_routr_v1(file.as_ref()))
}

fn run_exchange(common: &Common, serve: &Serve) -> ExitCode {
    if let Some(file) = overlooked(common, &Env::of_process()) {
        complain(&format!(
            "error: there is no trunkline.yaml here, and {file} is the configuration of a Routr v1\n  \
             to serve with it:      trunkline serve --config {file}\n  \
             to move its resources: trunkline migrate . --dry-run\n  \
             to begin anew:         trunkline serve --config FILE (or TRUNKLINE_DATA=sqlite:trunkline.db)\n"
        ));
        return ExitCode::from(EXIT_USAGE);
    }
    let loaded = match Config::load(common.config.as_deref(), &Env::of_process()) {
        Ok(loaded) => loaded,
        Err(report) => {
            complain(&report.to_string());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if serve.print_config {
        let text = if common.json { loaded.to_json() } else { loaded.to_string() };
        // A reader who has seen enough, such as `head`, is not worth a word.
        let _ = stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    telemetry::init(&loaded.config.log);
    for warning in loaded.warnings.iter().chain(&loaded.cautions()) {
        tracing::warn!("{warning}");
    }
    match Exchange::build(loaded).and_then(Exchange::run) {
        Ok(Ended::Stop) => ExitCode::SUCCESS,
        Ok(Ended::Restart) => ExitCode::from(EXIT_RESTART),
        Err(error) => {
            complain(&format!("error: {}\n", with_causes(&error)));
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong, if there is somebody to tell.
fn complain(text: &str) {
    let _ = stderr().write_all(text.as_bytes());
}

/// An error and its causes, but for those that its text tells by itself.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let told = cause.rsplit(": ").next().is_some_and(|last| text.contains(last));
        if text.is_empty() {
            text = cause;
        } else if !told {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_is_told_once() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = anyhow::Error::from(denied()).context("cannot make trunkline.secret");
        assert_eq!(with_causes(&error), "cannot make trunkline.secret: permission denied");
        let source = denied();
        let error = trunkline_store::StoreError::Read { path: "x.yaml".into(), source };
        assert_eq!(with_causes(&error.into()), "cannot read x.yaml: permission denied");
        let error =
            trunkline_store::Store::open("sqlite:/nowhere/x.db").context("the data").expect_err("no folder");
        assert_eq!(with_causes(&error).matches("os error 2").count(), 1, "{error:#}");
    }
}
