//! The command line.

use clap::{Parser, Subcommand};
use trunkline_ari_proxy::cli::{AriArgs, AriProxyArgs};
use trunkline_cli::Common;
use trunkline_doctor::DoctorArgs;

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
    /// Find what is wrong with the machine, the configuration and the resources; say what to do
    #[command(after_help = DOCTOR)]
    Doctor(DoctorArgs),
    /// Run the location service of Routr v2 over gRPC
    #[command(after_help = LOCATION)]
    Location,
    /// Run the proxy that offers an Asterisk's REST interface over NATS
    AriProxy(AriProxyArgs),
    /// Show and control the Asterisk nodes behind ARI proxies
    Ari(AriArgs),
}

const LOCATION: &str = "It reads $CONFIG_PATH, else /etc/routr/location.yaml (.yml, .json, .toml); `trunkline check FILE` checks such a file.
TLS_ON=true serves over TLS with SERVER_CERT and SERVER_KEY; with VERIFY_CLIENT_CERT=true clients need a certificate of CACERT.
LOGS_LEVEL is error, warn, info, verbose or silly.

Examples:
  trunkline location --config location.yaml
  CONFIG_PATH=location.yaml TLS_ON=true SERVER_CERT=server.crt SERVER_KEY=server.key trunkline location
  grpcurl -plaintext -d '{\"aor\": \"sip:1001@sip.local\"}' localhost:51902 fonoster.routr.location.v2beta1.Location/FindRoutes";

const DOCTOR: &str = "It checks ports, NAT, certificates, clock, DNS, stores, file modes, passwords, who may call without proof, and limits.
Each finding has a severity, what it means, and what to do. Passwords are never printed. The exit status is 0 without
errors, 1 if there is an error or a probe failed, 64 if the configuration cannot be read.

--attack starts a copy of the configuration on free loopback ports: trunks and peers of the copy lead to a carrier on
loopback, it registers nowhere and looks up no names. The running exchange is not touched. The probes take half a minute.

Examples:
  trunkline doctor                        works with and without a running exchange
  trunkline doctor --quiet                print only warnings and errors
  trunkline doctor --json | jq '.findings[] | select(.severity == \"error\")'
  trunkline doctor --attack               print HELD or FAILED for each attack";

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
