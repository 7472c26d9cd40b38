//! The command line.

use clap::{Parser, Subcommand};
use trunkline_ari_proxy::cli::{AriArgs, AriProxyArgs};
use trunkline_cli::Common;

/// The exchange that joins phones, trunks, Asterisk nodes and other exchanges.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, about, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the exchange
    Serve(Serve),
    #[command(flatten)]
    Operator(trunkline_cli::Command),
    /// Run Asterisk's REST interface over NATS, in ari-proxy's place beside each Asterisk
    AriProxy(AriProxyArgs),
    /// Look at and act on the Asterisk nodes behind the proxies
    Ari(AriArgs),
}

/// Runs the exchange in the foreground until SIGTERM or Ctrl-C
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  trunkline serve                                     everything on its default, data in trunkline.db
  trunkline serve --config /etc/trunkline.yaml
  TRUNKLINE_LISTEN_UDP=127.0.0.1:5070 trunkline serve
  trunkline serve --print-config                      each value and where it came from")]
pub struct Serve {
    /// Print every setting with where it came from, and end
    #[arg(long)]
    pub print_config: bool,
}
