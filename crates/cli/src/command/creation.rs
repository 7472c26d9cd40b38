//! What `create` takes, for each kind.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Values by path.
#[derive(Args, Clone, Debug, Default)]
pub struct Edits {
    /// Set a value, e.g. maxContacts=2 (below `spec`) or metadata.name='Ann Lee'
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// Where a password comes from; never from the command line, which others can read.
#[derive(Args, Clone, Debug, Default)]
pub struct NewPassword {
    /// Read the password from the standard input
    #[arg(long, group = "secret")]
    pub password_stdin: bool,
    /// Ask for the password
    #[arg(long, group = "secret")]
    pub prompt_password: bool,
    /// Make a password and show it once
    #[arg(long, group = "secret")]
    pub generate_password: bool,
}

/// What every `create` takes.
#[derive(Args, Clone, Debug, Default)]
pub struct New {
    /// A YAML or JSON file with the new resources; - is the standard input
    #[arg(long, short = 'F', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The friendly name
    #[arg(long)]
    pub name: Option<String>,
    /// The name others refer to it by
    #[arg(long = "ref", value_name = "REF")]
    pub reference: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub edits: Edits,
}

/// `create`: what makes one of a kind, and what every kind takes.
#[derive(Args, Debug)]
pub struct Creation<C: Args> {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub own: C,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub new: New,
}

/// `agents create`
#[derive(Args, Debug)]
pub struct CreateAgent {
    /// The user name, e.g. 1003
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// The domain, by ref or host; by default the configuration's
    #[arg(long)]
    pub domain: Option<String>,
    /// Credentials that are there; by default new ones are made
    #[arg(long, conflicts_with = "secret")]
    pub credentials: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `domains create`
#[derive(Args, Debug)]
pub struct CreateDomain {
    /// The host, e.g. branch.example
    #[arg(required_unless_present = "file")]
    pub host: Option<String>,
    /// What callers of other domains must show; by default authenticated
    #[arg(long, value_parser = ["authenticated", "isolated", "open"])]
    pub inter_domain: Option<String>,
}

/// `peers create`
#[derive(Args, Debug)]
pub struct CreatePeer {
    /// The user name it registers and calls as
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// The address its instances answer for, e.g. sip:conference@sip.local
    #[arg(long)]
    pub aor: Option<String>,
    /// Where it is reached if it does not register, e.g. 127.0.0.1:5070
    #[arg(long)]
    pub contact: Option<String>,
    /// The access control list, by ref or name
    #[arg(long)]
    pub acl: Option<String>,
    /// Credentials that are there; by default new ones are made
    #[arg(long, conflicts_with = "secret")]
    pub credentials: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `trunks create`
#[derive(Args, Debug)]
pub struct CreateTrunk {
    /// The friendly name, from which the ref is made
    #[arg(required_unless_present = "file")]
    pub title: Option<String>,
    /// The carrier's host
    #[arg(long)]
    pub host: Option<String>,
    /// Its port; by default the one in DNS, else the transport's
    #[arg(long)]
    pub port: Option<u16>,
    /// udp, tcp or tls; by default the one in DNS, else udp
    #[arg(long)]
    pub transport: Option<String>,
    /// The host the carrier calls us by; anybody may call it unless --acl says who may
    #[arg(long)]
    pub inbound: Option<String>,
    /// The access control list of the addresses the carrier calls from, by ref or name
    #[arg(long)]
    pub acl: Option<String>,
    /// Register there
    #[arg(long)]
    pub register: bool,
    /// The user name we have there; its password is asked for, or see below
    #[arg(long)]
    pub user: Option<String>,
    /// Credentials that are there
    #[arg(long, conflicts_with_all = ["user", "secret"])]
    pub credentials: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `numbers create`
#[derive(Args, Debug)]
pub struct CreateNumber {
    /// The number, e.g. +17066041487
    #[arg(required_unless_present = "file")]
    pub number: Option<String>,
    /// Its trunk, by ref or name
    #[arg(long)]
    pub trunk: Option<String>,
    /// Who gets its calls, e.g. sip:1001@sip.local
    #[arg(long)]
    pub to: Option<String>,
}

/// `credentials create`
#[derive(Args, Debug)]
pub struct CreateCredentials {
    /// The user name
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// `acl create`
#[derive(Args, Debug)]
pub struct CreateAcl {
    /// The friendly name, from which the ref is made
    #[arg(required_unless_present = "file")]
    pub title: Option<String>,
    /// A network that may send; all others may not then
    #[arg(long)]
    pub allow: Vec<String>,
    /// A network that may not send
    #[arg(long)]
    pub deny: Vec<String>,
}

/// `users create`
#[derive(Args, Debug)]
pub struct CreateUser {
    /// The login name
    #[arg(required_unless_present = "file")]
    pub username: Option<String>,
    /// What the user may do
    #[arg(long, value_enum, default_value_t = UserRole::Viewer)]
    pub role: UserRole,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub password: NewPassword,
}

/// What a user may do.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRole {
    /// Look
    Viewer,
    /// Change resources
    Operator,
    /// Everything
    Admin,
}
