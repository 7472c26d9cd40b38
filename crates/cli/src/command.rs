//! The tree of subcommands.

mod calls;
mod creation;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use trunkline_config::EXIT_USAGE;
use trunkline_model::Kind;

pub use crate::drain::Drain;
pub use crate::events::Events;
pub use crate::explain::Explain;
pub use crate::trace::Trace;
pub use calls::{CallAction, Calls};
pub use creation::{
    CreateAcl, CreateAgent, CreateCredentials, CreateDomain, CreateNumber, CreatePeer, CreateTrunk,
    CreateUser, Creation, Edits, New, NewPassword, UserRole,
};

/// The options of all commands.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Read this configuration file [default: $TRUNKLINE_CONFIG, or trunkline.yaml in this folder; services of Routr v2: $CONFIG_PATH]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

/// The operator's commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check the configuration and the resources; print errors and warnings to standard error
    #[command(
        after_help = "The exit status is 0 if there are no errors, 64 otherwise; with --strict it is 1 if there are warnings only.\n\n\
                            Examples:\n  trunkline check\n  trunkline check --strict\n  trunkline check config/ more/agents.yaml"
    )]
    Check(Check),
    /// Manage phone accounts
    #[command(subcommand, after_help = AGENTS)]
    Agents(OfKind<CreateAgent>),
    /// Manage SIP domains: authentication, and the numbers that users may call
    #[command(subcommand, after_help = DOMAINS)]
    Domains(OfKind<CreateDomain>),
    /// Manage peers: SIP servers such as Asterisk
    #[command(subcommand, after_help = PEERS)]
    Peers(OfKind<CreatePeer>),
    /// Manage SIP trunks
    #[command(subcommand, after_help = TRUNKS)]
    Trunks(OfKind<CreateTrunk>),
    /// Manage telephone numbers
    #[command(subcommand, after_help = NUMBERS)]
    Numbers(OfKind<CreateNumber>),
    /// Manage SIP user names and passwords
    #[command(subcommand, after_help = CREDENTIALS)]
    Credentials(OfKind<CreateCredentials>),
    /// Manage access control lists (allowed and denied networks)
    #[command(subcommand, after_help = ACL)]
    Acl(OfKind<CreateAcl>),
    /// Manage the accounts of operators and programs
    #[command(subcommand, after_help = USERS)]
    Users(OfUsers),
    /// Show server status
    Status,
    /// List or remove registrations
    #[command(
        after_help = "Examples:\n  trunkline registrations\n  trunkline registrations --filter 1001\n  \
                            trunkline registrations kick 1001@sip.local"
    )]
    Registrations(Registrations),
    /// List current calls or call records, show or follow calls
    #[command(after_help = calls::EXAMPLES)]
    Calls(Calls),
    /// Refuse new calls with 503, keep current ones; for an update or a stop without lost calls
    #[command(after_help = crate::drain::EXAMPLES)]
    Drain(Drain),
    /// List bans of sources and users that guessed passwords
    #[command(after_help = "Examples:\n  trunkline bans\n  trunkline bans --json")]
    Bans,
    /// End the bans of a source or user
    #[command(after_help = "Examples:\n  trunkline unban 192.0.2.7\n  trunkline unban 1001")]
    Unban {
        /// IP address or user name, as `trunkline bans` shows it
        #[arg(value_name = "SOURCE|USER")]
        who: String,
    },
    /// Explain why a call or registration ended as it did, and what to do
    #[command(after_help = crate::explain::EXAMPLES)]
    Explain(Explain),
    /// Show SIP messages as they come and go, or write them to a file for Wireshark
    #[command(after_help = crate::trace::EXAMPLES)]
    Trace(Trace),
    /// Show or follow events: calls, registrations, trunks, bans, changes of resources, requests
    #[command(after_help = crate::events::examples())]
    Events(Events),
    /// Export all resources as YAML, passwords included
    #[command(
        after_help = "Examples:\n  trunkline export --output backup.yaml\n  trunkline export > backup.yaml"
    )]
    Export(Export),
    /// Import resources from YAML or JSON files; with an error nothing is changed
    #[command(
        after_help = "Examples:\n  trunkline import backup.yaml\n  trunkline import --replace config/\n  \
                            trunkline import - < backup.yaml"
    )]
    Import(Import),
    /// Copy the resources of Routr v1 to a store of Trunkline; list what has no equivalent
    #[command(after_help = "Examples:\n  trunkline migrate /opt/routr --dry-run\n  \
                            trunkline migrate /opt/routr/config/config.yml --to sqlite:trunkline.db\n  \
                            TRUNKLINE_ROUTR_V1_PROVIDER_SECRET=… trunkline migrate routr-v1-redis:localhost:6379")]
    Migrate(Migrate),
}

