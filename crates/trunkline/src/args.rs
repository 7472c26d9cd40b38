//! The command line.

use clap::{Parser, Subcommand};
use trunkline_ari_proxy::cli::{AriArgs, AriProxyArgs};
use trunkline_cli::Common;

/// Trunkline, a telephony exchange: SIP registrar, proxy and router
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
    /// Run the proxy that offers an Asterisk's REST interface over NATS
    AriProxy(AriProxyArgs),
    /// Show and control the Asterisk nodes behind ARI proxies
    Ari(AriArgs),
}

/// Run the exchange in the foreground until SIGTERM or Ctrl-C
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  trunkline serve                                     use defaults; keep data in trunkline.db in this folder
  trunkline serve --config /etc/trunkline.yaml
  TRUNKLINE_LISTEN_UDP=127.0.0.1:5070 trunkline serve
  TRUNKLINE_ROLES=health,api trunkline serve          run two roles only
  trunkline serve --print-config                      print each value and where it came from")]
pub struct Serve {
    /// Print every setting and where it came from, then exit
    #[arg(long)]
    pub print_config: bool,
}
