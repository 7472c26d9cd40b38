//! The tree of subcommands.

mod creation;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use trunkline_config::EXIT_USAGE;
use trunkline_model::Kind;

pub use creation::{
    CreateAcl, CreateAgent, CreateCredentials, CreateDomain, CreateNumber, CreatePeer, CreateTrunk,
    CreateUser, Creation, Edits, New, NewPassword, UserRole,
};

/// What all commands take.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// The configuration; by default $TRUNKLINE_CONFIG or trunkline.yaml in this folder
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

/// The operator's commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check the configuration and the resources: errors with file, line and column, warnings of what is unsafe
    #[command(after_help = "Examples:\n  trunkline check\n  trunkline check config/ more/agents.yaml")]
    Check(Check),
    /// Manage phone accounts
    #[command(subcommand, after_help = AGENTS)]
    Agents(OfKind<CreateAgent>),
    /// Manage SIP domains: who authenticates, and which numbers their users may call
    #[command(subcommand, after_help = DOMAINS)]
    Domains(OfKind<CreateDomain>),
    /// Manage SIP servers beside the exchange, such as an Asterisk node
    #[command(subcommand, after_help = PEERS)]
    Peers(OfKind<CreatePeer>),
    /// Manage SIP trunks
    #[command(subcommand, after_help = TRUNKS)]
    Trunks(OfKind<CreateTrunk>),
    /// Manage telephone numbers
    #[command(subcommand, after_help = NUMBERS)]
    Numbers(OfKind<CreateNumber>),
    /// Manage user names and passwords for SIP
    #[command(subcommand, after_help = CREDENTIALS)]
    Credentials(OfKind<CreateCredentials>),
    /// Manage access control lists: networks that may send, and networks that may not
    #[command(subcommand, after_help = ACL)]
    Acl(OfKind<CreateAcl>),
    /// Manage the logins of operators and programs
    #[command(subcommand, after_help = USERS)]
    Users(OfUsers),
    /// Show server status
    Status,
    /// List registrations, or remove them
    #[command(
        after_help = "Examples:\n  trunkline registrations\n  trunkline registrations --filter 1001\n  \
                            trunkline registrations kick 1001@sip.local"
    )]
    Registrations(Registrations),
    /// List calls that are up, or the records of calls with caller, trunk and source address
    #[command(
        after_help = "Examples:\n  trunkline calls\n  trunkline calls --filter 1001\n  trunkline calls records --since 2h --filter 1001"
    )]
    Calls(Calls),
    /// Write all resources as YAML, secrets included
    #[command(
        after_help = "Examples:\n  trunkline export --output backup.yaml\n  trunkline export > backup.yaml"
    )]
    Export(Export),
    /// Read resources from YAML or JSON files, all or nothing
    #[command(
        after_help = "Examples:\n  trunkline import backup.yaml\n  trunkline import --replace config/\n  \
                            trunkline import - < backup.yaml"
    )]
    Import(Import),
    /// Move the resources of a Routr v1 to a store of the exchange; show what has no equal there
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
  trunkline domains update sip.local --set \"context.egressPolicies=[{rule: '^\\+49[2-9]', numberRef: number-01}]\"
  trunkline domains update sip.local --set authenticate=register
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
    "If networks of both lists hold an address, the most specific one decides (allow between equal ones). An
address in no network is refused if there is any allow, else allowed. IPv4 and IPv6 alike.

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

/// What can be done with a kind of resource.
#[derive(Subcommand, Debug)]
pub enum OfKind<C: Args> {
    /// List all, or those that match
    List(List),
    /// Show one in full, without secrets
    Get(Get),
    /// Create one
    Create(Creation<C>),
    /// Change one
    Update(Update),
    /// Remove some; refused while others refer to them
    Delete(Delete),
}

/// What can be done with users.
#[derive(Subcommand, Debug)]
pub enum OfUsers {
    #[command(flatten)]
    #[allow(missing_docs)]
    Resource(OfKind<CreateUser>),
    /// Tokens, with which programs log in instead of a password
    #[command(subcommand, after_help = TOKENS)]
    Token(TokenAction),
}

