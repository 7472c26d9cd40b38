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
    /// Run the message dispatcher of Routr v2 over gRPC
    #[command(after_help = DISPATCHER)]
    Dispatcher,
    /// Run the echo processor of Routr v2 over gRPC: it answers every message with 200
    #[command(after_help = ECHO)]
    Echo,
    /// Run the middleware of Routr v2 that asks the users of a file for a digest
    #[command(after_help = SIMPLEAUTH)]
    Simpleauth,
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

const DISPATCHER: &str = "It reads $CONFIG_PATH, else /etc/routr/dispatcher.yaml (.yml, .json, .toml); `trunkline check FILE` checks such a file.
An address is HOST:PORT, or https://HOST:PORT for TLS with CLIENT_CACERT, CLIENT_CERT and CLIENT_KEY.
TLS_ON, VERIFY_CLIENT_CERT and LOGS_LEVEL are as for `trunkline location`.

Examples:
  trunkline dispatcher --config dispatcher.yaml
  trunkline check dispatcher.yaml";

const ECHO: &str = "It listens on $BIND_ADDR [default: 0.0.0.0:51904]. TLS_ON, VERIFY_CLIENT_CERT and LOGS_LEVEL are as for `trunkline location`.

Examples:
  trunkline echo
  BIND_ADDR=127.0.0.1:51904 trunkline echo";

const SIMPLEAUTH: &str = "It listens on $BIND_ADDR [default: 0.0.0.0:51903].
PATH_TO_AUTH names the file of users: a list of username and secret, JSON or YAML.
METHODS lists the methods that need credentials; users in ALLOWLIST (user parts of From) need none.
TLS_ON, VERIFY_CLIENT_CERT and LOGS_LEVEL are as for `trunkline location`.

Examples:
  PATH_TO_AUTH=auth.json METHODS=REGISTER,INVITE trunkline simpleauth
  PATH_TO_AUTH=auth.yaml METHODS=INVITE ALLOWLIST=door,lift trunkline simpleauth";

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