const AGENTS: &str = "Examples:
  trunkline agents list --filter 10
  trunkline agents create 1003 --name 'Ann Lee'
  trunkline agents create 1004 --domain branch.example --password-stdin < secret
  trunkline agents update 1003 --set maxContacts=2 --set fallback.busy=sip:1001@sip.local
  trunkline agents update 1003 --generate-password
  trunkline agents delete 1003 --with-credentials";
const DOMAINS: &str = "Examples:
  trunkline domains create branch.example
  trunkline domains update sip.local --set \"context.egressPolicies=[{rule: '^\\+49(1[5-7]|[2-8][0-9]|9[1-9]|90[1-9])[0-9]{3,10}$', numberRef: number-01}]\"
  trunkline domains update sip.local --set accessControlListRef=acl-office
  trunkline domains create tenant.example --inter-domain isolated
  trunkline domains update branch.example --set interDomain=open";
const PEERS: &str = "Examples:
  trunkline peers create asterisk --aor sip:conference@sip.local --contact 127.0.0.1:5070
  trunkline peers update asterisk --set loadBalancing.algorithm=least-sessions";
const TRUNKS: &str = "Examples:
  trunkline trunks create provider --host sip.provider.example --user pbx-1 --register --prompt-password
  trunkline acl create Provider --allow 198.51.100.0/24
  trunkline trunks create provider --host 198.51.100.10 --transport tcp --inbound pbx.example --acl Provider
  trunkline trunks update provider --set inbound.accessControlListRef=acl-provider
  trunkline trunks update provider --set outbound.timeoutMs=1000
  trunkline trunks update provider --set 'outbound.allowedParameters=[npdi, rn]'";
const NUMBERS: &str = "Examples:
  trunkline numbers create +17066041487 --trunk provider --to sip:1001@sip.local
  trunkline numbers update +17066041487 --unset location.aorLink";
const CREDENTIALS: &str = "Examples:
  trunkline credentials list
  trunkline credentials create pbx-1 --prompt-password
  trunkline credentials update pbx-1 --generate-password";
const ACL: &str =
    "If networks of both lists contain an address, the most specific one decides; of two equal ones, allow decides. An
address in neither list is refused if the list has an allow entry, otherwise allowed. This holds for IPv4 and IPv6.

Examples:
  trunkline acl create office --allow 192.0.2.0/24 --allow 2001:db8::/32 --deny 192.0.2.66
  trunkline domains update sip.local --set accessControlListRef=acl-office
  trunkline acl update office --set 'accessControlList.deny=[192.0.2.66]'";
const USERS: &str = "Examples:
  trunkline users create ann --role operator --prompt-password
  trunkline users update ann --generate-password
  trunkline users update ann --set enabled=false
  trunkline users token create ann --name backup --expires 90d
  trunkline users token list ann";
const TOKENS: &str = "Examples:
  trunkline users token create ann --name backup
  trunkline users token create ann --name ci --expires 90d --json
  trunkline users token list ann
  trunkline users token delete ann ci";

/// The actions on a kind of resource.
#[derive(Subcommand, Debug)]
pub enum OfKind<C: Args> {
    /// List them
    List(List),
    /// Show all fields of one, without passwords
    Get(Get),
    /// Create one, or those in a file
    Create(Creation<C>),
    /// Change one, or those in a file
    Update(Update),
    /// Delete them; refused while other resources refer to them
    Delete(Delete),
}

/// The actions on users.
#[derive(Subcommand, Debug)]
pub enum OfUsers {
    #[command(flatten)]
    #[allow(missing_docs)]
    Resource(OfKind<CreateUser>),
    /// Manage the tokens by which programs log in
    #[command(subcommand, after_help = TOKENS)]
    Token(TokenAction),
}

/// `users token`
#[derive(Subcommand, Debug)]
pub enum TokenAction {
    /// Create a token and print it once
    Create {
        /// Login name or ref of the user
        user: String,
        /// Name of the token, e.g. what it is used for
        #[arg(long)]
        name: String,
        /// Let the token expire after this time, e.g. 12h or 90d [default: never]
        #[arg(long, value_parser = crate::time::parse_span)]
        expires: Option<i64>,
    },
    /// List the names of a user's tokens
    List {
        /// Login name or ref of the user
        user: String,
    },
    /// Delete a token; it is invalid at once
    Delete {
        /// Login name or ref of the user
        user: String,
        /// Name of the token
        name: String,
    },
}