/// `users token`
#[derive(Subcommand, Debug)]
pub enum TokenAction {
    /// Make a token and show it, this once
    Create {
        /// The user, by login name or ref
        user: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// When it ends, from now, e.g. 12h, 90d; by default never
        #[arg(long, value_parser = crate::time::parse_span)]
        expires: Option<i64>,
    },
    /// Show what tokens a user has, not the tokens themselves
    List {
        /// The user, by login name or ref
        user: String,
    },
    /// Remove a token; it is void at once
    Delete {
        /// The user, by login name or ref
        user: String,
        /// What the token is called
        name: String,
    },
}

/// `list`
#[derive(Args, Debug)]
pub struct List {
    /// Only those with this text in ref, name, user name, number or host
    #[arg(long, short)]
    pub filter: Option<String>,
    /// At most so many
    #[arg(long)]
    pub limit: Option<usize>,
}

/// `get`
#[derive(Args, Debug)]
pub struct Get {
    /// Its ref, or what it is called otherwise
    pub name: String,
}

/// `update`
#[derive(Args, Debug)]
pub struct Update {
    /// Its ref, or what it is called otherwise
    #[arg(required_unless_present = "file")]
    pub name: Option<String>,
    /// A YAML or JSON file with the changed resources; - is the standard input
    #[arg(long, short = 'F', value_name = "FILE", conflicts_with_all = ["name", "set", "unset"])]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub edits: Edits,
    /// Remove a value
    #[arg(long, value_name = "PATH")]
    pub unset: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `delete`
#[derive(Args, Debug)]
pub struct Delete {
    /// Their refs, or what they are called otherwise
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Remove the credentials of agents, peers and trunks with them
    #[arg(long)]
    pub with_credentials: bool,
}

/// `check`
#[derive(Args, Debug)]
pub struct Check {
    /// Files and folders of resources, checked as one set; by default the configuration and its store
    pub paths: Vec<PathBuf>,
}

/// `registrations`
#[derive(Args, Debug)]
pub struct Registrations {
    /// Only addresses and contacts with this text
    #[arg(long, short, global = true)]
    pub filter: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000, global = true)]
    pub limit: usize,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub action: Option<RegistrationAction>,
}

/// What can be done with registrations.
#[derive(Subcommand, Debug)]
pub enum RegistrationAction {
    /// List registrations (default)
    List,
    /// Remove the registrations of an address
    Kick {
        /// The address: sip:1001@sip.local, 1001@sip.local, or 1001 if there is one only
        aor: String,
        /// This contact only
        #[arg(long)]
        contact: Option<String>,
    },
}

/// `calls`
#[derive(Args, Debug)]
pub struct Calls {
    /// Only those with this text in caller, callee, trunk or Call-ID; of records: in caller or callee, or
    /// the whole Call-ID
    #[arg(long, short, global = true)]
    pub filter: Option<String>,
    /// At most so many; by default 1000, of records 50
    #[arg(long, global = true)]
    pub limit: Option<usize>,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub action: Option<CallAction>,
}

/// What can be asked about calls.
#[derive(Subcommand, Debug)]
pub enum CallAction {
    /// List calls that are up (default)
    List,
    /// List call records, the latest first
    Records {
        /// Only those that began within, e.g. 30m, 2h, 7d
        #[arg(long, value_parser = crate::time::parse_span)]
        since: Option<i64>,
    },
}

/// `export`
#[derive(Args, Debug)]
pub struct Export {
    /// Write to this file, readable by its owner alone
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// `import`
#[derive(Args, Debug)]
pub struct Import {
    /// Files and folders; - is the standard input
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Remove what the files do not have; users only if they have users
    #[arg(long, conflicts_with = "add")]
    pub replace: bool,
    /// Refuse what is there already
    #[arg(long)]
    pub add: bool,
}

/// `migrate`
#[derive(Args, Debug)]
pub struct Migrate {
    /// Configuration or folder of a Routr v1, or routr-v1-redis:HOST:PORT, routr-v1-rest:URL
    pub from: String,
    /// The store that is written
    #[arg(long, value_name = "URL", default_value = "sqlite:trunkline.db")]
    pub to: String,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl Command {
    /// The kind a resource command is about.
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
            | Command::Export(_)
            | Command::Import(_)
            | Command::Migrate(_) => return None,
        })
    }
}

/// Parses arguments. Help and version print and end well; a mistake ends with 64 (BSD `EX_USAGE`), where clap
/// alone would end with 2.
pub fn parse<T: clap::Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<T, ExitCode> {
    T::try_parse_from(arguments).map_err(|error| {
        // Nobody to tell if even this cannot be printed.
        let _ = error.print();
        if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS }
    })
}
