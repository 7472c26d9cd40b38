//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trunkline_config::EXIT_USAGE;

/// The exchange that joins phones, trunks, Asterisk nodes and other exchanges.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, about, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exchange.
    Serve(Serve),
}

/// Runs the exchange in the foreground until SIGTERM or Ctrl-C.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  trunkline serve                                     everything on its default, data in trunkline.db
  trunkline serve --config /etc/trunkline.yaml
  TRUNKLINE_LISTEN_UDP=127.0.0.1:5070 trunkline serve
  trunkline serve --print-config                      each value and where it came from")]
pub struct Serve {
    /// The configuration; without it $TRUNKLINE_CONFIG, or trunkline.yaml in this folder if it is there.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every setting with where it came from, and end.
    #[arg(long)]
    pub print_config: bool,
}

impl Args {
    /// Reads the command line; wrong usage is 64, as for configuration.
    pub fn read() -> Result<Args, ExitCode> {
        Args::try_parse().map_err(|error| {
            let code = if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
            let _ = error.print();
            code
        })
    }
}