/// `list`
#[derive(Args, Debug)]
pub struct List {
    /// Show only those with this text in ref, name, user name, number or host
    #[arg(long, short)]
    pub filter: Option<String>,
    /// Show at most this many
    #[arg(long)]
    pub limit: Option<usize>,
}

/// `get`
#[derive(Args, Debug)]
pub struct Get {
    /// Ref or name
    pub name: String,
}

/// `update`
#[derive(Args, Debug)]
pub struct Update {
    /// Ref or name
    #[arg(required_unless_present = "file")]
    pub name: Option<String>,
    /// Read the changed resources from a YAML or JSON file; - is standard input
    #[arg(long, short = 'F', value_name = "FILE", conflicts_with_all = ["name", "set", "unset"])]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub edits: Edits,
    /// Remove a field
    #[arg(long, value_name = "PATH")]
    pub unset: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `delete`
#[derive(Args, Debug)]
pub struct Delete {
    /// Refs or names
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Also delete the credentials of these agents, peers or trunks
    #[arg(long)]
    pub with_credentials: bool,
}

/// `check`
#[derive(Args, Debug)]
pub struct Check {
    /// Files and folders of resources, checked together [default: the configuration and its store]
    pub paths: Vec<PathBuf>,
    /// Exit with 1 if there are warnings
    #[arg(long)]
    pub strict: bool,
}

/// `registrations`
#[derive(Args, Debug)]
pub struct Registrations {
    /// Show only registrations with this text in address or contact
    #[arg(long, short, global = true)]
    pub filter: Option<String>,
    /// Show at most this many
    #[arg(long, default_value_t = 1000, global = true)]
    pub limit: usize,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub action: Option<RegistrationAction>,
}

/// The actions on registrations.
#[derive(Subcommand, Debug)]
pub enum RegistrationAction {
    /// List registrations (default)
    List,
    /// Remove the registrations of an address; the phone must register again
    Kick {
        /// The address: sip:1001@sip.local, 1001@sip.local, or 1001 if only one domain has it
        aor: String,
        /// Remove only this contact
        #[arg(long)]
        contact: Option<String>,
    },
}

/// `export`
#[derive(Args, Debug)]
pub struct Export {
    /// Write to this file; only its owner can read it [default: standard output]
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// `import`
#[derive(Args, Debug)]
pub struct Import {
    /// Files and folders; - is standard input
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Delete resources that are not in the files; users only if the files contain users
    #[arg(long, conflicts_with = "add")]
    pub replace: bool,
    /// Fail if a resource exists already [default: update it]
    #[arg(long)]
    pub add: bool,
}

/// `migrate`
#[derive(Args, Debug)]
pub struct Migrate {
    /// Configuration file or folder of Routr v1, routr-v1-redis:HOST:PORT, or routr-v1-rest:URL
    pub from: String,
    /// Write to this store
    #[arg(long, value_name = "URL", default_value = "sqlite:trunkline.db")]
    pub to: String,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl Command {
    /// The kind of resource that the command works on.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Command::Agents(_) => Kind::Agent,
            Command::Domains(_) => Kind::Domain,
            Command::Peers(_) => Kind::Peer,
            Command::Trunks(_) => Kind::Trunk,
            Command::Numbers(_) => Kind::Number,
            Command::Credentials(_) => Kind::Credentials,
            Command::Acl(_) => Kind::AccessControlList,
            Command::Users(_) => Kind::User,
            Command::Check(_)
            | Command::Status
            | Command::Registrations(_)
            | Command::Calls(_)
            | Command::Explain(_)
            | Command::Drain(_)
            | Command::Bans
            | Command::Unban { .. }
            | Command::Trace(_)
            | Command::Events(_)
            | Command::Export(_)
            | Command::Import(_)
            | Command::Migrate(_) => return None,
        })
    }
}

/// Parses arguments. Help and version are printed and end with 0; a mistake ends with 64 (BSD `EX_USAGE`), where clap
/// alone would end with 2.
pub fn parse<T: clap::Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, ExitCode> {
    T::try_parse_from(arguments).map_err(|error| {
        // An error here cannot be reported either.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    })
}
