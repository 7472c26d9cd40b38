//! The one binary: arguments, configuration, wiring.

use std::process::ExitCode;

mod args;
mod edge_config;
mod exchange;
mod first_start;
mod secret;
mod telemetry;

use args::{Args, Command};
use exchange::Exchange;
use trunkline_config::{Config, EXIT_USAGE, Env};

/// Gives memory back when a large file of resources has been read; see BENCHMARKS.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code,
    };
    match args.command {
        Command::Serve(serve) => {
            let loaded = match Config::load(serve.config.as_deref(), &Env::of_process()) {
                Ok(loaded) => loaded,
                Err(report) => {
                    eprintln!("{report}");
                    return ExitCode::from(EXIT_USAGE);
                }
            };
            if serve.print_config {
                print!("{loaded}");
                return ExitCode::SUCCESS;
            }
            telemetry::init(&loaded.config.log);
            match Exchange::build(loaded.config).and_then(Exchange::run) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}
